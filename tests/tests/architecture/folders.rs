//! The sizes of folders and files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum number of entries of a folder.
const ENTRIES_MAX: usize = 12;
/// Maximum number of lines of a source file, tests aside.
const LINES_MAX: usize = 400;

/// Folders with more entries, which are alike.
const LISTS: &[(&str, &str)] = &[
    ("common/src/rules", "one file for each rule"),
    ("coordinator/src/cli", "one file for each command"),
    ("docs", "one page for each topic"),
    ("worker/engine/src/rules", "one file for each rule"),
    ("worker/tests/oracle", "two files for each case"),
    ("worker/tests/oracle-skips", "two files for each case"),
];

/// What builds and tools leave in a folder.
fn is_left_by_tools(name: &str) -> bool {
    name.starts_with('.') || ["target", "__pycache__"].contains(&name)
}

fn entries(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let entries = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    entries.filter(|(name, _)| !is_left_by_tools(name)).collect()
}

#[test]
fn no_folder_has_too_many_entries() {
    let root = super::root();
    let mut open: Vec<PathBuf> =
        ["proto", "common", "coordinator", "worker", "tests", "docs", "deploy"].map(|name| root.join(name)).into();
    let mut lists = BTreeSet::new();
    while let Some(folder) = open.pop() {
        let entries = entries(&folder);
        if let Some((list, _)) = LISTS.iter().find(|(list, _)| folder == root.join(list)) {
            lists.insert(*list);
        } else {
            let count = entries.len();
            assert!(count <= ENTRIES_MAX, "{} has {count} entries; group them by meaning", folder.display());
        }
        open.extend(entries.into_values().filter(|path| path.is_dir() && !path.is_symlink()));
    }
    assert_eq!(lists.len(), LISTS.len(), "only these lists exist: {lists:?}");
}

#[test]
fn no_source_file_is_too_long() {
    for (_, folder, _) in super::CRATES {
        let (folder, sources) = (super::root().join(folder).join("src"), super::sources(folder).into_iter());
        // The conformance suite is a test too: of every store.
        let is_test = |path: &PathBuf| {
            let inside = path.strip_prefix(&folder).expect("a file in the folder");
            inside.iter().any(|part| part == "tests" || part == "tests.rs" || part == "conformance")
        };
        for path in sources.filter(|path| !is_test(path)) {
            let lines = fs::read_to_string(&path).expect("a source file").lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines; split it by meaning", path.display());
        }
    }
}
