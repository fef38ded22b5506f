//! `biosweep doctor`: checks what this machine needs, and says what to do. It changes nothing.
//!
//! | module | contents |
//! |---|---|
//! | this module | the command |
//! | `finding`, `answers` | the result of a check, and all of them as an answer |
//! | `machine` | cores, memory, open files, threads |
//! | `folders` | the home and the checkpoints: writable, free space, locks |
//! | `database` | the store |
//! | `certificates` | the certificates of a coordinator: present, expiry, permissions |
//! | `coordinator` | the port, the coordinator, its clock |
//! | `worker` | the worker program, libtorch, devices, datasets |

mod answers;
mod certificates;
mod coordinator;
mod database;
mod finding;
mod folders;
mod machine;
mod worker;

use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::Dataset;
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use finding::Severity;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    coordinator: Coordinator,
    /// Folder with the certificates of a coordinator [default: HOME/certs, if it exists]
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// A device that must be usable; may be given several times [default: cpu, and a GPU if there is one]
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// A dataset that must be on this machine; may be given several times
    #[arg(long, value_name = "NAME")]
    dataset: Vec<Dataset>,
    /// Where to look for datasets first
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) async fn run(args: &DoctorArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let store = args.coordinator.store();
    let mut findings = machine::check();
    findings.extend(folders::check(home, store.is_some()));
    findings.push(database::check(home, store).await);
    findings.extend(certificates::check(home, args.certs.as_deref()));
    findings.extend(coordinator::check(home, args.coordinator.elsewhere()).await);
    findings.extend(worker::check(home, args).await);
    let exit = match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => Exit::Environment,
        false => Exit::Done,
    };
    answer(match output {
        Output::Human => answers::human(&findings),
        Output::Json => answers::json(&findings),
    })?;
    Ok(exit)
}
