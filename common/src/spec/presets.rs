//! Presets: spec files that are compiled in.

/// A spec file that comes with biosweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The name on the command line.
    pub name: &'static str,
    /// A description in one line.
    pub summary: &'static str,
    /// The spec file, in TOML.
    pub text: &'static str,
}

/// Every preset.
pub const ALL: &[Preset] = &[
    Preset {
        name: "quickstart",
        summary: "three rules on plain and dense networks, on synthetic digits, about a minute",
        text: include_str!("../../presets/quickstart.toml"),
    },
    Preset {
        name: "paper-mini",
        summary: "the core of the paper on MNIST: 24 trials, about five minutes on two cores",
        text: include_str!("../../presets/paper-mini.toml"),
    },
    Preset {
        name: "paper-figures",
        summary: "the paper's Figures 1 and 2 on MNIST with eight folds: 576 trials, about two hours on two cores",
        text: include_str!("../../presets/paper-figures.toml"),
    },
    Preset {
        name: "rules-mini",
        summary: "five learning rules on MNIST: 40 trials, about eight minutes on two cores",
        text: include_str!("../../presets/rules-mini.toml"),
    },
    Preset {
        name: "conv-mini",
        summary: "three learning rules on convolutional networks: 6 trials, about seven minutes on two cores",
        text: include_str!("../../presets/conv-mini.toml"),
    },
    Preset {
        name: "why-skips-tune",
        summary: "ten rules on five networks that take the causes of skip connections apart, at three learning rates: 300 trials, about an hour of one core",
        text: include_str!("../../presets/why-skips-tune.toml"),
    },
    Preset {
        name: "why-skips",
        summary: "the same arms at their own learning rates, on eight folds, with six planned contrasts: 800 trials, about four hours of one core",
        text: include_str!("../../presets/why-skips.toml"),
    },
    Preset {
        name: "published-500",
        summary: "published figures of fa and kp with one hidden layer of 500 units: 9 trials, about four minutes on two cores",
        text: include_str!("../../presets/published-500.toml"),
    },
    Preset {
        name: "published-256",
        summary: "published figures of five rules with six hidden layers of 256 units: 15 trials, about twelve minutes on two cores",
        text: include_str!("../../presets/published-256.toml"),
    },
    Preset {
        name: "paper-mlp",
        summary: "the paper's complete Table 1 for fully connected networks, for a cluster",
        text: include_str!("../../presets/paper-mlp.toml"),
    },
    Preset {
        name: "paper-conv",
        summary: "the paper's complete Table 1 for convolutional networks, for a cluster",
        text: include_str!("../../presets/paper-conv.toml"),
    },
];

/// The preset with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::Plan;
    use crate::rules::Rule;
    use crate::spec::{Format, SweepSpec};
    use crate::vocabulary::ActivationFunction;
    use crate::vocabulary::ids::TrajectoryIndex;

    fn parse(name: &str) -> SweepSpec {
        let preset = find(name).expect("a preset");
        SweepSpec::parse(preset.text, Format::Toml, name).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn every_preset_is_a_valid_spec_with_its_own_name() {
        ALL.iter().for_each(|preset| assert_eq!(parse(preset.name).name, preset.name));
    }

    #[test]
    fn paper_mini_has_a_trial_for_each_of_its_24_cells() {
        let grid = parse("paper-mini").grid;
        assert_eq!((grid.trials(), grid.trajectories()), (24, 24));
    }

    #[test]
    fn paper_figures_has_eight_folds_of_every_cell() {
        let grid = parse("paper-figures").grid;
        // activations × depths × rules × networks × learning rates × folds.
        assert_eq!((grid.trials(), grid.trajectories()), (2 * 3 * 3 * 2 * 2 * 8, 576));
    }

    #[test]
    fn paper_mlp_has_the_complete_grid_of_the_paper() {
        let grid = parse("paper-mlp").grid;
        // networks × folds × learning rates × (relu: rules × depths; sigmoid: the same), each with five stopping rules.
        let trajectories = 2 * 10 * 3 * (3 * 6 + 3 * 5);
        assert_eq!((grid.trials(), grid.trajectories()), (5 * trajectories, trajectories));
        assert_eq!((grid.trials(), grid.trajectories()), (9_900, 1_980));
        let plan = Plan::of(&parse("paper-mlp"), 10);
        assert!((plan.updates_max - 1_980.0 * 1e6).abs() < 1.0, "{}", plan.updates_max);
    }

    #[test]
    fn rules_mini_has_a_trial_for_each_of_its_40_cells() {
        let grid = parse("rules-mini").grid;
        assert_eq!((grid.trials(), grid.trajectories()), (40, 40));
    }

    #[test]
    fn why_skips_tune_has_each_arm_at_three_rates() {
        let spec = parse("why-skips-tune");
        // Rules, with both solvers of pc, × networks, with one of two sizes × depths × learning rates.
        assert_eq!((spec.grid.trials(), spec.grid.trajectories()), ((8 + 2) * 5 * 2 * 3, 300));
        let hours = Plan::of(&spec, 1).core_seconds / 3_600.0;
        assert!(hours < 1.0, "{hours}");
    }

    #[test]
    fn why_skips_has_eight_folds_of_each_arm_and_six_contrasts() {
        let spec = parse("why-skips");
        assert_eq!((spec.grid.trials(), spec.grid.trajectories()), ((8 + 2) * 5 * 2 * 8, 800));
        // Eight folds are the fewest that can show six effects.
        assert_eq!(spec.analysis.contrasts.len(), 6);
        let tune = Plan::of(&parse("why-skips-tune"), 1).core_seconds;
        let hours = (Plan::of(&spec, 1).core_seconds + tune) / 3_600.0;
        assert!(hours < 6.0, "{hours}");
    }

    #[test]
    fn paper_conv_has_the_complete_grid_of_the_paper() {
        let grid = parse("paper-conv").grid;
        // networks × folds × learning rates × rules × depths, with three stopping rules for relu and five for others.
        let (relu, sigmoid) = (2 * 10 * 3 * 3 * 6, 2 * 10 * 3 * 3 * 5);
        assert_eq!((grid.trials(), grid.trajectories()), (3 * relu + 5 * sigmoid, relu + sigmoid));
    }

    #[test]
    fn paper_mlp_has_other_learning_rates_for_bp_with_sigmoid_units() {
        let grid = parse("paper-mlp").grid;
        let rates = |rule: Rule, activation: ActivationFunction| {
            let trajectories = (0..grid.trajectories()).filter_map(|index| grid.trajectory(TrajectoryIndex(index)));
            let of_kind = trajectories.filter(|t| t.shape.rule == rule && t.shape.activation == activation);
            let rates: BTreeSet<String> = of_kind.map(|t| t.hyperparameters.learning_rate.to_string()).collect();
            rates.into_iter().collect::<Vec<_>>().join(" ")
        };
        for rule in [Rule::Bp, Rule::Fa, Rule::Dtp] {
            assert_eq!(rates(rule, ActivationFunction::Relu), "0.00001 0.0001 0.001");
        }
        assert_eq!(rates(Rule::Bp, ActivationFunction::Sigmoid), "0.001 0.01 0.1");
        assert_eq!(rates(Rule::Fa, ActivationFunction::Sigmoid), "0.0001 0.001 0.01");
        assert_eq!(rates(Rule::Dtp, ActivationFunction::Sigmoid), "0.0001 0.001 0.01");
    }
}
