//! What may be wrong with custom data.

use std::path::PathBuf;

use biosweep_common::dataset::ContentDigest;
use biosweep_common::extents::Extent;

/// Why custom data is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum CustomFileError {
    /// The spec does not say what the files hold.
    #[error(
        "the data in `{directory}` came without its digest; submit the sweep with `biosweep run` or `biosweep submit`"
    )]
    Unpinned {
        /// Where it lies.
        directory: String,
    },
    /// The files hold something else than when the sweep was submitted.
    #[error(
        "the data in `{directory}` has digest {found}, and the sweep was submitted with {expected}; \
         put those files back, or submit a sweep of these"
    )]
    Digest {
        /// Where it lies.
        directory: String,
        /// The digest in the spec.
        expected: ContentDigest,
        /// The digest of what is there.
        found: ContentDigest,
    },
    /// A file does not begin as a NumPy array does.
    #[error("`{}` is not a NumPy array: {fault}; write it with numpy.save", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header.
        fault: HeaderFault,
    },
    /// The first dimension runs fastest.
    #[error(
        "`{}` is stored in Fortran order, where the first dimension runs fastest; save `numpy.ascontiguousarray` of the array",
        path.display()
    )]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },
    /// The entries are of a type nothing is made of here.
    #[error("`{}` holds {}", path.display(), held(descr))]
    Type {
        /// The file.
        path: PathBuf,
        /// The type as NumPy writes it.
        descr: String,
    },
    /// A file is shorter or longer than its header says.
    #[error(
        "`{}` is {found} bytes long (uncompressed) in place of the {expected} its header announces; write it anew",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that follows from the header, in bytes, header included.
        expected: u64,
        /// The length found.
        found: u64,
    },
    /// Images are given as whole numbers other than bytes.
    #[error(
        "`{}` holds whole numbers that are no bytes; save images as u1, f4 or f8, such as `images.astype('uint8')` where \
         they go from 0 to 255",
        path.display()
    )]
    NoPixels {
        /// The file.
        path: PathBuf,
    },
    /// Labels are given as floating-point numbers.
    #[error("`{}` holds floating-point numbers; save labels as whole numbers: `labels.astype('int64')`", path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
    },
    /// A value that is no number to train on.
    #[error("`{}` has {value} as entry {index} (counted from 0, as float32); every value has to be finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Which entry, in the order of the file.
        index: usize,
        /// What it is.
        value: f32,
    },
    /// A label out of range.
    #[error("`{}` has label {label} at {index} (counted from 0); labels go from 0 to 255", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Which one.
        index: usize,
        /// The label.
        label: i64,
    },
    /// Images of a shape that is none.
    #[error(
        "`{}` has shape {shape:?}; images are [count, height, width] or [count, channels, height, width]{}",
        path.display(), unflattened(shape)
    )]
    Rank {
        /// The file.
        path: PathBuf,
        /// Outermost dimension first.
        shape: Vec<usize>,
    },
    /// Images whose channels run fastest.
    #[error(
        "`{}` has shape {shape:?}, which looks like [count, height, width, channels]; save \
         `images.transpose(0, 3, 1, 2)`, of shape [{}, {}, {}, {}]. If they are {} channels of {}×{}, save \
         `images.transpose(0, 1, 3, 2)`, which networks learn from alike",
        path.display(), shape[0], shape[3], shape[1], shape[2], shape[1], shape[2], shape[3]
    )]
    ChannelsLast {
        /// The file.
        path: PathBuf,
        /// Outermost dimension first.
        shape: [usize; 4],
    },
    /// An array without entries.
    #[error("`{}` has shape {shape:?}, which holds nothing; give at least one image with one value", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Outermost dimension first.
        shape: Vec<usize>,
    },
    /// Images and labels that do not belong to each other.
    #[error(
        "`{}` has shape {image_shape:?} and `{}` has shape {label_shape:?}; each image needs one label{}",
        images.display(), labels.display(), one_a_row(label_shape)
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
    /// Training and test images of different shapes.
    #[error(
        "the training images in `{directory}` are {}×{}×{} and the test images {}×{}×{} \
         (channels × height × width); make them alike",
        train.channels, train.height, train.width, test.channels, test.height, test.width
    )]
    Shapes {
        /// Where the data lies.
        directory: String,
        /// Of a training image.
        train: Extent,
        /// Of a test image.
        test: Extent,
    },
    /// Nothing to tell apart.
    #[error("all training images in `{directory}` have label {label}; give images of at least 2 classes")]
    OneClass {
        /// Where the data lies.
        directory: String,
        /// The label of all.
        label: u8,
    },
    /// Too few images to train on some and validate on others.
    #[error("`{directory}` has {count} training image; give at least 2, one of which is for validation")]
    TooFew {
        /// Where the data lies.
        directory: String,
        /// How many there are.
        count: usize,
    },
}

/// How to save images that are rows of numbers, where they are.
fn unflattened(shape: &[usize]) -> String {
    let [_, values] = *shape else { return String::new() };
    let side = values.isqrt();
    let (height, width) = if side * side == values { (side, side) } else { (1, values) };
    format!("; save `images.reshape(-1, {height}, {width})`")
}

/// How to save labels that are rows, where they are.
fn one_a_row(label_shape: &[usize]) -> &'static str {
    match label_shape {
        [_, 1] => "; save `labels.reshape(-1)`",
        [_, _] => "; save `labels.argmax(axis=1)` where each row has a 1 at its class",
        _ => "",
    }
}

/// What is wrong with the header of a NumPy array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The first bytes are others.
    #[error("it does not begin with the format's mark")]
    Mark,
    /// A version of the format nobody has described here.
    #[error("its format version is above 3")]
    Version,
    /// The header is not the dictionary it should be.
    #[error("its header cannot be read")]
    Unreadable,
    /// A count beyond 32 bits, or no dimension at all.
    #[error("its shape is none that can be used")]
    Shape,
}

/// What entries of a type are that nothing is made of here, and what to save in their place.
fn held(descr: &str) -> String {
    let (what, line) = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "f2" => ("half-precision numbers", "`images.astype('float32')`"),
        "b1" => ("yes and no", "`array.astype('uint8')`"),
        "O" => ("Python objects", "`numpy.array(labels.tolist(), 'int64')`, or images of one size as one array"),
        text if text.starts_with(['U', 'S', 'a']) => ("text", "labels as whole numbers: `labels.astype('int64')`"),
        _ => return format!("numbers of type {descr}; images are u1, f4 or f8, labels whole numbers"),
    };
    format!("{what} (type {descr}); save {line}")
}
