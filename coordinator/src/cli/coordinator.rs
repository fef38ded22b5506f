//! The coordinator of a command, and its store: their options.

use std::path::Path;

use biosweep_common::workers::flags;
use clap::Args;

use crate::client::Target;

/// The coordinator of a command.
#[derive(Debug, Args)]
pub(crate) struct Coordinator {
    /// Address of a coordinator with its own store, such as http://10.0.0.1:7465 [default: the one that serves --home]
    #[arg(long, env = "BIOSWEEP_COORDINATOR", value_name = "URL", value_parser = flags::coordinator_url)]
    pub(super) coordinator: Option<String>,
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
    /// The coordinator of the command.
    pub(super) fn target<'a>(&'a self, home: &'a Path) -> Target<'a> {
        match &self.coordinator {
            Some(url) => Target::Url(url),
            None => Target::Home { home, store: self.store.url() },
        }
    }
}
