//! Writes a spec with every default, so that a later version with other defaults reads the same trials.

use std::fmt::Write as _;

use super::{Shared, SweepSpec};
use crate::grid::axis::Axis;
use crate::settings::{Setting, Value};
use crate::spec::blocks::{Draft, Exclude, Zip, use_of};
use crate::spec::document::written::{list, quoted};
use crate::spec::read::Given;
use crate::spec::{analysis_plan, execution};
use crate::vocabulary::dataset::DatasetRef;

/// The spec as TOML. Settings common to all blocks are in `[grid]`, with the default of each setting that applies to a trial and
/// is not set. Logarithmic ranges are lists of their values.
pub(super) fn resolved(spec: &SweepSpec, shared: &Shared, drafts: &[Draft]) -> String {
    let mut text = format!("name = {}\n", quoted(&spec.name));
    execution::write(&spec.execution, &mut text);
    analysis_plan::write_margin(&spec.analysis, &mut text);
    if !spec.measures.is_empty() {
        line(&mut text, "measure", &list(spec.measures.iter().map(|measure| quoted(measure.name()))));
    }
    text.push_str("\n[grid]\n");
    for &setting in Setting::ALL {
        if let Some(value) = shared.entries.get(&setting).map(|entry| given(&entry.given)) {
            line(&mut text, setting.name(), &value);
        } else if let Some(default) = setting.default_value()
            && drafts.iter().any(|draft| needs_default(draft, setting))
        {
            line(&mut text, setting.name(), &value(&default));
        }
    }
    write_zips(&shared.zips, &mut text);
    write_excludes(shared.excludes.iter(), &mut text);
    let has_blocks = drafts.iter().any(|draft| draft.place.starts_with("block"));
    for draft in drafts.iter().filter(|_| has_blocks) {
        text.push_str("\n[[block]]\n");
        for (setting, entry) in draft.entries.iter().filter(|(_, entry)| !entry.shared) {
            line(&mut text, setting.name(), &given(&entry.given));
        }
        // A draft starts with the zips of all blocks.
        write_zips(&draft.zips[shared.zips.len()..], &mut text);
        write_excludes(draft.excludes.iter().filter(|exclude| !exclude.shared), &mut text);
    }
    analysis_plan::write_contrasts(&spec.analysis, value, &mut text);
    text
}

/// Whether a setting that the draft does not set applies to one of its trials.
fn needs_default(draft: &Draft, setting: Setting) -> bool {
    let applies = || setting.condition().is_none_or(|condition| use_of(draft, &condition).0);
    !draft.entries.contains_key(&setting) && applies()
}

fn line(text: &mut String, key: &str, value: &str) {
    let _fits = writeln!(text, "{key} = {value}");
}

fn given(given: &Given) -> String {
    match given {
        Given::One(one) => value(one),
        Given::Many(many) => axis(many),
        Given::Wrong => unreachable!("a spec with an error is not written"),
    }
}

fn axis(axis: &Axis) -> String {
    match axis {
        Axis::List(values) => list(values.iter().map(value)),
        Axis::Range { from, step, count } => {
            let to = from + step * (count - 1);
            let step = if *step == 1 { String::new() } else { format!(", step = {step}") };
            format!("{{ from = {from}, to = {to}{step} }}")
        }
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Name(name) => match name.parse() {
            Ok(DatasetRef::Custom(data)) => format!("{{ {} = {} }}", data.format, quoted(&data.place())),
            _ => quoted(name),
        },
        number_or_flag => number_or_flag.to_string(),
    }
}

fn write_zips(zips: &[Zip], text: &mut String) {
    let names = |zip: &Zip| list(zip.settings.iter().map(|setting| quoted(setting.name())));
    if !zips.is_empty() {
        line(text, "zip", &list(zips.iter().map(names)));
    }
}

