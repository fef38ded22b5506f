//! Where a spec comes from: a file, or a preset by its name.

use std::fs;
use std::io;
use std::path::Path;

use biosweep_common::presets;
use biosweep_common::spec::{self, Format, SweepSpec};

use super::execution::ExecutionArgs;
use super::failure::Failure;
use super::{custom_data, datasets};

/// A spec as its author wrote it, save that custom data is pinned and flags are written into it, and what it means.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text.
    pub(crate) text: String,
    /// How it is written.
    pub(crate) format: Format,
    /// The file's name, or the preset's.
    pub(crate) origin: String,
    /// What it means.
    pub(crate) spec: SweepSpec,
}

/// Stands for standard input in the place of a file's name.
const STANDARD_INPUT: &str = "-";

/// Reads the file of that path or, where it names none, the preset of that name, or standard input; flags take the place of
/// its own execution options.
pub(crate) fn read(name: &str, execution: &ExecutionArgs) -> Result<Source, Failure> {
    let path = Path::new(name);
    let (mut text, format, origin) = match (is_file(path), presets::find(name)) {
        _ if name == STANDARD_INPUT => {
            let text = io::read_to_string(io::stdin()).map_err(|error| {
                Failure::bad_input(format!("cannot read a spec from standard input: {error}; give it as text in UTF-8"))
            })?;
            let format = Format::of_text(&text);
            (text, format, "standard input".to_owned())
        }
        (false, Some(preset)) => (preset.text.to_owned(), Format::Toml, format!("preset {name}")),
        (false, None) => return Err(nothing_of_that_name(name)),
        (true, _) => {
            let format = Format::from_path(path).ok_or_else(|| {
                Failure::bad_input(format!("{name} does not say how it is written; name it .toml, .yaml or .json"))
            })?;
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::bad_input(format!("cannot read the spec file {name}: {error}")))?;
            (text, format, name.to_owned())
        }
    };
    let mut spec = SweepSpec::parse(&text, format, &origin)?;
    let pinned = custom_data::pin(&text, format, path.parent().unwrap_or(Path::new("")))?;
    let amended = spec::amend(&pinned, format, &execution.keys());
    if amended != text {
        spec = SweepSpec::parse(&amended, format, &origin)?;
        text = amended;
    }
    datasets::named_suffice(&spec)?;
    Ok(Source { text, format, origin, spec })
}

/// The same on a thread of its own, for commands that heed signals: standard input may have no end, and custom data be large.
pub(super) async fn read_aside(name: &str, execution: &ExecutionArgs) -> Result<Source, Failure> {
    let (name, execution) = (name.to_owned(), execution.clone());
    let read = tokio::task::spawn_blocking(move || read(&name, &execution));
    read.await.expect("the thread that reads a spec does not panic")
}

/// Whether a file or a preset is meant.
pub(crate) fn is_one(name: &str) -> bool {
    name == STANDARD_INPUT || is_file(Path::new(name)) || presets::find(name).is_some()
}

/// Whether something can be read there. A folder hides neither a preset nor a sweep of its name: homes and results lie about.
fn is_file(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// Neither is meant.
pub(crate) fn nothing_of_that_name(name: &str) -> Failure {
    if Path::new(name).is_dir() {
        return Failure::bad_input(format!(
            "{name} is a folder; name the spec file in it, which ends in .toml, .yaml or .json"
        ));
    }
    let known: Vec<&str> = presets::ALL.iter().map(|preset| preset.name).collect();
    Failure::bad_input(format!("there is no file and no preset `{name}`; the presets are {}", known.join(", ")))
}
