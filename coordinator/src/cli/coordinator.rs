//! The coordinator of a command, and its store: their options.

use std::path::Path;

use biosweep_common::workers::flags;
use biosweep_connection::file::{ConnectionFile, ConnectionFileError};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use crate::client::Target;

/// The coordinator of a command.
#[derive(Debug, Args)]
pub(crate) struct Coordinator {
    /// Connection file of a coordinator with TLS, as `biosweep token create --to FILE` writes it
    /// [default: the coordinator that serves --home]
    #[arg(long, env = "BIOSWEEP_CONNECTION", value_name = "FILE", value_parser = connection_file)]
    pub(super) connection: Option<ConnectionFile>,
    /// Address of a coordinator without TLS that has its own store, such as http://127.0.0.1:7465
    #[arg(long, env = "BIOSWEEP_COORDINATOR", value_name = "URL", value_parser = at_address)]
    pub(super) coordinator: Option<ConnectionFile>,
    #[command(flatten)]
    store: StoreArgs,
}

/// The store with sweeps and results.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// PostgreSQL store for sweeps and results: postgres://USER@HOST/DATABASE [default: a SQLite file in --home]
    #[arg(long, env = "BIOSWEEP_STORE", value_name = "URL", hide_env_values = true, value_parser = store_url)]
    store: Option<String>,
}

/// Why the given options name two stores or two coordinators; `None` if they do not.
pub(super) fn contradiction(given: &ArgMatches) -> Option<&'static str> {
    let source = |id: &str| given.try_contains_id(id).ok().and_then(|_| given.value_source(id));
    let (connection, coordinator) = (source("connection").is_some(), source("coordinator").is_some());
    if connection && coordinator {
        return Some(
            "--connection (or BIOSWEEP_CONNECTION) and --coordinator (or BIOSWEEP_COORDINATOR) name two coordinators: remove \
             one of them",
        );
    }
    (source("store") == Some(ValueSource::CommandLine) && (connection || coordinator)).then_some(
        "--store is the store of a coordinator on this machine, but --coordinator or --connection (or BIOSWEEP_COORDINATOR, \
         BIOSWEEP_CONNECTION) names a coordinator with its own store: remove one of them",
    )
}

fn connection_file(path: &str) -> Result<ConnectionFile, ConnectionFileError> {
    ConnectionFile::read(Path::new(path))
}

fn at_address(text: &str) -> Result<ConnectionFile, String> {
    flags::coordinator_url(text).map(ConnectionFile::at)
}

fn store_url(text: &str) -> Result<String, String> {
    if biosweep_store::is_url(text) {
        return Ok(text.to_owned());
    }
    Err("write it as postgres://USER@HOST/DATABASE, or omit --store for a SQLite file in the home".to_owned())
}

impl StoreArgs {
    /// The address of the store; `None` for a file in the home.
    pub(super) fn url(&self) -> Option<&str> {
        self.store.as_deref()
    }
}

impl Coordinator {
    /// The named coordinator, which needs no home; `None` for that of the home.
    pub(super) fn elsewhere(&self) -> Option<&ConnectionFile> {
        self.connection.as_ref().or(self.coordinator.as_ref())
    }

    /// The address of the store; `None` for a file in the home.
    pub(super) fn store(&self) -> Option<&str> {
        self.store.url()
    }

    /// The coordinator of the command.
    pub(super) fn target<'a>(&'a self, home: &'a Path) -> Target<'a> {
        match self.elsewhere() {
            Some(connection) => Target::At(connection),
            None => Target::Home { home, store: self.store.url() },
        }
    }
}
