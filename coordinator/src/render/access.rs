//! Tokens, as text and as JSON.

use std::path::Path;

use biosweep_common::vocabulary::access::rows::{TokenInfo, TokenView};
use biosweep_common::vocabulary::access::token::Token;
use biosweep_common::vocabulary::time::WallTime;
use serde_json::{Value, json};

/// A created token: its secret if it was not written to a file.
pub(crate) fn created(view: &TokenView, secret: Option<&Token>, file: Option<&Path>) -> String {
    let TokenInfo { id, role, .. } = &view.info;
    match (secret, file) {
        (Some(token), _) => token.to_text(),
        (None, file) => format!(
            "{} is a connection file with the role {role}; `biosweep token revoke {id}` ends it",
            file.map_or_else(String::new, |file| file.display().to_string())
        ),
    }
}

/// The same as JSON.
pub(crate) fn created_json(view: &TokenView, secret: Option<&Token>, file: Option<&Path>) -> String {
    let mut value = token_json(view);
    value["token"] = json!(secret.map(Token::to_text));
    value["connection"] = json!(file);
    value.to_string()
}

/// All tokens, one line each.
pub(crate) fn tokens(views: &[TokenView]) -> String {
    if views.is_empty() {
        return "no tokens; create one with `biosweep token create --role ROLE`".to_owned();
    }
    let line = |view: &TokenView| {
        let TokenInfo { id, role, label, creator, created_at, expires_at, uses_left, revoked_at } = &view.info;
        let state = match (revoked_at, expires_at) {
            (Some(at), _) => format!("revoked {}", date(*at)),
            (None, Some(at)) => format!("until {}", date(*at)),
            (None, None) => "never expires".to_owned(),
        };
        let uses = uses_left.map(|uses| format!(", {uses} uses left")).unwrap_or_default();
        let workers = if view.workers > 0 { format!(", {} workers", view.workers) } else { String::new() };
        let label = if label.is_empty() { String::new() } else { format!("  {label}") };
        format!("{id}  {role:<9}  {state}{uses}{workers}  created {} by {creator}{label}", date(*created_at))
    };
    views.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// All tokens as JSON.
pub(crate) fn tokens_json(views: &[TokenView]) -> String {
    Value::from(views.iter().map(token_json).collect::<Vec<_>>()).to_string()
}

fn token_json(TokenView { info, workers }: &TokenView) -> Value {
    json!({
        "id": info.id.to_string(),
        "role": info.role.name(),
        "label": info.label,
        "creator": info.creator,
        "created_at_ms": info.created_at.0,
        "expires_at_ms": info.expires_at.map(|at| at.0),
        "uses_left": info.uses_left,
        "revoked_at_ms": info.revoked_at.map(|at| at.0),
        "workers": workers,
    })
}

/// What a revocation did.
pub(crate) fn revoked(id: &str, workers: u64) -> String {
    match workers {
        0 => format!("{id} is revoked"),
        1 => format!("{id} is revoked, and the certificate of 1 worker with it"),
        workers => format!("{id} is revoked, and the certificates of {workers} workers with it"),
    }
}

fn date(at: WallTime) -> String {
    biosweep_analysis::report::words::date(at)
}
