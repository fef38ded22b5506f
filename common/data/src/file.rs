//! A file of a dataset, gzipped or plain, and whether it is the genuine one.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::DataError;
use crate::downloadable::Genuine;
use crate::gzip;

/// An open file.
#[derive(Debug)]
pub(super) struct DataFile {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its uncompressed bytes.
    pub(super) bytes: Vec<u8>,
    /// The file itself where it is compressed.
    gzipped: Option<Vec<u8>>,
}

impl DataFile {
    /// Reads a file. Whether it is compressed is told by its first bytes, not by its name. The bytes are copied into
    /// memory, so that what was verified stays what is trained on, whatever becomes of the file.
    ///
    /// # Errors
    /// A file that cannot be read, or whose compression is broken.
    pub(super) fn open(path: PathBuf) -> Result<Self, DataError> {
        match read(&path) {
            Ok((bytes, gzipped)) => Ok(Self { path, bytes, gzipped }),
            Err(source) => Err(DataError::Unreadable { path, source }),
        }
    }

    /// Compares it with the genuine one.
    ///
    /// # Errors
    /// [`DataError::Digest`] if it is another.
    pub(super) fn verify(&self, genuine: Genuine) -> Result<(), DataError> {
        let checked = genuine.check(&self.bytes, self.gzipped.as_deref());
        checked.map_err(|mismatch| DataError::Digest { path: self.path.clone(), mismatch: Box::new(mismatch) })
    }
}

/// The uncompressed bytes, and the compressed ones where there are such.
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
    fn a_compressed_file_holds_what_the_plain_one_holds_whatever_its_name() {
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
    fn a_file_that_is_overwritten_or_cut_short_after_it_was_read_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        let content = vec![7; 1 << 20];
        std::fs::write(&path, &content).expect("written");
        let read = DataFile::open(path.clone()).expect("readable");
        let mut file = std::fs::File::options().write(true).open(&path).expect("writable");
        file.write_all(&[8; 1 << 20]).expect("overwritten in place");
        assert_eq!(read.bytes, content);
        file.set_len(0).expect("cut short");
        assert_eq!(read.bytes, content, "and no signal ends the process");
    }

    #[test]
    fn a_file_that_is_not_genuine_is_told_with_both_digests_and_the_next_step() {
        let genuine = Genuine::Md5("900150983cd24fb0d6963f7d28e17f72");
        open("a.gz", &gzipped(b"abc")).expect("readable").verify(genuine).expect("genuine");
        let message = open("a", b"abd").expect("readable").verify(genuine).expect_err("another").to_string();
        for part in ["/a`", "900150983cd24fb0d6963f7d28e17f72", "4911e516e5aa21d327512e0c8b197616", "fetch it again"] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}
