//! The idx format: arrays of bytes, as the MNIST files are.
//!
//! A file is two zero bytes, the type of its entries (8: unsigned byte), the number of dimensions, each dimension as a
//! big-endian 32-bit number, then the entries with the last dimension running fastest.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::error::DataError;
use super::mapped::Bytes;

const UNSIGNED_BYTE: u8 = 8;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The entries of one idx file; dereferences to them.
#[derive(Debug)]
pub(super) struct Idx {
    path: PathBuf,
    bytes: Bytes,
    header: usize,
}

impl Idx {
    /// Opens a file that holds `expected` entries, outermost dimension first.
    ///
    /// Whether it is compressed is told by its first bytes, not by its name. A plain file is mapped, not read.
    ///
    /// # Errors
    /// A file that cannot be read, has another header, or is not as long as its header says.
    pub(super) fn open(path: PathBuf, expected: &[u32]) -> Result<Self, DataError> {
        let bytes = match bytes_of(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(DataError::Unreadable { path, source }),
        };
        let header = 4 + 4 * expected.len();
        check(&bytes, &path, expected, header)?;
        Ok(Self { path, bytes, header })
    }

    /// Compares the SHA-256 of the whole uncompressed file with the genuine one's, in hexadecimal.
    ///
    /// # Errors
    /// [`DataError::Digest`] if they differ.
    pub(super) fn verify(&self, expected: &str) -> Result<(), DataError> {
        let found: String = Sha256::digest(&self.bytes[..]).iter().map(|byte| format!("{byte:02x}")).collect();
        if found == expected {
            return Ok(());
        }
        Err(DataError::Digest { path: self.path.clone(), expected: expected.to_owned(), found })
    }

    /// The entries as bytes with what lies before them, and how many bytes that is.
    pub(super) fn into_parts(self) -> (Bytes, usize) {
        (self.bytes, self.header)
    }
}

impl Deref for Idx {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.header..]
    }
}

fn bytes_of(path: &Path) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start)?;
    file.rewind()?;
    if start == GZIP_MAGIC {
        let mut bytes = Vec::new();
        MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, file)).read_to_end(&mut bytes)?;
        return Ok(Bytes::Owned(bytes));
    }
    Bytes::map(&file)
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
    use std::io::Write;

    use super::*;

    const GOOD: &[u8] = &[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 13, 14, 15];

    fn open(name: &str, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        Idx::open(path, &[2, 3]).map(|idx| idx.to_vec())
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    #[test]
    fn a_compressed_file_holds_what_the_plain_one_holds_whatever_its_name() {
        let entries = vec![10, 11, 12, 13, 14, 15];
        assert_eq!(open("a", GOOD).expect("plain"), entries);
        assert_eq!(open("a.gz", &compressed(GOOD)).expect("compressed"), entries);
        assert_eq!(open("a", &compressed(GOOD)).expect("compressed"), entries);
        assert_eq!(open("a.gz", GOOD).expect("plain"), entries);
    }

    #[test]
    fn a_file_that_is_cut_short_or_too_long_is_refused() {
        let cut = open("a", &GOOD[..17]);
        assert!(matches!(cut, Err(DataError::Length { expected: 18, found: 17, .. })), "{cut:?}");
        let long = open("a", &[GOOD, &[0]].concat());
        assert!(matches!(long, Err(DataError::Length { expected: 18, found: 19, .. })), "{long:?}");
        let cut_while_compressed = open("a.gz", &compressed(GOOD)[..20]);
        assert!(matches!(cut_while_compressed, Err(DataError::Unreadable { .. })), "{cut_while_compressed:?}");
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

    #[test]
    fn a_wrong_digest_is_told_with_the_file_and_both_digests() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        std::fs::write(&path, GOOD).expect("written");
        let message = Idx::open(path, &[2, 3]).expect("well formed").verify("00ff").expect_err("another").to_string();
        assert!(message.contains("/a`") && message.contains("00ff"), "{message}");
        let found = format!("{:x?}", Sha256::digest(GOOD).first_chunk::<4>().expect("32 bytes"));
        let digits: String = found.chars().filter(char::is_ascii_hexdigit).collect();
        assert!(message.contains(&digits), "{digits} is not in: {message}");
    }
}
