//! Who may talk to the page: browsers that opened it by one of its own names, and no page of another origin. With tokens, users who
//! have logged in.
//!
//! A foreign page can make a browser send requests here. It cannot choose the headers `Host`, `Origin` and `Sec-Fetch-Site`. A
//! foreign name that points to this address (DNS rebinding) shows in `Host`.

pub(super) mod login;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Page, error};
use crate::connections::{ConnectInfo, SILENCE};

/// What a page may load: only what comes from here. Nobody may show it in a frame.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Maximum bytes of a form, and of an error.
const FORM_MAX: usize = 64 * 1024;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The names under which the page is opened.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    names: BTreeSet<String>,
    /// Whether other machines can reach the page, so that any IP address may be its own.
    is_public: bool,
}

impl Hosts {
    /// The names of a coordinator that listens on this address, with the machine's name and more names.
    pub(crate) fn new(address: SocketAddr, more: impl IntoIterator<Item = String>) -> Self {
        let names = ["localhost".to_owned()].into_iter().chain(more).map(|name| name.to_ascii_lowercase()).collect();
        Self { names, is_public: !address.ip().is_loopback() }
    }

    /// Whether a `Host` header, with or without a port, names this page.
    fn have(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let port = authority.as_str().strip_prefix(authority.host());
        if port.is_none_or(|port| !port.is_empty() && authority.port_u16().is_none()) {
            return false;
        }
        let name = authority.host().to_ascii_lowercase();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        match bare.parse::<IpAddr>() {
            // A name that an attacker controls is not an address.
            Ok(ip) => ip.is_loopback() || self.is_public,
            Err(_) => self.names.contains(&name),
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Host,
    Origin,
}

impl Refusal {
    const fn reason(self) -> &'static str {
        match self {
            Self::Host => {
                "403: this page is not served under that host name. Open it by the address that the coordinator prints, or start \
                 the coordinator with --page-host NAME.\n"
            }
            Self::Origin => {
                "403: the request comes from a page of another origin, or does not say where it comes from.\n"
            }
        }
    }
}

/// Checks a request: its `Host` is one of the page's names; its `Origin`, if any, is the page itself; a method that may change
/// something has such an `Origin`, or a `Sec-Fetch-Site` that says the same; and no foreign page loads anything.
///
/// A page over TLS has the scheme `https`. Without TLS it may have it too, if something before this server speaks TLS.
fn check(hosts: &Hosts, is_tls: bool, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut named = headers.get_all(HOST).iter();
    let host = match (named.next().map(HeaderValue::to_str), named.next()) {
        (Some(Ok(host)), None) if hosts.have(host) => host,
        _ => return Err(Refusal::Host),
    };
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let plain = origin.strip_prefix("http://").filter(|_| !is_tls);
        let rest = plain.or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
    };
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    if origins.peek().is_some() {
        return if origins.all(is_own) { Ok(()) } else { Err(Refusal::Origin) };
    }
    let site = headers.get(FETCH_SITE);
    if *method == Method::GET {
        // A foreign page may link here, but not load anything from here.
        let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
        let is_link = headers.get(FETCH_MODE).is_some_and(|mode| mode == "navigate");
        return if !is_foreign || is_link { Ok(()) } else { Err(Refusal::Origin) };
    }
    if site.is_some_and(|site| site == "same-origin") { Ok(()) } else { Err(Refusal::Origin) }
}

/// The request with its whole body, which is a short form.
async fn received(request: Request) -> Result<Request, Response> {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(SILENCE, to_bytes(body, FORM_MAX)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(head, bytes.into())),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "413: the form is too large\n").into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "408: the form was not complete in time\n").into_response()),
    }
}

/// The answer; a refusal of an address or a form, which is a bare text, as a page.
async fn in_words(response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !response.status().is_client_error() || !(kind.is_empty() || kind.starts_with("text/plain")) {
        return response;
    }
    let (head, body) = response.into_parts();
    let text = to_bytes(body, FORM_MAX).await.unwrap_or_default();
    let why = String::from_utf8_lossy(&text).into_owned();
    let page = error::page(head.status, if why.is_empty() { "this address cannot be used so".to_owned() } else { why });
    let mut response = page.into_response();
    // Which methods an address has.
    if let Some(allowed) = head.headers.get(ALLOW) {
        response.headers_mut().insert(ALLOW, allowed.clone());
    }
    response
}

