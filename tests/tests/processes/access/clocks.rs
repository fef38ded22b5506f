//! Machines with a wrong clock. Time limits are those of the coordinator, and an hour keeps no worker away.

use std::thread;
use std::time::Duration;

use biosweep_tests::cluster::QUICK_SPEC;
use biosweep_tests::cluster::secured::Secured;
use biosweep_tests::installed::clock::OtherTime;
use biosweep_tests::until;

#[test]
fn a_worker_whose_clock_is_an_hour_off_enrols_and_trains() {
    let Some(time) = OtherTime::find() else { return };
    for hours in [-1, 1] {
        let mut secured = Secured::default();
        let home = secured.home();
        let spec = home.spec(QUICK_SPEC).to_string_lossy().into_owned();
        let _sweep = home.json(&["submit", &spec]);
        let (file, _) = secured.token("worker", &[]);
        secured.work_with(&file, &time.ahead(hours));
        until("the sweep is finished", || {
            (secured.home().json(&["show", "small"])["state"] == "finished").then_some(())
        });
        let results = secured.home().json(&["results", "small"]);
        let results = results.as_array().expect("an array");
        assert_eq!(results.len(), 12, "{hours} h: {}", secured.log());
        assert!(
            results.iter().all(|result| result["status"] == "completed" && result["attempts"] == 1),
            "{hours} h: {results:?}"
        );

        let (operator, _) = secured.token("operator", &[]);
        let mut doctor = secured.asking(&operator, &["doctor", "--output", "json"]);
        let found = doctor.envs(time.ahead(hours)).output().expect("it starts");
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let direction = if hours < 0 { "ahead of" } else { "behind" };
        assert!(found.contains(&format!("s {direction} that of this machine")), "{hours} h: {found}");
    }
}

#[test]
fn a_token_expires_by_the_clock_of_the_coordinator() {
    let Some(time) = OtherTime::find() else { return };
    let secured = Secured::default();
    let (short, _) = secured.token("viewer", &["--expires", "1s"]);
    let (long, _) = secured.token("viewer", &["--expires", "1h"]);
    thread::sleep(Duration::from_secs(2));
    for hours in [-1, 1, 2] {
        let asked = |file| {
            let answer = secured.asking(file, &["list"]).envs(time.ahead(hours)).output().expect("it starts");
            (answer.status.success(), String::from_utf8_lossy(&answer.stderr).into_owned())
        };
        let (succeeded, printed) = asked(&short);
        assert!(!succeeded && printed.contains("the token has expired"), "{hours} h: {printed}");
        let (succeeded, printed) = asked(&long);
        assert!(succeeded, "{hours} h: {printed}");
    }
}
