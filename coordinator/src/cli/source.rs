//! Reads a spec: from a file, a preset or standard input.

use std::fs;
use std::io;
use std::path::Path;

use biosweep_common::spec::presets;
use biosweep_common::spec::{self, Format, SweepSpec};

use super::execution::ExecutionArgs;
use super::failure::Failure;
use super::{custom_data, datasets};

/// A spec as text, with custom data pinned and flags written into it, together with the parsed spec.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text.
    pub(crate) text: String,
    /// The format.
    pub(crate) format: Format,
    /// The name of the file or preset.
    pub(crate) origin: String,
    /// The parsed spec.
    pub(crate) spec: SweepSpec,
}

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Reads the file with this path, otherwise the preset with this name, or standard input. Flags override the execution
/// options.
pub(crate) fn read(name: &str, execution: &ExecutionArgs) -> Result<Source, Failure> {
    let path = Path::new(name);
    let (mut text, format, origin) = match (is_file(path), presets::find(name)) {
        _ if name == STANDARD_INPUT => {
            let text = io::read_to_string(io::stdin()).map_err(|error| {
                Failure::bad_input(format!("cannot read a spec from standard input: {error}; it must be text in UTF-8"))
            })?;
            let format = Format::of_text(&text);
            (text, format, "standard input".to_owned())
        }
        (false, Some(preset)) => (preset.text.to_owned(), Format::Toml, format!("preset {name}")),
        (false, None) => return Err(nothing_of_that_name(name)),
        (true, _) => {
            let format = Format::from_path(path).ok_or_else(|| {
                Failure::bad_input(format!("the format of {name} is unknown; use the extension .toml, .yaml or .json"))
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
    datasets::check_named(&spec)?;
    Ok(Source { text, format, origin, spec })
}

/// The same on a separate thread, for commands that react to signals: standard input may have no end, and custom data
/// may be large.
pub(super) async fn read_aside(name: &str, execution: &ExecutionArgs) -> Result<Source, Failure> {
    let (name, execution) = (name.to_owned(), execution.clone());
    let read = tokio::task::spawn_blocking(move || read(&name, &execution));
    read.await.expect("the thread that reads a spec does not panic")
}

/// Whether the name is a file or a preset.
pub(crate) fn is_one(name: &str) -> bool {
    name == STANDARD_INPUT || is_file(Path::new(name)) || presets::find(name).is_some()
}

/// Whether the path is a file. A folder is ignored, because homes and result folders often have the name of a preset or
/// sweep.
fn is_file(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// The error for a name that is neither.
pub(crate) fn nothing_of_that_name(name: &str) -> Failure {
    if Path::new(name).is_dir() {
        return Failure::bad_input(format!(
            "{name} is a folder; give the spec file in it, with the extension .toml, .yaml or .json"
        ));
    }
    let known: Vec<&str> = presets::ALL.iter().map(|preset| preset.name).collect();
    Failure::bad_input(format!("there is no file and no preset `{name}`; the presets are {}", known.join(", ")))
}
