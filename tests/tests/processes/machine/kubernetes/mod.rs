//! Kubernetes, without a cluster: the Helm chart against the schemas of Kubernetes and KEDA, and the programs as its pods run them.

mod pods;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use biosweep_tests::files_under;
use biosweep_tests::installed::kubernetes::Tools;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn chart() -> PathBuf {
    root().join("deploy/kubernetes/biosweep")
}

fn script(name: &str) -> PathBuf {
    root().join("tests/tests/processes/machine/kubernetes").join(name)
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Renders the chart into a file of this name.
fn rendered(tools: &Tools, chart: &Path, folder: &Path, name: &str, values: &[&str]) -> PathBuf {
    let output = tools.render(chart, values);
    assert!(output.status.success(), "{name}: {}", errors(&output));
    let path = folder.join(name).with_extension("yaml");
    fs::write(&path, output.stdout).expect("written");
    path
}

#[test]
fn the_chart_is_that_of_this_version() {
    let text = fs::read_to_string(chart().join("Chart.yaml")).expect("the chart");
    for line in
        [format!("version: {}", env!("CARGO_PKG_VERSION")), format!("appVersion: \"{}\"", env!("CARGO_PKG_VERSION"))]
    {
        assert!(text.lines().any(|found| found == line), "Chart.yaml must have the line {line}");
    }
}

#[test]
fn every_variant_of_the_chart_fits_the_schemas() {
    let Some(tools) = Tools::installed() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lint = tools.program("helm").args(["lint", "--strict"]).arg(chart()).output().expect("helm starts");
    assert!(lint.status.success(), "{}{}", String::from_utf8_lossy(&lint.stdout), errors(&lint));

    let mut files = Vec::new();
    for example in files_under(&root().join("deploy/kubernetes/examples"), &["yaml"]) {
        let name = example.file_stem().expect("a name").to_string_lossy().into_owned();
        let values = example.to_string_lossy().into_owned();
        files.push(rendered(&tools, &chart(), folder.path(), &name, &["--values", &values]));
    }
    for kind in ["Deployment", "Job", "ScaledObject", "ScaledJob"] {
        for store in ["sqlite", "postgresql"] {
            for device in ["cpu", "cuda:0"] {
                let set = format!("store.kind={store},pools.cpu.kind={kind},pools.cpu.device={device}");
                let name = format!("{kind}-{store}-{}", &device[..3]);
                files.push(rendered(&tools, &chart(), folder.path(), &name, &["--set", &set]));
            }
        }
    }
    let everything = "image.registry=registry.example.org/me,image.tag=v1,image.pullSecrets={a,b},coordinator.listen=::,\
         coordinator.pageHosts={sweeps.example.org},coordinator.disruptionBudget=true,coordinator.nodeSelector.disk=ssd,\
         coordinator.priorityClassName=high,store.sqlite.storageClassName=fast,poolDefaults.queue=research,\
         poolDefaults.sweep=mine,poolDefaults.labels={a,site=x},poolDefaults.runtimeClassName=nvidia,\
         poolDefaults.priorityClassName=low,poolDefaults.kind=ScaledJob,pools.more.kind=Deployment,pools.jobs.kind=Job,\
         pools.objects.kind=ScaledObject,checkpoints.place=s3://bucket/prefix,checkpoints.claim=shared,checkpoints.secret=s3,\
         data.claim=datasets";
    files.push(rendered(&tools, &chart(), folder.path(), "everything", &["--set", everything]));
    let less = "networkPolicy.enabled=false,pools.cpu=null,checkpoints.place=none";
    files.push(rendered(&tools, &chart(), folder.path(), "less", &["--set", less]));
    let clients = r#"networkPolicy.clients=[{"namespaceSelector":{"matchLabels":{"team":"a"}}}]"#;
    let egress = r#"networkPolicy.workerEgress=[{"ports":[{"port":9000,"protocol":"TCP"}]}]"#;
    files.push(rendered(&tools, &chart(), folder.path(), "peers", &["--set-json", clients, "--set-json", egress]));
    assert!(files.len() > 20);
    assert_eq!(tools.problems(&script("manifests.py"), &files), Vec::<String>::new());
}

#[test]
fn a_spoiled_chart_is_refused() {
    let Some(tools) = Tools::installed() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A file of the chart, what is replaced in it and by what, and what the check says then.
    let spoiled = [
        ("coordinator.yaml", "readinessProbe:", "readynessProbe:", "'readynessProbe' was unexpected"),
        ("coordinator.yaml", "service: liveness", "servise: liveness", "'servise' was unexpected"),
        ("coordinator.yaml", "terminationGracePeriodSeconds", "terminationGraceSeconds", "was unexpected"),
        (
            "coordinator.yaml",
            "    app.kubernetes.io/component: coordinator\n  ports:",
            "    app.kubernetes.io/component: c\n  ports:",
            "selects no pod",
        ),
        (
            "coordinator.yaml",
            "matchLabels: {{- include \"biosweep.selector\" . | nindent 6 }}",
            "matchLabels:\n      tier: a",
            "does not select its own pods",
        ),
        (
            "coordinator.yaml",
            "grpc: {port: 7466, service: liveness}",
            "grpc: {port: 7467, service: liveness}",
            "the livenessProbe asks the port 7467",
        ),
        ("coordinator.yaml", "targetPort: grpc", "targetPort: grcp", "have no ports ['grcp']"),
        ("_pods.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write its root"),
        ("_pods.tpl", "runAsNonRoot: true", "runAsNonRoot: \"true\"", "is not of type"),
        ("_pods.tpl", "- name: tmp", "- name: temp", "which are not there"),
        ("_worker.tpl", "values: [75]", "values: [76]", "the exit code 75 counts as a failure"),
        ("_worker.tpl", "type: DisruptionTarget", "type: Disruption", "a disruption counts as a failure"),
        ("_worker.tpl", "add $pool.graceSeconds 15", "add $pool.graceSeconds 0", "before its grace ends"),
        ("_worker.tpl", "    lanes: {{", "    lane: {{", "the scaler has no ['lane']"),
        ("workers.yaml", "backoffLimitPerIndex", "backofLimitPerIndex", "'backofLimitPerIndex' was unexpected"),
        ("workers.yaml", "    backoffLimit:", "    backofLimit:", "'backofLimit' was unexpected"),
        ("workers.yaml", "minReplicaCount: 0", "minReplicas: 0", "KEDA has no spec.minReplicas"),
        (
            "workers.yaml",
            "  maxReplicaCount: {{ $pool.replicas }}",
            "  maxReplicaCount: {{ $pool.replicas | quote }}",
            "does not fit the schema of KEDA",
        ),
        (
            "workers.yaml",
            "{{- if eq $pool.kind \"Deployment\" }}\n  replicas",
            "{{- if true }}\n  replicas",
            "the number of replicas is fixed",
        ),
        ("keda.yaml", "parameter: caCert", "parametr: caCert", "KEDA"),
        (
            "networkpolicies.yaml",
            "{port: grpc, protocol: TCP}",
            "{port: grcp, protocol: TCP}",
            "have no ports ['grcp']",
        ),
    ];
    let mut files = Vec::new();
    for (number, (file, from, to, _)) in spoiled.iter().enumerate() {
        let copy = folder.path().join(format!("chart-{number}"));
        let copied = Command::new("cp").arg("-r").arg(chart()).arg(&copy).status().expect("cp starts");
        assert!(copied.success());
        let path = copy.join("templates").join(file);
        let text = fs::read_to_string(&path).expect("a template");
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replace(from, to)).expect("written");
        let pools = "pools.job.kind=Job,pools.object.kind=ScaledObject,pools.scaled.kind=ScaledJob";
        files.push(rendered(&tools, &copy, folder.path(), &number.to_string(), &["--set", pools]));
    }
    let problems = tools.problems(&script("manifests.py"), &files);
    for (number, (file, from, _, expected)) in spoiled.iter().enumerate() {
        let start = format!("{number}: ");
        let found: Vec<_> = problems.iter().filter(|problem| problem.starts_with(&start)).collect();
        assert!(found.iter().any(|problem| problem.contains(expected)), "{file} without {from}: {found:?}");
    }
}