/// Refuses foreign requests, and sets the headers of every answer.
pub(super) async fn guard(State(page): State<Page>, request: Request, next: Next) -> Response {
    let is_tls = request.extensions().get::<ConnectInfo>().is_some_and(|info| info.is_tls);
    let checked = check(&page.hosts, is_tls, request.method(), request.headers());
    let mut response = match checked {
        Ok(()) => match received(request).await {
            Ok(request) => in_words(login::admit(&page, request, next).await).await,
            Err(refused) => refused,
        },
        Err(refusal) => (StatusCode::FORBIDDEN, refusal.reason()).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Without a referrer, browsers would not send the origin of a form.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &Method, headers: &[(HeaderName, &'static str)]) -> Result<(), Refusal> {
        let hosts = Hosts::new(SocketAddr::from(([127, 0, 0, 1], 7465)), ["Node1".to_owned()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        check(&hosts, false, method, &map)
    }

    #[test]
    fn own_names_are_served_with_and_without_a_port() {
        for host in
            ["localhost", "LOCALHOST:7465", "127.0.0.1:7465", "127.0.0.1", "[::1]:9000", "node1:7465", "localhost:1"]
        {
            assert_eq!(checked(&Method::GET, &[(HOST, host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn foreign_names_are_refused() {
        for host in [
            "evil.example",
            "evil.example:7465",
            "10.0.0.1:7465",
            "localhost.evil.example",
            "a@localhost",
            "",
            "localhost:x",
        ] {
            assert_eq!(checked(&Method::GET, &[(HOST, host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(checked(&Method::GET, &[]), Err(Refusal::Host));
        assert_eq!(checked(&Method::GET, &[(HOST, "localhost"), (HOST, "localhost")]), Err(Refusal::Host));
    }

    #[test]
    fn a_page_that_others_can_reach_is_opened_by_any_address_but_not_by_any_name() {
        let hosts = Hosts::new(SocketAddr::from(([0, 0, 0, 0], 7465)), []);
        assert!(hosts.have("10.0.0.1:7465") && !hosts.have("evil.example"));
    }

    #[test]
    fn a_page_with_tls_takes_nothing_from_one_without() {
        let hosts = Hosts::new(SocketAddr::from(([127, 0, 0, 1], 7465)), []);
        let from = |is_tls, origin| {
            let origin = (ORIGIN, HeaderValue::from_static(origin));
            let headers = [(HOST, HeaderValue::from_static("localhost:7465")), origin].into_iter().collect();
            check(&hosts, is_tls, &Method::POST, &headers)
        };
        assert_eq!(from(true, "http://localhost:7465"), Err(Refusal::Origin));
        assert_eq!(from(true, "https://localhost:7465"), Ok(()));
        assert_eq!(from(false, "https://localhost:7465"), Ok(()), "something before this server may speak TLS");
    }

    #[test]
    fn a_change_needs_the_own_origin() {
        let host = (HOST, "localhost:7465");
        for origin in ["http://evil.example", "null", "http://localhost:8000", "http://localhost", "file://", ""] {
            for method in [Method::GET, Method::POST] {
                let refused = checked(&method, &[host.clone(), (ORIGIN, origin)]);
                assert_eq!(refused, Err(Refusal::Origin), "{method} {origin}");
            }
        }
        let own = (ORIGIN, "http://localhost:7465");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
            assert_eq!(
                checked(&method, std::slice::from_ref(&host)),
                Err(Refusal::Origin),
                "{method} without an origin"
            );
            assert_eq!(checked(&method, &[host.clone(), own.clone()]), Ok(()), "{method}");
            let site = |site| checked(&method, &[host.clone(), (FETCH_SITE, site)]);
            assert_eq!((site("same-origin"), site("cross-site")), (Ok(()), Err(Refusal::Origin)), "{method}");
        }
        let two = checked(&Method::POST, &[host, own, (ORIGIN, "http://evil.example")]);
        assert_eq!(two, Err(Refusal::Origin));
    }
}
