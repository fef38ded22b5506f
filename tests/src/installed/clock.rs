//! Programs that see another time than this machine.

use std::path::PathBuf;
use std::process::Command;

use crate::readers::{in_path, skipped};

/// The library that shows a program another time.
#[derive(Debug)]
pub struct OtherTime {
    library: PathBuf,
}

impl OtherTime {
    /// Finds the library. Without it a test is skipped with a message; with `CI=true` it fails.
    ///
    /// # Panics
    /// If it is not installed and `CI` is `true`.
    #[must_use]
    pub fn find() -> Option<Self> {
        let Some(program) = in_path("faketime") else {
            skipped("faketime is not installed; `deploy/setup/tests/clock.sh` installs it");
            return None;
        };
        // The program tells its children where the library is.
        let printed = Command::new(program).args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().expect("it starts");
        let library = String::from_utf8(printed.stdout).expect("a path").trim().into();
        Some(Self { library })
    }

    /// The environment of a program whose clock is ahead by these hours. As on a machine with a wrong clock, seconds pass as ever.
    #[must_use]
    pub fn ahead(&self, hours: i32) -> [(&'static str, String); 4] {
        let monotonic = "1".to_owned();
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME", format!("{hours:+}h")),
            ("DONT_FAKE_MONOTONIC", monotonic.clone()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", monotonic),
        ]
    }
}
