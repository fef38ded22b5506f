//! Errors in custom data.

use std::path::PathBuf;

use biosweep_common::vocabulary::dataset::ContentDigest;
use biosweep_common::vocabulary::extent::Extent;

/// Why custom data is not a valid dataset.
#[derive(Debug, thiserror::Error)]
pub enum CustomFileError {
    /// The spec has no digest of the data.
    #[error(
        "the data in `{directory}` came without its digest; submit the sweep with `biosweep run` or `biosweep submit`"
    )]
    Unpinned {
        /// The directory of the data.
        directory: String,
    },
    /// The files have changed since the sweep was submitted.
    #[error(
        "the data in `{directory}` has digest {found}, and the sweep was submitted with {expected}; \
         put the original files back, or submit a new sweep of these files"
    )]
    Digest {
        /// The directory of the data.
        directory: String,
        /// The digest in the spec.
        expected: ContentDigest,
        /// The digest of the files that are there now.
        found: ContentDigest,
    },
    /// A file does not have the header of a NumPy array.
    #[error("`{}` is not a NumPy array: {fault}; write it with numpy.save", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header.
        fault: HeaderFault,
    },
    /// The first dimension varies fastest.
    #[error(
        "`{}` is stored in Fortran order, where the first dimension varies fastest; save `numpy.ascontiguousarray` of the array",
        path.display()
    )]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },
    /// The type of the entries can be neither image nor label.
    #[error("`{}` holds {}", path.display(), describe_type(descr))]
    Type {
        /// The file.
        path: PathBuf,
        /// The type as NumPy writes it.
        descr: String,
    },
    /// A file is shorter or longer than its header says.
    #[error(
        "`{}` is {found} bytes long (uncompressed) in place of the {expected} that its header announces; write it again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The length in bytes according to the header, header included.
        expected: u64,
        /// The actual length in bytes.
        found: u64,
    },
    /// The images are whole numbers other than bytes.
    #[error(
        "`{}` holds whole numbers that are not bytes; save images as u1, f4 or f8, such as `images.astype('uint8')` where \
         the values are 0 to 255",
        path.display()
    )]
    NoPixels {
        /// The file.
        path: PathBuf,
    },
    /// The labels are floating-point numbers.
    #[error("`{}` holds floating-point numbers; save labels as whole numbers: `labels.astype('int64')`", path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
    },
    /// A value is not finite.
    #[error("`{}` has {value} as entry {index} (counted from 0, as float32); every value must be finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The position of the entry in the file, from 0.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A label is out of range.
    #[error("`{}` has label {label} at {index} (counted from 0); labels go from 0 to 255", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The position of the label in the file, from 0.
        index: usize,
        /// The label.
        label: i64,
    },
    /// The shape is not one of images.
    #[error(
        "`{}` has shape {shape:?}; images are [count, height, width] or [count, channels, height, width]{}",
        path.display(), unflatten_hint(shape)
    )]
    Rank {
        /// The file.
        path: PathBuf,
        /// The dimensions, outermost first.
        shape: Vec<usize>,
    },
    /// The images have their channels as the last dimension.
    #[error(
        "`{}` has shape {shape:?}, which looks like [count, height, width, channels]; save \
         `images.transpose(0, 3, 1, 2)`, of shape [{}, {}, {}, {}]. If they are {} channels of {}×{}, save \
         `images.transpose(0, 1, 3, 2)`, which networks learn from equally well",
        path.display(), shape[0], shape[3], shape[1], shape[2], shape[1], shape[2], shape[3]
    )]
    ChannelsLast {
        /// The file.
        path: PathBuf,
        /// The dimensions, outermost first.
        shape: [usize; 4],
    },
    /// An array without entries.
    #[error("`{}` has shape {shape:?}, which has no entries; give at least one image with one value", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The dimensions, outermost first.
        shape: Vec<usize>,
    },
    /// Images and labels have different counts.
    #[error(
        "`{}` has shape {image_shape:?} and `{}` has shape {label_shape:?}; each image needs one label{}",
        images.display(), labels.display(), label_hint(label_shape)
    )]
    Counts {
        /// The file of images.
        images: PathBuf,
        /// Its shape.
        image_shape: Vec<usize>,
        /// The file of labels.
        labels: PathBuf,
        /// Its shape.
        label_shape: Vec<usize>,
    },
    /// Training and test images have different shapes.
    #[error(
        "the training images in `{directory}` are {}×{}×{} and the test images {}×{}×{} \
         (channels × height × width); give them the same shape",
        train.channels, train.height, train.width, test.channels, test.height, test.width
    )]
    Shapes {
        /// The directory of the data.
        directory: String,
        /// The size of a training image.
        train: Extent,
        /// The size of a test image.
        test: Extent,
    },
    /// All images are of one class.
    #[error("all training images in `{directory}` have label {label}; give images of at least 2 classes")]
    OneClass {
        /// The directory of the data.
        directory: String,
        /// The label of all images.
        label: u8,
    },
    /// There are too few images for both training and validation.
    #[error("`{directory}` has {count} training image; give at least 2, one of which is for validation")]
    TooFew {
        /// The directory of the data.
        directory: String,
        /// The number of training images.
        count: usize,
    },
}

/// How to save images that were flattened to rows; empty for other shapes.
fn unflatten_hint(shape: &[usize]) -> String {
    let [_, values] = *shape else { return String::new() };
    let side = values.isqrt();
    let (height, width) = if side * side == values { (side, side) } else { (1, values) };
    format!("; save `images.reshape(-1, {height}, {width})`")
}

/// How to save labels that are rows; empty for other shapes.
fn label_hint(label_shape: &[usize]) -> &'static str {
    match label_shape {
        [_, 1] => "; save `labels.reshape(-1)`",
        [_, _] => "; save `labels.argmax(axis=1)` where each row has a 1 at its class",
        _ => "",
    }
}

/// An error in the header of a NumPy array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The first bytes are not those of the format.
    #[error("it does not begin with the bytes \\x93NUMPY")]
    Mark,
    /// The version of the format is unknown.
    #[error("its format version is above 3")]
    Version,
    /// The header is not a dictionary with the expected keys.
    #[error("its header cannot be read")]
    Unreadable,
    /// A count does not fit 32 bits, or there is no dimension.
    #[error("its shape has no dimension, or a count of 2^32 or more")]
    Shape,
}

/// The name of entries whose type cannot be used, and what to save instead.
fn describe_type(descr: &str) -> String {
    let (what, line) = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "f2" => ("half-precision numbers", "`images.astype('float32')`"),
        "b1" => ("booleans", "`array.astype('uint8')`"),
        "O" => ("Python objects", "`numpy.array(labels.tolist(), 'int64')`, or images of one size as one array"),
        text if text.starts_with(['U', 'S', 'a']) => ("text", "labels as whole numbers: `labels.astype('int64')`"),
        _ => return format!("numbers of type {descr}; images are u1, f4 or f8, labels whole numbers"),
    };
    format!("{what} (type {descr}); save {line}")
}
