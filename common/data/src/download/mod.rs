//! Downloads the files of datasets from mirrors. Only a file with the known digest gets its final name.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::downloadable::{Downloadable, DownloadableFile, Mismatch, Offer};
use crate::formats::gzip;

/// The maximum size of a download in bytes, above that of every known file. It keeps a wrong mirror from filling the
/// disk.
const BYTES_MAX: u64 = 512 << 20;
/// The timeouts of a mirror: for its answer, and for a whole download.
const ANSWER: Duration = Duration::from_secs(30);
const DOWNLOAD: Duration = Duration::from_secs(3_600);

/// Why a dataset could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No mirror has the file.
    #[error(
        "no mirror gave `{what}`:\n{}\ncheck the network, name another mirror with --mirror URL, or put the files into {} \
         yourself",
        tried.iter().map(|one| format!("  {one}")).collect::<Vec<_>>().join("\n"), folder.display()
    )]
    Unavailable {
        /// The file or archive.
        what: String,
        /// Every address tried, with its error.
        tried: Vec<Attempt>,
        /// The folder of the dataset.
        folder: PathBuf,
    },
    /// The folder of the dataset cannot be written.
    #[error("cannot write `{}`: {source}; check that the folder is writable and has free space", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// A download that failed.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {fault}")]
pub struct Attempt {
    url: String,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Http(#[from] Box<ureq::Error>),
    #[error("the download broke off: {0}")]
    Broken(#[from] io::Error),
    #[error("not the genuine file: {0}")]
    NotGenuine(Mismatch),
    #[error("the archive lacks `{0}`")]
    Lacks(&'static str),
}

/// Downloads the files of a dataset that `folder` lacks, each from the first of `mirrors` that has it, and returns the
/// paths of all its files in order. `say` receives a line for each step.
///
/// # Errors
/// A file that no mirror has, or a folder that cannot be written.
pub fn fetch(
    published: &Downloadable,
    mirrors: &[String],
    folder: &Path,
    mut say: impl FnMut(String),
) -> Result<Vec<PathBuf>, FetchError> {
    fs::create_dir_all(folder).map_err(|source| FetchError::Unwritable { path: folder.to_owned(), source })?;
    if let Some(paths) = published.files.iter().map(|file| genuine_in(folder, file)).collect::<Option<Vec<_>>>() {
        return Ok(paths);
    }
    match published.offer {
        Offer::Gzipped => published.files.iter().map(|file| fetch_gzipped(file, mirrors, folder, &mut say)).collect(),
        Offer::Archive => fetch_archive(published.files, mirrors, folder, &mut say),
    }
}

/// The path of a file in the folder, if its digest is right.
fn genuine_in(folder: &Path, file: &DownloadableFile) -> Option<PathBuf> {
    let names = file.names.iter().flat_map(|name| [folder.join(format!("{name}.gz")), folder.join(name)]);
    names.into_iter().find(|path| fs::read(path).is_ok_and(|bytes| check(file, &bytes).is_ok()))
}

/// Checks the digest of a file's bytes, which may be gzipped.
fn check(file: &DownloadableFile, bytes: &[u8]) -> Result<(), Fault> {
    if !bytes.starts_with(&gzip::MAGIC) {
        return file.genuine.check(bytes, None).map_err(Fault::NotGenuine);
    }
    let mut plain = Vec::new();
    gzip::Decoder::new(bytes).take(BYTES_MAX).read_to_end(&mut plain)?;
    file.genuine.check(&plain, Some(bytes)).map_err(Fault::NotGenuine)
}

fn fetch_gzipped(
    file: &DownloadableFile,
    mirrors: &[String],
    folder: &Path,
    say: &mut impl FnMut(String),
) -> Result<PathBuf, FetchError> {
    if let Some(path) = genuine_in(folder, file) {
        return Ok(path);
    }
    let name = format!("{}.gz", file.names[0]);
    let urls: Vec<String> = mirrors.iter().map(|mirror| format!("{}/{name}", mirror.trim_end_matches('/'))).collect();
    let bytes = first_of(&urls, &name, folder, say, |url| {
        let bytes = download(url)?;
        check(file, &bytes)?;
        Ok(bytes)
    })?;
    put(folder, &name, &bytes)
}

fn fetch_archive(
    files: &[DownloadableFile],
    mirrors: &[String],
    folder: &Path,
    say: &mut impl FnMut(String),
) -> Result<Vec<PathBuf>, FetchError> {
    let contents = first_of(mirrors, "its archive", folder, say, |url| unpack(files, &download(url)?))?;
    files.iter().zip(contents).map(|(file, bytes)| put(folder, file.names[0], &bytes)).collect()
}

/// The files in a gzipped tar archive, whatever folder of it they are in.
fn unpack(files: &[DownloadableFile], archive: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut found: Vec<Option<Vec<u8>>> = vec![None; files.len()];
    for entry in tar::Archive::new(gzip::Decoder::new(archive).take(BYTES_MAX)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(place) = files.iter().position(|file| path.file_name() == Some(file.names[0].as_ref())) else {
            continue;
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        check(&files[place], &bytes)?;
        found[place] = Some(bytes);
    }
    files.iter().zip(found).map(|(file, bytes)| bytes.ok_or(Fault::Lacks(file.names[0]))).collect()
}

/// The result of `get` for the first address where it works.
fn first_of<T>(
    urls: &[String],
    what: &str,
    folder: &Path,
    say: &mut impl FnMut(String),
    get: impl Fn(&str) -> Result<T, Fault>,
) -> Result<T, FetchError> {
    let mut tried = Vec::new();
    for url in urls {
        say(format!("downloading {url}"));
        match get(url) {
            Ok(found) => return Ok(found),
            Err(fault) => tried.push(Attempt { url: url.clone(), fault }),
        }
    }
    Err(FetchError::Unavailable { what: what.to_owned(), tried, folder: folder.to_owned() })
}

fn download(url: &str) -> Result<Vec<u8>, Fault> {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_global(Some(DOWNLOAD));
    let agent: ureq::Agent = config.build().into();
    let mut response = agent.get(url).call().map_err(Box::new)?;
    Ok(response.body_mut().with_config().limit(BYTES_MAX).read_to_vec().map_err(Box::new)?)
}

/// Writes a file under a temporary name and then renames it, so that no reader sees an incomplete file.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, FetchError> {
    let (path, part) = (folder.join(name), folder.join(format!(".{name}.{}.part", std::process::id())));
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    match write() {
        Ok(()) => Ok(path),
        Err(source) => {
            drop(fs::remove_file(&part));
            Err(FetchError::Unwritable { path, source })
        }
    }
}

#[cfg(test)]
mod tests;
