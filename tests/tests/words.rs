//! The vocabulary as a test: private words that were replaced by standard ones do not return.

use std::fs;
use std::path::{Path, PathBuf};

/// Old identifiers, exactly; the words of `docs/glossary.md` replaced them.
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

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_text =
            path.extension().is_some_and(|ending| ["rs", "proto", "sql", "md"].iter().any(|one| ending == *one));
        if path.is_dir() {
            files(&path, found);
        } else if is_text && !path.ends_with("tests/tests/words.rs") && !path.ends_with("CHANGELOG.md") {
            found.push(path);
        }
    }
}

#[test]
fn old_words_do_not_return() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found = vec![root.join("README.md")];
    for folder in ["proto", "common", "coordinator", "worker", "tests", "docs"] {
        files(&root.join(folder), &mut found);
    }
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
