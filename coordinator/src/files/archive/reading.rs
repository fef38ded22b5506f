//! A file to the rows of a sweep. Nothing is believed before the digest at its end is that of its content.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use biosweep_store::archive::{ArchivedSweep, ImportedRow, References, RowsError};
use blake3::{Hash, Hasher};
use flate2::bufread::GzDecoder;

use super::entry::{End, Entry, Head};
use super::rules::Rules;
use super::writing::bytes;
use super::{ArchiveError, Counts, DIGEST_BYTES, KIND, VERSION};

/// Maximum bytes of a line: a curve of several million evaluations.
const LINE_MAX: u64 = 512 << 20;
/// Maximum bytes of the first line.
const KIND_LINE_MAX: u64 = 64;
/// Number of rows, and approximate bytes of lines, that are imported at once.
const PART: (usize, usize) = (1_000, 16 << 20);

/// A complete file.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    file: File,
    /// Bytes before the digest.
    len: u64,
    digest: Hash,
}

/// An archive whose entries agree.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The sweep.
    pub(crate) sweep: ArchivedSweep,
    /// What it refers to.
    pub(crate) references: References,
    /// The number of its entries.
    pub(crate) counts: Counts,
    /// The digest of the entries without the first and the last: of what an import writes.
    pub(crate) content: Hash,
}

impl Archive {
    /// Opens a file and compares its digest with its content.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let unread = |source| ArchiveError::Unread { path: path.to_owned(), source };
        let other = || ArchiveError::OtherKind(path.to_owned());
        let mut file = File::open(path).map_err(unread)?;
        if !file.metadata().map_err(unread)?.is_file() {
            return Err(other());
        }
        let mut first = Vec::new();
        let mut start = BufReader::new((&file).take(KIND_LINE_MAX));
        start.read_until(b'\n', &mut first).map_err(unread)?;
        let version = first.strip_prefix(KIND.as_bytes()).and_then(|rest| rest.strip_suffix(b"\n"));
        let version = version.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        match version {
            None => return Err(other()),
            Some(version) if version > VERSION => return Err(ArchiveError::Newer { path: path.to_owned(), version }),
            Some(VERSION) => {}
            Some(_) => return Err(other()),
        }
        let broken = || ArchiveError::Broken(path.to_owned());
        let total = file.seek(SeekFrom::End(0)).map_err(unread)?;
        let len = total.checked_sub(DIGEST_BYTES).ok_or_else(broken)?;
        file.rewind().map_err(unread)?;
        let mut hasher = Hasher::new();
        hasher.update_reader((&file).take(len)).map_err(unread)?;
        let mut digest = [0; DIGEST_BYTES as usize];
        (&file).read_exact(&mut digest).map_err(unread)?;
        let digest = Hash::from_bytes(digest);
        if hasher.finalize() != digest {
            return Err(broken());
        }
        Ok(Self { path: path.to_owned(), file, len, digest })
    }

    /// Reads all entries and checks that they agree.
    pub(crate) fn check(&self) -> Result<Checked, ArchiveError> {
        let contradicts = |why| ArchiveError::Contradicts { path: self.path.clone(), why };
        let mut entries = self.entries()?;
        let (mut rules, head) = entries.begin()?;
        let mut content = Hasher::new();
        content.update(&bytes(&Entry::Sweep(Box::new(rules.sweep().into()))));
        let end = loop {
            match entries.next()?.0 {
                Entry::End(end) => break end,
                entry => {
                    rules.row(&entry).map_err(contradicts)?;
                    content.update(&bytes(&entry));
                }
            }
        };
        entries.finish()?;
        let references = rules.end(&end).map_err(contradicts)?;
        let counts = rules.counts;
        let submission = &rules.sweep().row.submission;
        if (head.sweep, &head.name, head.trials) != (submission.id, &submission.name, submission.trials)
            || (head.results, head.attempts) != (counts.results, counts.attempts)
        {
            return Err(contradicts("its head has other counts than its entries".to_owned()));
        }
        Ok(Checked { sweep: rules.sweep().clone(), references, counts, content: content.finalize() })
    }

    /// The rows of the sweep, read again.
    pub(crate) fn rows(&self) -> Result<Rows<'_>, ArchiveError> {
        let mut entries = self.entries()?;
        let (rules, _) = entries.begin()?;
        Ok(Rows { entries, rules, has_ended: false })
    }

    fn entries(&self) -> Result<Entries<'_>, ArchiveError> {
        let unread = |source| ArchiveError::Unread { path: self.path.clone(), source };
        (&self.file).rewind().map_err(unread)?;
        let hashed = Hashed { inner: (&self.file).take(self.len), hasher: Hasher::new() };
        let mut packed = BufReader::new(hashed);
        packed.read_until(b'\n', &mut Vec::new()).map_err(unread)?;
        Ok(Entries { archive: self, lines: BufReader::new(GzDecoder::new(packed)), line: Vec::new() })
    }
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The entries of a file, one after another.
struct Entries<'a> {
    archive: &'a Archive,
    lines: BufReader<GzDecoder<BufReader<Hashed<io::Take<&'a File>>>>>,
    line: Vec<u8>,
}

