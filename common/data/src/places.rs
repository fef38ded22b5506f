//! The directories that are searched for dataset files.

use std::ffi::OsString;
use std::path::PathBuf;

use biosweep_common::vocabulary::Dataset;

use super::error::DataError;
use crate::downloadable::{DownloadableFile, Genuine};

/// The environment variable that names a directory of datasets.
pub const VARIABLE: &str = "BIOSWEEP_DATA";

/// The directories to search: `data_dir`, then `$BIOSWEEP_DATA`, then `datasets` in `home`. In each, the subdirectory
/// with the dataset's name comes before the directory itself.
///
/// All of them are searched, even if an earlier one was given: every file is checked against its digest, so it does not
/// matter where it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The directory named on the command line.
    pub data_dir: Option<PathBuf>,
    /// The home of biosweep.
    pub home: Option<PathBuf>,
}

impl Places {
    /// The path of a file: the first that exists under one of its names in one of the directories.
    ///
    /// # Errors
    /// [`DataError::Missing`], with the first name of the file and every directory searched.
    pub(super) fn find(&self, dataset: Dataset, file: &DownloadableFile) -> Result<PathBuf, DataError> {
        find_in(self.directories(dataset.name(), std::env::var_os(VARIABLE)), dataset.name(), file)
    }

    fn directories(&self, dataset: &str, variable: Option<OsString>) -> Vec<PathBuf> {
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = self.home.as_ref().map(|home| home.join("datasets"));
        [self.data_dir.clone(), variable, home]
            .into_iter()
            .flatten()
            .flat_map(|place| [place.join(dataset), place])
            .collect()
    }
}

fn find_in(places: Vec<PathBuf>, dataset: &'static str, file: &DownloadableFile) -> Result<PathBuf, DataError> {
    let is_there = |path: &PathBuf| path.is_file();
    // A plain file is preferred because it needs no decompression, unless only the compressed file has a known digest.
    let endings = if matches!(file.genuine, Genuine::GzipSha256(_)) { [".gz", ""] } else { ["", ".gz"] };
    let names = || file.names.iter().flat_map(|name| endings.map(|ending| format!("{name}{ending}")));
    let found = places.iter().find_map(|place| names().map(|name| place.join(name)).find(is_there));
    found.ok_or(DataError::Missing { dataset, file: file.names[0], places })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(names: &'static [&'static str]) -> DownloadableFile {
        DownloadableFile { names, genuine: Genuine::Md5("") }
    }

    #[test]
    fn the_command_line_is_searched_before_the_variable_and_both_before_home() {
        let places = Places { data_dir: Some("line".into()), home: Some("home".into()) };
        let directories = places.directories("mnist", Some("variable".into()));
        let expected = ["line/mnist", "line", "variable/mnist", "variable", "home/datasets/mnist", "home/datasets"]
            .map(PathBuf::from);
        assert_eq!(directories, expected);
        assert_eq!(Places::default().directories("mnist", Some(OsString::new())), Vec::<PathBuf>::new());
    }

    #[test]
    fn an_error_about_a_missing_file_names_every_directory_and_the_next_step() {
        let places = vec![PathBuf::from("/nowhere/a"), PathBuf::from("/nowhere/b")];
        let error = find_in(places, "mnist", &file(&["train-images-idx3-ubyte"])).expect_err("there is no such file");
        let message = error.to_string();
        for part in ["`mnist`", "`train-images-idx3-ubyte`", "`/nowhere/a`, `/nowhere/b`", "--data-dir", VARIABLE] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }

    #[test]
    fn a_plain_file_is_preferred_to_a_compressed_one_under_any_of_its_names() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = file(&["a-idx3", "a.idx3"]);
        let find = || find_in(vec![directory.path().to_owned()], "mnist", &file).expect("found");
        for name in ["a.idx3.gz", "a.idx3", "a-idx3.gz", "a-idx3"] {
            std::fs::write(directory.path().join(name), b"").expect("written");
            assert_eq!(find(), directory.path().join(name));
        }
    }

    #[test]
    fn a_compressed_file_is_preferred_if_only_its_gzip_digest_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = DownloadableFile { genuine: Genuine::GzipSha256(""), ..file(&["a"]) };
        for name in ["a", "a.gz"] {
            std::fs::write(directory.path().join(name), b"").expect("written");
            let found = find_in(vec![directory.path().to_owned()], "kmnist", &file).expect("found");
            assert_eq!(found, directory.path().join(name));
        }
    }
}
