//! The four files of a custom dataset: their names, their places, and the digest of their content.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::CustomFormat;
use biosweep_common::vocabulary::dataset::{ContentDigest, CustomData};

use crate::formats::gzip;

/// Why the digest of custom data cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum CustomDataError {
    /// The directory does not exist.
    #[error("the data directory `{}` does not exist; check its path in `dataset`", .0.display())]
    NoDirectory(PathBuf),
    /// The path is not a directory.
    #[error("`{}` is a file; give the directory of the four files in `dataset`", .0.display())]
    NotADirectory(PathBuf),
    /// The directory lacks a file.
    #[error(
        "`{}` lacks the file `{file}` (plain or with .gz); {} data is the four files {}",
        directory.display(), format, format.files().map(|names| names[0]).join(", ")
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
        /// The file's name.
        file: &'static str,
        /// The format of the data.
        format: CustomFormat,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}; check that it is complete and readable", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The paths of the four files, in the order of [`CustomFormat::files`].
///
/// # Errors
/// A directory or a file that does not exist.
pub fn find(own: &CustomData) -> Result<[PathBuf; 4], CustomDataError> {
    let directory = Path::new(&own.directory);
    if directory.is_file() {
        return Err(CustomDataError::NotADirectory(directory.to_owned()));
    }
    if !directory.is_dir() {
        return Err(CustomDataError::NoDirectory(directory.to_owned()));
    }
    let mut found = own.format.files().map(|_| PathBuf::new());
    for (path, names) in found.iter_mut().zip(own.format.files()) {
        let candidates =
            names.iter().flat_map(|name| ["", ".gz"].map(|ending| directory.join(format!("{name}{ending}"))));
        *path = candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| CustomDataError::Missing {
            directory: directory.to_owned(),
            file: names[0],
            format: own.format,
        })?;
    }
    Ok(found)
}

/// Reads the four files and computes the digest of their content.
///
/// # Errors
/// A file that does not exist or cannot be read.
pub fn digest(own: &CustomData) -> Result<ContentDigest, CustomDataError> {
    let mut hashes = [blake3::Hash::from_bytes([0; 32]); 4];
    for (hash, path) in hashes.iter_mut().zip(find(own)?) {
        *hash = hash_of(&path).map_err(|source| CustomDataError::Unreadable { path, source })?;
    }
    Ok(combined(hashes))
}

/// The digest of custom data, from the hashes of its four uncompressed files.
#[must_use]
pub fn combined(hashes: [blake3::Hash; 4]) -> ContentDigest {
    let mut whole = blake3::Hasher::new();
    for hash in hashes {
        whole.update(hash.as_bytes());
    }
    ContentDigest(*whole.finalize().as_bytes())
}

fn hash_of(path: &Path) -> io::Result<blake3::Hash> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start)?;
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    if start == gzip::MAGIC {
        hasher.update_reader(gzip::Decoder::new(file))?;
    } else {
        hasher.update_reader(file)?;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    fn own(directory: &Path, format: CustomFormat) -> CustomData {
        CustomData { format, directory: directory.to_string_lossy().into_owned(), digest: None }
    }

    #[test]
    fn the_digest_depends_on_the_content_and_not_on_path_or_compression() {
        let (one, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        for (index, names) in CustomFormat::Idx.files().into_iter().enumerate() {
            let content = [index as u8; 100];
            std::fs::write(one.path().join(names[0]), content).expect("written");
            std::fs::write(other.path().join(format!("{}.gz", names[1])), gzipped(&content)).expect("written");
        }
        let digests = [&one, &other].map(|place| digest(&own(place.path(), CustomFormat::Idx)).expect("four files"));
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[0], combined([0, 1, 2, 3].map(|byte| blake3::hash(&[byte; 100]))));
        std::fs::write(one.path().join("t10k-labels-idx1-ubyte"), [4; 100]).expect("written");
        assert_ne!(digest(&own(one.path(), CustomFormat::Idx)).expect("four files"), digests[0]);
    }

    #[test]
    fn zeros_after_a_compressed_file_change_nothing() {
        let (plain, padded) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        for (index, names) in CustomFormat::Npy.files().into_iter().enumerate() {
            let packed = gzipped(&[index as u8; 100]);
            std::fs::write(plain.path().join(format!("{}.gz", names[0])), &packed).expect("written");
            let packed = [&packed[..], &[0; 512]].concat();
            std::fs::write(padded.path().join(format!("{}.gz", names[0])), packed).expect("written");
        }
        let digests = [&plain, &padded].map(|place| digest(&own(place.path(), CustomFormat::Npy)).expect("four files"));
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn an_error_names_the_missing_file_or_directory() {
        let place = tempfile::tempdir().expect("a directory");
        let nowhere = own(&place.path().join("nowhere"), CustomFormat::Idx);
        assert!(digest(&nowhere).expect_err("nothing").to_string().contains("nowhere` does not exist"));
        let message = digest(&own(place.path(), CustomFormat::Npy)).expect_err("an empty directory").to_string();
        assert!(message.contains("`train_images.npy`") && message.contains("test_labels.npy"), "{message}");
        let file = place.path().join("train_images.npy");
        std::fs::write(&file, b"").expect("written");
        assert!(
            digest(&own(&file, CustomFormat::Npy))
                .expect_err("a file")
                .to_string()
                .contains("is a file; give the directory")
        );
    }
}
