//! References to datasets: downloadable or synthetic datasets by name, and custom data.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::vocabulary::{CustomFormat, Dataset, UnknownName};

/// A dataset, as in the setting `dataset`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatasetRef {
    /// A dataset that biosweep knows by name.
    Named(Dataset),
    /// Custom data.
    Custom(CustomData),
}

/// Custom data: your own files. Written `idx:DIRECTORY#DIGEST`, or `idx:DIRECTORY` before the digest is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomData {
    /// The file format.
    pub format: CustomFormat,
    /// The directory: in a spec file as written there, absolute after submission.
    pub directory: String,
    /// The digest of the content; `None` before submission.
    pub digest: Option<ContentDigest>,
}

/// The counts of a dataset that statistics need. They follow from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct DatasetSize {
    /// Number of classes.
    pub classes: u32,
    /// Number of images that weights are trained on, without those for validation.
    pub train_images: u32,
    /// Number of images for the validation accuracy.
    pub validation_images: u32,
    /// Number of images for the test accuracy.
    pub test_images: u32,
}

/// The BLAKE3 hash of the uncompressed content of custom data; written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest(pub [u8; 32]);

/// Number of characters of a digest.
const DIGITS: usize = 64;
/// Maximum bytes of a directory with its digest; paths have at most 4,096.
const PLACE_BYTES_MAX: usize = 4_096 + 1 + DIGITS;

impl DatasetRef {
    /// The name in settings: the output of [`fmt::Display`].
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Named(dataset) => dataset.name().into(),
            Self::Custom(_) => self.to_string().into(),
        }
    }

    /// The identity of the dataset's content; part of every trial's key.
    #[must_use]
    pub fn digest(&self) -> Cow<'static, str> {
        match self {
            Self::Named(dataset) => dataset.digest().into(),
            Self::Custom(CustomData { digest: Some(digest), .. }) => format!("blake3:{digest}").into(),
            Self::Custom(CustomData { digest: None, directory, .. }) => format!("unknown:{directory}").into(),
        }
    }

    /// Whether this is custom data without a digest.
    #[must_use]
    pub const fn is_unpinned(&self) -> bool {
        matches!(self, Self::Custom(CustomData { digest: None, .. }))
    }

    /// The name without the directory of custom data, which does not affect results.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Named(dataset) => dataset.name(),
            Self::Custom(own) => own.format.name(),
        }
    }

    /// A short name for people.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Named(dataset) => dataset.name().to_owned(),
            Self::Custom(own) => {
                let last = Path::new(&own.directory).file_name().map(|name| name.to_string_lossy().into_owned());
                last.unwrap_or_else(|| own.directory.clone())
            }
        }
    }
}

impl CustomData {
    /// Parses `DIRECTORY` or `DIRECTORY#DIGEST`.
    #[must_use]
    pub fn parse(format: CustomFormat, text: &str) -> Self {
        let pinned = text.rsplit_once('#').and_then(|(directory, digest)| Some((directory, digest.parse().ok()?)));
        let (directory, digest) = pinned.map_or((text, None), |(directory, digest)| (directory, Some(digest)));
        Self { format, directory: directory.to_owned(), digest }
    }

    /// The text that [`CustomData::parse`] reads.
    #[must_use]
    pub fn place(&self) -> String {
        match self.digest {
            Some(digest) => format!("{}#{digest}", self.directory),
            None => self.directory.clone(),
        }
    }
}

impl From<Dataset> for DatasetRef {
    fn from(dataset: Dataset) -> Self {
        Self::Named(dataset)
    }
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(dataset) => dataset.fmt(f),
            Self::Custom(own) => write!(f, "{}:{}", own.format, own.place()),
        }
    }
}

impl FromStr for DatasetRef {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let own = name.split_once(':').and_then(|(format, place)| Some((format.parse::<CustomFormat>().ok()?, place)));
        // Some stores cannot keep control characters, and terminals may interpret them.
        match own.filter(|(_, place)| place.len() <= PLACE_BYTES_MAX && !place.contains(char::is_control)) {
            Some((format, place)) => Ok(Self::Custom(CustomData::parse(format, place))),
            None => name.parse().map(Self::Named),
        }
    }
}

impl serde::Serialize for DatasetRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DatasetRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <Cow<'_, str> as serde::Deserialize>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({self})")
    }
}

/// A text is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is {DIGITS} hexadecimal digits")]
pub struct NoDigest;

impl FromStr for ContentDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| NoDigest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        let digest = Some(ContentDigest([7; 32]));
        for directory in ["/data/one", "own", "/a#b", "/a:b"] {
            for digest in [digest, None] {
                for &format in CustomFormat::ALL {
                    let own = DatasetRef::Custom(CustomData { format, directory: directory.to_owned(), digest });
                    assert_eq!(own.to_string().parse(), Ok(own));
                }
            }
        }
        for &dataset in Dataset::ALL {
            assert_eq!(dataset.name().parse(), Ok(DatasetRef::Named(dataset)));
        }
        for bad in ["mnits", "idx:/a\0b", "idx:/\u{1b}[2J", &format!("npy:/{}", "x".repeat(5_000))] {
            assert!(bad.parse::<DatasetRef>().is_err(), "{bad:?}");
        }
        assert_eq!("idx:/data/one".parse::<DatasetRef>().map(|own| own.label()), Ok("one".to_owned()));
    }
}
