//! The exported files of `--from`: their results as those of one sweep.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use biosweep_analysis::import::{self, File, Part};
use biosweep_common::results::views::{ResultView, SpecView};
use biosweep_common::spec::AnalysisPlan;

use super::failure::Failure;
use crate::terminal::say;

/// The results of exported files.
pub(super) struct Files {
    /// The name in the specs of all files or, if these differ or lack, the common start of the names of the files, or the first
    /// name with the number of the others.
    pub(super) title: String,
    /// The results.
    pub(super) results: Vec<ResultView>,
    /// The analysis plan in the specs of the files, or the default if no file has a spec; an error if the plans differ.
    pub(super) plan: Result<AnalysisPlan, Failure>,
}

impl Files {
    /// Reads the files. An error names the file.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let (mut parts, mut plans, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            let File { results, spec } = of_file(path)?;
            let file = path.display().to_string();
            let parsed = spec.as_ref().and_then(SpecView::spec);
            names.push(parsed.as_ref().map(|spec| spec.name.clone()));
            if spec.is_some() {
                match parsed {
                    Some(spec) => plans.push((file.clone(), spec.analysis)),
                    None => say(format_args!(
                        "warning: this version cannot read the spec in {file}, so the analysis plan in it does not count"
                    )),
                }
            }
            parts.push(Part { file, results });
        }
        let results =
            import::combined(parts).map_err(|error| Failure::bad_input(format!("--from {}: {error}", error.file)))?;
        let name = names.pop().flatten().filter(|name| names.iter().all(|other| other.as_ref() == Some(name)));
        Ok(Self { title: name.unwrap_or_else(|| title(paths)), results, plan: only_plan(plans) })
    }
}

fn of_file(path: &Path) -> Result<File, Failure> {
    let bad = |why: String| Failure::bad_input(format!("--from {}: {why}", path.display()));
    let bytes = fs::read(path).map_err(|error| bad(unread(path, &error)))?;
    import::file(bytes).map_err(|error| bad(error.to_string()))
}

/// Why a file cannot be read, and what to do.
fn unread(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        _ if path.is_dir() => "it is a folder; name the files in it".to_owned(),
        io::ErrorKind::NotFound => {
            "there is no such file; check the path, or write the file with `biosweep export SWEEP --format parquet`"
                .to_owned()
        }
        _ => format!("{error}; check that you may read the file"),
    }
}

/// The analysis plan on which all files agree.
fn only_plan(plans: Vec<(String, AnalysisPlan)>) -> Result<AnalysisPlan, Failure> {
    let mut plans = plans.into_iter();
    let Some((first, plan)) = plans.next() else { return Ok(AnalysisPlan::default()) };
    let Some((second, other)) = plans.find(|(_, other)| *other != plan) else { return Ok(plan) };
    let (ours, theirs) = (plan.equivalence_margin, other.equivalence_margin);
    let what = if ours == theirs {
        format!("the planned contrasts differ between the specs of {first} and {second}")
    } else {
        format!("`equivalence_margin` is {ours} in the spec of {first} and {theirs} in that of {second}")
    };
    Err(Failure::bad_input(format!(
        "--from: {what}; leave out one of the files, or say what to compare with `biosweep compare --arms` and `--margin`"
    )))
}

