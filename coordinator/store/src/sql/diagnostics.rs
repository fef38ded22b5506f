//! The encoding of layer diagnostics as bytes.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the version of the encoding: 1 |
//! | varint | m, the number of measures |
//! | then for each measure: 1 and that many | the length of its name, its name |
//! | varint | n, the number of points |
//! | then for each point: varint | updates since the previous point (since 0 for the first), zigzag, wrapping around |
//! | varint, varint, 8 | the layer, the index of the measure in the list, the value |

use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};

use super::bytes::{Reader, TOO_SHORT, put_varint, unzigzag, zigzag};

const VERSION: u8 = 1;

/// Encodes diagnostic points.
pub fn encode(points: &[DiagnosticPoint]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160 + points.len() * 12);
    bytes.push(VERSION);
    put_varint(&mut bytes, Measure::ALL.len() as u64);
    for name in Measure::NAMES {
        bytes.push(name.len() as u8);
        bytes.extend(name.as_bytes());
    }
    put_varint(&mut bytes, points.len() as u64);
    let mut update = 0;
    for point in points {
        put_varint(&mut bytes, zigzag(point.update.wrapping_sub(update).cast_signed()));
        update = point.update;
        put_varint(&mut bytes, point.layer.into());
        put_varint(&mut bytes, point.measure as u64);
        bytes.extend(point.value.to_le_bytes());
    }
    bytes
}

/// Decodes diagnostic points.
///
/// # Errors
/// A description of the fault.
pub fn decode(bytes: &[u8]) -> Result<Vec<DiagnosticPoint>, &'static str> {
    let mut rest = Reader(bytes);
    if rest.byte()? != VERSION {
        return Err("it has an unknown version");
    }
    let mut measures = Vec::new();
    for _ in 0..rest.varint()? {
        let length = rest.byte()?;
        let name = std::str::from_utf8(rest.take(length.into())?).ok();
        let measure = name.and_then(|name| name.parse::<Measure>().ok());
        measures.push(measure.ok_or("it has an unknown measure")?);
    }
    let count = usize::try_from(rest.varint()?).map_err(|_| TOO_SHORT)?;
    let mut points = Vec::with_capacity(count.min(bytes.len()));
    let mut update = 0_u64;
    for _ in 0..count {
        update = update.wrapping_add(unzigzag(rest.varint()?).cast_unsigned());
        let layer = u32::try_from(rest.varint()?).map_err(|_| "it has a layer of more than 32 bits")?;
        let place = usize::try_from(rest.varint()?).ok();
        let measure = place.and_then(|place| measures.get(place).copied()).ok_or("it has an unlisted measure")?;
        points.push(DiagnosticPoint { update, layer, measure, value: rest.real()? });
    }
    rest.end()?;
    Ok(points)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point() -> impl Strategy<Value = DiagnosticPoint> {
        let measure = prop::sample::select(Measure::ALL);
        (any::<u64>(), any::<u32>(), measure, prop::num::f64::NORMAL)
            .prop_map(|(update, layer, measure, value)| DiagnosticPoint { update, layer, measure, value })
    }

    proptest! {
        #[test]
        fn decoded_points_are_equal(points in prop::collection::vec(point(), 0..40)) {
            prop_assert_eq!(decode(&encode(&points)), Ok(points));
        }

        #[test]
        fn damaged_bytes_give_an_error_or_points_but_no_panic(
            points in prop::collection::vec(point(), 0..9),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut damaged = encode(&points);
            let place = place.index(damaged.len());
            damaged[place] = byte;
            let _ = decode(&damaged);
            prop_assert!(decode(&damaged[..place]).is_err());
            let _ = decode(&[&[VERSION], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn the_encoding_of_version_1_does_not_change() {
        let mut bytes = vec![1, 1, 11];
        bytes.extend(b"weight_norm");
        bytes.extend([2, 0x8c, 0x06, 3, 0]);
        bytes.extend(1.5_f64.to_le_bytes());
        bytes.extend([0, 4, 0]);
        bytes.extend(2.5_f64.to_le_bytes());
        let point = |layer, value| DiagnosticPoint { update: 390, layer, measure: Measure::WeightNorm, value };
        assert_eq!(decode(&bytes), Ok(vec![point(3, 1.5), point(4, 2.5)]));
    }
}
