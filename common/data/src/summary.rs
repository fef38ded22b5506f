//! The summary of a dataset in memory, which is printed before training.

use biosweep_common::plan::dataset_summary::{DatasetSummary, PartSummary};
use biosweep_common::vocabulary::dataset::DatasetRef;

use super::dataset::{Dataset, Part};

/// Images that are read at once.
const IMAGES_AT_ONCE: u32 = 256;

/// The summary of the dataset with that name.
///
/// # Panics
/// If a part has 2³² images or more.
#[must_use]
pub fn summarise(name: &DatasetRef, dataset: &Dataset) -> DatasetSummary {
    DatasetSummary {
        dataset: name.clone(),
        image: dataset.image(),
        classes: dataset.classes(),
        validation: dataset.split(0).validation.len(),
        train: part(dataset, Part::Train),
        test: part(dataset, Part::Test),
    }
}

fn part(dataset: &Dataset, part: Part) -> PartSummary {
    let mut of_class = vec![0; dataset.classes()];
    dataset.labels(part).iter().for_each(|&label| of_class[usize::from(label)] += 1);
    let images = dataset.count(part);
    let count = u32::try_from(images).expect("a part has fewer than 2^32 images");
    let (mut least, mut greatest) = (f32::INFINITY, f32::NEG_INFINITY);
    for start in (0..count).step_by(IMAGES_AT_ONCE as usize) {
        let indices: Vec<u32> = (start..count.min(start + IMAGES_AT_ONCE)).collect();
        let mut pixels = vec![0.0_f32; indices.len() * dataset.image().units()];
        dataset.gather(part, &indices, &mut pixels, &mut vec![0; indices.len()]);
        least = pixels.iter().copied().fold(least, f32::min);
        greatest = pixels.iter().copied().fold(greatest, f32::max);
    }
    PartSummary { images, least, greatest, of_class }
}

#[cfg(test)]
mod tests {
    use biosweep_common::vocabulary;

    use super::super::synthetic;
    use super::*;

    #[test]
    fn the_known_summary_of_a_downloadable_dataset_is_that_of_its_files() {
        let name = vocabulary::Dataset::SyntheticDigits;
        let found = summarise(&name.into(), &synthetic::generate());
        assert_eq!(found.train.of_class.iter().sum::<usize>(), found.train.images);
        assert!(found.test.of_class.iter().all(|&count| count > 0), "{found:?}");
        let uncounted = |part: &PartSummary| PartSummary { of_class: Vec::new(), ..part.clone() };
        let (train, test) = (uncounted(&found.train), uncounted(&found.test));
        assert_eq!(DatasetSummary { train, test, ..found }, DatasetSummary::of_named(name));
    }
}
