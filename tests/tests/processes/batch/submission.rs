//! What `biosweep slurm submit` submits, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use biosweep_tests::cluster::slurm::{answer, isolated};
use serde_json::{Value, json};

use super::{coordinator_of_alice, submission};

/// The exit code and the messages of a command that fails.
fn failed(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("it starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn arrays_are_split_and_nothing_is_submitted_by_mistake() {
    let Some(slurm) = isolated(&arrays_are_split_and_nothing_is_submitted_by_mistake) else {
        return;
    };
    let cluster = coordinator_of_alice(&slurm);
    let submit = |arguments: &[&str], sbatch: &[&str]| submission(&cluster, arguments, sbatch);
    let answered = |arguments: &[&str], sbatch: &[&str]| -> Value {
        let printed = answer(&mut submit(arguments, sbatch));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error} in {printed}"))
    };
    let json_of = ["--workers", "2500", "--output", "json"];

    // The coordinator answers.
    assert_eq!(cluster.json(&["list"]), json!([]));
    let (code, printed) = failed(&mut submit(&["--workers", "4"], &[]));
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("`small`"), "the unknown sweep is named: {printed}");
    cluster.submit();
    for (flag, why) in
        [("--array=0-3", "--workers sets the array"), ("job.sh", "only flags"), ("--wrap=true", "--dry-run")]
    {
        let (code, printed) = failed(&mut submit(&["--workers", "4"], &[flag]));
        assert_eq!(code, Some(2), "{printed}");
        assert!(printed.contains(flag) && printed.contains(why), "{printed}");
    }
    let (code, printed) = failed(&mut submit(&["--workers", "4"], &["--partition=nowhere"]));
    assert_eq!(code, Some(3), "{printed}");
    assert!(
        printed.contains("sbatch: error: ") && printed.contains("invalid partition specified: nowhere"),
        "{printed}"
    );
    assert!(
        printed.contains("sbatch ended with exit status: 1") && printed.contains("nothing was submitted"),
        "{printed}"
    );
    assert!(printed.contains("reaches the coordinator from this machine only"), "{printed}");

    let dry = answered(&[&json_of[..], &["--dry-run"]].concat(), &[]);
    assert_eq!(dry["jobs"], json!([]));
    let script = dry["script"].as_str().expect("a script");
    assert!(script.contains("#SBATCH --array=0-1000\n") && script.contains("    --grace 4\n"), "{script}");
    assert!(slurm.queue().is_empty(), "nothing was submitted: {:?}", slurm.queue());

    let held = answered(&json_of, &["--hold"]);
    let workers: Vec<&Value> = held["jobs"].as_array().expect("jobs").iter().map(|job| &job["workers"]).collect();
    assert_eq!(workers, [1001, 1001, 498]);
    assert_eq!(slurm.queue().len(), 2500);
    assert!(slurm.queue().values().all(|task| task.state == "PENDING"));
    answer(slurm.alice("scancel").arg("--user=alice"));
    assert!(slurm.queue().is_empty());

    // A site may have its own sbatch. This one refuses the second array.
    let site = cluster.home().path().join("site");
    fs::create_dir(&site).expect("a folder");
    slurm.give_to_alice(&site);
    let wrapper = format!(
        "#!/bin/sh\nif mkdir '{0}/first' 2>/dev/null; then exec /usr/bin/sbatch \"$@\"; fi\nexec /usr/bin/sbatch --partition=nowhere \"$@\"\n",
        site.display()
    );
    fs::write(site.join("sbatch"), wrapper).expect("a file");
    fs::set_permissions(site.join("sbatch"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = format!("{}:{}", site.display(), std::env::var("PATH").expect("a path"));
    let (code, printed) = failed(submit(&["--workers", "2500"], &["--hold"]).env("PATH", path));
    assert_eq!(code, Some(3), "{printed}");
    let (_, after) = printed.split_once("already submitted: job ").unwrap_or_else(|| panic!("{printed}"));
    let (job, after) = after.split_once(' ').unwrap_or_else(|| panic!("{printed}"));
    assert!(after.starts_with("with 1001 workers, which stay; submit the other 1499 with --workers 1499"), "{printed}");
    assert!(after.contains(&format!("`scancel {job}`")), "{printed}");
    assert_eq!(slurm.queue().len(), 1001);
    answer(slurm.alice("scancel").arg(job));

    let _cancelled = cluster.json(&["cancel", "small"]);
    let ended = answered(&["--workers", "4", "--output", "json"], &[]);
    assert_eq!((&ended["state"], &ended["jobs"]), (&json!("cancelled"), &json!([])));
    let (code, printed) = failed(&mut submit(&["--workers", "4"], &[]));
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("is cancelled, so workers would have nothing to do"), "{printed}");
    assert!(slurm.queue().is_empty());
}
