//! MNIST, 70,000 handwritten digits of 28×28 pixels (LeCun, Bottou, Bengio and Haffner 1998), and datasets in the same
//! format.

use biosweep_common::vocabulary;
use biosweep_common::vocabulary::extent::Extent;

use super::idx::Idx;
use crate::dataset::{Dataset, Images, Pixels};
use crate::downloadable::{Downloadable, DownloadableFile};
use crate::error::DataError;
use crate::file::DataFile;
use crate::places::Places;

const SIDE: u32 = 28;
const CLASSES: usize = 10;
const TRAIN_COUNT: u32 = 60_000;
const TEST_COUNT: u32 = 10_000;
const VALIDATION_COUNT: u32 = 10_000;

/// Reads and verifies the four files of `dataset`, which `published` describes.
///
/// # Errors
/// A file that is missing, unreadable or has the wrong digest.
///
/// # Panics
/// If `published` does not have four files.
pub(crate) fn load(
    dataset: vocabulary::Dataset,
    published: &Downloadable,
    places: &Places,
) -> Result<Dataset, DataError> {
    let [train_images, train_labels, test_images, test_labels] = published.files else {
        panic!("{dataset} has {} files in place of four", published.files.len());
    };
    let open = |published: &DownloadableFile, counts: &[u32]| -> Result<Idx, DataError> {
        let idx = Idx::read(DataFile::open(places.find(dataset, published)?)?, counts)?;
        idx.file.verify(published.genuine)?;
        Ok(idx)
    };
    let part = |images: &DownloadableFile, labels: &DownloadableFile, count: u32| -> Result<Images, DataError> {
        let labels = open(labels, &[count])?.to_vec();
        let (pixels, header) = open(images, &[count, SIDE, SIDE])?.into_parts();
        Ok(Images::new(Pixels::Bytes(pixels, header), labels))
    };
    let train = part(train_images, train_labels, TRAIN_COUNT)?;
    let test = part(test_images, test_labels, TEST_COUNT)?;
    let image = Extent { channels: 1, height: SIDE as usize, width: SIDE as usize };
    Ok(Dataset::new(image, CLASSES, train, test, VALIDATION_COUNT))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;
    use crate::{Part, places};

    const MNIST: vocabulary::Dataset = vocabulary::Dataset::Mnist;

    fn load_mnist(places: &Places) -> Result<Dataset, DataError> {
        load(MNIST, Downloadable::of(MNIST).expect("it is published"), places)
    }

    /// The real files, if this machine has them.
    fn genuine() -> Option<Dataset> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mnist");
        if std::env::var_os(places::VARIABLE).is_none() && !beside.is_dir() {
            let reason = "skipped: there are no MNIST files on this machine; set BIOSWEEP_DATA to their directory\n";
            std::io::stderr().write_all(reason.as_bytes()).expect("written");
            return None;
        }
        Some(load_mnist(&Places { data_dir: Some(beside), home: None }).expect("the genuine files"))
    }

    #[test]
    fn the_real_files_have_the_published_counts() {
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
    fn a_valid_file_with_other_images_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut bytes = vec![0, 0, 8, 1];
        bytes.extend(TRAIN_COUNT.to_be_bytes());
        bytes.resize(8 + TRAIN_COUNT as usize, 0);
        std::fs::write(directory.path().join("train-labels.idx1-ubyte"), &bytes).expect("written");
        let error = load_mnist(&Places { data_dir: Some(directory.path().to_owned()), home: None }).expect_err("zeros");
        assert!(matches!(error, DataError::Digest { .. }), "{error}");
        assert!(error.to_string().contains("65a50cbbf4e906d7"), "{error}");
    }

    #[test]
    fn each_dataset_is_searched_first_in_the_folder_of_its_name() {
        for dataset in [MNIST, vocabulary::Dataset::FashionMnist, vocabulary::Dataset::Kmnist] {
            let directory = tempfile::tempdir().expect("a directory");
            let own = directory.path().join(dataset.name());
            std::fs::create_dir(&own).expect("created");
            for place in [directory.path(), &own] {
                std::fs::write(place.join("train-labels-idx1-ubyte.gz"), b"something else").expect("written");
            }
            let published = Downloadable::of(dataset).expect("it is published");
            let places = Places { data_dir: Some(directory.path().to_owned()), home: None };
            let message = load(dataset, published, &places).expect_err("not genuine").to_string();
            assert!(message.contains(&*own.to_string_lossy()), "{message}");
        }
    }
}
