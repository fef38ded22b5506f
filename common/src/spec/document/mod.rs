//! The text of a spec file.
//!
//! | module | contents |
//! |---|---|
//! | `node`, `json` | a text in TOML, YAML or JSON, as one tree of nodes with their places |
//! | `amend` | writes keys at the top of a text |
//! | `pin` | writes the paths and digests of custom data into a text |
//! | `written` | values as TOML |

pub(super) mod amend;
mod json;
pub(super) mod node;
pub(super) mod pin;
pub(super) mod written;
