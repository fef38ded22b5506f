//! `biosweep token`: creates, lists and revokes tokens.

use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::rows::NewToken;
use biosweep_common::vocabulary::access::token::{Fingerprint, Token};
use biosweep_common::workers::flags;
use biosweep_connection::dial::{PORT, is_loopback};
use biosweep_connection::file::ConnectionFile;
use biosweep_host::name;
use biosweep_server::access::authority::{Authority, folder_of};
use clap::{Args, Subcommand};

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::access;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token, and print it or write a connection file with it
    Create(CreateArgs),
    /// List the tokens, without their secrets
    List(ListArgs),
    /// Revoke a token with all certificates that it brought, or the certificate of one worker
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What the token allows: worker (train), viewer (read), submitter (also submit and control sweeps), operator (also delete, and
    /// manage tokens)
    #[arg(long)]
    role: Role,
    /// When it expires: a number with s, min, h or d, such as 12h; or never
    #[arg(long, default_value = "30d", value_name = "TIME", value_parser = expiry)]
    expires: Expiry,
    /// How many workers may enrol with it [default: any number]
    #[arg(long, value_name = "N", value_parser = flags::count::<std::num::NonZeroU32>, allow_negative_numbers = true)]
    uses: Option<std::num::NonZeroU32>,
    /// A text that `biosweep token list` shows
    #[arg(long, default_value = "")]
    label: String,
    /// Write a connection file that only you can read, and print no secret
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Address of the coordinator for the connection file, such as http://127.0.0.1:7465 for other users of this machine [default:
    /// https://NAME-OF-THIS-MACHINE:7465]
    #[arg(long, value_name = "URL", value_parser = address)]
    address: Option<String>,
    /// Folder of the certificates [default: HOME/certs]
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    #[command(flatten)]
    coordinator: Coordinator,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    coordinator: Coordinator,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The id of a token, or of a worker
    id: String,
    #[command(flatten)]
    coordinator: Coordinator,
}

impl TokenCommand {
    /// The coordinator of the command.
    pub(super) const fn coordinator(&self) -> &Coordinator {
        match self {
            Self::Create(args) => &args.coordinator,
            Self::List(args) => &args.coordinator,
            Self::Revoke(args) => &args.coordinator,
        }
    }
}

/// When a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Never,
    /// After these milliseconds.
    After(u64),
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    let takes = || "write it as a number with s, min, h or d, such as 12h; or never".to_owned();
    let unit = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(takes)?;
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().map_err(|_| takes())?;
    let unit_ms: u64 = match unit {
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(takes()),
    };
    match number.checked_mul(unit_ms) {
        Some(ms @ 1..) => Ok(Expiry::After(ms)),
        _ => Err(takes()),
    }
}

/// An address of a coordinator with TLS, or of one on this machine.
pub(super) fn address(text: &str) -> Result<String, String> {
    let url = flags::coordinator_url(text).ok().filter(|url| url.starts_with("https://") || is_loopback(url));
    url.ok_or_else(|| format!("write it as https://HOST:PORT, or as http://127.0.0.1:{PORT} for users of this machine"))
}

/// A role of users.
pub(super) fn user_role(text: &str) -> Result<Role, String> {
    let role = text.parse().ok().filter(|role| *role != Role::Worker);
    role.ok_or_else(|| "it takes viewer, submitter or operator".to_owned())
}

pub(super) fn default_address() -> String {
    format!("https://{}:{PORT}", name::host_name().unwrap_or_else(|| "localhost".to_owned()))
}

/// Where the holder of a token finds the coordinator.
pub(super) struct Destination {
    pub(super) address: String,
    pub(super) authority: Option<Fingerprint>,
}

impl Destination {
    /// The connection file with a token. A command that holds the home itself makes tokens without an authority.
    pub(super) fn file(self, token: Token) -> ConnectionFile {
        let authority = token.authority.or(self.authority);
        ConnectionFile { addresses: vec![self.address], store: None, token: Some(Token { authority, ..token }) }
    }
}

pub(super) async fn run(command: &TokenCommand, home: &Path, output: Output) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create(args) => create(args, home, output).await,
        TokenCommand::List(args) => {
            let mut client = Client::connect(args.coordinator.target(home)).await?;
            let tokens = client.tokens().await?;
            client.close().await?;
            answer(match output {
                Output::Human => access::tokens(&tokens),
                Output::Json => access::tokens_json(&tokens),
            })
        }
        TokenCommand::Revoke(args) => {
            let mut client = Client::connect(args.coordinator.target(home)).await?;
            let workers = client.revoke(&args.id).await?;
            client.close().await?;
            answer(match output {
                Output::Human => access::revoked(&args.id, workers),
                Output::Json => serde_json::json!({ "id": args.id, "workers": workers }).to_string(),
            })
        }
    }
}

async fn create(args: &CreateArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let folder = args.certs.clone().unwrap_or_else(|| folder_of(home));
    let elsewhere = args.coordinator.elsewhere();
    let is_local = args.address.as_ref().is_some_and(|address| address.starts_with("http://"));
    let authority = match elsewhere {
        Some(connection) => connection.authority(),
        None if is_local => None,
        None => Some(Authority::open(&folder).map_err(|error| {
            Failure::bad_input(format!(
                "{error}\ntokens need certificates: run `biosweep certs init` first; only for other users of this machine, give \
                 --address http://127.0.0.1:{PORT}"
            ))
        })?)
        .map(|authority| authority.fingerprint),
    };
    if is_local && authority.is_some() {
        return Err(Failure::bad_input("the coordinator uses TLS: write https:// in --address"));
    }
    let expires_in_ms = match args.expires {
        Expiry::Never => None,
        Expiry::After(ms) => Some(ms),
    };
    let uses = args.uses.map(std::num::NonZeroU32::get);
    let new = NewToken { role: args.role, label: args.label.clone(), expires_in_ms, uses };
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let (token, view) = client.create_token(new).await?;
    client.close().await?;
    let of_operator = elsewhere.map(|connection| connection.first_address().to_owned());
    let address = args.address.clone().or(of_operator).unwrap_or_else(default_address);
    let file = Destination { address, authority }.file(token);
    if let Some(path) = &args.to {
        file.write(path).map_err(Failure::bad_input)?;
    }
    let secret = file.token.filter(|_| args.to.is_none());
    answer(match output {
        Output::Human => access::created(&view, secret.as_ref(), args.to.as_deref()),
        Output::Json => access::created_json(&view, secret.as_ref(), args.to.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_number_with_a_unit_or_never() {
        for (text, ms) in [("1s", 1_000), ("5min", 300_000), ("12h", 43_200_000), ("30d", 2_592_000_000)] {
            assert_eq!(expiry(text), Ok(Expiry::After(ms)));
        }
        assert_eq!(expiry("never"), Ok(Expiry::Never));
        for bad in ["", "5", "h", "-1h", "0d", "1.5h", "1w", "99999999999999999999d"] {
            assert!(expiry(bad).is_err_and(|why| why.contains("such as 12h")), "{bad}");
        }
    }

    #[test]
    fn a_coordinator_with_tokens_has_tls() {
        assert!(address("https://host:7465").is_ok() && address("http://host:7465").is_err());
        assert!(user_role("viewer").is_ok() && user_role("worker").is_err() && user_role("root").is_err());
    }
}
