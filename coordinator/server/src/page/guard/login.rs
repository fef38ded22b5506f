//! The login of browsers: a form takes a token, and a cookie keeps it. Scripts and other sites cannot read the cookie.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Form, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::token::Token;
use biosweep_connection::bearer::SCHEME;
use serde::Deserialize;

use super::super::{Page, error, metrics};
use crate::access::policy::Needs;
use crate::access::registry::Caller;
use crate::connections::{Answer, ConnectInfo};

/// The cookie with the token.
const NAME: &str = "biosweep-token";
/// The address of the form.
pub(in crate::page) const PATH: &str = "/login";
/// What everybody may load: the form needs it.
const ASSETS: &str = "/assets/";

#[derive(Template)]
#[template(path = "page/login.html")]
struct LoginPage {
    /// Why the last token was refused.
    refused: Option<String>,
}

/// The form with the token.
#[derive(Deserialize)]
pub(in crate::page) struct Sent {
    #[serde(default)]
    token: String,
}

/// `GET /login`.
pub(in crate::page) async fn form() -> Response {
    page(StatusCode::OK, None)
}

/// `POST /login`.
pub(in crate::page) async fn login(State(page_of): State<Page>, Form(sent): Form<Sent>) -> Response {
    let Some(registry) = &page_of.registry else { return Redirect::to("/").into_response() };
    let refused = |why: String| page(StatusCode::UNAUTHORIZED, Some(why));
    let token = match sent.token.trim().parse::<Token>() {
        Ok(token) => token,
        Err(error) => return refused(error.to_string()),
    };
    match registry.caller(Some(&token), None, false) {
        Ok(caller) if Needs::User(Role::Viewer).are_met_by(&caller) => {
            let cookie = format!("{NAME}={}; Path=/; HttpOnly; Secure; SameSite=Strict", token.to_text());
            let cookie = HeaderValue::from_str(&cookie).expect("a token has no other characters");
            ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Ok(_) => refused(format!("the page needs {}", Needs::User(Role::Viewer).words())),
        Err(unknown) => refused(unknown.to_string()),
    }
}

fn page(status: StatusCode, refused: Option<String>) -> Response {
    (status, Html(LoginPage { refused }.render().expect("memory takes a page"))).into_response()
}

/// The token of a request: that of a program, or that in the cookie of a browser.
fn token_of(headers: &HeaderMap) -> Option<Token> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        return value.to_str().ok()?.strip_prefix(SCHEME)?.trim().parse().ok();
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(name, _)| *name == NAME)?.1.parse().ok()
}

/// Answers a request of somebody who may send it. Without a registry this is everybody.
pub(super) async fn admit(page: &Page, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_everybody = path == PATH || path.starts_with(ASSETS);
    let reads = *request.method() == Method::GET;
    let needs = Needs::User(if reads { Role::Viewer } else { Role::Submitter });
    let info = request.extensions().get::<ConnectInfo>().cloned();
    let is_own_user = info.as_ref().is_some_and(|info| info.is_own_user);
    // A browser sends a cookie to all ports of this machine, so the cookie may be that of another coordinator.
    let has_cookie_only = !request.headers().contains_key(AUTHORIZATION);
    let token = if is_own_user && has_cookie_only { None } else { token_of(request.headers()) };
    let caller = match &page.registry {
        Some(registry) => registry.caller(token.as_ref(), None, is_own_user),
        None => Ok(Caller::Owner),
    };
    match caller {
        // The connection of somebody unknown ends soon, whatever is asked on it.
        Ok(caller) if needs.are_met_by(&caller) => {
            let in_use = match info.map(|info| info.begin(&caller, page.registry.as_ref())).transpose() {
                Ok(in_use) => in_use,
                Err(full) => return error::page(StatusCode::TOO_MANY_REQUESTS, full.to_string()).into_response(),
            };
            if let Some(in_use) = &in_use {
                request.extensions_mut().insert(Arc::clone(&in_use.account));
            }
            let response = next.run(request).await;
            match in_use {
                Some(in_use) => response.map(|body| Body::new(Answer::new(body, in_use))),
                None => response,
            }
        }
        _ if is_for_everybody => next.run(request).await,
        Ok(_) if token.is_some() => {
            error::page(StatusCode::FORBIDDEN, format!("this needs {}", needs.words())).into_response()
        }
        // A program does not log in.
        _ if path == metrics::PATH || request.headers().contains_key(AUTHORIZATION) => {
            let why = format!("this needs the header `Authorization: Bearer TOKEN` with {}", needs.words());
            let scheme = [(WWW_AUTHENTICATE, SCHEME.trim())];
            (StatusCode::UNAUTHORIZED, scheme, error::page(StatusCode::UNAUTHORIZED, why)).into_response()
        }
        _ if reads => Redirect::to(PATH).into_response(),
        _ => error::page(StatusCode::UNAUTHORIZED, "your token is no longer valid; log in again".to_owned())
            .into_response(),
    }
}
