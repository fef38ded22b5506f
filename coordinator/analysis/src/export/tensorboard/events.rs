//! The bytes of one event file: framed events with scalars and hyper-parameters.

use prost::Message as _;

use super::messages::{
    Content, Event, HParamsData, HParamsPluginData, PluginData, Summary, SummaryMetadata, SummaryValue, Tensor,
    TensorDimension, TensorShape, What,
};

/// The version in the first event of every file.
const VERSION: &str = "brain.Event:2";
/// The type float32 of tensors.
const FLOAT: i32 = 1;
/// The constant that TensorFlow adds to a rotated checksum, so that a checksum of checksums is no fixed point.
const MASK: u32 = 0xa282_ead8;

/// An event file in memory.
pub(super) struct Events {
    bytes: Vec<u8>,
}

impl Events {
    /// A file with its first event, `start` seconds after 1970.
    pub(super) fn new(start: f64) -> Self {
        let mut events = Self { bytes: Vec::new() };
        events.add(&Event { wall_time: start, step: 0, what: Some(What::FileVersion(VERSION.to_owned())) });
        events
    }

    /// Adds values at an update, `wall_time` seconds after 1970.
    pub(super) fn scalars(&mut self, update: u64, wall_time: f64, values: &[(&str, Option<f64>)]) {
        let value = |&(tag, number): &(&str, Option<f64>)| {
            // TensorBoard's scalars are float32.
            let content = Some(Content::SimpleValue(number? as f32));
            Some(SummaryValue { tag: tag.to_owned(), metadata: None, content })
        };
        let value: Vec<SummaryValue> = values.iter().filter_map(value).collect();
        if !value.is_empty() {
            let step = i64::try_from(update).unwrap_or(i64::MAX);
            self.add(&Event { wall_time, step, what: Some(What::Summary(Summary { value })) });
        }
    }

    /// Adds a message for the plugin `hparams` under its tag.
    pub(super) fn hparams(&mut self, tag: &str, wall_time: f64, data: HParamsData) {
        let content = HParamsPluginData { version: 0, data: Some(data) }.encode_to_vec();
        let plugin_data = Some(PluginData { plugin_name: "hparams".to_owned(), content });
        // The plugin reads only the metadata, but readers expect a value.
        let shape = Some(TensorShape { dim: vec![TensorDimension { size: 1 }] });
        let value = SummaryValue {
            tag: format!("_hparams_/{tag}"),
            metadata: Some(SummaryMetadata { plugin_data }),
            content: Some(Content::Tensor(Tensor { dtype: FLOAT, shape, float_val: vec![0.0] })),
        };
        self.add(&Event { wall_time, step: 0, what: Some(What::Summary(Summary { value: vec![value] })) });
    }

    /// The bytes of the file.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds a record of TensorFlow: the length, its checksum, the event, its checksum.
    fn add(&mut self, event: &Event) {
        let event = event.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        self.bytes.extend(length);
        self.bytes.extend(masked(&length).to_le_bytes());
        self.bytes.extend(&event);
        self.bytes.extend(masked(&event).to_le_bytes());
    }
}

/// The masked CRC-32C of TensorFlow's records.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_has_the_bytes_that_tensorflow_writes() {
        let bytes = Events::new(0.0).into_bytes();
        // The length 15 or 24 depends on the time, which is left out if it is zero.
        assert_eq!(bytes[..8], 15_u64.to_le_bytes());
        assert_eq!(&bytes[12..27], b"\x1a\x0dbrain.Event:2");
        assert_eq!(bytes.len(), 8 + 4 + 15 + 4);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        // The masked checksum of the length 24, with which nearly every event file begins.
        assert_eq!(masked(&24_u64.to_le_bytes()).to_le_bytes(), [0xa3, 0x7f, 0x4b, 0x22]);
    }
}
