//! Fuzz target: four arbitrary files as custom data, as idx files and as NumPy arrays. They are refused or give a
//! dataset.
#![no_main]

use std::fs;
use std::path::Path;

use biosweep_common::vocabulary::CustomFormat;
use biosweep_common::vocabulary::dataset::{CustomData, DatasetRef};
use biosweep_data::custom::digest;
use biosweep_data::{self as data, Part, Places};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

/// The next file: its length in two bytes, then its content.
fn file<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let (length, rest) = input.split_first_chunk::<2>().unwrap_or((&[0, 0], &[]));
    let (file, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
    *input = rest;
    file
}

fn load(format: CustomFormat, folder: &Path, files: [&[u8]; 4]) {
    for (names, bytes) in format.files().into_iter().zip(files) {
        fs::write(folder.join(names[0]), bytes).expect("a file");
    }
    let mut own = CustomData { format, directory: folder.to_string_lossy().into_owned(), digest: None };
    // A file that looks compressed may not be.
    let Ok(digest) = digest::digest(&own) else { return };
    own.digest = Some(digest);
    if let Ok(dataset) = data::load(&DatasetRef::Custom(own), &Places::default()) {
        let labels = dataset.labels(Part::Test);
        assert_eq!(labels.len(), dataset.count(Part::Test));
        assert!(labels.iter().all(|&label| usize::from(label) < dataset.classes()));
    }
}

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let files = [0; 4].map(|_| file(&mut rest));
    FOLDER.with(|folder| {
        for format in [CustomFormat::Idx, CustomFormat::Npy] {
            load(format, folder.path(), files);
        }
    });
});
