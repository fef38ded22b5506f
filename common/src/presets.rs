//! Spec files compiled in.

/// A spec file that comes with the program; its format is TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What people call it.
    pub name: &'static str,
    /// What it is for, in one line.
    pub summary: &'static str,
    /// The file.
    pub text: &'static str,
}

/// Every preset, the quickest first.
pub const ALL: &[Preset] = &[
    Preset {
        name: "quickstart",
        summary: "three rules on plain and dense networks, on digits drawn by biosweep; minutes, no download",
        text: include_str!("../presets/quickstart.toml"),
    },
    Preset {
        name: "paper-mini",
        summary: "24 trials of the paper's grid on MNIST, ten epochs each",
        text: include_str!("../presets/paper-mini.toml"),
    },
    Preset {
        name: "paper-mlp",
        summary: "the paper's whole grid for fully connected networks on MNIST; days on many cores",
        text: include_str!("../presets/paper-mlp.toml"),
    },
];

/// The preset of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Format, SweepSpec};

    #[test]
    fn every_preset_is_a_good_spec_of_its_own_name_that_says_what_it_is() {
        for preset in ALL {
            let spec = SweepSpec::parse(preset.text, Format::Toml, preset.name).expect(preset.name);
            assert_eq!(spec.name, preset.name);
            assert!(preset.text.starts_with("# "), "{}", preset.name);
            assert_eq!(find(preset.name), Some(preset));
        }
    }

    #[test]
    fn the_presets_hold_the_trials_they_promise() {
        let totals = |name: &str| {
            let spec = SweepSpec::parse(find(name).expect(name).text, Format::Toml, name).expect(name);
            (spec.grid.blocks().len(), spec.grid.trials(), spec.grid.trajectories())
        };
        assert_eq!(totals("quickstart"), (1, 24, 24));
        assert_eq!(totals("paper-mini"), (2, 24, 24));
        assert_eq!(totals("paper-mlp"), (3, 9_900, 1_980));
    }
}
