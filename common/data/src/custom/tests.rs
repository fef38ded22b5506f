//! Reading custom data, and the errors for files that are not a dataset.

use std::path::Path;

use biosweep_common::vocabulary::CustomFormat;

use super::npy::tests::file as npy;
use super::*;
use crate::Part;
use crate::file::tests::gzipped;

/// Four files in a temporary directory.
struct Place(tempfile::TempDir, CustomFormat);

impl Place {
    fn new(format: CustomFormat, files: [Vec<u8>; 4]) -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"), format);
        for (names, bytes) in format.files().into_iter().zip(files) {
            std::fs::write(place.0.path().join(names[0]), bytes).expect("written");
        }
        place
    }

    fn pinned(&self) -> CustomData {
        let directory = self.0.path().to_string_lossy().into_owned();
        let own = CustomData { format: self.1, directory, digest: None };
        CustomData { digest: Some(digest::digest(&own).expect("four files")), ..own }
    }

    fn load(&self) -> Result<Dataset, DataError> {
        load(&self.pinned())
    }

    /// The error message of loading.
    fn refusal(&self) -> String {
        self.load().expect_err("no dataset").to_string()
    }
}

fn idx(shape: &[u32], entries: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(shape.len()).expect("few dimensions")];
    shape.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
    bytes.extend(entries);
    bytes
}

/// Twelve training and two test images of 2×1×3 in five classes.
fn good_idx() -> [Vec<u8>; 4] {
    let entries: Vec<u8> = (0..72).collect();
    [
        idx(&[12, 2, 1, 3], &entries),
        idx(&[12], &[0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]),
        idx(&[2, 2, 1, 3], &entries[..12]),
        idx(&[2], &[4, 0]),
    ]
}

/// Images and labels of the same shapes, with images of floating-point numbers.
fn good_npy() -> [Vec<u8>; 4] {
    let reals: Vec<u8> = (0..72).flat_map(|entry| (entry as f32 - 0.5).to_le_bytes()).collect();
    let doubles: Vec<u8> = (0..12).flat_map(|entry| (f64::from(entry) * 0.25).to_be_bytes()).collect();
    let labels: Vec<u8> = (0..12_i64).flat_map(|image| (image % 4).to_le_bytes()).collect();
    [
        npy("<f4", "(12, 2, 1, 3)", &reals),
        npy("<i8", "(12,)", &labels),
        npy(">f8", "(2, 2, 1, 3)", &doubles),
        npy("|u1", "(2,)", &[4, 0]),
    ]
}

fn first_values(dataset: &Dataset, part: Part, image: u32) -> (Vec<f32>, i64) {
    let (mut pixels, mut labels) = (vec![0.0; 6], [0]);
    dataset.gather(part, &[image], &mut pixels, &mut labels);
    (pixels, labels[0])
}

#[test]
fn idx_files_of_any_geometry_are_loaded() {
    let dataset = Place::new(CustomFormat::Idx, good_idx()).load().expect("a dataset");
    assert_eq!(dataset.image(), Extent { channels: 2, height: 1, width: 3 });
    assert_eq!((dataset.classes(), dataset.count(Part::Train), dataset.count(Part::Test)), (5, 12, 2));
    let split = dataset.split(0);
    assert_eq!((split.train.len(), split.validation.len()), (10, 2));
    let (pixels, label) = first_values(&dataset, Part::Train, 5);
    assert_eq!(((pixels[0] * 255.0).round(), (pixels[5] * 255.0).round(), label), (30.0, 35.0, 1));
}

#[test]
fn floating_point_images_are_unchanged_and_byte_images_are_scaled() {
    let [_, labels, test_images, test_labels] = good_npy();
    let dataset = Place::new(CustomFormat::Npy, good_npy()).load().expect("a dataset");
    assert_eq!(first_values(&dataset, Part::Train, 1), (vec![5.5, 6.5, 7.5, 8.5, 9.5, 10.5], 1));
    assert_eq!(first_values(&dataset, Part::Test, 1), (vec![1.5, 1.75, 2.0, 2.25, 2.5, 2.75], 0));
    let bytes = npy("|u1", "(12, 2, 1, 3)", &[51; 72]);
    let mixed = Place::new(CustomFormat::Npy, [bytes, labels, test_images, test_labels]).load().expect("a dataset");
    assert!(first_values(&mixed, Part::Train, 0).0.iter().all(|value| (value - 0.2).abs() < 1e-6));
    assert_eq!(first_values(&mixed, Part::Test, 0).0[1], 0.25);
}

