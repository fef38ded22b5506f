//! Custom data: four files with images of any geometry, identified by their digest.
//!
//! | module | contents |
//! |---|---|
//! | this module | loads a [`Dataset`] from the four files |
//! | [`digest`] | the paths of the four files, and the digest of their content |
//! | `array` | the entries of one file, in either format |
//! | `npy` | the NumPy format |
//! | [`error`] | the errors in custom data |

mod array;
pub mod digest;
pub mod error;
mod npy;

use biosweep_common::vocabulary::CustomFormat;
use biosweep_common::vocabulary::dataset::CustomData;
use biosweep_common::vocabulary::extent::Extent;

use crate::dataset::{Dataset, Images};
use crate::error::DataError;
use crate::file::DataFile;
use crate::formats::idx;
use array::{Array, Entries};
use error::CustomFileError;

/// Training images per validation image: 6, as in MNIST with 10,000 of 60,000.
const IMAGES_PER_VALIDATION_IMAGE: usize = 6;

/// Reads, verifies and checks the four files.
///
/// # Errors
/// A file that is missing, invalid or changed since submission, or files that do not fit together.
pub(super) fn load(own: &CustomData) -> Result<Dataset, DataError> {
    let expected = own.digest.ok_or_else(|| CustomFileError::Unpinned { directory: own.directory.clone() })?;
    let [train_images, train_labels, test_images, test_labels] = digest::find(own)?;
    let files = [
        DataFile::open(train_images)?,
        DataFile::open(train_labels)?,
        DataFile::open(test_images)?,
        DataFile::open(test_labels)?,
    ];
    let found = digest::combined(files.each_ref().map(|file| blake3::hash(&file.bytes)));
    if found != expected {
        return Err(CustomFileError::Digest { directory: own.directory.clone(), expected, found }.into());
    }
    let [train_images, train_labels, test_images, test_labels] = files;
    let (train_shape, train) = part(own, train_images, train_labels)?;
    let (test_shape, test) = part(own, test_images, test_labels)?;
    if train_shape != test_shape {
        return Err(
            CustomFileError::Shapes { directory: own.directory.clone(), train: train_shape, test: test_shape }.into()
        );
    }
    let count = train.count();
    if count < 2 {
        return Err(CustomFileError::TooFew { directory: own.directory.clone(), count }.into());
    }
    if let Some(label) = train.only_label() {
        return Err(CustomFileError::OneClass { directory: own.directory.clone(), label }.into());
    }
    let classes = 1 + usize::from(train.largest_label().max(test.largest_label()));
    let validation_count = u32::try_from((count / IMAGES_PER_VALIDATION_IMAGE).max(1));
    let validation_count = validation_count.expect("an array's counts are below 2^32");
    Ok(Dataset::new(train_shape, classes, train, test, validation_count))
}

/// The images of one part with their labels, and their shape.
fn part(own: &CustomData, images: DataFile, labels: DataFile) -> Result<(Extent, Images), DataError> {
    let labels = read(own.format, labels)?;
    let images = read(own.format, images)?;
    let shape = shape(&images)?;
    if images.shape[0] != labels.shape[0] || labels.shape.len() != 1 {
        return Err(CustomFileError::Counts {
            images: images.path,
            image_shape: images.shape,
            labels: labels.path,
            label_shape: labels.shape,
        }
        .into());
    }
    let labels = labels.into_labels()?;
    Ok((shape, Images::new(images.into_pixels()?, labels)))
}

/// The usual numbers of channels: grey, colours, colours and opacity.
const USUAL_CHANNELS: [usize; 3] = [1, 3, 4];

/// [count, height, width] or [count, channels, height, width].
fn shape(images: &Array) -> Result<Extent, CustomFileError> {
    let shape = match images.shape[..] {
        [_, height, width] => Extent { channels: 1, height, width },
        [_, channels, height, width] => Extent { channels, height, width },
        _ => return Err(CustomFileError::Rank { path: images.path.clone(), shape: images.shape.clone() }),
    };
    if images.shape.contains(&0) {
        return Err(CustomFileError::Empty { path: images.path.clone(), shape: images.shape.clone() });
    }
    if let [count, height, width, channels] = images.shape[..]
        && USUAL_CHANNELS.contains(&channels)
        && height.min(width) > USUAL_CHANNELS[2]
    {
        let shape = [count, height, width, channels];
        return Err(CustomFileError::ChannelsLast { path: images.path.clone(), shape });
    }
    Ok(shape)
}

/// Reads the array in a file.
///
/// # Errors
/// A file that is not of this format, or not as long as its header says.
fn read(format: CustomFormat, file: DataFile) -> Result<Array, DataError> {
    match format {
        CustomFormat::Idx => {
            let (shape, start) = idx::header(&file)?;
            let shape = shape.into_iter().map(|count| count as usize).collect();
            let DataFile { path, bytes, .. } = file;
            Ok(Array { path, shape, entries: Entries::Bytes(bytes, start) })
        }
        CustomFormat::Npy => Ok(npy::read(file)?),
    }
}

#[cfg(test)]
mod tests;
