//! Imports of files that are damaged, forged, or interrupted: a sweep appears whole or not at all.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::TrialIndex;
use biosweep_tests::{Home, until};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::archives::{SPEC, archive, refusal, run};

const FIRST_LINE: &[u8] = b"biosweep archive 1\n";

/// The entries of a file.
fn unpacked(file: &str) -> Vec<Value> {
    let bytes = fs::read(file).expect("a file");
    let packed = bytes.strip_prefix(FIRST_LINE).expect("an archive");
    let mut text = String::new();
    GzDecoder::new(&packed[..packed.len() - 32]).read_to_string(&mut text).expect("gzip");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Writes a file with these entries and the right digest.
fn pack(file: &str, entries: &[Value]) {
    let mut packed = GzEncoder::new(FIRST_LINE.to_vec(), Compression::fast());
    for entry in entries {
        writeln!(packed, "{entry}").expect("memory");
    }
    let mut bytes = packed.finish().expect("memory");
    bytes.extend(blake3::hash(&bytes).as_bytes());
    fs::write(file, bytes).expect("a disk");
}

fn is_empty(home: &Home) -> bool {
    home.json(&["list"]).as_array().is_some_and(Vec::is_empty)
}

/// A change of the entries of an archive.
type Change<'a> = &'a dyn Fn(&mut Vec<Value>);

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
    let (home, other) = (Home::default(), Home::default());
    run(&home, SPEC);
    let file = archive(&home, "small", &[]);
    let whole = fs::read(&file).expect("a file");
    let damaged = other.path().join("damaged.archive").to_string_lossy().into_owned();
    let refused = |bytes: &[u8]| {
        fs::write(&damaged, bytes).expect("a disk");
        refusal(&other, &["import", &damaged], 2)
    };
    let first: Vec<usize> = (0..24).collect();
    let step = (whole.len() / 60).max(1);
    for place in first.into_iter().chain((24..whole.len()).step_by(step)).chain(whole.len() - 40..whole.len()) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        let printed = refused(&bytes);
        let expected = ["was cut or changed", "is not an archive", "format version"];
        assert!(expected.iter().any(|why| printed.contains(why)), "byte {place}: {printed}");
        if place >= FIRST_LINE.len() {
            assert!(printed.contains("was cut or changed"), "byte {place}: {printed}");
        }
    }
    for len in (0..whole.len()).step_by(step).chain([whole.len() - 1, whole.len() - 32]) {
        let printed = refused(&whole[..len]);
        assert!(printed.contains("was cut or changed") || printed.contains("is not an archive"), "{len}: {printed}");
    }
    assert!(refused(&[whole.as_slice(), b"x"].concat()).contains("was cut or changed"));
    assert!(refused(b"name = \"small\"\n").contains("is not an archive of biosweep"));
    let newer = [b"biosweep archive 2\n", &whole[FIRST_LINE.len()..]].concat();
    let printed = refused(&newer);
    assert!(printed.contains("format version 2") && printed.contains("a newer biosweep"), "{printed}");
    let folder = other.path().to_string_lossy().into_owned();
    assert!(refusal(&other, &["import", &folder], 2).contains("is not an archive"));
    assert!(refusal(&other, &["import", &format!("{folder}/none")], 3).contains("cannot read"));
    assert!(is_empty(&other));
    assert_eq!(other.json(&["import", &file])["imported"], true);
}

#[test]
fn a_sweep_that_is_there_with_other_content_is_not_replaced() {
    let (home, other) = (Home::default(), Home::default());
    run(&home, SPEC);
    let file = archive(&home, "small", &[]);
    assert_eq!(other.json(&["import", &file])["imported"], true);
    let list = other.answer(&["list", "--output", "json"]);
    assert_eq!(other.json(&["import", &file])["imported"], false);
    assert_eq!(other.answer(&["list", "--output", "json"]), list);
    let _noted = other.json(&["note", "small", "changed here"]);
    let printed = refusal(&other, &["import", &file], 2);
    assert!(printed.contains("with other content") && printed.contains("biosweep delete"), "{printed}");
    assert_eq!(other.json(&["show", "small"])["note"], "changed here");
}

