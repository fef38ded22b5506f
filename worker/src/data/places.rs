//! Where the files of datasets are looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::DataError;

/// The environment variable that names a directory of datasets.
pub const VARIABLE: &str = "BIOSWEEP_DATA";

/// Where to look: `data_dir`, then `$BIOSWEEP_DATA`, then `datasets` in `home`; in each, first the directory itself,
/// then its subdirectory named after the dataset.
///
/// Later places are tried although an earlier one was named: every file is checked against its digest, so that it does
/// not matter where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The directory named on the command line.
    pub data_dir: Option<PathBuf>,
    /// The directory of everything biosweep keeps.
    pub home: Option<PathBuf>,
}

impl Places {
    /// The first file there is under one of `names` in one of the places.
    ///
    /// # Errors
    /// [`DataError::Missing`], with every directory looked in, calling the file by the first of its `names`.
    pub(super) fn find(&self, dataset: &'static str, names: &[&'static str]) -> Result<PathBuf, DataError> {
        find_in(self.directories(dataset, std::env::var_os(VARIABLE)), dataset, names)
    }

    fn directories(&self, dataset: &str, variable: Option<OsString>) -> Vec<PathBuf> {
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = self.home.as_ref().map(|home| home.join("datasets"));
        [self.data_dir.clone(), variable, home]
            .into_iter()
            .flatten()
            .flat_map(|place| [place.clone(), place.join(dataset)])
            .collect()
    }
}

/// `directories` in words.
pub(super) fn list(directories: &[PathBuf]) -> String {
    if directories.is_empty() {
        return "no place at all, as none is named".to_owned();
    }
    let quoted: Vec<String> = directories.iter().map(|path| format!("`{}`", path.display())).collect();
    quoted.join(", ")
}

fn find_in(places: Vec<PathBuf>, dataset: &'static str, names: &[&'static str]) -> Result<PathBuf, DataError> {
    let is_there = |path: &PathBuf| path.is_file();
    let candidates = |place: &Path| -> Vec<PathBuf> {
        names.iter().flat_map(|name| [place.join(name), place.join(format!("{name}.gz"))]).collect()
    };
    let found = places.iter().find_map(|place| candidates(place).into_iter().find(is_there));
    found.ok_or(DataError::Missing { dataset, file: names[0], places })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_variable_and_both_before_home() {
        let places = Places { data_dir: Some("line".into()), home: Some("home".into()) };
        let directories = places.directories("mnist", Some("variable".into()));
        let expected = ["line", "line/mnist", "variable", "variable/mnist", "home/datasets", "home/datasets/mnist"]
            .map(PathBuf::from);
        assert_eq!(directories, expected);
        assert_eq!(Places::default().directories("mnist", Some(OsString::new())), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_missing_file_is_named_with_every_place_and_the_next_step() {
        let places = vec![PathBuf::from("/nowhere/a"), PathBuf::from("/nowhere/b")];
        let error = find_in(places, "mnist", &["train-images-idx3-ubyte"]).expect_err("there is no such file");
        let message = error.to_string();
        for part in ["`mnist`", "`train-images-idx3-ubyte`", "`/nowhere/a`, `/nowhere/b`", "--data-dir", VARIABLE] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }

    #[test]
    fn a_plain_file_goes_before_a_compressed_one_and_either_name_will_do() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = ["a-idx3", "a.idx3"];
        let find = || find_in(vec![directory.path().to_owned()], "mnist", &names).expect("found");
        for name in ["a.idx3.gz", "a.idx3", "a-idx3.gz", "a-idx3"] {
            std::fs::write(directory.path().join(name), b"").expect("written");
            assert_eq!(find(), directory.path().join(name));
        }
    }
}