#[test]
fn a_typo_in_the_values_is_refused() {
    let Some(tools) = Tools::installed() else { return };
    for (set, name) in [
        ("coordinater.lease=20", "coordinater"),
        ("pools.cpu.replica=3", "replica"),
        ("pools.cpu.replicas=0", "replicas"),
        ("pools.cpu.kind=StatefulSet", "kind"),
        ("pools.cpu.device=cuda:1", "device"),
        ("pools.cpu.resources.request.cpu=1", "request"),
        ("pools.A.replicas=1", "'A'"),
        ("poolDefaults.lanes=2000", "lanes"),
        ("store.kind=mysql", "kind"),
        ("checkpoints.place=/somewhere", "place"),
        ("coordinator.terminationGracePeriodSeconds=10", "terminationGracePeriodSeconds"),
        ("keda.secret=", "secret"),
    ] {
        let output = tools.render(&chart(), &["--set", set]);
        assert!(!output.status.success(), "{set} is accepted");
        assert!(errors(&output).contains(name), "{set}: {}", errors(&output));
    }
}

#[test]
fn the_containerfiles_have_no_warnings() {
    let Some(tools) = Tools::installed() else { return };
    let files = files_under(&root().join("deploy/containers"), &["Containerfile"]);
    assert_eq!(files.len(), 2);
    let checked = tools.program("hadolint").args(files).output().expect("hadolint starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
