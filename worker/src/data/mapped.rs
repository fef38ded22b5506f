//! The bytes of a file, read into memory or mapped into it.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

/// Bytes that are never written.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In memory of our own.
    Owned(Vec<u8>),
    /// In the system's page cache, shared by all processes that map the file.
    Mapped(Mmap),
}

impl Bytes {
    /// Maps a whole file.
    ///
    /// # Errors
    /// What the system says against it.
    #[expect(unsafe_code, reason = "a mapped file may be cut short by another process; nothing else maps a file here")]
    pub(super) fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the pages are only ever read as bytes, of which every value is valid. A program that rewrites the file
        // meanwhile changes pixels, and one that truncates it ends this process by SIGBUS: dataset files are left alone.
        unsafe { Mmap::map(file) }.map(Self::Mapped)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}
