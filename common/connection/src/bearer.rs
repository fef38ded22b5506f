//! The headers of requests: the token, and the versions of the program.

use biosweep_common::protocol::version::{PROGRAM_HEADER, PROGRAM_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION};
use biosweep_common::vocabulary::access::token::Token;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The header with the token.
pub const HEADER: &str = "authorization";
/// What stands before the token in it.
pub const SCHEME: &str = "Bearer ";

/// Adds the versions of the program to every request, and a token if there is one.
#[derive(Debug, Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Bearer {
    /// For requests with this token.
    #[must_use]
    pub fn new(token: Option<&Token>) -> Self {
        let value = token.and_then(|token| format!("{SCHEME}{}", token.to_text()).parse::<AsciiMetadataValue>().ok());
        Self(value.map(|mut value| {
            // Debug output and HTTP/2's tables of repeated headers leave it out.
            value.set_sensitive(true);
            value
        }))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(PROTOCOL_HEADER, PROTOCOL_VERSION.into());
        request.metadata_mut().insert(PROGRAM_HEADER, AsciiMetadataValue::from_static(PROGRAM_VERSION));
        if let Some(value) = &self.0 {
            request.metadata_mut().insert(HEADER, value.clone());
        }
        Ok(request)
    }
}
