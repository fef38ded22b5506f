//! The text of a spec file.
//!
//! | module | contents |
//! |---|---|
//! | `node` | the tree of nodes, with their places |
//! | `parse`, `json` | from a text in TOML, YAML or JSON to that tree |
//! | `notation` | values in another notation than the one that a setting takes |
//! | `amend` | writes keys at the top of a text |
//! | `pin` | writes the paths and digests of custom data into a text |
//! | `written` | values as TOML |

pub(super) mod amend;
mod json;
pub(super) mod node;
pub(super) mod notation;
pub(super) mod parse;
pub(super) mod pin;
pub(super) mod written;
