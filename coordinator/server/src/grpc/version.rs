//! The protocol version in the headers of requests of commands and of their answers. Both sides refuse another version.

use std::convert::Infallible;
use std::future;
use std::task::{Context, Poll};

use biosweep_common::protocol::bounds::shown;
use biosweep_common::protocol::version::{
    PROGRAM_HEADER, PROGRAM_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION, Peer, VersionMismatch, check,
};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use self::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

/// A service that refuses requests with another protocol version, and answers with its own version.
#[derive(Debug, Clone)]
pub(super) struct Versioned<S>(pub(super) S);

impl<S> Service<http::Request<Body>> for Versioned<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if let Err(mismatch) = check_headers(request.headers(), Peer::Command) {
            return Box::pin(future::ready(Ok(Status::failed_precondition(mismatch.to_string()).into_http())));
        }
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            add_version(answer.headers_mut());
            Ok(answer)
        })
    }
}

impl<S: NamedService> NamedService for Versioned<S> {
    const NAME: &'static str = S::NAME;
}

/// Adds the versions of this program to the headers of a request or an answer.
pub(super) fn add_version(headers: &mut HeaderMap) {
    headers.insert(PROTOCOL_HEADER, HeaderValue::from(PROTOCOL_VERSION));
    headers.insert(PROGRAM_HEADER, HeaderValue::from_static(PROGRAM_VERSION));
}

/// Checks the version of a coordinator that answers a request. An error of the coordinator is passed on, because it may say
/// more than this check; so is the answer of a server that does not speak gRPC.
pub(super) fn check_answer<B>(answer: &http::Response<B>) -> Result<(), VersionMismatch> {
    let headers = answer.headers();
    let is_grpc = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let is_error = headers.get("grpc-status").is_some_and(|code| code.as_bytes() != b"0");
    if is_error || !is_grpc { Ok(()) } else { check_headers(headers, Peer::CoordinatorOfCommand) }
}

/// A peer without the header has version 0.
fn check_headers(headers: &HeaderMap, peer: Peer) -> Result<(), VersionMismatch> {
    let text = |name: &str| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let protocol = text(PROTOCOL_HEADER).and_then(|text| text.parse().ok()).unwrap_or(0);
    check(protocol, || (peer, shown(text(PROGRAM_HEADER).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&'static str, &str)]) -> http::Response<()> {
        let mut answer = http::Response::new(());
        for (name, value) in headers {
            answer.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        answer
    }

    #[test]
    fn only_an_answer_of_the_same_version_is_accepted() {
        let grpc = ("content-type", "application/grpc");
        let mut own = answer(&[grpc]);
        add_version(own.headers_mut());
        assert_eq!(check_answer(&own), Ok(()));
        let old = check_answer(&answer(&[grpc])).expect_err("an old coordinator").to_string();
        assert!(old.starts_with("the coordinator has an unknown version (protocol 0), but this program"), "{old}");
        let next = (PROTOCOL_VERSION + 1).to_string();
        let new = check_answer(&answer(&[grpc, (PROTOCOL_HEADER, &next), (PROGRAM_HEADER, "9.1")]));
        let new = new.expect_err("a new coordinator").to_string();
        assert!(
            new.starts_with(&format!("the coordinator has version 9.1 (protocol {next}), but this program")),
            "{new}"
        );
        assert!(check_answer(&answer(&[grpc, (PROTOCOL_HEADER, "one")])).is_err());
        assert!(check_answer(&answer(&[grpc, ("grpc-status", "0")])).is_err());
    }

    #[test]
    fn an_error_of_a_coordinator_and_the_answer_of_another_server_are_passed_on() {
        let grpc = ("content-type", "application/grpc");
        assert_eq!(check_answer(&answer(&[grpc, ("grpc-status", "9")])), Ok(()));
        assert_eq!(check_answer(&answer(&[("content-type", "text/html")])), Ok(()));
        assert_eq!(check_answer(&answer(&[])), Ok(()));
    }
}
