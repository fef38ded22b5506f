//! The idx format of the MNIST files: arrays of bytes.
//!
//! A file is two zero bytes, the type of the entries (8: unsigned byte), the number of dimensions, each dimension as a
//! big-endian 32-bit number, then the entries. The last dimension varies fastest.

use std::ops::Deref;

use crate::error::DataError;
use crate::file::DataFile;

const UNSIGNED_BYTE: u8 = 8;

/// The entries of one idx file; dereferences to them.
#[derive(Debug)]
pub(crate) struct Idx {
    /// The file of the entries.
    pub(crate) file: DataFile,
    header: usize,
}

impl Idx {
    /// Reads a file with `expected` entries, outermost dimension first.
    ///
    /// # Errors
    /// A file with another header, or whose length differs from its header.
    pub(crate) fn read(file: DataFile, expected: &[u32]) -> Result<Self, DataError> {
        let (found, header) = header(&file)?;
        if found != expected {
            return Err(DataError::Counts { path: file.path, expected: expected.to_vec(), found });
        }
        Ok(Self { file, header })
    }

    /// The bytes of the whole file, and the offset of the first entry in it.
    pub(crate) fn into_parts(self) -> (Vec<u8>, usize) {
        (self.file.bytes, self.header)
    }
}

impl Deref for Idx {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.file.bytes[self.header..]
    }
}

/// The dimensions of a file, outermost first, and the offset of its entries in bytes.
///
/// # Errors
/// A file without the header of an idx file of bytes, or whose length differs from its header.
pub(crate) fn header(file: &DataFile) -> Result<(Vec<u32>, usize), DataError> {
    let (bytes, path) = (&file.bytes, || file.path.clone());
    let not_idx = || DataError::NotIdx { path: path(), found: bytes.iter().copied().take(4).collect() };
    let Some((&[0, 0, UNSIGNED_BYTE, dimensions], rest)) = bytes.split_first_chunk::<4>() else {
        return Err(not_idx());
    };
    let numbers = rest.as_chunks::<4>().0.iter().take(dimensions.into());
    let counts: Vec<u32> = numbers.map(|&number| u32::from_be_bytes(number)).collect();
    if counts.len() < dimensions.into() || counts.is_empty() {
        return Err(not_idx());
    }
    let header = 4 + 4 * counts.len();
    let entries = counts.iter().try_fold(1_u64, |product, &count| product.checked_mul(count.into()));
    let expected = entries.and_then(|entries| entries.checked_add(header as u64)).unwrap_or(u64::MAX);
    let found = bytes.len() as u64;
    if found == expected { Ok((counts, header)) } else { Err(DataError::Length { path: path(), expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = &[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 13, 14, 15];

    fn open(name: &str, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        Idx::read(DataFile::open(path)?, &[2, 3]).map(|idx| idx.to_vec())
    }

    #[test]
    fn the_entries_are_the_bytes_after_the_header() {
        assert_eq!(open("a", GOOD).expect("good"), [10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn a_file_that_is_too_short_or_too_long_is_refused() {
        let cut = open("a", &GOOD[..17]);
        assert!(matches!(cut, Err(DataError::Length { expected: 18, found: 17, .. })), "{cut:?}");
        let long = open("a", &[GOOD, &[0]].concat());
        assert!(matches!(long, Err(DataError::Length { expected: 18, found: 19, .. })), "{long:?}");
    }

    #[test]
    fn a_file_without_an_idx_header_is_refused() {
        for bytes in [&b""[..], &b"\0\0"[..], &b"<!doctype html>"[..], &[0, 0, 13, 2, 0, 0, 0, 2][..], &GOOD[..9]] {
            let found = open("a", bytes);
            assert!(matches!(found, Err(DataError::NotIdx { .. })), "{bytes:?} gave {found:?}");
        }
    }

    #[test]
    fn a_file_with_other_counts_is_refused() {
        let mut bytes = GOOD.to_vec();
        (bytes[7], bytes[11]) = (3, 2);
        let error = open("a", &bytes).expect_err("three rows for two");
        assert!(error.to_string().contains("holds [3, 2] entries in place of [2, 3]"), "{error}");
    }
}
