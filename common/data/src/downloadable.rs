//! The downloadable datasets: names, digests and mirrors of their files.

use std::fmt;

use biosweep_common::vocabulary::{CustomFormat, Dataset};
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// The files of one dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloadable {
    /// The files, in the order that the loader takes them.
    pub files: &'static [DownloadableFile],
    /// The form in which mirrors offer them.
    pub offer: Offer,
    /// Addresses of mirrors: of the directory, or of the archive.
    pub mirrors: &'static [&'static str],
}

/// The form in which mirrors offer the files of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Separate files in one directory, under their first names with `.gz` appended.
    Gzipped,
    /// One gzipped tar archive that has all files, under their first names.
    Archive,
}

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadableFile {
    /// The names of the file; the first is the publisher's.
    pub names: &'static [&'static str],
    /// The digest of the file.
    pub genuine: Genuine,
}

/// The known digest of a file, in hexadecimal. With a digest of the uncompressed bytes, a file with other compression
/// is accepted too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Genuine {
    /// The SHA-256 of the uncompressed bytes.
    Sha256(&'static str),
    /// The MD5 of the uncompressed bytes, where no other digest of them is public. It finds accidental damage but is
    /// weak against an attacker.
    Md5(&'static str),
    /// The SHA-256 of the publisher's gzip file, where no digest of the uncompressed bytes is certain.
    GzipSha256(&'static str),
}

/// A file does not have the known digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The hash function and what it was applied to.
    pub of: &'static str,
    /// The known digest.
    pub expected: &'static str,
    /// The digest found; `None` where the bytes for it are missing.
    pub found: Option<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, expected, found } = self;
        match found {
            Some(found) => write!(f, "{of} is {found}, expected {expected}"),
            None => write!(f, "only the publisher's gzip file can be verified; its {of} is {expected}"),
        }
    }
}