impl Entries<'_> {
    /// The first two entries.
    fn begin(&mut self) -> Result<(Rules, Head), ArchiveError> {
        let archive = self.archive;
        let misplaced = || archive.contradicts("its first entries are not its head and its sweep".to_owned());
        let (Entry::Head(head), _) = self.next()? else { return Err(misplaced()) };
        let (Entry::Sweep(sweep), _) = self.next()? else { return Err(misplaced()) };
        let rules = sweep.read().and_then(Rules::of).map_err(|why| self.archive.contradicts(why))?;
        Ok((rules, head))
    }

    /// The next entry, with the bytes of its line.
    fn next(&mut self) -> Result<(Entry, usize), ArchiveError> {
        self.line.clear();
        let read = (&mut self.lines).take(LINE_MAX).read_until(b'\n', &mut self.line);
        read.map_err(|error| self.archive.contradicts(format!("its content cannot be unpacked: {error}")))?;
        let entry = serde_json::from_slice(&self.line);
        let entry = entry.map_err(|error| self.archive.contradicts(format!("an entry cannot be read: {error}")))?;
        Ok((entry, self.line.len()))
    }

    /// Checks that nothing follows, and that the content is still the one whose digest was compared.
    fn finish(&mut self) -> Result<(), ArchiveError> {
        let unread = |source| ArchiveError::Unread { path: self.archive.path.clone(), source };
        let after = self.lines.fill_buf().map_err(unread)?;
        if !after.is_empty() {
            return Err(self.archive.contradicts("entries follow its end".to_owned()));
        }
        let packed = self.lines.get_mut().get_mut();
        io::copy(packed, &mut io::sink()).map_err(unread)?;
        if packed.get_ref().hasher.finalize() != self.archive.digest {
            return Err(ArchiveError::Broken(self.archive.path.clone()));
        }
        Ok(())
    }
}

impl Archive {
    fn contradicts(&self, why: String) -> ArchiveError {
        ArchiveError::Contradicts { path: self.path.clone(), why }
    }
}

/// The rows of a sweep, in parts that fit into memory. The last part comes only if the content is the one that was checked.
pub(crate) struct Rows<'a> {
    entries: Entries<'a>,
    rules: Rules,
    has_ended: bool,
}

impl Rows<'_> {
    fn part(&mut self) -> Result<Vec<ImportedRow>, ArchiveError> {
        let (mut part, mut size) = (Vec::new(), 0);
        while part.len() < PART.0 && size < PART.1 {
            let (entry, bytes) = self.entries.next()?;
            size += bytes;
            if let Entry::End(End { .. }) = entry {
                self.entries.finish()?;
                self.has_ended = true;
                break;
            }
            part.extend(self.rules.row(&entry).map_err(|why| self.entries.archive.contradicts(why))?);
        }
        Ok(part)
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<ImportedRow>, RowsError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.has_ended).then(|| self.part().map_err(Into::into))
    }
}
