//! The logs of both programs, as text and as JSON.

use std::ffi::OsString;
use std::net::Ipv4Addr;

use biosweep_tests::cluster::Cluster;
use serde_json::Value;

/// The ids in the first line of a log with this message.
fn ids(log: &str, format: &str, message: &str) -> [String; 3] {
    let line = log.lines().find(|line| line.contains(message)).unwrap_or_else(|| panic!("no `{message}` in\n{log}"));
    ["sweep", "trajectory", "attempt"].map(|name| {
        let value = match format {
            "json" => {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                line["fields"][name].as_str().map(str::to_owned)
            }
            _ => line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned),
        };
        value.unwrap_or_else(|| panic!("no {name} in {line}"))
    })
}

#[test]
fn logs_name_the_sweep_the_trajectory_and_the_attempt_that_they_speak_of() {
    for format in ["text", "json"] {
        let with = || ["env".to_owned(), format!("BIOSWEEP_LOG_FORMAT={format}")].map(OsString::from).to_vec();
        let programs = [("biosweep", with()), ("biosweep-worker", with())];
        let mut cluster = Cluster::new(None).with_network(Ipv4Addr::LOCALHOST, programs);
        cluster.serve();
        let spec = cluster.home().spec(biosweep_tests::cluster::SPEC);
        let submitted = cluster.json(&["submit", &spec.to_string_lossy()]);
        cluster.work(&[], &[]);
        cluster.until_in_full_swing();
        cluster.kill_worker();
        cluster.work(&[], &[]);
        let _results = cluster.findings();

        let id = submitted["id"].as_str().expect("an id");
        let lost = ids(&cluster.printed("serve.log"), format, "an attempt ends without a result");
        assert_eq!(lost[0], id);
        let resumed = ids(&cluster.printed("worker-1.log"), format, "resumes from a checkpoint");
        assert_eq!(resumed[0], id);
        assert_eq!(lost[1], resumed[1], "the trajectory of the lost attempt continues");
        assert_ne!(lost[2], resumed[2], "under another attempt");
    }
}
