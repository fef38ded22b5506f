//! The certificate authority of a coordinator: a folder with its key, and with the certificate of the server.
//!
//! | file | contents |
//! |---|---|
//! | `ca.pem`, `ca.key` | the authority, valid for ten years; the key signs every certificate |
//! | `server.pem`, `server.key` | the certificate of the server, valid for 90 days |

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::token::Fingerprint;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_connection::authority::{SERVER_NAME, fingerprint_of};
use biosweep_connection::file::write_private;
use biosweep_host::{name, private};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How long certificates are valid: of the authority, of a server, of a worker.
const AUTHORITY_MS: u64 = 3_653 * DAY_MS;
const SERVER_MS: u64 = 90 * DAY_MS;
pub(super) const WORKER_MS: u64 = DAY_MS;
/// How much earlier they are valid than they were made, because clocks differ.
const EARLIER_MS: u64 = 2 * HOUR_MS;
/// How certificates name the role and the holder: `biosweep:worker/<id>`, `biosweep:viewer/<name>`.
const SCHEME: &str = "biosweep:";
/// Maximum bytes of a certificate signing request.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// There is an authority already.
    #[error(
        "{folder} has a certificate authority already; its tokens and certificates would all become invalid: choose another folder, \
         or move this one away"
    )]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// A file has something else than expected.
    #[error(
        "{path} cannot be used: {why}; restore it, or make a new authority in another folder with `biosweep certs init`"
    )]
    Invalid {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A name for which no certificate can be made.
    #[error("`{name}` is not the name or address of a machine")]
    Name {
        /// The name.
        name: String,
    },
    /// A certificate cannot be signed.
    #[error("a certificate cannot be made: {0}")]
    Signing(#[from] rcgen::Error),
}

/// Why a certificate signing request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is too long, damaged, or not signed by its key.
    #[error("the certificate signing request cannot be read")]
    Unreadable,
    /// It asks for names or rights.
    #[error(
        "the certificate signing request asks for names or rights; a worker asks for nothing but a certificate for its key"
    )]
    AsksForMore,
    /// A certificate cannot be signed.
    #[error(transparent)]
    Signing(#[from] rcgen::Error),
}

/// The names and addresses under which a browser on this machine reaches a coordinator, and the machine's name.
#[must_use]
pub fn names_of_machine() -> BTreeSet<String> {
    ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter().chain(name::host_name()).collect()
}

/// The folder of the certificates in a home.
#[must_use]
pub fn folder_of(home: &Path) -> PathBuf {
    home.join("certs")
}

/// The certificate authority of a coordinator.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The certificate of the authority (DER).
    pub certificate: Vec<u8>,
    /// The fingerprint of its public key.
    pub fingerprint: Fingerprint,
}

/// A certificate signing request that asks for nothing but a certificate for its key.
#[derive(Debug)]
pub struct KeyRequest {
    request: CertificateSigningRequestParams,
    /// SHA-256 of the public key.
    pub key: Fingerprint,
}

