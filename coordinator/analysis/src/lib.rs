//! What a sweep found, for people and for other programs.
//!
//! | module | contents |
//! |---|---|
//! | [`aggregate`] | results → cells: the mean accuracy of each rule on each network |
//! | [`export`] | results and curves as files: csv, jsonl |
//! | [`figures`] | results and curves as pictures |
//! | `samples` | results made up for tests |

pub mod aggregate;
pub mod export;
pub mod figures;

#[cfg(any(test, feature = "testing"))]
pub mod samples;
