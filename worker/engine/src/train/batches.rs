//! Batches: the images of each update. Every epoch has its own order; its last partial batch is dropped.

use biosweep_common::configuration::Hyperparameters;
use biosweep_numeric::random::{Purpose, Stream};

use super::TrainError;

/// The batches of a trajectory.
#[derive(Debug)]
pub(crate) struct Batches {
    size: usize,
    seed: u64,
    fold: u32,
    epoch: u64,
    /// The images of this epoch, in order.
    order: Vec<u32>,
    /// Images of this epoch that were already used.
    taken: usize,
}

impl Batches {
    /// The batches of these images after `updates` updates.
    pub(crate) fn new(images: &[u32], size: u32, by: &Hyperparameters, updates: u64) -> Result<Self, TrainError> {
        if size as usize > images.len() {
            return Err(TrainError::BatchTooLarge { batch_size: size, images: images.len() });
        }
        let size = size as usize;
        let an_epoch = (images.len() / size) as u64;
        let (seed, fold, epoch) = (by.seed, by.fold, updates / an_epoch);
        let mut batches = Self { size, seed, fold, epoch, order: Vec::new(), taken: 0 };
        batches.shuffle(images);
        batches.taken = (updates % an_epoch) as usize * size;
        Ok(batches)
    }

    fn shuffle(&mut self, images: &[u32]) {
        let count = u32::try_from(images.len()).expect("a dataset has fewer than 2^32 images");
        let mut stream = Stream::new(self.seed, self.fold, Purpose::Order, self.epoch);
        self.order = stream.permutation(count).into_iter().map(|place| images[place as usize]).collect();
        self.taken = 0;
    }

    /// The images of the next update. `images` is the list that the batches were created with.
    pub(crate) fn next(&mut self, images: &[u32]) -> &[u32] {
        if self.taken + self.size > self.order.len() {
            self.epoch += 1;
            self.shuffle(images);
        }
        let batch = self.taken..self.taken + self.size;
        self.taken = batch.end;
        &self.order[batch]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_epoch_shows_each_image_at_most_once_and_the_next_in_another_order() {
        let images: Vec<u32> = (100..110).collect();
        let by = Hyperparameters::default();
        let mut batches = Batches::new(&images, 4, &by, 0).expect("ten images hold a batch of four");
        let mut epoch = || [batches.next(&images).to_vec(), batches.next(&images).to_vec()].concat();
        let (first, second) = (epoch(), epoch());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 8, "two images are dropped");
        assert_ne!(first, second);
        let mut later = Batches::new(&images, 4, &by, 3).expect("the same images");
        assert_eq!(later.next(&images), &second[4..], "the fourth batch of all");
        assert!(matches!(Batches::new(&images, 11, &by, 0), Err(TrainError::BatchTooLarge { .. })));
    }
}
