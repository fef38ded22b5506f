//! The key and the certificate of a worker. The key is made here and stays here.

use std::path::Path;
use std::{fs, io};

use biosweep_common::vocabulary::time::WallTime;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::file::write_private;

/// Why a key or a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The key cannot be made or read.
    #[error("the worker's key cannot be used: {0}")]
    Key(#[from] rcgen::Error),
    /// The certificate is none, or of another key.
    #[error("the coordinator sent a certificate that cannot be used: {0}")]
    Certificate(String),
    /// The files cannot be read or written.
    #[error("cannot keep the worker's key and certificate: {0}")]
    File(#[from] io::Error),
}

/// The private key of a worker.
#[derive(Debug)]
pub struct Key(KeyPair);

/// A key with a certificate for it.
#[derive(Debug)]
pub struct Identity {
    key: PrivateKeyDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    /// From when to when the certificate is valid.
    pub valid: (WallTime, WallTime),
}

impl Key {
    /// Reads the key in a folder, or makes one there.
    ///
    /// # Errors
    /// A folder that cannot be written; a file that is not a key.
    pub fn open(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join("key.pem");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self(KeyPair::from_pem(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                write_private(&path, key.serialize_pem().as_bytes())?;
                Ok(Self(key))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A request for a certificate for this key. It asks for nothing else: the coordinator decides what stands in it.
    ///
    /// # Errors
    /// A key that cannot sign.
    pub fn request(&self) -> Result<Vec<u8>, IdentityError> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name.push(DnType::CommonName, "biosweep worker");
        Ok(parameters.serialize_request(&self.0)?.der().to_vec())
    }

    /// The key with this chain of certificates, the worker's own first.
    ///
    /// # Errors
    /// A chain that is empty, or a certificate for another key.
    pub fn with(&self, chain: Vec<Vec<u8>>) -> Result<Identity, IdentityError> {
        let bad = |why: &str| IdentityError::Certificate(why.to_owned());
        let own = chain.first().ok_or_else(|| bad("there is none"))?;
        let (_, own) = X509Certificate::from_der(own).map_err(|_| bad("it is damaged"))?;
        if own.public_key().raw != self.0.subject_public_key_info().as_slice() {
            return Err(bad("it is for another key"));
        }
        let at = |time: x509_parser::time::ASN1Time| WallTime(1_000 * u64::try_from(time.timestamp()).unwrap_or(0));
        let valid = (at(own.validity().not_before), at(own.validity().not_after));
        let key = PrivateKeyDer::try_from(self.0.serialize_der()).map_err(bad)?;
        Ok(Identity { key, chain: chain.into_iter().map(CertificateDer::from).collect(), valid })
    }

    /// The certificate that was kept in a folder for this key, if there is one.
    #[must_use]
    pub fn kept(&self, folder: &Path) -> Option<Identity> {
        let text = fs::read(folder.join("certificate.pem")).ok()?;
        let chain = pem::parse_many(text).ok()?;
        self.with(chain.into_iter().map(pem::Pem::into_contents).collect()).ok()
    }
}

impl Identity {
    /// Keeps the certificate in a folder.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn keep(&self, folder: &Path) -> io::Result<()> {
        let chain: Vec<_> = self.chain.iter().map(|one| pem::Pem::new("CERTIFICATE", one.to_vec())).collect();
        write_private(&folder.join("certificate.pem"), pem::encode_many(&chain).as_bytes())
    }

    /// The chain and the key, for TLS.
    pub(crate) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), self.key.clone_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_certificate_of_another_key_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::open(folder.path()).expect("it is made");
        let again = Key::open(folder.path()).expect("it is read");
        assert_eq!(key.0.serialize_der(), again.0.serialize_der());
        let of = |key: &Key| {
            let parameters = CertificateParams::new(Vec::new()).expect("no names");
            vec![parameters.self_signed(&key.0).expect("it signs").der().to_vec()]
        };
        key.with(of(&key)).expect("its own").keep(folder.path()).expect("it is kept");
        assert!(again.kept(folder.path()).is_some());
        let elsewhere = tempfile::tempdir().expect("a folder");
        let other = Key::open(elsewhere.path()).expect("it is made");
        assert!(other.kept(folder.path()).is_none());
        for bad in [of(&other), Vec::new(), vec![vec![1, 2, 3]]] {
            assert!(matches!(key.with(bad), Err(IdentityError::Certificate(_))));
        }
    }
}