impl Genuine {
    /// Compares a file with the known digest. `plain` are its uncompressed bytes; `gzipped` is the file itself if it is
    /// compressed.
    ///
    /// # Errors
    /// A digest that differs, or that could not be computed.
    pub fn check(self, plain: &[u8], gzipped: Option<&[u8]>) -> Result<(), Mismatch> {
        let (of, expected, found) = match self {
            Self::Sha256(expected) => ("the SHA-256 of its uncompressed bytes", expected, Some(sha256(plain))),
            Self::Md5(expected) => {
                ("the MD5 of its uncompressed bytes", expected, Some(hexadecimal(&Md5::digest(plain))))
            }
            Self::GzipSha256(expected) => ("SHA-256", expected, gzipped.map(sha256)),
        };
        if found.as_deref() == Some(expected) { Ok(()) } else { Err(Mismatch { of, expected, found }) }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Downloadable {
    /// The files of a dataset; `None` where it needs none.
    #[must_use]
    pub const fn of(dataset: Dataset) -> Option<&'static Self> {
        match dataset {
            Dataset::Mnist => Some(&MNIST),
            Dataset::FashionMnist => Some(&FASHION_MNIST),
            Dataset::Kmnist => Some(&KMNIST),
            Dataset::Cifar10 => Some(&CIFAR_10),
            Dataset::SyntheticDigits => None,
        }
    }
}

/// The four idx files of MNIST and similar datasets: training images and labels, test images and labels.
const fn idx_files(genuine: [Genuine; 4]) -> [DownloadableFile; 4] {
    let [train_images, train_labels, test_images, test_labels] = genuine;
    let names = CustomFormat::Idx.files();
    [
        DownloadableFile { names: names[0], genuine: train_images },
        DownloadableFile { names: names[1], genuine: train_labels },
        DownloadableFile { names: names[2], genuine: test_images },
        DownloadableFile { names: names[3], genuine: test_labels },
    ]
}

const MNIST: Downloadable = Downloadable {
    files: &idx_files([
        Genuine::Sha256("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        Genuine::Sha256("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        Genuine::Sha256("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        Genuine::Sha256("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ]),
    offer: Offer::Gzipped,
    mirrors: &["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
};

const FASHION_MNIST: Downloadable = Downloadable {
    files: &idx_files([
        Genuine::Md5("f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        Genuine::Md5("9018921c3c673c538a1fc5bad174d6f9"),
        Genuine::Md5("8181f5470baa50b63fa0f6fddb340f0a"),
        Genuine::Md5("15d484375f8d13e6eb1aabb0c3f46965"),
    ]),
    offer: Offer::Gzipped,
    mirrors: &[
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ],
};

const KMNIST: Downloadable = Downloadable {
    files: &idx_files([
        Genuine::GzipSha256("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        Genuine::GzipSha256("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        Genuine::GzipSha256("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        Genuine::GzipSha256("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ]),
    offer: Offer::Gzipped,
    mirrors: &["https://codh.rois.ac.jp/kmnist/dataset/kmnist", "http://codh.rois.ac.jp/kmnist/dataset/kmnist"],
};

const CIFAR_10: Downloadable = Downloadable {
    files: &[
        batch(&["data_batch_1.bin", "cifar-10-batches-bin/data_batch_1.bin"], "5dd7e06a14cb22eb9f671a540d1b7c25"),
        batch(&["data_batch_2.bin", "cifar-10-batches-bin/data_batch_2.bin"], "5ea93a67294ea407fff1d09f752e9692"),
        batch(&["data_batch_3.bin", "cifar-10-batches-bin/data_batch_3.bin"], "942cd6a4bcdd0dd3c604fbe906cb4421"),
        batch(&["data_batch_4.bin", "cifar-10-batches-bin/data_batch_4.bin"], "ae636b3ba5c66a11e91e8cb52e771fcb"),
        batch(&["data_batch_5.bin", "cifar-10-batches-bin/data_batch_5.bin"], "53f37980c15c3d472c316c40844f3f0d"),
        batch(&["test_batch.bin", "cifar-10-batches-bin/test_batch.bin"], "803d5f7f4d78ea53de84dbe85f74fb6d"),
    ],
    offer: Offer::Archive,
    mirrors: &[
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
    ],
};

const fn batch(names: &'static [&'static str], md5: &'static str) -> DownloadableFile {
    DownloadableFile { names, genuine: Genuine::Md5(md5) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_changed_file_is_refused() {
        for genuine in [
            Genuine::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            Genuine::Md5("900150983cd24fb0d6963f7d28e17f72"),
        ] {
            assert_eq!(genuine.check(b"abc", None), Ok(()));
            let mismatch = genuine.check(b"abd", None).expect_err("another file");
            assert!(mismatch.to_string().contains(mismatch.expected) && mismatch.found.is_some(), "{mismatch}");
        }
    }

    #[test]
    fn a_file_with_a_known_gzip_digest_is_accepted_only_gzipped() {
        let genuine = Genuine::GzipSha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(genuine.check(b"whatever it holds", Some(b"abc")), Ok(()));
        let mismatch = genuine.check(b"abc", None).expect_err("not compressed");
        assert!(mismatch.to_string().contains("the publisher's gzip file"), "{mismatch}");
    }

    #[test]
    fn every_digest_is_valid_and_unique() {
        let files = Dataset::ALL.iter().filter_map(|&dataset| Downloadable::of(dataset)).flat_map(|set| set.files);
        let mut digests = BTreeSet::new();
        for file in files {
            let (digest, length) = match file.genuine {
                Genuine::Sha256(digest) | Genuine::GzipSha256(digest) => (digest, 64),
                Genuine::Md5(digest) => (digest, 32),
            };
            assert!(digest.len() == length && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
            assert!(digests.insert(digest), "{digest} is there twice");
        }
        assert_eq!(digests.len(), 18);
    }
}
