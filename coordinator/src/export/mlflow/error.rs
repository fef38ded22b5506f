//! Why an MLflow tracking server did not take an export.

/// Why an MLflow tracking server did not take an export.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The address is not one of a server.
    #[error("--to {url}: {why}; give the address of an MLflow tracking server, such as http://127.0.0.1:5000")]
    BadUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A variable with a secret has characters that no request can carry.
    #[error("{variable} has a character that is not printable ASCII; set it again, without spaces or line ends")]
    BadSecret {
        /// The name of the variable.
        variable: &'static str,
    },
    /// Nothing answers there, or not in time.
    #[error(
        "the MLflow server {url} cannot be reached: {why}; check the address, and that the server runs; the same command \
         continues the export"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// The error of the connection.
        why: Box<ureq::Error>,
    },
    /// The server wants to know who asks, or does not allow it.
    #[error(
        "the MLflow server {url} denies access (status {status}); set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and \
         MLFLOW_TRACKING_PASSWORD"
    )]
    Denied {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not one of the API of MLflow.
    #[error("{url} does not answer {call} like an MLflow server (status {status}); check the address in --to")]
    Foreign {
        /// The address.
        url: String,
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// The server refuses a call.
    #[error("the MLflow server {url} refuses {call} ({code}): {message}; if the server is older than 2.0, update it")]
    Refused {
        /// The address.
        url: String,
        /// The call.
        call: &'static str,
        /// The code of the error in the API.
        code: String,
        /// The message of the server.
        message: String,
    },
    /// The server failed, or asks for a pause.
    #[error(
        "the MLflow server {url} fails at {call} (status {status}): {message}; look at the log of the server; the same \
         command continues the export"
    )]
    Failing {
        /// The address.
        url: String,
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// The answer of the server, in short.
        message: String,
    },
    /// The experiment of the sweep's name is deleted, and a deleted experiment takes no runs.
    #[error(
        "the experiment `{experiment}` on {url} is deleted; restore it with `mlflow experiments restore`, or remove it for \
         good with `mlflow gc`"
    )]
    Deleted {
        /// The address.
        url: String,
        /// The name of the experiment.
        experiment: String,
    },
}

impl ServerError {
    /// Whether the same call may succeed later.
    pub(super) const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Failing { .. } => true,
            Self::BadUrl { .. }
            | Self::BadSecret { .. }
            | Self::Denied { .. }
            | Self::Foreign { .. }
            | Self::Refused { .. }
            | Self::Deleted { .. } => false,
        }
    }

    /// Whether the user can fix it by changing the command.
    pub(crate) const fn is_bad_input(&self) -> bool {
        matches!(self, Self::BadUrl { .. } | Self::BadSecret { .. })
    }

    /// Whether the server has refused a call with this code.
    pub(super) fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}
