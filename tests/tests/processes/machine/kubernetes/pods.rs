//! The programs as the pods of the chart run them: as a user without rights, with a root that they cannot write, with secrets as
//! Kubernetes mounts them.

use biosweep_tests::installed::kubernetes::Tools;
use biosweep_tests::program;
use serde_json::{Value, json};

use super::{chart, errors, rendered, root, script};

#[test]
fn the_pods_of_the_chart_train_a_sweep() {
    let Some(tools) = Tools::installed() else { return };
    let Some(mut command) = tools.isolated("python") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let values = "pools.cpu.kind=Job,pools.cpu.idleExitSeconds=1";
    let manifests = rendered(&tools, &chart(), folder.path(), "pods", &["--set", values]);
    let programs = program("biosweep").parent().expect("a folder").to_owned();
    command.arg("-B").arg(script("pods.py")).arg(manifests).arg(programs).arg(root().join("deploy/containers"));
    let output = command.output().expect("unshare starts");
    assert!(output.status.success(), "{}", errors(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["worker_codes"], json!([75, 0]), "asked to leave, then nothing left: {report:#}");
    assert_eq!(report["completed"], 3, "{report:#}");
    assert!(
        report["workers"].as_array().is_some_and(|names| names.contains(&json!("biosweep-cpu-0-bbbbb"))),
        "{report:#}"
    );
    assert_eq!(report["user_and_written"], json!(["65532"]), "{report:#}");
    assert_eq!(report["protocol"], "h2", "KEDA knows the coordinator by its name: {report:#}");
    assert_eq!(report["coordinator_code"], 0, "{report:#}");
}