#[test]
fn images_of_three_dimensions_have_one_channel() {
    let [_, labels, _, test_labels] = good_idx();
    let files = [idx(&[12, 2, 3], &[7; 72]), labels, idx(&[2, 2, 3], &[7; 12]), test_labels];
    let dataset = Place::new(CustomFormat::Idx, files).load().expect("a dataset");
    assert_eq!(dataset.image(), Extent { channels: 1, height: 2, width: 3 });
}

#[test]
fn data_that_changed_since_submission_is_refused() {
    let place = Place::new(CustomFormat::Idx, good_idx());
    let pinned = place.pinned();
    std::fs::write(place.0.path().join("t10k-labels-idx1-ubyte"), idx(&[2], &[3, 0])).expect("written");
    let message = load(&pinned).expect_err("other labels").to_string();
    assert!(
        message.contains(&pinned.digest.expect("a digest").to_string())
            && message.contains("put the original files back")
    );
    let unpinned = load(&CustomData { digest: None, ..pinned }).expect_err("no digest").to_string();
    assert!(unpinned.contains("biosweep submit"), "{unpinned}");
}

#[test]
fn compressed_files_give_the_same_data() {
    let (plain, packed) = (Place::new(CustomFormat::Npy, good_npy()), Place::new(CustomFormat::Npy, good_npy()));
    let path = |name: &str| -> std::path::PathBuf { Path::new(packed.0.path()).join(name) };
    std::fs::remove_file(path("train_images.npy")).expect("removed");
    std::fs::write(path("train_images.npy.gz"), gzipped(&good_npy()[0])).expect("written");
    assert_eq!(packed.pinned().digest, plain.pinned().digest);
    assert_eq!(packed.load().expect("a dataset").count(Part::Train), 12);
}

