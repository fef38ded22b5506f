//! MNIST: 70,000 handwritten digits of 28×28 pixels (LeCun, Bottou, Bengio and Haffner 1998).

use biosweep_common::vocabulary;

use super::dataset::{Dataset, ImageShape, Images};
use super::error::DataError;
use super::idx::Idx;
use super::places::Places;

const SIDE: u32 = 28;
const CLASSES: usize = 10;
const TRAIN_COUNT: u32 = 60_000;
const TEST_COUNT: u32 = 10_000;
const VALIDATION_COUNT: u32 = 10_000;

/// One of the four files: the names it goes by, and the SHA-256 of its uncompressed bytes (mirrors compress differently).
struct Source {
    names: [&'static str; 2],
    sha256: &'static str,
}

const TRAIN_IMAGES: Source = Source {
    names: ["train-images-idx3-ubyte", "train-images.idx3-ubyte"],
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
};
const TRAIN_LABELS: Source = Source {
    names: ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"],
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
};
const TEST_IMAGES: Source = Source {
    names: ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"],
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
};
const TEST_LABELS: Source = Source {
    names: ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"],
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

/// Reads and verifies the four files.
///
/// # Errors
/// A file that is missing, unreadable or not the genuine one.
pub(super) fn load(places: &Places) -> Result<Dataset, DataError> {
    let name = vocabulary::Dataset::Mnist.name();
    let open = |source: &Source, counts: &[u32]| -> Result<Idx, DataError> {
        let file = Idx::open(places.find(name, &source.names)?, counts)?;
        file.verify(source.sha256)?;
        Ok(file)
    };
    let part = |images: &Source, labels: &Source, count: u32| -> Result<Images, DataError> {
        let labels = open(labels, &[count])?.to_vec();
        let (pixels, header) = open(images, &[count, SIDE, SIDE])?.into_parts();
        Ok(Images::new(pixels, header, labels))
    };
    let train = part(&TRAIN_IMAGES, &TRAIN_LABELS, TRAIN_COUNT)?;
    let test = part(&TEST_IMAGES, &TEST_LABELS, TEST_COUNT)?;
    let image = ImageShape { channels: 1, height: SIDE as usize, width: SIDE as usize };
    Ok(Dataset::new(image, CLASSES, train, test, VALIDATION_COUNT))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::super::{Part, places};
    use super::*;

    /// The genuine files, if this machine has them.
    fn genuine() -> Option<Dataset> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mnist");
        if std::env::var_os(places::VARIABLE).is_none() && !beside.is_dir() {
            let reason = "skipped: the MNIST files are not here; name their directory in BIOSWEEP_DATA\n";
            std::io::stderr().write_all(reason.as_bytes()).expect("written");
            return None;
        }
        Some(load(&Places { data_dir: Some(beside), home: None }).expect("the genuine files"))
    }

    #[test]
    fn the_genuine_files_hold_the_counts_everybody_knows() {
        let Some(mnist) = genuine() else { return };
        assert_eq!((mnist.count(Part::Train), mnist.count(Part::Test)), (60_000, 10_000));
        let split = mnist.split(0);
        assert_eq!((split.train.len(), split.validation.len()), (50_000, 10_000));
        let mut pixels = vec![0.0_f32; 784 * 5];
        let mut labels = vec![0_i64; 5];
        mnist.gather(Part::Train, &[0, 1, 2, 3, 4], &mut pixels, &mut labels);
        assert_eq!(labels, [5, 0, 4, 1, 9]);
        assert_eq!(pixels.iter().copied().fold(0.0, f32::max), 1.0);
        mnist.gather(Part::Test, &[0, 1, 2, 3, 4], &mut pixels, &mut labels);
        assert_eq!(labels, [7, 2, 1, 0, 4]);
    }

    #[test]
    fn a_well_formed_file_of_other_images_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut bytes = vec![0, 0, 8, 1];
        bytes.extend(TRAIN_COUNT.to_be_bytes());
        bytes.resize(8 + TRAIN_COUNT as usize, 0);
        std::fs::write(directory.path().join("train-labels.idx1-ubyte"), &bytes).expect("written");
        let error = load(&Places { data_dir: Some(directory.path().to_owned()), home: None }).expect_err("zeros");
        assert!(matches!(error, DataError::Digest { .. }), "{error}");
        assert!(error.to_string().contains(TRAIN_LABELS.sha256), "{error}");
    }
}
