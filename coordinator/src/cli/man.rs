//! `biosweep man`: the manual pages, one for each command.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Cli, Output};
use crate::files::new_file::{Earlier, NewFile};
use crate::render::{human, json};

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for the pages, such as ~/.local/share/man/man1; it is created if there is none
    dir: PathBuf,
    /// Replace existing pages
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ManArgs, output: Output) -> Result<Exit, Failure> {
    let folder = &args.dir;
    let uncreated = |error: io::Error| format!("cannot create the folder {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(|error| Failure::environment(uncreated(error)))?;
    // Without `help`, which would repeat every command.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages);
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    refuse_earlier(folder, &pages, earlier)?;
    for page in &pages {
        let mut file = NewFile::create(&folder.join(page.get_filename()), earlier)?;
        let mut text = Vec::new();
        let written = page.render(&mut text).and_then(|()| file.write_all(&text));
        let _path = file.keep(written)?;
    }
    answer(match output {
        Output::Human => human::manual(folder, pages.len() as u64),
        Output::Json => json::manual(folder, pages.len() as u64),
    })
}

/// The page of a command, after those of its subcommands.
fn collect(command: &Command, pages: &mut Vec<Man>) {
    command.get_subcommands().filter(|one| !one.is_hide_set()).for_each(|one| collect(one, pages));
    let source = format!("biosweep {}", env!("CARGO_PKG_VERSION"));
    pages.push(Man::new(with_usage(command)).source(source).manual("biosweep"));
}

/// The command with the usage that its help prints. The synopsis of a page would have every option without its value.
fn with_usage(command: &Command) -> Command {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage:").trim_start().to_owned();
    command.clone().override_usage(usage)
}

/// Refuses before the first page is written, so that there are never pages of two versions.
fn refuse_earlier(folder: &Path, pages: &[Man], earlier: Earlier) -> Result<(), Failure> {
    let paths = || pages.iter().map(|page| folder.join(page.get_filename()));
    match paths().find(|path| earlier == Earlier::Keep && path.symlink_metadata().is_ok()) {
        Some(path) => {
            let path = path.display();
            Err(Failure::bad_input(format!("{path} already exists; give another folder, or replace it with --force")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_synopsis_is_the_usage_of_the_help() {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        collect(&command, &mut pages);
        let page = pages.iter().find(|page| page.get_filename() == "biosweep-figures.1").expect("a page");
        let mut text = Vec::new();
        page.render(&mut text).expect("memory");
        let text = String::from_utf8_lossy(&text).replace('\\', "");
        let (_, rest) = text.split_once("SYNOPSIS").expect("a synopsis");
        let (synopsis, options) = rest.split_once(".SH").expect("a section");
        assert!(synopsis.contains("biosweep figures") && synopsis.contains("[OPTIONS]"), "{synopsis}");
        assert!(!synopsis.contains("--width") && options.contains("<WIDTH>"), "{synopsis}");
    }
}
