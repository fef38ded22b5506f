//! Connection files: what a program needs to reach a coordinator. The file has a secret, so only its owner may read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::access::token::{Fingerprint, Token};
use biosweep_common::vocabulary::ids::StoreId;
use biosweep_common::workers::flags;
use serde::{Deserialize, Serialize};

/// Maximum bytes of a connection file.
const BYTES_MAX: u64 = 64 * 1024;
/// Maximum number of addresses in one.
const ADDRESSES_MAX: usize = 16;
/// The permissions of others, none of which may be set.
const OTHERS: u32 = 0o077;

/// Why a connection file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionFileError {
    /// It cannot be read.
    #[error(
        "cannot read the connection file {path}: {source}; give the file that `biosweep token create --to FILE` wrote"
    )]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("others can read the connection file {path}, which has a secret (mode {mode:03o}); run `chmod 600 {path}`")]
    Open {
        /// Its path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not a connection file.
    #[error("{path} is not a connection file: {why}; make one with `biosweep token create --to FILE`")]
    Invalid {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It cannot be written.
    #[error("cannot write the connection file {path}: {source}; choose another path")]
    Unwritable {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

/// What a program needs to reach a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFile {
    /// The addresses of the coordinator, such as `https://10.0.0.1:7465`, in the order in which they are tried.
    pub addresses: Vec<String>,
    /// The store that the coordinator serves, if the file is for this store only.
    pub store: Option<StoreId>,
    /// The token; `None` for a coordinator without protection.
    pub token: Option<Token>,
}

/// The file as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    addresses: Vec<String>,
    /// The fingerprint of the certificate authority, also part of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<StoreId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl ConnectionFile {
    /// For a coordinator without protection at this address.
    #[must_use]
    pub fn at(address: String) -> Self {
        Self { addresses: vec![address], store: None, token: None }
    }

    /// The address that is tried first; empty if there is none.
    #[must_use]
    pub fn first_address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// The certificate authority of the coordinator; `None` without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<Fingerprint> {
        self.token.as_ref().and_then(|token| token.authority)
    }

    /// Reads a connection file.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that has something else.
    pub fn read(path: &Path) -> Result<Self, ConnectionFileError> {
        let unreadable = |source| ConnectionFileError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(ConnectionFileError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text).map_err(|why| ConnectionFileError::Invalid { path: path.to_owned(), why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own words may repeat a part of the text.
        let json: Json = serde_json::from_str(text).map_err(|error| {
            format!(
                "it has no `addresses`, or what is at line {}, column {} is not expected",
                error.line(),
                error.column()
            )
        })?;
        if json.addresses.is_empty() || json.addresses.len() > ADDRESSES_MAX {
            return Err(format!("`addresses` takes 1 to {ADDRESSES_MAX} addresses"));
        }
        for address in &json.addresses {
            flags::coordinator_url(address).map_err(|why| format!("`addresses` has an entry that is none: {why}"))?;
        }
        let token = json.token.map(|token| token.parse::<Token>().map_err(|error| error.to_string())).transpose()?;
        let named =
            json.ca.map(|ca| ca.parse::<Fingerprint>().map_err(|error| format!("`ca`: {error}"))).transpose()?;
        if named != token.as_ref().and_then(|token| token.authority) {
            return Err("`ca` is not the authority in `token`".to_owned());
        }
        Ok(Self { addresses: json.addresses, store: json.store, token })
    }

    /// Writes the file for its owner alone. It appears complete, in the place of an earlier one.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ConnectionFileError> {
        let json = Json {
            addresses: self.addresses.clone(),
            ca: self.authority().map(|authority| authority.to_string()),
            store: self.store,
            token: self.token.as_ref().map(Token::to_text),
        };
        let text = serde_json::to_string_pretty(&json).map_err(io::Error::from);
        let written = text.and_then(|text| write_private(path, format!("{text}\n").as_bytes()));
        written.map_err(|source| ConnectionFileError::Unwritable { path: path.to_owned(), source })
    }
}

/// Writes a file that only its owner can read. It appears complete.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let part = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        // One that was left behind may have other permissions.
        drop(fs::remove_file(&part));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&part)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use biosweep_common::vocabulary::access::token::{Secret, TokenId};

    use super::*;

    fn file(authority: Option<Fingerprint>) -> ConnectionFile {
        let token = Token { authority, id: TokenId([1; 8]), secret: Secret([2; 32]) };
        ConnectionFile { addresses: vec!["https://10.0.0.1:7465".to_owned()], store: None, token: Some(token) }
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_only_if_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("connection.json");
        for written in [file(Some(Fingerprint([3; 32]))), file(None), ConnectionFile { token: None, ..file(None) }] {
            written.write(&path).expect("it is written");
            assert_eq!(ConnectionFile::read(&path).expect("it is read"), written);
            assert_eq!(path.metadata().expect("a file").mode() & 0o777, 0o600);
        }
        for mode in [0o640, 0o604, 0o660, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its owner may");
            let error = ConnectionFile::read(&path).expect_err("others can read it").to_string();
            assert!(error.contains(&format!("mode {mode:03o}")) && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn an_error_names_the_file_and_not_the_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("connection.json");
        let token = file(None).token.expect("a token").to_text();
        let refused = |content: &str| {
            write_private(&path, content.as_bytes()).expect("it is written");
            let error = ConnectionFile::read(&path).expect_err(content).to_string();
            assert!(error.contains("connection.json") && !error.contains("0202"), "{error}");
            error
        };
        assert!(refused("").contains("is not a connection file"));
        assert!(refused(r#"{"addresses": []}"#).contains("1 to 16 addresses"));
        assert!(refused(r#"{"addresses": ["ftp://x"]}"#).contains("http://HOST:PORT"));
        assert!(refused(&format!(r#"{{"addresses": ["http://a:1"], "token": "{token}0"}}"#)).contains("cut off"));
        let other = format!(r#"{{"addresses": ["http://a:1"], "token": "{token}", "ca": "{}"}}"#, "a".repeat(64));
        assert!(refused(&other).contains("`ca` is not the authority"));
        assert!(refused(&format!(r#"{{"addresses": ["http://a:1"], "{token}": 1}}"#)).contains("at line 1, column"));
    }
}
