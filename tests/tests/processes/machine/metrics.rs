//! The metrics of a coordinator, read by a real Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use biosweep_tests::cluster::Cluster;
use biosweep_tests::cluster::secured::Secured;
use biosweep_tests::installed::prometheus::{Programs, Prometheus};
use biosweep_tests::until;
use serde_json::Value;

/// The window in which a test computes rates. Grafana chooses one for its users.
const WINDOW: &str = "20s";

/// The metrics of a coordinator without TLS.
fn scraped(cluster: &Cluster) -> String {
    let mut answer = ureq::get(format!("{}/metrics", cluster.url())).call().expect("the coordinator answers");
    let kind = answer.headers()["content-type"].to_str().expect("a text");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.body_mut().read_to_string().expect("a text")
}

/// The host and port of a URL.
fn target(url: &str) -> &str {
    url.split_once("://").expect("a URL").1
}

/// The value of a series in the text of a scrape.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
}

/// The names and labels of all series.
fn series(text: &str) -> BTreeSet<&str> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').expect("a value").0).collect()
}

/// Every expression of the dashboard, with values for Grafana's variables.
fn expressions() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let dashboard = fs::read(root.join("deploy/observe/grafana.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_slice(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let expressions = targets.map(|target| target["expr"].as_str().expect("an expression").to_owned());
    expressions.map(|text| text.replace("$__rate_interval", WINDOW).replace("$instance", ".*")).collect()
}

#[test]
fn prometheus_reads_the_metrics_of_a_sweep_and_every_expression_of_the_dashboard_has_a_value() {
    let Some(programs) = Programs::find() else { return };
    let mut cluster = Cluster::new(None);
    cluster.serve();
    let job = format!("- job_name: biosweep\n  static_configs: [{{ targets: ['{}'] }}]\n", target(&cluster.url()));
    let _answers = cluster.json(&["list"]);
    let prometheus = Prometheus::start(&programs, &[job]);
    until("the coordinator is scraped", || (prometheus.values("up") == [1.0]).then_some(()));
    programs.check_metrics(&scraped(&cluster));

    cluster.submit();
    let pending = r#"biosweep_trials{state="pending"}"#;
    until("the trials are seen", || (prometheus.values(pending) == [12.0]).then_some(()));
    cluster.work(&["--lanes", "2"], &[]);
    let expressions = expressions();
    assert!(expressions.len() > 10, "{expressions:?}");
    let mut empty = expressions.clone();
    until("every expression of the dashboard has a value", || {
        empty.retain(|expression| prometheus.values(expression).is_empty());
        empty.is_empty().then_some(())
    });
    let _results = cluster.findings();
    until("the end is seen", || (prometheus.values(r#"biosweep_trials{state="completed"}"#) == [12.0]).then_some(()));
    // Without a fault, the counters are those of the spec: six trajectories of 900 updates.
    let text = scraped(&cluster);
    programs.check_metrics(&text);
    assert_eq!(value(&text, r#"biosweep_attempts_total{outcome="completed"}"#), 6.0);
    assert_eq!(value(&text, r#"biosweep_trials_ended_total{status="completed"}"#), 12.0);
    assert_eq!(value(&text, "biosweep_lanes_granted_total"), 6.0);
    assert_eq!(value(&text, "biosweep_updates_total"), 6.0 * 900.0);
    assert_eq!(value(&text, "biosweep_lease_wait_seconds_count"), value(&text, "biosweep_grants_total"));
    assert_eq!(value(&text, r#"biosweep_workers{state="idle"}"#), 1.0);
    assert_eq!(value(&text, r#"biosweep_lanes{state="free"}"#), 2.0);
    assert_eq!(value(&text, "biosweep_store_writable"), 1.0);
    assert!(value(&text, "biosweep_store_commit_duration_seconds_count") > 6.0);

    let before = series(&text);
    let spec = cluster.home().spec(biosweep_tests::cluster::SPEC);
    for _ in 0..20 {
        let _sweep = cluster.json(&["submit", &spec.to_string_lossy(), "--fresh"]);
    }
    let text = scraped(&cluster);
    assert_eq!(value(&text, r#"biosweep_sweeps{state="finished"}"#), 21.0, "their results are reused");
    assert_eq!(series(&text), before, "more sweeps, trials and attempts are no more series");
}

#[test]
fn with_tls_prometheus_reads_the_metrics_with_the_token_of_a_viewer_and_not_without_one() {
    let Some(programs) = Programs::find() else { return };
    let secured = Secured::default();
    let credentials = |role: &str| {
        let (connection, _) = secured.token(role, &[]);
        let file: Value = serde_json::from_slice(&fs::read(&connection).expect("a file")).expect("JSON");
        let path = connection.with_extension("token");
        fs::write(&path, file["token"].as_str().expect("a token")).expect("a file");
        format!("  authorization: {{ credentials_file: '{}' }}\n", path.display())
    };
    let job = |name: &str, credentials: &str| {
        let ca = secured.certificates().join("ca.pem");
        format!(
            "- job_name: {name}\n  scheme: https\n  tls_config: {{ ca_file: '{}', server_name: localhost }}\n{credentials}  \
             static_configs: [{{ targets: ['{}'] }}]\n",
            ca.display(),
            target(&secured.url())
        )
    };
    let jobs = [
        job("viewer", &credentials("viewer")),
        job("worker", &credentials("worker")),
        job("nobody", ""),
        job("guesser", "  authorization: { credentials: guessed }\n"),
    ];
    let prometheus = Prometheus::start(&programs, &jobs);
    for (name, expected) in [("viewer", ""), ("worker", "403"), ("nobody", "401"), ("guesser", "401")] {
        let error = until("the coordinator is scraped", || prometheus.error_of(name));
        assert!(if expected.is_empty() { error.is_empty() } else { error.contains(expected) }, "{name}: {error}");
    }
    assert_eq!(prometheus.values(r#"biosweep_store_writable"#), [1.0]);
}