#[test]
fn a_result_with_the_key_or_the_score_of_another_trial_is_refused() {
    let (home, other) = (Home::default(), Home::default());
    run(&home, SPEC);
    let file = archive(&home, "small", &[]);
    let entries = unpacked(&file);
    let forged = other.path().join("forged.archive").to_string_lossy().into_owned();
    let done: Vec<usize> = (0..entries.len()).filter(|&place| entries[place].get("done").is_some()).collect();
    assert_eq!(done.len(), 8);
    let refused = |change: Change<'_>| {
        let mut changed = entries.clone();
        change(&mut changed);
        pack(&forged, &changed);
        refusal(&other, &["import", &forged], 2)
    };
    let (one, two) = (done[2], done[5]);
    let cases: [(Change<'_>, &str); 11] = [
        (
            &|all| all[one]["done"]["results"][0]["score"]["test_accuracy"] = json!(0.999),
            "not that of its learning curve",
        ),
        (&|all| all[one]["done"]["results"][0]["key"] = all[two]["done"]["results"][0]["key"].clone(), "has the key"),
        (&|all| all[one]["done"]["points"] = all[two]["done"]["points"].clone(), "not that of its learning curve"),
        (
            &|all| all[one]["done"]["results"][0]["reused_from"] = json!("01900000-0000-7000-8000-000000000000/1"),
            "is reused",
        ),
        (&|all| drop(all.remove(one)), "but 14 of 16 results are there"),
        (&|all| all.swap(one, two), "out of order"),
        (&|all| all[one]["done"]["trajectory"] = json!(99), "outside the grid"),
        (&|all| all[1]["sweep"]["trials"] = json!(17), "the spec has 16 trials"),
        (&|all| all[1]["sweep"]["state"] = json!("running"), "has not ended"),
        (&|all| all[one]["done"]["more"] = json!(1), "unknown field"),
        (&|all| drop(all.pop()), "an entry cannot be read"),
    ];
    for (change, expected) in cases {
        let printed = refused(change);
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let resolved = entries[1]["sweep"]["spec"]["resolved"].as_str().expect("a text").replace("dn", "nn");
    let printed = refused(&|all| all[1]["sweep"]["spec"]["resolved"] = resolved.clone().into());
    assert!(printed.contains("cannot be read by this version"), "{printed}");
    // What only the store can see.
    let attempt = entries.iter().position(|entry| entry.get("attempt").is_some()).expect("an attempt");
    let printed = refused(&|all| {
        let twice = all[attempt].clone();
        all.insert(attempt, twice);
        all[0]["head"]["attempts"] = json!(9);
        all[1]["sweep"]["attempts"] = json!(9);
    });
    assert!(printed.contains("the archive contradicts itself"), "{printed}");
    assert!(is_empty(&other));
    pack(&forged, &entries);
    assert_eq!(other.json(&["import", &forged])["imported"], true, "the unchanged entries are an archive");
}

/// An archive of a cancelled sweep with many failed trials, made from that of one without results.
fn of_many_trials(home: &Home, seeds: u32) -> String {
    let text = format!(
        "name = \"many\"\n[data]\ndataset = \"synthetic-digits\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
         seed = {{ from = 0, count = {seeds} }}\n"
    );
    let _submitted = home.json(&["submit", home.spec(&text).to_str().expect("a path")]);
    let _cancelled = home.json(&["cancel", "many"]);
    let file = archive(home, "many", &[]);
    let mut entries = unpacked(&file);
    let spec = SweepSpec::parse(&text, Format::Toml, "many").expect("a spec");
    let end = entries.pop().expect("an end");
    let worker = "00000000-0000-0000-0000-000000000001";
    entries.push(json!({ "trainer": { "name": "w", "environment": null } }));
    entries.push(json!({ "lease": { "first": 0, "count": seeds, "worker": worker, "trainer": 0, "at": 1 } }));
    for trajectory in 0..u64::from(seeds) {
        entries.push(json!({ "attempt": {
            "lease": 0, "trajectory": trajectory, "outcome": "failed", "cause": "why", "at": 2, "updates": 0, "forgiven": false,
        } }));
    }
    for trial in 0..u64::from(seeds) {
        let key = spec.grid.configuration(TrialIndex(trial)).expect("in the grid").key().to_string();
        let result = json!({
            "key": key, "status": "failed", "score": null, "updates": 0, "attempts": 1, "trainer": 0, "seconds": 0.5,
            "reused_from": null,
        });
        // A curve of the first version of the encoding, without points.
        entries.push(json!({ "done": {
            "trajectory": trial, "origin": { "lease": 0 }, "points": "AQA=", "diagnostics": null, "results": [result],
        } }));
    }
    entries.push(end);
    entries[0]["head"]["results"] = seeds.into();
    entries[0]["head"]["attempts"] = seeds.into();
    entries[1]["sweep"]["attempts"] = seeds.into();
    pack(&file, &entries);
    file
}

#[test]
fn a_killed_import_leaves_nothing_and_the_next_one_is_whole() {
    const TRIALS: u32 = 100_000;
    let (home, other) = (Home::default(), Home::default());
    let file = of_many_trials(&home, TRIALS);
    let _other = run(&other, SPEC);
    let before = other.answer(&["results", "small", "--output", "json"]);
    let log = other.path().join("biosweep.sqlite-wal");
    let len = || fs::metadata(&log).map_or(0, |found| found.len());
    for written in [1, 200_000, 2_000_000, 8_000_000] {
        let mut import = other.biosweep(&["import", &file]);
        let mut import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        until("it writes", || (len() >= written).then_some(()));
        import.kill().expect("it runs");
        assert!(!import.wait().expect("it ends").success(), "killed before its end");
        assert_eq!(other.json(&["list"]).as_array().map(Vec::len), Some(1), "after {written} bytes");
    }
    let imported = other.json(&["import", &file]);
    assert_eq!((&imported["imported"], &imported["failed"]), (&true.into(), &TRIALS.into()), "{imported}");
    assert_eq!(other.json(&["show", "many"])["incomplete_causes"][0]["attempts"], TRIALS);
    assert_eq!(other.answer(&["results", "small", "--output", "json"]), before);
    assert_eq!(other.json(&["import", &file])["imported"], false);
}
