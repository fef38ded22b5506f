//! Workers on a batch system: a real Slurm cluster.

mod faults;
mod protected;
mod submission;

use std::process::Command;

use biosweep_tests::cluster::Cluster;
use biosweep_tests::cluster::slurm::Slurm;
use std::net::Ipv4Addr;

/// A coordinator of the second user, without workers.
fn coordinator_of_alice(slurm: &Slurm) -> Cluster {
    let through = ["biosweep", "biosweep-worker"].map(|program| (program, slurm.through_alice()));
    let mut cluster = Cluster::new(None).with_network(Ipv4Addr::LOCALHOST, through);
    slurm.give_to_alice(cluster.home().path());
    cluster.serve();
    cluster
}

/// The command that submits workers for the sweep, with these flags of sbatch.
fn submission(cluster: &Cluster, arguments: &[&str], sbatch: &[&str]) -> Command {
    let mut command = cluster.asking(&[&["slurm", "submit", "small"], arguments].concat());
    command.arg("--").args(sbatch).current_dir(cluster.home().path());
    command
}
