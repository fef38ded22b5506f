//! Fuzz target: arbitrary bytes as a checkpoint. Only checkpoints of this version are accepted.
#![no_main]

use biosweep_common::configuration::TrialKey;
use biosweep_engine::checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = checkpoint::decode(TrialKey([7; 32]), bytes) {
        let again = checkpoint::decode(TrialKey([7; 32]), &checkpoint::encode(TrialKey([7; 32]), &state))
            .expect("our own bytes");
        assert_eq!(format!("{again:?}"), format!("{state:?}"));
    }
});
