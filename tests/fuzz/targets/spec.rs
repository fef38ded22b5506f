//! Fuzz target: an arbitrary text as a spec file, in each format. It is refused or gives a grid whose first and last
//! trials exist.
#![no_main]

use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{TrajectoryIndex, TrialIndex};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for format in [Format::Toml, Format::Yaml, Format::Json] {
        match SweepSpec::parse(text, format, "spec") {
            Ok(spec) => {
                let (trials, trajectories) = (spec.grid.trials(), spec.grid.trajectories());
                assert!(trials >= trajectories && trajectories > 0);
                for trial in [0, trials - 1] {
                    assert!(spec.grid.configuration(TrialIndex(trial)).is_some());
                }
                assert!(spec.grid.trajectory(TrajectoryIndex(trajectories - 1)).is_some());
                assert!(spec.grid.point(TrialIndex(trials)).is_none());
                assert_eq!(spec.digest(), spec.digest());
            }
            Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
        }
    }
});