/// The title of results in files: the common start of their names, or the first name with the number of the others.
fn title(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.file_stem().unwrap_or_default().to_string_lossy()).collect();
    let Some((first, others)) = names.split_first() else { return String::new() };
    if others.iter().all(|other| other == first) {
        return first.clone().into_owned();
    }
    let is_common = |&(place, character): &(usize, char)| {
        others.iter().all(|other| other.get(place..).is_some_and(|rest| rest.starts_with(character)))
    };
    let common: String = first.char_indices().take_while(is_common).map(|(_, character)| character).collect();
    match common.trim_end_matches(['-', '_', '.']) {
        "" => format!("{first} and {} more", others.len()),
        common => common.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use biosweep_analysis::export::{self, Format, Provenance};
    use biosweep_analysis::samples::{completed, sweep};
    use biosweep_common::configuration::TrialKey;
    use biosweep_common::results::views::SpecView;
    use biosweep_common::spec::{self, SweepSpec};
    use tempfile::TempDir;

    use super::*;

    /// Writes an exported file of one trial, whose spec has this line.
    fn exported(folder: &TempDir, name: &str, format: Format, line: &str) -> PathBuf {
        let text = format!(
            "name = \"s\"\n{line}\n[data]\ndataset = \"mnist\"\n[grid]\nrule = [\"bp\", \"fa\"]\nnetwork = \"nn\"\ndepth = [1, 5]\n"
        );
        let (_, text) = SweepSpec::parse_to_store(text, spec::Format::Toml, "s").expect("a spec");
        let spec = SpecView { text, extensions: Vec::new() };
        let sweep = sweep("s");
        let provenance = Provenance { sweep: &sweep, spec: Some(&spec), version: "1.2.3" };
        let path = folder.path().join(name);
        let mut out = fs::File::create(&path).expect("a disk");
        let mut export = export::Results::new(format, &provenance, &mut out).expect("a disk");
        let depth = name.len() as u64;
        let result = ResultView { key: TrialKey([name.len() as u8; 32]), ..completed("bp", "nn", depth, 0.9, 0.9) };
        export.write(&result).and_then(|()| export.finish()).expect("a disk");
        path
    }

    #[test]
    fn files_have_the_analysis_plan_of_the_specs_in_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let wide = exported(&folder, "wide.parquet", Format::Parquet, "equivalence_margin = 0.03");
        let also = exported(&folder, "also-wide.parquet", Format::Parquet, "equivalence_margin = 0.03");
        let rows = exported(&folder, "rows.jsonl", Format::Jsonl, "equivalence_margin = 0.05");
        let plan = |paths: &[&PathBuf]| {
            Files::read(&paths.iter().map(|&path| path.clone()).collect::<Vec<_>>()).expect("good files").plan
        };
        assert_eq!(plan(&[&wide, &also, &rows]).expect("one margin").equivalence_margin, 0.03);
        assert_eq!(plan(&[&rows]).expect("the default"), AnalysisPlan::default(), "JSON Lines have no spec");
        let usual = exported(&folder, "usual-margin.parquet", Format::Parquet, "");
        let error = plan(&[&wide, &usual]).expect_err("two margins").to_string();
        for part in ["wide.parquet and 0.01", "usual-margin.parquet; ", "is 0.03 in", "compare --arms"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let lines = "equivalence_margin = 0.03\n[[contrast]]\narms = [{ rule = \"bp\" }, { rule = \"fa\" }]\nwhere = { depth = 1 }";
        let planned = exported(&folder, "planned-contrast.parquet", Format::Parquet, lines);
        assert_eq!(plan(&[&planned]).expect("a plan").contrasts.len(), 1);
        let error = plan(&[&wide, &planned]).expect_err("two plans").to_string();
        assert!(error.contains("the planned contrasts") && error.contains("compare --arms"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_has_a_next_step() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| Files::read(&[path.to_owned()]).map(|_| ()).expect_err("no file").to_string();
        assert!(error(folder.path()).contains("it is a folder; name the files in it"));
        assert!(error(&folder.path().join("no.parquet")).contains("no.parquet: there is no such file; check the path"));
    }

    #[test]
    fn the_title_of_files_is_the_name_in_their_specs() {
        let folder = tempfile::tempdir().expect("a folder");
        let with_spec = ["fold-1.parquet", "fold-02.parquet"].map(|name| exported(&folder, name, Format::Parquet, ""));
        let title = |paths: &[PathBuf]| Files::read(paths).expect("two files").title;
        assert_eq!(title(&with_spec), "s");
        let without = exported(&folder, "fold-003.jsonl", Format::Jsonl, "");
        assert_eq!(title(&[with_spec[0].clone(), without]), "fold");
    }

    #[test]
    fn the_title_of_files_is_their_common_start_or_the_first_name() {
        let titled = |paths: &[&str]| title(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(titled(&["a/rates-results.parquet"]), "rates-results");
        assert_eq!(titled(&["a/rates.jsonl", "b/rates.parquet"]), "rates", "the folders differ");
        assert_eq!(titled(&["rates_.-1.jsonl", "rates_.-2.jsonl"]), "rates");
        assert_eq!(titled(&["rates.jsonl", "rates-more.jsonl"]), "rates");
        assert_eq!(titled(&["éa.jsonl", "éb.jsonl", "éc.jsonl"]), "é");
        assert_eq!(titled(&["è.jsonl", "é.jsonl"]), "è and 1 more", "they share a byte only");
        assert_eq!(titled(&["-a.jsonl", "-b.jsonl", "c.jsonl"]), "-a and 2 more");
    }
}
