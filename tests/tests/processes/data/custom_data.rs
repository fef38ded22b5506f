//! Sweeps on custom data, from files beside the spec to results.

use std::path::Path;
use std::process::Output;

use biosweep_tests::{Home, program};

/// Small images of two classes: bright on the left or on the right.
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
fn a_sweep_runs_on_idx_and_numpy_files_beside_its_spec() {
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
        let counts = ["classes", "train_images", "validation_images", "test_images"].map(|count| row[count].as_u64());
        assert_eq!(counts, [Some(2), Some(TRAIN as u64 - 20), Some(20), Some(TEST as u64)], "{row}");
        assert!(row["dataset"].as_str().is_some_and(|name| name.contains(&*home.path().to_string_lossy())), "{row}");
    }
    let output = home.run(&["run", &spec]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("was done before"), "the pinned sweep is the same");
}

#[test]
fn the_key_of_a_trial_depends_on_the_data_and_not_on_its_path() {
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
fn missing_data_is_an_error_at_submission_with_exit_code_3() {
    let home = Home::default();
    let spec = spec(&home, "{ npy = \"nowhere\" }");
    for command in ["plan", "submit", "run"] {
        let output = home.run(&[command, &spec]);
        let printed = String::from_utf8_lossy(&output.stderr);
        let place = home.path().join("nowhere");
        assert_eq!(output.status.code(), Some(3), "{command}: {printed}");
        assert!(
            printed.contains(&*place.to_string_lossy()) && printed.contains("does not exist"),
            "{command}: {printed}"
        );
    }
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn invalid_data_is_refused_before_anything_runs_with_exit_code_3() {
    let home = Home::default();
    write_idx(&home.path().join("own"));
    std::fs::write(home.path().join("own").join("t10k-labels-idx1-ubyte"), idx(&[3], &[0; 3])).expect("written");
    for command in ["plan", "run"] {
        let output = home.run(&[command, &spec(&home, "{ idx = \"own\" }")]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{printed}");
        assert!(
            printed.contains("t10k-labels-idx1-ubyte") && printed.contains("each image needs one label"),
            "{printed}"
        );
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_summary_of_custom_data_is_printed_by_plan_and_at_the_start_of_run() {
    const HOLDS: &str = "120 + 20 images of 4×4, 2 classes, values 0.07843 to 0.7843";
    let home = Home::default();
    write_idx(&home.path().join("bytes"));
    let spec = spec(&home, "[{ idx = \"bytes\" }, \"cifar-10\"]");
    let mut plan = home.biosweep(&["plan", &spec]);
    let output = plan.env_remove("BIOSWEEP_DATA").output().expect("biosweep starts");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains(&format!("data bytes: {HOLDS}")), "{answer}");
    let cifar = "data cifar-10: 50000 + 10000 images of 3×32×32, 10 classes, values 0 to 1; not on this machine; `biosweep data fetch";
    assert!(answer.contains(cifar), "{answer}");
    let datasets = home.json(&["plan", &spec])["datasets"].clone();
    let own = datasets.as_array().and_then(|all| all.iter().find(|one| one["validation"] == 20)).expect("custom data");
    assert_eq!((own["train"]["images"].as_u64(), own["image"]["height"].as_u64()), (Some(TRAIN as u64), Some(4)));

    let spec = self::spec(&home, "{ idx = \"bytes\" }");
    let output = home.run(&["run", &spec, "--workers", "1"]);
    assert!(printed(&output).contains(&format!("bytes: {HOLDS}")), "{}", printed(&output));
}

#[test]
fn a_plan_without_the_worker_program_does_not_check_custom_data_and_says_so() {
    let home = Home::default();
    write_idx(&home.path().join("bytes"));
    let mut plan = home.biosweep(&["plan", &spec(&home, "{ idx = \"bytes\" }")]);
    let output = plan.env("BIOSWEEP_WORKER", home.path().join("nowhere")).output().expect("biosweep starts");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(answer.contains("data bytes: not checked: cannot start") && answer.contains("2 trials"), "{answer}");
}

#[test]
fn images_with_channels_last_are_refused_before_training_with_the_line_that_fixes_them() {
    let home = Home::default();
    let folder = home.path().join("colours");
    write_npy(&folder);
    for (part, count) in [("train", TRAIN), ("test", TEST)] {
        let images = npy("|u1", &format!("({count}, 32, 32, 3)"), &vec![7; count * 32 * 32 * 3]);
        std::fs::write(folder.join(format!("{part}_images.npy")), images).expect("written");
    }
    for command in ["plan", "run", "submit"] {
        let output = home.run(&[command, &spec(&home, "{ npy = \"colours\" }")]);
        assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
        let line = "train_images.npy` has shape [120, 32, 32, 3], which looks like [count, height, width, channels]; save \
                    `images.transpose(0, 3, 1, 2)`";
        assert!(printed(&output).contains(line), "{}", printed(&output));
    }
    assert_eq!(home.json(&["list"]), serde_json::json!([]), "nothing was submitted");
}

#[test]
fn classes_that_cannot_be_learned_and_unusual_values_give_warnings() {
    let home = Home::default();
    let folder = home.path().join("odd");
    write_npy(&folder);
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).expect("written");
    let from_1 = |count: usize| labels(count).iter().map(|label| label + 1).collect::<Vec<u8>>();
    let train: Vec<u8> = images(TRAIN).into_iter().flat_map(|byte| f32::from(byte).to_le_bytes()).collect();
    write("train_images.npy", npy("<f4", &format!("({TRAIN}, 1, {SIDE}, {SIDE})"), &train));
    write("train_labels.npy", npy("|u1", &format!("({TRAIN},)"), &from_1(TRAIN)));
    write("test_labels.npy", npy("|u1", &format!("({TEST},)"), &[[3].as_slice(), &from_1(TEST)[1..]].concat()));
    let spec = spec(&home, "{ npy = \"odd\" }");
    for command in [&["plan", &spec][..], &["run", &spec, "--workers", "1"]] {
        let output = home.run(command);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        for part in [
            "warning: odd: no image has label 0, but labels start at 0",
            "save `labels - 1`",
            "warning: odd: no training image has label 3, but 1 test images have",
            "have values 20 to 200, far from the range 0 to 1",
            "scale both parts in the same way",
        ] {
            assert!(printed(&output).contains(part), "{command:?}: {part} is not in {}", printed(&output));
        }
    }
    assert_eq!(home.json(&["plan", &spec])["warnings"].as_array().map(Vec::len), Some(4));
    std::fs::write(folder.join("train_labels.npy"), npy("|u1", &format!("({TRAIN},)"), &[1; TRAIN])).expect("written");
    let output = home.run(&["plan", &spec]);
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(
        printed(&output).contains("all training images") && printed(&output).contains("have label 1"),
        "{}",
        printed(&output)
    );
}

#[test]
fn trials_with_too_few_or_too_small_images_are_refused_before_training() {
    let home = Home::default();
    write_idx(&home.path().join("small"));
    let text = |lines: &str| {
        format!("name = \"own\"\n[data]\ndataset = {{ idx = \"small\" }}\n[grid]\nrule = \"bp\"\n{lines}")
    };
    for (lines, refusal) in [
        (
            "network = \"nn\"\ndepth = 1\nbatch_size = [100, 101]\n",
            "`batch_size` 101 is more than the 100 training images of small",
        ),
        (
            "network = \"convnet\"\ndepth = 4\nbatch_size = 10\ndownsample_after = [1, 2, 3]\n",
            "small: images of 4 by 4 can be halved 2 times, and `downsample_after` has 3 layers",
        ),
    ] {
        let spec = home.spec(&text(lines)).to_string_lossy().into_owned();
        for command in [&["plan", &spec][..], &["run", &spec, "--workers", "1"]] {
            let output = home.run(command);
            assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
            assert!(printed(&output).contains(refusal), "{}", printed(&output));
        }
    }
    // The summary of a named dataset is known without its files.
    let text = "name = \"large\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
                batch_size = 50_001\n";
    let spec = home.spec(text).to_string_lossy().into_owned();
    for command in ["plan", "submit", "run"] {
        let output = home.run(&[command, &spec]);
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        assert!(printed(&output).contains("more than the 50000 training images of mnist"), "{}", printed(&output));
    }
}

#[test]
fn a_worker_checks_custom_data_without_a_digest_and_prints_the_digest() {
    let home = Home::default();
    write_npy(&home.path().join("reals"));
    let dataset = format!("npy:{}", home.path().join("reals").display());
    let check = |dataset: &str, output: &str| {
        let mut command = std::process::Command::new(program("biosweep-worker"));
        command.args(["check", "--dataset", dataset, "--output", output]).arg("--home").arg(home.path());
        command.output().expect("the worker starts")
    };
    let found = check(&dataset, "json");
    let found: serde_json::Value =
        serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{}", printed(&found)));
    let digest =
        found["digest"].as_str().and_then(|digest| digest.strip_prefix("blake3:")).expect("a digest").to_owned();
    let answer = check(&dataset, "human");
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    let expected =
        format!("{dataset}#{digest} and cpu are ready\n120 + 20 images of 4×4, 2 classes, values 0.07843 to 0.7843\n");
    assert_eq!(answer, expected);
    assert!(check(&format!("{dataset}#{digest}"), "human").status.success());
    for (place, fault) in [("nowhere", "does not exist"), ("spec.toml", "is a file")] {
        let _spec = home.spec("");
        let output = check(&format!("npy:{}", home.path().join(place).display()), "human");
        assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
        assert!(printed(&output).contains(fault), "{}", printed(&output));
    }
}
