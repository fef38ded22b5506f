//! Bytes in place of what a worker and a coordinator say to each other, and of a report kept on disk.
#![no_main]

use biosweep_common::messages::{Report, ToCoordinator, ToWorker};
use biosweep_common::wire::{FromWire as _, IntoWire as _};
use biosweep_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = v1::WorkerMessage::decode(bytes)
        && let Ok(message) = ToCoordinator::from_wire(message)
    {
        // What was understood says the same when it is said again; NaN equals nothing, so its form is compared.
        let again = ToCoordinator::from_wire(message.clone().into_wire()).expect("our own words");
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
    }
    if let Ok(message) = v1::CoordinatorMessage::decode(bytes)
        && let Ok(message) = ToWorker::from_wire(message)
    {
        let again = ToWorker::from_wire(message.clone().into_wire()).expect("our own words");
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
    }
    if let Ok(report) = Report::from_bytes(bytes) {
        let again = Report::from_bytes(&report.to_bytes()).expect("our own bytes");
        assert_eq!(format!("{again:?}"), format!("{report:?}"));
    }
});
