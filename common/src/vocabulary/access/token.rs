//! Tokens as text: `bsj1.<fingerprint>.<id>.<secret>`.
//!
//! The fingerprint names the certificate authority of the coordinator. The holder checks it before the secret is sent. In the token of
//! a coordinator without TLS, which only this machine can reach, it is the word `local`.

use std::fmt;
use std::str::FromStr;

/// The first part of every token.
const VERSION: &str = "bsj1";
/// What stands for the fingerprint in a token that is valid on this machine only.
const LOCAL: &str = "local";

/// SHA-256 of the public key of a certificate authority, in the form of its certificate (SubjectPublicKeyInfo, DER).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// The public name of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 8]);

/// 256 random bits that prove who the caller is. They are shown only as part of the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

/// A token. Its text has the secret; its debug form does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The certificate authority of the coordinator; `None` for a coordinator on this machine, without TLS.
    pub authority: Option<Fingerprint>,
    /// The public name.
    pub id: TokenId,
    /// The secret.
    pub secret: Secret,
}

/// A text is not a token. The error does not repeat the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin with the version.
    #[error("this is not a token of biosweep: a token begins with `{VERSION}.`; make one with `biosweep token create`")]
    Version,
    /// A part is missing, or has another length.
    #[error("the token is cut off or changed: it has four parts, with a point between them; copy it again")]
    Form,
}

impl Token {
    /// The token as text, with its secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        let authority = self.authority.map_or_else(|| LOCAL.to_owned(), |authority| authority.to_string());
        format!("{VERSION}.{authority}.{}.{}", self.id, hex(&self.secret.0))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let rest = text.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.')).ok_or(TokenError::Version)?;
        let mut parts = rest.split('.');
        let (Some(authority), Some(id), Some(secret), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Form);
        };
        let authority = match authority {
            LOCAL => None,
            text => Some(text.parse().map_err(|_| TokenError::Form)?),
        };
        let id = id.parse().map_err(|_| TokenError::Form)?;
        let secret = Secret(bytes(secret).ok_or(TokenError::Form)?);
        Ok(Self { authority, id, secret })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A text is not a number of this many hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it takes {0} hexadecimal digits")]
pub struct NoHex(usize);

macro_rules! hexadecimal {
    ($name:ident, $bytes:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = NoHex;

            fn from_str(text: &str) -> Result<Self, NoHex> {
                bytes(text).map(Self).ok_or(NoHex(2 * $bytes))
            }
        }
    };
}

hexadecimal!(Fingerprint, 32);
hexadecimal!(TokenId, 8);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a text of lower-case hexadecimal digits. One value has one text.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.as_bytes().iter().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(authority: Option<Fingerprint>) -> Token {
        Token { authority, id: TokenId([1, 2, 3, 4, 5, 6, 7, 0xf8]), secret: Secret([0xab; 32]) }
    }

    #[test]
    fn a_token_is_read_as_it_is_written_and_no_other_text_is_a_token() {
        for token in [token(None), token(Some(Fingerprint([9; 32])))] {
            let text = token.to_text();
            assert_eq!(text.parse(), Ok(token));
            for len in 0..text.len() {
                assert!(text[..len].parse::<Token>().is_err(), "cut after {len} characters");
            }
            for changed in [format!("{text}0"), format!("{text}."), text.to_uppercase(), text.replace("bsj1", "bsj2")] {
                assert!(changed.parse::<Token>().is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn the_secret_is_not_in_the_debug_form_nor_in_an_error() {
        let debug = format!("{:?}", token(None));
        assert!(debug.contains("Secret(…)") && !debug.contains("171"), "{debug}");
        let cut = &token(None).to_text()[..60];
        let error = cut.parse::<Token>().expect_err("it is cut off").to_string();
        assert!(!error.contains("abab"), "{error}");
    }
}
