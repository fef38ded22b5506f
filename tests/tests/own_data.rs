//! Sweeps of a researcher's own data, from files beside the spec to results.

use std::path::Path;

use biosweep_tests::Home;

/// Small images of two classes: bright on the left, or on the right.
const TRAIN: usize = 120;
const TEST: usize = 20;
const SIDE: usize = 4;

fn labels(count: usize) -> Vec<u8> {
    (0..count).map(|image| (image * 7 % 5 % 2) as u8).collect()
}

fn images(count: usize) -> Vec<u8> {
    let pixel = |label: u8, place: usize| if (place % SIDE < SIDE / 2) == (label == 0) { 200 } else { 20 };
    labels(count).iter().flat_map(|&label| (0..SIDE * SIDE).map(move |place| pixel(label, place))).collect()
}

fn idx(shape: &[usize], entries: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|&count| bytes.extend((count as u32).to_be_bytes()));
    bytes.extend(entries);
    bytes
}

fn npy(descr: &str, shape: &str, entries: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), entries].concat()
}

fn write_idx(folder: &Path) {
    std::fs::create_dir_all(folder).expect("created");
    for (part, count) in [("train", TRAIN), ("t10k", TEST)] {
        let write = |name: String, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).expect("written");
        write(format!("{part}-images-idx3-ubyte"), idx(&[count, SIDE, SIDE], &images(count)));
        write(format!("{part}-labels-idx1-ubyte"), idx(&[count], &labels(count)));
    }
}

fn write_npy(folder: &Path) {
    std::fs::create_dir_all(folder).expect("created");
    for (part, count) in [("train", TRAIN), ("test", TEST)] {
        let reals =
            images(count).into_iter().flat_map(|byte| (f32::from(byte) / 255.0).to_le_bytes()).collect::<Vec<_>>();
        let write = |name: String, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).expect("written");
        write(format!("{part}_images.npy"), npy("<f4", &format!("({count}, 1, {SIDE}, {SIDE})"), &reals));
        write(format!("{part}_labels.npy"), npy("|u1", &format!("({count},)"), &labels(count)));
    }
}

fn spec(home: &Home, datasets: &str) -> String {
    let text = format!(
        "name = \"own\"\n[train]\nhidden = 8\nbatch_size = 20\neval_every = 20\nmax_updates = 100\n\
         learning_rate = 1e-2\n[grid]\ndataset = {datasets}\nrule = [\"bp\", \"dtp\"]\nnetwork = \"nn\"\ndepth = 1\n"
    );
    home.spec(&text).to_string_lossy().into_owned()
}

#[test]
fn a_sweep_of_own_idx_and_numpy_data_runs_from_files_beside_its_spec() {
    let home = Home::default();
    write_idx(&home.path().join("bytes"));
    write_npy(&home.path().join("reals"));
    let spec = spec(&home, "[{ idx = \"bytes\" }, { npy = \"reals\" }]");
    assert_eq!(home.json(&["plan", &spec])["trials"].as_u64(), Some(4));
    let table = home.answer(&["run", &spec, "--workers", "1"]);
    assert!(table.contains("bytes") && table.contains("reals"), "{table}");
    let rows = home.json(&["results", "own"]);
    for row in rows.as_array().expect("an array") {
        assert_eq!(row["status"], "completed", "{row}");
        assert!(row["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.9), "{row}");
        assert!(row["dataset"].as_str().is_some_and(|name| name.contains(&*home.path().to_string_lossy())), "{row}");
    }
    let output = home.run(&["run", &spec]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("was done before"), "the pinned sweep is the same");
}

#[test]
fn the_key_of_a_trial_follows_the_data_and_not_its_place() {
    let keys = |folder: &str, change: bool| {
        let home = Home::default();
        write_idx(&home.path().join(folder));
        if change {
            std::fs::write(home.path().join(folder).join("t10k-labels-idx1-ubyte"), idx(&[TEST], &[1; TEST]))
                .expect("written");
        }
        let spec = spec(&home, &format!("{{ idx = \"{folder}\" }}"));
        let _table = home.answer(&["run", &spec, "--workers", "1"]);
        let rows = home.json(&["results", "own"]);
        rows.as_array().expect("an array").iter().map(|row| row["key"].to_string()).collect::<Vec<_>>()
    };
    let here = keys("here", false);
    assert_eq!((here.len(), &here), (2, &keys("there", false)));
    assert_ne!(here, keys("here", true));
}

#[test]
fn data_that_is_not_there_is_named_at_submission_with_exit_code_2() {
    let home = Home::default();
    let spec = spec(&home, "{ npy = \"nowhere\" }");
    for command in ["plan", "submit", "run"] {
        let output = home.run(&[command, &spec]);
        let said = String::from_utf8_lossy(&output.stderr);
        let place = home.path().join("nowhere");
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains(&*place.to_string_lossy()) && said.contains("does not exist"), "{command}: {said}");
    }
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn data_that_makes_no_dataset_is_refused_before_anything_runs_with_exit_code_3() {
    let home = Home::default();
    write_idx(&home.path().join("own"));
    std::fs::write(home.path().join("own").join("t10k-labels-idx1-ubyte"), idx(&[3], &[0; 3])).expect("written");
    let output = home.run(&["run", &spec(&home, "{ idx = \"own\" }")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("t10k-labels-idx1-ubyte") && said.contains("each image needs one label"), "{said}");
}
