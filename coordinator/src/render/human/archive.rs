//! Archives that were written and read.

use std::path::Path;

use biosweep_common::results::views::SweepView;

use super::amounts::{counted, trials};
use super::tally;
use crate::files::archive::writing::WrittenFile;
use crate::files::archive::{Counts, Imported};

/// A file that was written.
pub(crate) fn archived(path: &Path, file: &WrittenFile) -> String {
    let submission = &file.written.sweep.row.submission;
    format!(
        "archived {} ({}): {}\n{}: {} bytes, BLAKE3 digest {}",
        submission.name,
        submission.id,
        contents(submission.trials, file.written.counts),
        path.display(),
        file.bytes,
        file.digest
    )
}

/// A sweep that was imported, or was there already.
pub(crate) fn imported(sweep: &SweepView, counts: Counts, imported: Imported) -> String {
    let SweepView { name, id, .. } = sweep;
    match imported {
        Imported::New => {
            format!("imported {name} ({id}): {}\n{}", contents(sweep.trials, counts), tally(sweep))
        }
        Imported::ThereAlready => {
            format!(
                "{name} ({id}) is in this store already, with the same content; nothing was changed\n{}",
                tally(sweep)
            )
        }
    }
}

fn contents(all: u64, counts: Counts) -> String {
    let Counts { results, curves, attempts, .. } = counts;
    format!(
        "{}, {}, {}, {}",
        trials(all),
        counted(results, "result", "results"),
        counted(curves, "learning curve", "learning curves"),
        counted(attempts, "attempt", "attempts")
    )
}
