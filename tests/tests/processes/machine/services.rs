//! The services of one machine: Docker Compose, the Debian package, and the units of systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use biosweep_tests::installed::kubernetes::{Tools, dpkg_deb, systemd_analyze};
use biosweep_tests::program;
use serde_json::Value;

const UNITS: [(&str, &str); 2] =
    [("biosweep.service", "biosweep.service"), ("biosweep-worker@.service", "biosweep-worker@1.service")];
/// The greatest exposure that systemd may see in a unit, on its scale from 0 to 100.
const EXPOSURE_MAX: &str = "20";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_compose_file_fits_its_specification() {
    let Some(tools) = Tools::installed() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = fs::read_to_string(root().join("deploy/compose.yaml")).expect("the file");
    let check = |text: &str| {
        let path = folder.path().join("compose.yaml");
        fs::write(&path, text).expect("written");
        let script = root().join("tests/tests/processes/machine/compose.py");
        tools.program("python").arg("-B").args([script, path]).output().expect("Python starts")
    };
    let output = check(&text);
    assert!(output.status.success(), "{}", printed(&output));
    let compose: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for name in ["coordinator", "worker"] {
        let service = &compose["services"][name];
        assert!(service["read_only"] == true && service["cap_drop"][0] == "ALL", "{service:#}");
        let image = service["image"].as_str().expect("a name");
        assert!(image.ends_with(&format!(":{}", env!("CARGO_PKG_VERSION"))), "{image}");
    }
    for (from, to) in [
        ("stop_grace_period", "stop_grace_perod"),
        ("networks: [workers]", "networks: [workrs]"),
        ("condition: service_healthy", "condition: healthy"),
    ] {
        assert!(text.contains(from) && !check(&text.replace(from, to)).status.success(), "{to} is accepted");
    }
}

#[test]
fn systemd_takes_the_units() {
    let Some(systemd_analyze) = systemd_analyze() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let analyze = |arguments: &[&str], unit: &Path| {
        Command::new(&systemd_analyze).args(arguments).arg(unit).output().expect("systemd-analyze starts")
    };
    for (file, instance) in UNITS {
        let text = fs::read_to_string(root().join("deploy/systemd").join(file)).expect("a unit");
        // Where the programs are before they are installed.
        let built = program("biosweep").parent().expect("a folder").to_string_lossy().into_owned();
        let text = text.replace("ExecStart=/usr/bin/", &format!("ExecStart={built}/"));
        let unit = folder.path().join(instance);
        let verify = |text: &str| {
            fs::write(&unit, text).expect("written");
            printed(&analyze(&["verify"], &unit))
        };
        // It only warns of a misspelt key.
        assert!(verify(&text.replace("RestartSec", "RestrtSec")).contains("Unknown key"));
        assert_eq!(verify(&text), "", "{file}");
        let exposure = analyze(&["security", "--offline=yes", "--threshold", EXPOSURE_MAX], &unit);
        assert!(exposure.status.success(), "{file}: {}", printed(&exposure));
    }
}

#[test]
fn the_debian_package_has_what_its_service_starts() {
    let Some(dpkg_deb) = dpkg_deb() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = program("biosweep").ancestors().nth(2).expect("programs lie in target/PROFILE").to_owned();
    let mut build = Command::new(root().join("deploy/debian/build.sh"));
    build.arg(folder.path()).env("CARGO_TARGET_DIR", target).env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let output = build.output().expect("sh starts");
    assert!(output.status.success(), "{}", printed(&output));
    let package = fs::read_dir(folder.path()).expect("a folder").next().expect("a package").expect("an entry").path();
    let unpacked = folder.path().join("unpacked");
    let of_package = |arguments: &[&str], more: &[&Path]| {
        let output =
            Command::new(&dpkg_deb).args(arguments).arg(&package).args(more).output().expect("dpkg-deb starts");
        assert!(output.status.success(), "{}", printed(&output));
        printed(&output)
    };
    assert_eq!(of_package(&["--field"], &[Path::new("Version")]).trim(), env!("CARGO_PKG_VERSION"));
    assert!(of_package(&["--field"], &[Path::new("Depends")]).contains("libc6 (>= "));
    of_package(&["--extract"], &[&unpacked]);
    let unit = fs::read_to_string(unpacked.join("usr/lib/systemd/system/biosweep.service")).expect("a unit");
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/")?.split(' ').next()).expect("a program");
    let version = Command::new(unpacked.join(started)).arg("--version").output().expect("it starts");
    assert_eq!(printed(&version).trim(), format!("biosweep {}", env!("CARGO_PKG_VERSION")));
    for (file, word) in [("sysusers.d/biosweep.conf", "u biosweep"), ("../share/doc/biosweep/copyright", "tokio 1.")] {
        let text = fs::read_to_string(unpacked.join("usr/lib").join(file)).expect(file);
        assert!(text.contains(word), "{file}");
    }
    assert!(unpacked.join("usr/share/man/man1/biosweep-serve.1.gz").is_file());
}
