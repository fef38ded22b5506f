//! The vocabulary as a test: private words that were replaced by standard ones do not come back.

use std::fs;
use std::path::Path;

use biosweep_tests::files_under;

/// Old identifiers. The words of `docs/glossary.md` replaced them.
const OLD: &[&str] = &[
    // scheduler
    "Crew",
    "Patience",
    "rebirth_ms",
    "Brought",
    "is_wish",
    "takers",
    "let_go",
    // server, store, command line
    "Wish",
    "WishArgs",
    "Unable",
    "Setback",
    "setbacks",
    "Terms",
    "TermsArgs",
    "check_form",
    // engine, worker
    "Wiring",
    "TAPS",
    "Activities",
    "Sight",
    "Unfolded",
    "Shelf",
    "Estate",
    "Workbench",
    "Keeper",
    "Coder",
    "Examination",
    "Arrival",
    "UnfitState",
    "times_derivative",
    "begin_change",
    // data, diagnostics
    "OwnData",
    "own_data",
    "Published",
    "HealthPoint",
    "Watcher",
    // spec
    "Mistakes",
    "Mistaken",
    "mend",
];

#[test]
fn old_words_do_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found = vec![root.join("README.md")];
    for folder in ["proto", "common", "coordinator", "worker", "tests", "docs"] {
        found.extend(files_under(&root.join(folder), &["rs", "proto", "sql", "md"]));
    }
    // This file has the list.
    found.retain(|path| !path.ends_with("tests/tests/words.rs"));
    for path in found {
        let text = fs::read_to_string(&path).expect("a text file");
        for word in text.split(|character: char| !character.is_alphanumeric() && character != '_') {
            assert!(
                !OLD.contains(&word),
                "{} has the old word `{word}`; docs/glossary.md has the new one",
                path.display()
            );
        }
    }
}
