//! Every text is either read or refused: nothing panics, and every error has a place in the text.

use proptest::prelude::*;

use super::*;

const YAML: &str =
    "name: good\ndata: {dataset: mnist}\ngrid:\n  rule: [bp, dtp]\n  network: nn\n  depth: {from: 2, to: 3}\n";
const JSON: &str = r#"{"name": "good", "data": {"dataset": "mnist"},
    "grid": {"rule": ["bp", "dtp"], "network": "nn", "depth": {"from": 2, "to": 3}}}"#;

/// Pieces of specs, and of invalid specs.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    ":",
    ",",
    "\n",
    " ",
    "\t",
    "#",
    "-",
    "&a ",
    "*a",
    "!!str ",
    "é",
    "\u{1F600}",
    "\u{0}",
    "\r",
    "[[block]]\n",
    "\nexclude = [{ depth = 2 }]\n",
    "\nzip = [[\"rule\", \"depth\"]]\n",
    "seed",
    "max_updates",
    "early_stop_start",
    "{ from = 0, to = 9223372036854775807 }",
    "{ from = 1, count = 18446744073709551615 }",
    "1e308",
    "nan",
    "-0.0",
    "{ log_from = 5e-324, log_to = 1e308, count = 10000 }",
    "[1, 2, 3]",
    "9223372036854775807",
    "true",
    "null",
];

fn changed() -> impl Strategy<Value = (String, Format)> {
    let base = prop_oneof![Just((GOOD, Format::Toml)), Just((YAML, Format::Yaml)), Just((JSON, Format::Json))];
    let edit = (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES));
    (base, prop::collection::vec(edit, 1..5)).prop_map(|((text, format), edits)| {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, removed, piece) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, piece.chars());
        }
        (characters.into_iter().collect(), format)
    })
}

fn is_read_or_refused(text: &str, format: Format) {
    match SweepSpec::parse(text, format, "spec") {
        Ok(spec) => {
            for trial in [0, spec.grid.trials() / 2, spec.grid.trials() - 1] {
                assert!(spec.grid.configuration(TrialIndex(trial)).is_some());
            }
            assert!(spec.grid.trajectories() > 0);
        }
        Err(errors) => {
            assert!(!errors.errors.is_empty());
            for error in &errors.errors {
                assert!(text.get(error.span.clone()).is_some(), "{error:?} lies outside of\n{text}");
                assert!(!error.message.is_empty() && !error.help.is_empty(), "{error:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_changed_spec_is_read_or_refused((text, format) in changed()) {
        is_read_or_refused(&text, format);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        Format::ALL.into_iter().for_each(|format| is_read_or_refused(&text, format));
    }
}
