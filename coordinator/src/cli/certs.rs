//! `biosweep certs`: the certificate authority of a coordinator, and the certificates that it signs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::rows::NewToken;
use biosweep_connection::file::write_private;
use biosweep_host::clock::Clock;
use biosweep_server::access::authority::{Authority, folder_of, names_of_machine};
use clap::{Args, Subcommand};
use serde_json::json;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::token::{self, Destination};
use super::{Output, StoreArgs};
use crate::client::{Client, Target};

#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make a certificate authority, the certificate of the server, and the token of the first operator
    Init(InitArgs),
    /// Make a new certificate of the server, with the names of the old one; a running coordinator takes it over within ten seconds
    Renew(RenewArgs),
    /// Make a certificate that carries a role, for programs that have no tokens, such as KEDA
    Client(ClientArgs),
}

/// Where the certificates are.
#[derive(Debug, Args)]
struct Folder {
    /// Folder of the certificates [default: HOME/certs]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    folder: Folder,
    /// Address of the coordinator for the connection file [default: https://NAME-OF-THIS-MACHINE:7465]
    #[arg(long, value_name = "URL", value_parser = token::address)]
    address: Option<String>,
    /// Another name or address of the machine, for browsers; may be given several times
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    folder: Folder,
    /// Another name or address of the machine, for browsers; may be given several times
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    folder: Folder,
    /// What the certificate allows
    #[arg(long, value_parser = token::user_role)]
    role: Role,
    /// A text that `biosweep token list` shows
    #[arg(long, default_value = "")]
    label: String,
    /// Where to write the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Where to write the private key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

impl Folder {
    fn path(&self, home: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| folder_of(home))
    }
}

pub(super) async fn run(command: &CertsCommand, home: &Path, output: Output) -> Result<Exit, Failure> {
    match command {
        CertsCommand::Init(args) => init(args, home, output).await,
        CertsCommand::Renew(args) => renew(args, home, output),
        CertsCommand::Client(args) => client(args, home, output).await,
    }
}

/// The names of this machine, and more.
fn names(more: &[String]) -> BTreeSet<String> {
    names_of_machine().into_iter().chain(more.iter().cloned()).collect()
}

async fn init(args: &InitArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let folder = args.folder.path(home);
    let now = Clock::start().wall();
    let authority = Authority::create(&folder, now).map_err(Failure::bad_input)?;
    authority.issue_server(&names(&args.names), now).map_err(Failure::bad_input)?;
    let path = folder.join("operator.json");
    let address = args.address.clone().unwrap_or_else(token::default_address);
    let mut client = Client::connect(Target::Home { home, store: args.store.url() }).await?;
    let new = NewToken { role: Role::Operator, label: "first operator".to_owned(), expires_in_ms: None, uses: None };
    let (token, _) = client.create_token(new).await?;
    client.close().await?;
    let destination = Destination { address, authority: Some(authority.fingerprint) };
    destination.file(token).write(&path).map_err(Failure::environment)?;
    answer(match output {
        Output::Human => format!(
            "{} has a certificate authority, valid for ten years, and a certificate of the server\n\
             {} is the connection file of the first operator; keep it secret\n\
             next: `biosweep serve --listen 0.0.0.0:7465`{}",
            folder.display(),
            path.display(),
            if args.folder.dir.is_some() { format!(" with `--certs {}`", folder.display()) } else { String::new() },
        ),
        Output::Json => json!({
            "folder": folder, "connection": path, "fingerprint": authority.fingerprint.to_string(),
        })
        .to_string(),
    })
}

fn renew(args: &RenewArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let folder = args.folder.path(home);
    let authority = Authority::open(&folder).map_err(Failure::bad_input)?;
    authority.renew_server(&names(&args.names), Clock::start().wall()).map_err(Failure::bad_input)?;
    answer(match output {
        Output::Human => format!("{} has a new certificate of the server, valid for 90 days", folder.display()),
        Output::Json => json!({ "folder": folder, "fingerprint": authority.fingerprint.to_string() }).to_string(),
    })
}

async fn client(args: &ClientArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let folder = args.folder.path(home);
    let authority = Authority::open(&folder).map_err(Failure::bad_input)?;
    let mut client = Client::connect(Target::Home { home, store: args.store.url() }).await?;
    let new = NewToken { role: args.role, label: args.label.clone(), expires_in_ms: None, uses: None };
    let (token, _) = client.create_token(new).await?;
    client.close().await?;
    let issued = authority.issue_client(args.role, &token.id.to_string(), Clock::start().wall());
    let (certificate, key) = issued.map_err(Failure::bad_input)?;
    for (path, content) in [(&args.key, &key), (&args.certificate, &certificate)] {
        write_private(path, content.as_bytes())
            .map_err(|error| Failure::bad_input(format!("cannot write {}: {error}", path.display())))?;
    }
    answer(match output {
        Output::Human => format!(
            "{} is a certificate with the role {}, valid for 90 days; `biosweep token revoke {}` ends it",
            args.certificate.display(),
            args.role,
            token.id
        ),
        Output::Json => {
            json!({ "certificate": args.certificate, "key": args.key, "role": args.role.name(), "id": token.id.to_string() })
                .to_string()
        }
    })
}
