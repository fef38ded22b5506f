//! The dates of the certificates in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::time::WallTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::authority::{Authority, AuthorityError};

/// The time in which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its start.
    pub from: WallTime,
    /// Its end.
    pub until: WallTime,
}

/// The certificates in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// The authority.
    pub authority: Validity,
    /// The certificate of the server; `None` if there is none yet.
    pub server: Option<Validity>,
}

/// Reads the certificates in a folder.
///
/// # Errors
/// Files that are missing or damaged; a key that does not belong to its certificate.
pub fn inspect(folder: &Path) -> Result<Inspected, AuthorityError> {
    let authority = Authority::open(folder)?;
    let (path, key) = (folder.join("server.pem"), folder.join("server.key"));
    let server = match path.exists() {
        true => {
            let text = fs::read(&path).map_err(|source| AuthorityError::File { path: path.clone(), source })?;
            let certificate = pem::parse(text).map_err(|_| invalid(&path))?;
            let text = fs::read_to_string(&key).map_err(|source| AuthorityError::File { path: key.clone(), source })?;
            let pair = rcgen::KeyPair::from_pem(&text).map_err(|_| AuthorityError::Invalid {
                path: key.clone(),
                why: "it is not a private key".to_owned(),
            })?;
            let of_key = rcgen::PublicKeyData::subject_public_key_info(&pair);
            let read = X509Certificate::from_der(certificate.contents()).map_err(|_| invalid(&path))?.1;
            if read.public_key().raw != of_key {
                let why = "it is not the certificate of server.key".to_owned();
                return Err(AuthorityError::Invalid { path, why });
            }
            Some(validity(certificate.contents(), &path)?)
        }
        false => None,
    };
    Ok(Inspected { authority: validity(&authority.certificate, &folder.join("ca.pem"))?, server })
}

fn invalid(path: &Path) -> AuthorityError {
    AuthorityError::Invalid { path: PathBuf::from(path), why: "it is not a certificate".to_owned() }
}

fn validity(certificate: &[u8], path: &Path) -> Result<Validity, AuthorityError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| invalid(path))?;
    let at = |second: i64| WallTime(1_000 * u64::try_from(second).unwrap_or(0));
    let validity = certificate.validity();
    Ok(Validity { from: at(validity.not_before.timestamp()), until: at(validity.not_after.timestamp()) })
}
