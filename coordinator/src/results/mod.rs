//! What a sweep found, for people and for other programs.
//!
//! | room | holds |
//! |---|---|
//! | [`aggregate`] | results → cells: the mean accuracy of each rule on each network |
//! | [`export`] | results and curves as files: csv, jsonl |
//! | [`figures`] | results and curves as pictures |
//! | [`folder`] | the folder a run leaves its files in |

pub(crate) mod aggregate;
pub(crate) mod export;
pub(crate) mod figures;
pub(crate) mod folder;

#[cfg(test)]
pub(crate) mod samples;