impl Authority {
    /// Makes a new authority in a folder, which must not have one.
    ///
    /// # Errors
    /// A folder that has one, or that cannot be written.
    pub fn create(folder: &Path, now: WallTime) -> Result<Self, AuthorityError> {
        let (certificate_path, key_path) = (folder.join("ca.pem"), folder.join("ca.key"));
        if certificate_path.exists() || key_path.exists() {
            return Err(AuthorityError::Exists { folder: folder.to_owned() });
        }
        private::create_folder(folder).map_err(|source| AuthorityError::File { path: folder.to_owned(), source })?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = parameters("biosweep certificate authority", now, AUTHORITY_MS)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key)?;
        write(&key_path, &key.serialize_pem())?;
        write(&certificate_path, &certificate.pem())?;
        Self::open(folder)
    }

    /// Opens the authority in a folder.
    ///
    /// # Errors
    /// Files that are missing or that do not belong together.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let (certificate_path, key_path) = (folder.join("ca.pem"), folder.join("ca.key"));
        let invalid = |path: &Path, why: &str| AuthorityError::Invalid { path: path.to_owned(), why: why.to_owned() };
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(|_| invalid(&key_path, "it is not a private key"))?;
        let certificate = pem::parse(read(&certificate_path)?).map(pem::Pem::into_contents);
        let certificate = certificate.map_err(|_| invalid(&certificate_path, "it is not a certificate"))?;
        let fingerprint = fingerprint_of(&certificate);
        let fingerprint = fingerprint.ok_or_else(|| invalid(&certificate_path, "it is not a certificate"))?;
        if fingerprint != Fingerprint(Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key)).into()) {
            return Err(invalid(&certificate_path, "it is not the certificate of ca.key"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate.as_slice().into(), key)?;
        Ok(Self { folder: folder.to_owned(), issuer, certificate, fingerprint })
    }

    /// Whether a folder has an authority.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join("ca.pem").exists()
    }

    /// Makes a new key and certificate for the server under these names and addresses, and keeps them in the folder.
    ///
    /// # Errors
    /// A name that cannot be one; a folder that cannot be written.
    pub fn issue_server(&self, names: &BTreeSet<String>, now: WallTime) -> Result<(), AuthorityError> {
        let mut parameters = parameters("biosweep coordinator", now, SERVER_MS)?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in names.iter().map(String::as_str).chain([SERVER_NAME]) {
            let named = match name.parse::<IpAddr>() {
                Ok(address) => Ok(SanType::IpAddress(address)),
                Err(_) => Ia5String::try_from(name).map(SanType::DnsName),
            };
            parameters.subject_alt_names.push(named.map_err(|_| AuthorityError::Name { name: name.to_owned() })?);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        write(&self.folder.join("server.key"), &key.serialize_pem())?;
        write(&self.folder.join("server.pem"), &self.chain_pem(&certificate))
    }

    /// Makes a new key and certificate for the server under the names of the current one and more.
    ///
    /// # Errors
    /// A name that cannot be one; a folder that cannot be written.
    pub fn renew_server(&self, more: &BTreeSet<String>, now: WallTime) -> Result<(), AuthorityError> {
        let current = fs::read(self.folder.join("server.pem")).ok().and_then(|pem| pem::parse(pem).ok());
        let mut names = current.map(|current| names_in(current.contents())).unwrap_or_default();
        names.remove(SERVER_NAME);
        names.extend(more.iter().cloned());
        self.issue_server(&names, now)
    }

    /// A certificate for a worker's key, with the worker's id. Returns the chain (DER), the worker's own first.
    ///
    /// # Errors
    /// A key that cannot be signed.
    pub fn sign_worker(
        &self,
        request: &KeyRequest,
        worker: WorkerId,
        now: WallTime,
    ) -> Result<Vec<Vec<u8>>, RequestError> {
        let mut parameters = parameters("biosweep worker", now, WORKER_MS)?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.subject_alt_names = vec![holder(Role::Worker, &worker.to_string())?];
        let certificate = parameters.signed_by(&request.request.public_key, &self.issuer)?;
        Ok(vec![certificate.der().to_vec(), self.certificate.clone()])
    }

    /// A new key and a certificate that carries a role, both as PEM: for programs that identify themselves by certificates only.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn issue_client(&self, role: Role, name: &str, now: WallTime) -> Result<(String, String), AuthorityError> {
        let mut parameters = parameters("biosweep client", now, SERVER_MS)?;
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.subject_alt_names = vec![holder(role, name)?];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok((self.chain_pem(&certificate), key.serialize_pem()))
    }

    fn chain_pem(&self, certificate: &Certificate) -> String {
        certificate.pem() + &pem::encode(&pem::Pem::new("CERTIFICATE", self.certificate.clone()))
    }
}

impl KeyRequest {
    /// Reads a request (DER) and checks that its sender has the key.
    ///
    /// # Errors
    /// A request that is damaged, or that asks for more.
    pub fn read(request: &[u8]) -> Result<Self, RequestError> {
        if request.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::Unreadable);
        }
        let request = match CertificateSigningRequestParams::from_der(&request.into()) {
            Ok(request) => request,
            Err(rcgen::Error::UnsupportedExtension) => return Err(RequestError::AsksForMore),
            Err(_) => return Err(RequestError::Unreadable),
        };
        let asked = &request.params;
        let asks = !asked.subject_alt_names.is_empty()
            || !asked.extended_key_usages.is_empty()
            || !asked.key_usages.is_empty()
            || asked.is_ca != IsCa::NoCa;
        if asks {
            return Err(RequestError::AsksForMore);
        }
        let key = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&request.public_key)).into();
        Ok(Self { request, key: Fingerprint(key) })
    }
}

/// The role and the holder in the name of a certificate; `None` if it is not a name of this kind.
pub(crate) fn read_holder(uri: &str) -> Option<(Role, &str)> {
    let (role, name) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    Some((role.parse().ok()?, name))
}

fn holder(role: Role, name: &str) -> Result<SanType, rcgen::Error> {
    Ok(SanType::URI(Ia5String::try_from(format!("{SCHEME}{role}/{name}"))?))
}

/// The names and addresses in a certificate.
fn names_in(certificate: &[u8]) -> BTreeSet<String> {
    let parsed = X509Certificate::from_der(certificate).ok();
    let names =
        parsed.and_then(|(_, parsed)| Some(parsed.subject_alternative_name().ok()??.value.general_names.clone()));
    let text = |name: GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
            _ => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        },
        _ => None,
    };
    names.into_iter().flatten().filter_map(text).collect()
}

fn parameters(name: &str, now: WallTime, valid_ms: u64) -> Result<CertificateParams, rcgen::Error> {
    let at = |ms: u64| OffsetDateTime::from_unix_timestamp((ms / 1_000) as i64).map_err(|_| rcgen::Error::Time);
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = at(now.0.saturating_sub(EARLIER_MS))?;
    parameters.not_after = at(now.0 + valid_ms)?;
    parameters.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

fn write(path: &Path, content: &str) -> Result<(), AuthorityError> {
    write_private(path, content.as_bytes()).map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}
