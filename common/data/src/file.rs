//! A file of a dataset, gzipped or plain, and the check of its digest.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::DataError;
use crate::downloadable::Genuine;
use crate::formats::gzip;

/// A file in memory.
#[derive(Debug)]
pub(super) struct DataFile {
    /// The path of the file.
    pub(super) path: PathBuf,
    /// The uncompressed bytes.
    pub(super) bytes: Vec<u8>,
    /// The compressed bytes; `None` for a plain file.
    gzipped: Option<Vec<u8>>,
}

impl DataFile {
    /// Reads a file. Its first bytes, not its name, say whether it is compressed. The bytes are copied into memory, so
    /// that training uses exactly what was verified even if the file changes later.
    ///
    /// # Errors
    /// A file that cannot be read, or with damaged compression.
    pub(super) fn open(path: PathBuf) -> Result<Self, DataError> {
        match read(&path) {
            Ok((bytes, gzipped)) => Ok(Self { path, bytes, gzipped }),
            Err(source) => Err(DataError::Unreadable { path, source }),
        }
    }

    /// Compares the file with its known digest.
    ///
    /// # Errors
    /// [`DataError::Digest`] if they differ.
    pub(super) fn verify(&self, genuine: Genuine) -> Result<(), DataError> {
        let checked = genuine.check(&self.bytes, self.gzipped.as_deref());
        checked.map_err(|mismatch| DataError::Digest { path: self.path.clone(), mismatch: Box::new(mismatch) })
    }
}

/// The uncompressed bytes, and the compressed ones if the file is compressed.
fn read(path: &Path) -> io::Result<(Vec<u8>, Option<Vec<u8>>)> {
    let file = fs::read(path)?;
    if !file.starts_with(&gzip::MAGIC) {
        return Ok((file, None));
    }
    let mut bytes = Vec::new();
    gzip::Decoder::new(&file[..]).read_to_end(&mut bytes)?;
    Ok((bytes, Some(file)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::*;

    pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    fn open(name: &str, bytes: &[u8]) -> Result<DataFile, DataError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        DataFile::open(path)
    }

    #[test]
    fn a_compressed_file_gives_the_plain_bytes_whatever_its_name() {
        for (name, bytes) in [
            ("a", b"abc".to_vec()),
            ("a.gz", gzipped(b"abc")),
            ("a", gzipped(b"abc")),
            ("a.gz", [gzipped(b"abc"), vec![0; 512]].concat()),
        ] {
            assert_eq!(&open(name, &bytes).expect("readable").bytes[..], b"abc");
        }
        let cut = open("a.gz", &gzipped(b"abc")[..20]);
        assert!(matches!(cut, Err(DataError::Unreadable { .. })), "{cut:?}");
    }

    #[test]
    fn overwriting_or_truncating_a_file_after_reading_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        let content = vec![7; 1 << 20];
        std::fs::write(&path, &content).expect("written");
        let read = DataFile::open(path.clone()).expect("readable");
        let mut file = std::fs::File::options().write(true).open(&path).expect("writable");
        file.write_all(&[8; 1 << 20]).expect("overwritten in place");
        assert_eq!(read.bytes, content);
        file.set_len(0).expect("cut short");
        assert_eq!(read.bytes, content, "a memory map would end the process by a signal");
    }

    #[test]
    fn an_error_about_a_digest_names_both_digests_and_the_next_step() {
        let genuine = Genuine::Md5("900150983cd24fb0d6963f7d28e17f72");
        open("a.gz", &gzipped(b"abc")).expect("readable").verify(genuine).expect("genuine");
        let message = open("a", b"abd").expect("readable").verify(genuine).expect_err("another").to_string();
        for part in ["/a`", "900150983cd24fb0d6963f7d28e17f72", "4911e516e5aa21d327512e0c8b197616", "download it again"]
        {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}
