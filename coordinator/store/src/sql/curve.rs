//! The encoding of a learning curve as bytes.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the version of the encoding: 1 |
//! | varint | n, the number of points |
//! | ⌈n / 8⌉ | bit i % 8 of byte i / 8: whether point i has a test accuracy; spare bits are 0 |
//! | then for each point: varint | updates since the previous point (since 0 for the first), zigzag |
//! | 8, 8 and, if it has one, 8 | training loss, validation accuracy, test accuracy: IEEE 754 binary64, little-endian |
//!
//! Varints and zigzag numbers are those of `bytes`. Differences wrap around, so every sequence of updates can
//! be encoded.

use biosweep_common::results::curve::CurvePoint;

use super::bytes::{Reader, TOO_SHORT, put_varint, unzigzag, zigzag};

const VERSION: u8 = 1;

/// Encodes a curve.
pub fn encode(points: &[CurvePoint]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12 + points.len() * 20);
    bytes.push(VERSION);
    put_varint(&mut bytes, points.len() as u64);
    for eight in points.chunks(8) {
        let bits = eight.iter().enumerate().map(|(bit, point)| u8::from(point.test_accuracy.is_some()) << bit);
        bytes.push(bits.sum());
    }
    let mut update = 0;
    for point in points {
        put_varint(&mut bytes, zigzag(point.update.wrapping_sub(update).cast_signed()));
        update = point.update;
        bytes.extend(point.train_loss.to_le_bytes());
        bytes.extend(point.validation_accuracy.to_le_bytes());
        bytes.extend(point.test_accuracy.into_iter().flat_map(f64::to_le_bytes));
    }
    bytes
}

/// Decodes a curve.
///
/// # Errors
/// A description of the fault.
pub fn decode(bytes: &[u8]) -> Result<Vec<CurvePoint>, &'static str> {
    let mut rest = Reader(bytes);
    if rest.byte()? != VERSION {
        return Err("it has an unknown version");
    }
    let count = usize::try_from(rest.varint()?).map_err(|_| TOO_SHORT)?;
    let has_test = rest.take(count.div_ceil(8))?;
    let mut points = Vec::with_capacity(count.min(bytes.len()));
    let mut update = 0_u64;
    for i in 0..count {
        update = update.wrapping_add(unzigzag(rest.varint()?).cast_unsigned());
        points.push(CurvePoint {
            update,
            train_loss: rest.real()?,
            validation_accuracy: rest.real()?,
            test_accuracy: if has_test[i / 8] >> (i % 8) & 1 == 1 { Some(rest.real()?) } else { None },
        });
    }
    rest.end()?;
    Ok(points)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point() -> impl Strategy<Value = CurvePoint> {
        (any::<u64>(), any::<f64>(), any::<f64>(), any::<Option<f64>>()).prop_map(
            |(update, train_loss, validation_accuracy, test_accuracy)| CurvePoint {
                update,
                train_loss,
                validation_accuracy,
                test_accuracy,
            },
        )
    }

    fn bits(points: &[CurvePoint]) -> Vec<(u64, u64, u64, Option<u64>)> {
        let bits = |point: &CurvePoint| {
            let test = point.test_accuracy.map(f64::to_bits);
            (point.update, point.train_loss.to_bits(), point.validation_accuracy.to_bits(), test)
        };
        points.iter().map(bits).collect()
    }

    proptest! {
        #[test]
        fn a_decoded_curve_is_equal_to_the_last_bit(points in prop::collection::vec(point(), 0..40)) {
            let read = decode(&encode(&points)).expect("own bytes");
            prop_assert_eq!(bits(&read), bits(&points));
        }

        #[test]
        fn damaged_bytes_give_an_error_or_a_curve_but_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[VERSION], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn the_encoding_of_version_1_does_not_change() {
        let points = [
            CurvePoint { update: 390, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.25) },
            CurvePoint { update: 780, train_loss: 2.0, validation_accuracy: 0.5, test_accuracy: None },
        ];
        let mut expected = vec![1, 2, 0b01, 0x8c, 0x06];
        expected.extend([1.0, 0.5, 0.25].into_iter().flat_map(f64::to_le_bytes));
        expected.extend([0x8c, 0x06]);
        expected.extend([2.0, 0.5].into_iter().flat_map(f64::to_le_bytes));
        assert_eq!(encode(&points), expected);
        assert_eq!(decode(&expected), Ok(points.to_vec()));
    }

    #[test]
    fn an_error_names_a_truncated_or_unknown_encoding() {
        let whole = encode(&[CurvePoint { update: 1, train_loss: 0.0, validation_accuracy: 0.0, test_accuracy: None }]);
        assert_eq!(decode(&[]), Err(TOO_SHORT));
        assert_eq!(decode(&whole[..whole.len() - 1]), Err(TOO_SHORT));
        assert_eq!(decode(&[whole.as_slice(), &[0]].concat()), Err("it has too many bytes"));
        assert_eq!(decode(&[2]), Err("it has an unknown version"));
        // A count too large for memory must not lead to an allocation.
        assert_eq!(decode(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err(TOO_SHORT));
    }
}
