//! CIFAR-10: 60,000 colour images of 32×32 in ten classes (Krizhevsky 2009), in the binary version.
//!
//! A file is 10,000 records. A record is a label and then the image: 1,024 bytes of red, of green, of blue, row by row.

use biosweep_common::vocabulary;
use biosweep_common::vocabulary::extent::Extent;

use crate::dataset::{Dataset, Images, Pixels};
use crate::downloadable::{Downloadable, DownloadableFile};
use crate::error::DataError;
use crate::file::DataFile;
use crate::places::Places;

const IMAGE: Extent = Extent { channels: 3, height: 32, width: 32 };
const VALUES: usize = 3 * 32 * 32;
const RECORD: usize = 1 + VALUES;
const CLASSES: u8 = 10;
const RECORDS_PER_FILE: usize = 10_000;
const VALIDATION_COUNT: u32 = 10_000;

/// Reads and verifies the five training files and the test file.
///
/// # Errors
/// A file that is missing, unreadable or has the wrong digest.
///
/// # Panics
/// If the dataset has no downloadable files.
pub(crate) fn load(published: &Downloadable, places: &Places) -> Result<Dataset, DataError> {
    let (test, train) = published.files.split_last().expect("the last file has the test images");
    let part = |files: &[DownloadableFile]| -> Result<Images, DataError> {
        let mut images = Vec::with_capacity(files.len() * RECORDS_PER_FILE * VALUES);
        let mut labels = Vec::with_capacity(files.len() * RECORDS_PER_FILE);
        for published in files {
            let file = DataFile::open(places.find(vocabulary::Dataset::Cifar10, published)?)?;
            check_length(&file)?;
            file.verify(published.genuine)?;
            append(&file, &mut images, &mut labels)?;
        }
        Ok(Images::new(Pixels::Bytes(images, 0), labels))
    };
    Ok(Dataset::new(IMAGE, CLASSES.into(), part(train)?, part(std::slice::from_ref(test))?, VALIDATION_COUNT))
}

fn check_length(file: &DataFile) -> Result<(), DataError> {
    if file.bytes.len() == RECORDS_PER_FILE * RECORD {
        return Ok(());
    }
    Err(DataError::Records {
        path: file.path.clone(),
        records: RECORDS_PER_FILE,
        record: RECORD,
        found: file.bytes.len() as u64,
    })
}

/// Appends the images and labels of a file's records.
fn append(file: &DataFile, images: &mut Vec<u8>, labels: &mut Vec<u8>) -> Result<(), DataError> {
    for (index, record) in file.bytes.as_chunks::<RECORD>().0.iter().enumerate() {
        let [label, image @ ..] = record;
        if *label >= CLASSES {
            let (label, classes) = (u64::from(*label), CLASSES.into());
            return Err(DataError::Label { path: file.path.clone(), index, label, classes });
        }
        labels.push(*label);
        images.extend_from_slice(image);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Part;

    const DATASET: vocabulary::Dataset = vocabulary::Dataset::Cifar10;

    fn file(bytes: &[u8]) -> DataFile {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data_batch_1.bin");
        std::fs::write(&path, bytes).expect("written");
        DataFile::open(path).expect("readable")
    }

    #[test]
    fn a_record_is_a_label_and_its_image_channel_by_channel() {
        let record = |label: u8| {
            let channels = [10, 20, 30].map(|channel: u8| vec![channel + label; 1_024]).concat();
            [vec![label], channels].concat()
        };
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        append(&file(&[record(7), record(2)].concat()), &mut images, &mut labels).expect("two records");
        assert_eq!((labels.as_slice(), images.len()), (&[7, 2][..], 2 * VALUES));
        let part = || Images::new(Pixels::Bytes(images.clone(), 0), labels.clone());
        let dataset = Dataset::new(IMAGE, 10, part(), part(), 1);
        let (mut pixels, mut labels) = (vec![0.0_f64; VALUES], [0]);
        dataset.gather(Part::Train, &[1], &mut pixels, &mut labels);
        assert_eq!((pixels[0] * 255.0, pixels[1_023] * 255.0, pixels[1_024] * 255.0), (12.0, 12.0, 22.0));
        assert_eq!(labels, [2]);
    }

    #[test]
    fn an_error_names_the_image_of_a_label_out_of_range() {
        let bytes = [vec![9; RECORD], vec![10; RECORD]].concat();
        let error = append(&file(&bytes), &mut Vec::new(), &mut Vec::new()).expect_err("class 10 of ten");
        assert!(error.to_string().contains("label 10 of image 1"), "{error}");
    }

    #[test]
    fn files_in_the_archives_folder_are_found_and_refused_if_incomplete_or_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = directory.path().join("cifar-10").join("cifar-10-batches-bin");
        std::fs::create_dir_all(&folder).expect("created");
        let places = Places { data_dir: Some(directory.path().to_owned()), home: None };
        let load = || load(Downloadable::of(DATASET).expect("published"), &places).expect_err("not genuine");
        std::fs::write(folder.join("data_batch_1.bin"), vec![0; RECORD]).expect("written");
        assert!(matches!(load(), DataError::Records { found: 3_073, .. }), "{}", load());
        std::fs::write(folder.join("data_batch_1.bin"), vec![0; RECORDS_PER_FILE * RECORD]).expect("written");
        assert!(matches!(load(), DataError::Digest { .. }), "{}", load());
    }
}
