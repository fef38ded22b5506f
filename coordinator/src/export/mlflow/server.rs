//! The connection to an MLflow tracking server: calls of its REST API, with credentials and limited patience.

use std::env;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use biosweep_host::clock::Clock;
use serde_json::Value;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::error::ServerError;

/// The variables with the credentials, as MLflow's own client reads them.
const TOKEN: &str = "MLFLOW_TRACKING_TOKEN";
const USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
const PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";

/// The time limits of a connection and of a call.
const CONNECT: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(60);
/// The pause before the first repetition; each one doubles it, up to the maximum.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// Maximum bytes of an answer. A page of a search is the largest one.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Maximum characters of a server's message in an error.
const MESSAGE_MAX: usize = 300;

/// Who asks.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// The value of the header `Authorization`; `None` without credentials.
    authorization: Option<String>,
}

impl Credentials {
    /// The credentials in the environment: a name with a password, otherwise a token, as in MLflow's own client.
    pub(crate) fn of_environment() -> Result<Self, ServerError> {
        let read = |variable: &'static str| match env::var(variable) {
            Ok(value) if value.chars().all(|character| (' '..='~').contains(&character)) => Ok(value),
            Ok(_) | Err(env::VarError::NotUnicode(_)) => Err(ServerError::BadSecret { variable }),
            Err(env::VarError::NotPresent) => Ok(String::new()),
        };
        Ok(Self::new(&read(USERNAME)?, &read(PASSWORD)?, &read(TOKEN)?))
    }

    /// These credentials. An empty text counts as absent.
    pub(super) fn new(name: &str, password: &str, token: &str) -> Self {
        let authorization = if !name.is_empty() && !password.is_empty() {
            Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
        } else {
            Some(token).filter(|token| !token.is_empty()).map(|token| format!("Bearer {token}"))
        };
        Self { authorization }
    }
}

/// An MLflow tracking server.
pub(crate) struct Server {
    url: String,
    agent: Agent,
    credentials: Credentials,
    patience: Duration,
}

impl Server {
    /// The server at an address such as `https://host:5000/prefix`. `patience` is the time for which a call that fails
    /// without reason is repeated.
    pub(crate) fn new(url: &str, credentials: Credentials, patience: Duration) -> Result<Self, ServerError> {
        let bad = |url: &str, why| ServerError::BadUrl { url: url.to_owned(), why };
        let parsed = url.parse::<Uri>().map_err(|_| bad(url, "it is not an address"))?;
        let authority = parsed.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            // An error must not show the password.
            let hidden = format!("{}://...", parsed.scheme_str().unwrap_or_default());
            let why = "it has a user in it, which belongs into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD";
            return Err(bad(&hidden, why));
        }
        // The parser takes every number as a port, and later has none if it is too large.
        let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
        if after_host.contains(':') && parsed.port_u16().is_none_or(|port| port == 0) {
            return Err(bad(url, "its port is not a number from 1 to 65535"));
        }
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || authority.is_empty() {
            return Err(bad(url, "it does not begin with http:// or https://"));
        }
        if parsed.query().is_some() || url.contains('#') {
            return Err(bad(url, "it has a ? or # in it"));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(CALL));
        let agent = config.build().into();
        Ok(Self { url: url.trim_end_matches('/').to_owned(), agent, credentials, patience })
    }

    /// The address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for something.
    pub(super) fn get(&self, call: &'static str, query: &[(&str, &str)]) -> Result<Value, ServerError> {
        let mut request = self.agent.get(self.address(call)).query_pairs(query.iter().copied());
        if let Some(authorization) = &self.credentials.authorization {
            request = request.header("Authorization", authorization);
        }
        self.answer(call, request.call())
    }

    /// Sends something.
    pub(super) fn post(&self, call: &'static str, body: &Value) -> Result<Value, ServerError> {
        let mut request = self.agent.post(self.address(call)).content_type("application/json");
        if let Some(authorization) = &self.credentials.authorization {
            request = request.header("Authorization", authorization);
        }
        self.answer(call, request.send(body.to_string()))
    }

    fn address(&self, call: &str) -> String {
        format!("{}/api/2.0/mlflow/{call}", self.url)
    }

    fn answer(&self, call: &'static str, sent: Result<Response<Body>, ureq::Error>) -> Result<Value, ServerError> {
        let url = self.url.clone();
        let unreachable = |why| ServerError::Unreachable { url: url.clone(), why: Box::new(why) };
        let mut response = sent.map_err(unreachable)?;
        let status = response.status().as_u16();
        let bytes = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unreachable)?;
        let answer = serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object);
        let field = |name| answer.as_ref().and_then(|answer| answer[name].as_str()).map(str::to_owned);
        match (status, field("error_code")) {
            (200..300, _) => answer.ok_or(ServerError::Foreign { url, call, status }),
            (401 | 403, _) => Err(ServerError::Denied { url, status }),
            (408 | 429 | 500.., _) => {
                let message = field("message").unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
                Err(ServerError::Failing { url, call, status, message: line(&message) })
            }
            (_, Some(code)) => {
                let message = line(&field("message").unwrap_or_default());
                Err(ServerError::Refused { url, call, code, message })
            }
            (_, None) => Err(ServerError::Foreign { url, call, status }),
        }
    }

    /// Repeats an action that fails without reason, with growing pauses, until the patience ends. The action is told
    /// whether it is a repetition.
    pub(super) fn patiently<T>(
        &self,
        mut action: impl FnMut(Repetition) -> Result<T, ServerError>,
    ) -> Result<T, ServerError> {
        let clock = Clock::start();
        let mut pause = PAUSE_FIRST;
        let mut repetition = Repetition::No;
        loop {
            let has_time = clock.seconds() + pause.as_secs_f64() < self.patience.as_secs_f64();
            match action(repetition) {
                Err(error) if error.is_transient() && has_time => std::thread::sleep(pause),
                result => return result,
            }
            pause = PAUSE_MAX.min(pause * 2);
            repetition = Repetition::Yes;
        }
    }
}

/// Whether an action was tried before. Then the server may have done it, although its answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repetition {
    No,
    Yes,
}

/// A message on one line, cut to a readable length.
fn line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ").chars().take(MESSAGE_MAX).collect()
}