#[test]
fn an_error_in_custom_data_names_its_file() {
    let not_finite: Vec<u8> = (0..72).flat_map(|i| if i == 40 { f32::NAN } else { 0.0 }.to_le_bytes()).collect();
    let too_large: Vec<u8> = [1e300_f64; 72].iter().flat_map(|value| value.to_le_bytes()).collect();
    let label = |value: i64| npy("<i8", "(12,)", &[vec![0; 88], value.to_le_bytes().to_vec()].concat());
    let pieces: [(CustomFormat, usize, Vec<u8>, &[&str]); 24] = [
        (CustomFormat::Idx, 0, idx(&[11, 2, 1, 3], &[0; 66]), &["[11, 2, 1, 3]", "has shape [12]", "one label"]),
        (CustomFormat::Idx, 1, idx(&[12, 1], &[0; 12]), &["has shape [12, 1]", "one label; save `labels.reshape(-1)`"]),
        (CustomFormat::Npy, 1, npy("<i8", "(12, 4)", &[0; 384]), &["shape [12, 4]", "save `labels.argmax(axis=1)`"]),
        (CustomFormat::Idx, 1, idx(&[12], &[3; 12]), &["all training images", "have label 3", "at least 2 classes"]),
        (
            CustomFormat::Idx,
            0,
            idx(&[12, 8, 6, 3], &[0; 1_728]),
            &["train-images", "[12, 8, 6, 3]", "save `images.transpose(0, 3, 1, 2)`, of shape [12, 3, 8, 6]"],
        ),
        (
            CustomFormat::Npy,
            2,
            npy("|u1", "(2, 28, 28, 1)", &[0; 1_568]),
            &["test_images.npy", "transpose(0, 3, 1, 2)"],
        ),
        (CustomFormat::Npy, 0, npy("|u1", "(12, 9)", &[0; 108]), &["save `images.reshape(-1, 3, 3)`"]),
        (CustomFormat::Npy, 0, npy("|u1", "(12, 6)", &[0; 72]), &["save `images.reshape(-1, 1, 6)`"]),
        (
            CustomFormat::Npy,
            0,
            fortran(npy("<f4", "(12, 2, 1, 3)", &[0; 288])),
            &["train_images.npy", "is stored in Fortran order", "numpy.ascontiguousarray"],
        ),
        (CustomFormat::Npy, 2, fortran(npy("|u1", "(2, 2, 1, 3)", &[0; 12])), &["test_images.npy", "Fortran order"]),
        (CustomFormat::Idx, 2, idx(&[2, 2, 3, 1], &[0; 12]), &["2×1×3", "2×3×1", "give them the same shape"]),
        (CustomFormat::Idx, 0, idx(&[12, 6], &[0; 72]), &["has shape [12, 6]", "[count, height, width]"]),
        (CustomFormat::Idx, 0, idx(&[12, 2, 0, 3], &[]), &["has no entries"]),
        (CustomFormat::Idx, 0, idx(&[12, 2, 1, 3], &[0; 71]), &["91 bytes long", "92"]),
        (CustomFormat::Idx, 3, b"<html>".to_vec(), &["is not an idx file"]),
        (CustomFormat::Npy, 0, npy("<f4", "(12, 2, 1, 3)", &not_finite), &["NaN as entry 40", "finite"]),
        (CustomFormat::Npy, 0, npy("<f8", "(12, 2, 1, 3)", &too_large), &["inf as entry 0", "float32"]),
        (CustomFormat::Npy, 1, label(256), &["label 256 at 11", "0 to 255"]),
        (CustomFormat::Npy, 1, label(-1), &["label -1 at 11"]),
        (CustomFormat::Npy, 1, npy("<f4", "(12,)", &[0; 48]), &["train_labels.npy", "labels as whole numbers"]),
        (CustomFormat::Npy, 0, npy("<i4", "(12, 2, 1, 3)", &[0; 288]), &["train_images.npy", "u1, f4 or f8"]),
        (CustomFormat::Npy, 0, npy("<c8", "(12, 2, 1, 3)", &[0; 576]), &["type <c8"]),
        (CustomFormat::Npy, 0, npy("<f4", "(12, 2, 1, 3)", &[0; 287]), &["415 bytes long", "416"]),
        (CustomFormat::Npy, 2, idx(&[2, 2, 1, 3], &[0; 12]), &["test_images.npy", "is not a NumPy array"]),
    ];
    for (format, index, bytes, parts) in pieces {
        let mut files = if format == CustomFormat::Idx { good_idx() } else { good_npy() };
        files[index] = bytes;
        let message = Place::new(format, files).refusal();
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
}

#[test]
fn images_with_many_channels_or_few_pixels_are_accepted() {
    for shape in [[12, 4, 8, 3], [12, 16, 4, 1], [12, 8, 8, 2], [12, 3, 8, 8], [12, 32, 1, 4]] {
        let units: u32 = shape[1..].iter().product();
        let [_, labels, _, test_labels] = good_idx();
        let test_shape = [2, shape[1], shape[2], shape[3]];
        let images = idx(&shape, &vec![0; 12 * units as usize]);
        let files = [images, labels, idx(&test_shape, &vec![0; 2 * units as usize]), test_labels];
        let dataset = Place::new(CustomFormat::Idx, files).load().expect("a dataset");
        assert_eq!(dataset.image().units(), units as usize, "{shape:?}");
    }
}

/// A copy of an array whose header says Fortran order.
fn fortran(file: Vec<u8>) -> Vec<u8> {
    let at = file.windows(5).position(|bytes| bytes == b"False").expect("an order");
    [&file[..at], b"True ", &file[at + 5..]].concat()
}

#[test]
fn a_single_training_image_is_refused() {
    let files = [idx(&[1, 1, 2], &[0; 2]), idx(&[1], &[0]), idx(&[1, 1, 2], &[0; 2]), idx(&[1], &[0])];
    let message = Place::new(CustomFormat::Idx, files).refusal();
    assert!(message.contains("at least 2"), "{message}");
}
