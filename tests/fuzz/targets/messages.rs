//! Fuzz target: arbitrary bytes as a message of a worker or a coordinator, and as a report on disk.
#![no_main]

use biosweep_common::protocol::messages::{Report, ToCoordinator, ToWorker};
use biosweep_common::protocol::wire::{FromWire as _, IntoWire as _};
use biosweep_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    // A message that was read and written again is read as the same.
    if let Ok(message) = v1::WorkerMessage::decode(bytes)
        && let Ok(message) = ToCoordinator::from_wire(message)
    {
        let wire = message.into_wire();
        let again = ToCoordinator::from_wire(wire.clone()).expect("our own message");
        assert_eq!(again.into_wire().encode_to_vec(), wire.encode_to_vec());
    }
    if let Ok(message) = v1::CoordinatorMessage::decode(bytes)
        && let Ok(message) = ToWorker::from_wire(message)
    {
        let wire = message.into_wire();
        let again = ToWorker::from_wire(wire.clone()).expect("our own message");
        assert_eq!(again.into_wire().encode_to_vec(), wire.encode_to_vec());
    }
    if let Ok(report) = Report::from_bytes(bytes) {
        let wire = report.to_bytes();
        assert_eq!(Report::from_bytes(&wire).expect("our own bytes").to_bytes(), wire);
    }
});
