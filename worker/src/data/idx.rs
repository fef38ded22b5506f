//! The idx format: arrays of bytes, as the MNIST files are.
//!
//! A file is two zero bytes, the type of its entries (8: unsigned byte), the number of dimensions, each dimension as a
//! big-endian 32-bit number, then the entries with the last dimension running fastest.

use std::ops::Deref;
use std::path::Path;

use super::error::DataError;
use super::file::DataFile;
use super::mapped::Bytes;

const UNSIGNED_BYTE: u8 = 8;

/// The entries of one idx file; dereferences to them.
#[derive(Debug)]
pub(super) struct Idx {
    /// Where it was read from.
    pub(super) file: DataFile,
    header: usize,
}

impl Idx {
    /// Reads a file that holds `expected` entries, outermost dimension first.
    ///
    /// # Errors
    /// A file that has another header, or is not as long as its header says.
    pub(super) fn read(file: DataFile, expected: &[u32]) -> Result<Self, DataError> {
        let header = 4 + 4 * expected.len();
        check(&file.bytes, &file.path, expected, header)?;
        Ok(Self { file, header })
    }

    /// The entries as bytes with what lies before them, and how many bytes that is.
    pub(super) fn into_parts(self) -> (Bytes, usize) {
        (self.file.bytes, self.header)
    }
}

impl Deref for Idx {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.file.bytes[self.header..]
    }
}

fn check(bytes: &[u8], path: &Path, expected: &[u32], header: usize) -> Result<(), DataError> {
    let path = || path.to_owned();
    let not_idx = || DataError::NotIdx { path: path(), found: bytes.iter().copied().take(4).collect() };
    let Some((&[0, 0, UNSIGNED_BYTE, dimensions], _)) = bytes.split_first_chunk::<4>() else {
        return Err(not_idx());
    };
    let found: Vec<u32> = bytes[4..]
        .as_chunks::<4>()
        .0
        .iter()
        .take(dimensions.into())
        .map(|&number| u32::from_be_bytes(number))
        .collect();
    if found.len() < dimensions.into() {
        return Err(not_idx());
    }
    if found != expected {
        return Err(DataError::Counts { path: path(), expected: expected.to_vec(), found });
    }
    let length = header as u64 + expected.iter().copied().map(u64::from).product::<u64>();
    if length == bytes.len() as u64 {
        return Ok(());
    }
    Err(DataError::Length { path: path(), expected: length, found: bytes.len() as u64 })
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
    fn the_entries_are_what_follows_the_header() {
        assert_eq!(open("a", GOOD).expect("good"), [10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn a_file_that_is_cut_short_or_too_long_is_refused() {
        let cut = open("a", &GOOD[..17]);
        assert!(matches!(cut, Err(DataError::Length { expected: 18, found: 17, .. })), "{cut:?}");
        let long = open("a", &[GOOD, &[0]].concat());
        assert!(matches!(long, Err(DataError::Length { expected: 18, found: 19, .. })), "{long:?}");
    }

    #[test]
    fn a_file_that_begins_otherwise_is_refused() {
        for bytes in [&b""[..], &b"\0\0"[..], &b"<!doctype html>"[..], &[0, 0, 13, 2, 0, 0, 0, 2][..], &GOOD[..9]] {
            let found = open("a", bytes);
            assert!(matches!(found, Err(DataError::NotIdx { .. })), "{bytes:?} gave {found:?}");
        }
    }

    #[test]
    fn a_file_of_other_counts_is_refused() {
        let mut bytes = GOOD.to_vec();
        bytes[7] = 3;
        let error = open("a", &bytes).expect_err("three rows for two");
        assert!(error.to_string().contains("holds [3, 3] entries in place of [2, 3]"), "{error}");
    }
}
