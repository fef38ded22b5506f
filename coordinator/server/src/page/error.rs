//! Errors as pages.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use biosweep_analysis::replicates::UnknownSize;

use super::outcomes::OutcomesError;
use crate::commands::{NoteError, RetryError, StateError};
use crate::driver::Stopped;
use crate::queries::QueryError;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// There is no such page.
    #[error("there is no such page; start at the list of sweeps")]
    NotFound,
    /// The address or the form is not understood.
    #[error("{0}")]
    BadRequest(String),
    /// The sweep has no such trial.
    #[error("the sweep has {trials} trials, numbered from 0")]
    NoTrial {
        /// Number of its trials.
        trials: u64,
    },
    /// A command was refused.
    #[error("{0}")]
    Refused(String),
    /// A read failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The outcomes of a sweep cannot be shown.
    #[error(transparent)]
    Outcomes(#[from] OutcomesError),
    /// The counts of a dataset are not known.
    #[error(transparent)]
    UnknownSize(#[from] UnknownSize),
}

#[derive(Template)]
#[template(path = "page/error.html")]
struct ErrorPage {
    title: &'static str,
    why: String,
    /// Whether the same address may work in a moment. Then it is loaded again.
    is_passing: bool,
}

impl PageError {
    fn status(&self) -> StatusCode {
        let of_query = |error: &QueryError| match error {
            QueryError::Unknown { .. } | QueryError::UnknownWorker { .. } | QueryError::UnknownTrial { .. } => {
                StatusCode::NOT_FOUND
            }
            QueryError::Ambiguous { .. } => StatusCode::BAD_REQUEST,
            QueryError::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
            QueryError::Store(_) | QueryError::Spec { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match self {
            Self::NotFound | Self::NoTrial { .. } => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Query(error) | Self::Outcomes(OutcomesError::Query(error)) => of_query(error),
            Self::Outcomes(OutcomesError::TooMany { .. }) | Self::UnknownSize(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Outcomes(OutcomesError::Changing) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "a page could not be shown");
        }
        (status, page(status, self.to_string())).into_response()
    }
}

/// An error as a page.
pub(super) fn page(status: StatusCode, why: String) -> impl IntoResponse {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::BAD_REQUEST => "Not understood",
        StatusCode::CONFLICT => "Refused",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        StatusCode::METHOD_NOT_ALLOWED => "Not possible",
        _ => "This cannot be shown",
    };
    let page = ErrorPage { title, why, is_passing: status == StatusCode::SERVICE_UNAVAILABLE };
    (status, Html(page.render().expect("memory takes a page")))
}

impl From<Stopped> for PageError {
    fn from(error: Stopped) -> Self {
        Self::Query(error.into())
    }
}

impl From<biosweep_store::StoreError> for PageError {
    fn from(error: biosweep_store::StoreError) -> Self {
        Self::Query(error.into())
    }
}

impl From<StateError> for PageError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Query(error) => Self::Query(error),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl From<NoteError> for PageError {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Query(error) => Self::Query(error),
            NoteError::Invalid(error) => Self::BadRequest(error.to_string()),
            NoteError::DriverError(error) => Self::Refused(error.to_string()),
        }
    }
}

impl From<RetryError> for PageError {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Query(error) => Self::Query(error),
            error => Self::Refused(error.to_string()),
        }
    }
}

/// The answer to an unknown address.
pub(super) async fn not_found() -> PageError {
    PageError::NotFound
}
