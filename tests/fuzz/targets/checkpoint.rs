//! Bytes in place of a checkpoint: refused, whatever they are, unless they are one of ours.
#![no_main]

use biosweep_common::configuration::TrialKey;
use biosweep_worker::checkpoint::form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = form::decode(TrialKey([7; 32]), bytes) {
        let again = form::decode(TrialKey([7; 32]), &form::encode(TrialKey([7; 32]), &state)).expect("our own bytes");
        assert_eq!(format!("{again:?}"), format!("{state:?}"));
    }
});