fn write_excludes<'a>(excludes: impl Iterator<Item = &'a Exclude>, text: &mut String) {
    let table = |exclude: &Exclude| {
        let values = exclude.settings.iter().map(|(setting, values)| format!("{setting} = {}", axis(values)));
        format!("{{ {} }}", values.collect::<Vec<_>>().join(", "))
    };
    let tables: Vec<String> = excludes.map(table).collect();
    if !tables.is_empty() {
        line(text, "exclude", &list(tables.into_iter()));
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{Format, SweepSpec, presets};
    use crate::vocabulary::ids::TrialIndex;

    const EVERYTHING: &str = r#"
        name = "a \"name\""
        seed = 3
        measure = ["weight_norm"]
        retries = 0
        checkpoint_every_s = 0.1
        reuse = "same-cpu-class"
        equivalence_margin = 0.02
        priority = -3
        require = { device = "cuda", memory_gb = 15.999999999, labels = ["b", "a=1"] }
        [data]
        dataset = { idx = "/some dir#0101010101010101010101010101010101010101010101010101010101010101" }
        [train]
        optimizer = "sgd"
        momentum = 0.9
        target_step = 0.2
        [grid]
        network = ["nn", "dn"]
        learning_rate = { log_from = 1e-4, log_to = 1e-2, count = 4 }
        early_stop_start = [10, 20]
        early_stop_patience = [1, 2]
        max_updates = 1_000
        zip = [["early_stop_start", "early_stop_patience"]]
        exclude = [{ rule = "dtp", learning_rate = 1e-4 }]
        [[block]]
        rule = ["bp", "fa"]
        depth = { from = 1, to = 9, step = 3 }
        fold = { from = 0, count = 3 }
        hidden = [16, 32]
        exclude = [{ network = "nn", depth = [1, 4] }]
        [[block]]
        rule = "dtp"
        depth = 2
        activation = ["tanh", "sigmoid"]
        [[block]]
        rule = "fa"
        network = "convnet"
        depth = 4
        downsample_after = [[1], [1, 2]]
        [[contrast]]
        question = "Does \"depth\" matter?"
        arms = [{ depth = 1, learning_rate = 1e-4 }, { depth = 7 }]
        where = { rule = "bp", network = "dn", activation = "relu" }
        [[contrast]]
        arms = [{ activation = "tanh", network = "nn" }, { activation = "sigmoid", network = "nn" }]
        where = { rule = "dtp" }
        "#;

    fn resolved(text: &str, format: Format) -> (SweepSpec, String) {
        let stored = SweepSpec::parse_to_store(text.to_owned(), format, "r");
        let (spec, stored) = stored.unwrap_or_else(|errors| panic!("{errors}"));
        (spec, stored.resolved)
    }

    #[test]
    fn a_resolved_spec_has_the_same_trials_under_the_same_numbers_and_options() {
        let texts = presets::ALL.iter().map(|preset| preset.text).chain([EVERYTHING]);
        for text in texts {
            let (spec, resolved) = resolved(text, Format::Toml);
            let again = SweepSpec::parse(&resolved, Format::Toml, "again").unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!((&again.name, &again.execution, &again.measures), (&spec.name, &spec.execution, &spec.measures));
            assert_eq!(again.analysis, spec.analysis);
            assert_eq!(again.grid.trials(), spec.grid.trials());
            for trial in (0..spec.grid.trials()).step_by(1 + spec.grid.trials() as usize / 500).map(TrialIndex) {
                assert_eq!(again.grid.configuration(trial), spec.grid.configuration(trial), "{trial:?} of\n{resolved}");
            }
            let (_, twice) = super::tests::resolved(&resolved, Format::Toml);
            assert_eq!(twice, resolved, "a resolved spec is already resolved");
        }
    }

    #[test]
    fn every_default_that_applies_is_written_and_no_other() {
        let text = "{\"name\": \"j\", \"data\": {\"dataset\": \"mnist\"}, \"grid\": {\"rule\": \"bp\", \"network\": \"nn\", \
                    \"depth\": [1, 2]}}";
        let (_, resolved) = resolved(text, Format::Json);
        for line in [
            "name = \"j\"",
            "retries = 2",
            "checkpoint_every_s = 60.0",
            "share = true",
            "reuse = true",
            "priority = 0",
            "weight = 1",
            "dataset = \"mnist\"",
            "activation = \"relu\"",
            "depth = { from = 1, to = 2 }",
            "hidden = 128",
            "batch_size = 128",
            "optimizer = \"adam\"",
            "learning_rate = 0.001",
            "weight_decay = 1e-5",
            "seed = 0",
            "fold = 0",
        ] {
            assert!(resolved.lines().any(|other| other == line), "`{line}` is not in\n{resolved}");
        }
        for absent in ["momentum", "target_step", "skip_density", "downsample_after", "early_stop_start", "require"] {
            assert!(!resolved.contains(absent), "`{absent}` is in\n{resolved}");
        }
    }

    #[test]
    fn a_spec_that_is_too_long_with_every_value_is_refused() {
        let range = "learning_rate = { log_from = 1e-9, log_to = 1e-1, count = 10_000 }\n";
        let block = |depth: usize| format!("[[block]]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = {depth}\n{range}");
        let blocks: String = (1..=40).map(block).collect();
        let text = format!("name = \"long\"\n[data]\ndataset = \"mnist\"\n{blocks}");
        let errors = SweepSpec::parse_to_store(text, Format::Toml, "long.toml").expect_err("8 MB of values");
        assert!(errors.to_string().contains("the maximum is 6291456"), "{errors}");
    }
}
