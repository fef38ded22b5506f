//! Datasets and their split in sentences.

use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::dataset::{CustomData, DatasetRef, DatasetSize};

use super::Source;
use crate::report::record::Record;
use crate::report::words;

pub(super) fn sentences(source: &Source<'_>) -> Vec<String> {
    let datasets = datasets(source);
    if datasets.is_empty() {
        return Vec::new();
    }
    let of_dataset = |dataset: &DatasetRef| format!("{}{}", name(dataset), counts(size(source.record, dataset)));
    let all: Vec<String> = datasets.iter().map(of_dataset).collect();
    let subject = if all.len() == 1 { "The dataset is" } else { "The datasets are" };
    vec![
        format!("{subject} {}.", words::list(&all)),
        "A fold is an independent random split into images for training and images for validation; the test images are the \
         same in all folds."
            .to_owned(),
    ]
}

fn datasets(source: &Source<'_>) -> Vec<DatasetRef> {
    let parse = |value: &Value| match value {
        Value::Name(name) => name.parse().ok(),
        _ => None,
    };
    source.design.values(Setting::Dataset).into_iter().filter_map(parse).collect()
}

fn name(dataset: &DatasetRef) -> String {
    match dataset {
        DatasetRef::Named(dataset) => dataset.name().to_owned(),
        DatasetRef::Custom(CustomData { format, digest: Some(digest), .. }) => {
            format!("{} ({} files with the BLAKE3 digest {digest})", dataset.label(), format.name())
        }
        DatasetRef::Custom(CustomData { format, digest: None, .. }) => {
            format!("{} ({} files)", dataset.label(), format.name())
        }
    }
}

/// The counts of a dataset, as workers reported them or as they are known by its name.
pub(super) fn size(record: &Record, dataset: &DatasetRef) -> Option<DatasetSize> {
    let known = || match dataset {
        DatasetRef::Named(dataset) => Some(DatasetSummary::of_named(*dataset).size()),
        DatasetRef::Custom(_) => None,
    };
    record.sizes.get(dataset.name().as_ref()).copied().or_else(known)
}

/// The counts of the only dataset.
pub(super) fn only_size(source: &Source<'_>) -> Option<DatasetSize> {
    match datasets(source).as_slice() {
        [dataset] => size(source.record, dataset),
        _ => None,
    }
}

fn counts(size: Option<DatasetSize>) -> String {
    let Some(DatasetSize { classes, train_images, validation_images, test_images }) = size else {
        return ", whose numbers of images are not known yet".to_owned();
    };
    let number = |count: u32| words::number(count.into());
    format!(
        ", with {} images for training, {} for validation and {} for the test, in {} classes",
        number(train_images),
        number(validation_images),
        number(test_images),
        number(classes)
    )
}
