//! The check of every request, and the end of answers to callers that are no longer allowed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use biosweep_common::vocabulary::access::token::Token;
use biosweep_connection::bearer::{HEADER, SCHEME};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::policy;
use super::registry::{Caller, Registry, Unknown, invalid};
use crate::connections::{Answer, ConnectInfo, InUse};

/// Checks requests. Without a registry everybody may call everything.
#[derive(Clone)]
pub(crate) struct Guard(pub(crate) Option<Arc<Registry>>);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { registry: self.0.clone(), inner }
    }
}

/// A service behind the check.
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    registry: Option<Arc<Registry>>,
    inner: S,
}

/// The caller of a request, if it may call this method.
fn check(registry: &Registry, path: &str, headers: &HeaderMap, info: Option<&ConnectInfo>) -> Result<Caller, Status> {
    let Some(needs) = policy::needs(path) else {
        return Err(Status::unimplemented("this coordinator has no such method"));
    };
    let token = token_of(headers)?;
    let certificate = info.and_then(|info| info.certificate.as_deref());
    let is_own_user = info.is_some_and(|info| info.is_own_user);
    let caller = registry.caller(token.as_ref(), certificate, is_own_user);
    let caller = caller.map_err(|unknown| Status::unauthenticated(unknown.to_string()))?;
    if needs.are_met_by(&caller) {
        return Ok(caller);
    }
    Err(match caller {
        Caller::Nobody => Status::unauthenticated(format!(
            "this request needs {}; give the connection file with --connection FILE, or in $BIOSWEEP_CONNECTION",
            needs.words()
        )),
        caller => Status::permission_denied(format!("this request needs {}, but comes from {caller}", needs.words())),
    })
}

fn token_of(headers: &HeaderMap) -> Result<Option<Token>, Status> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix(SCHEME)).and_then(|token| token.parse().ok());
    match (token, values.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(Status::unauthenticated("the header `authorization` has no token of biosweep")),
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let info = request.extensions().get::<ConnectInfo>();
        let checked = match &self.registry {
            Some(registry) => check(registry, request.uri().path(), request.headers(), info),
            None => Ok(Caller::Owner),
        };
        let admitted = checked.and_then(|caller| Ok((begin(self.registry.as_ref(), &caller, info)?, caller)));
        let (in_use, caller) = match admitted {
            Ok(admitted) => admitted,
            Err(status) => {
                tracing::debug!(path = request.uri().path(), why = status.message(), "a request is refused");
                return Box::pin(std::future::ready(Ok(status.into_http())));
            }
        };
        if let Some(in_use) = &in_use {
            request.extensions_mut().insert(Arc::clone(&in_use.account));
        }
        let registry = self.registry.clone();
        if registry.is_some() {
            request.extensions_mut().insert(caller.clone());
        }
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|body| {
                let body = match registry {
                    Some(registry) => Body::new(Revocable::new(body, registry, caller)),
                    None => body,
                };
                match in_use {
                    Some(in_use) => Body::new(Answer::new(body, in_use)),
                    None => body,
                }
            }))
        })
    }
}

/// Counts a request of somebody known. The connection of somebody unknown ends soon, whatever is asked on it.
fn begin(
    registry: Option<&Arc<Registry>>,
    caller: &Caller,
    info: Option<&ConnectInfo>,
) -> Result<Option<InUse>, Status> {
    let info = info.filter(|_| *caller != Caller::Nobody);
    let in_use = info.map(|info| info.begin(caller, registry)).transpose();
    in_use.map_err(|full| Status::resource_exhausted(full.to_string()))
}

/// The body of an answer, which ends when its caller is no longer allowed.
struct Revocable {
    body: Body,
    invalid: BoxFuture<Unknown>,
    has_ended: bool,
}

impl Revocable {
    fn new(body: Body, registry: Arc<Registry>, caller: Caller) -> Self {
        Self { body, invalid: Box::pin(invalid(registry, caller)), has_ended: false }
    }
}

impl http_body::Body for Revocable {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(unknown) = self.invalid.as_mut().poll(cx) {
            self.has_ended = true;
            let status = Status::unauthenticated(unknown.to_string());
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match status.add_header(&mut trailers) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(status) => Err(status),
            }));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.has_ended = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
