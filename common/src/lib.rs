//! The common code of coordinator and worker: pure types and rules.
//!
//! | module | contents |
//! |---|---|
//! | [`vocabulary`] | the named choices, references to datasets, measures, identifiers, points in time |
//! | [`rules`] | learning rules, one descriptor each |
//! | [`settings`] | the table of all settings: name, type, default, condition |
//! | [`configuration`] | the configuration of a trial: shape, hyperparameters, stopping rule, key |
//! | [`network`] | the connections and the size of each layer |
//! | [`grid`] | from blocks to trials, by mixed-radix indices |
//! | [`workers`] | the capabilities and the numeric environment of workers, and the values of their flags |
//! | [`spec`] | from a spec file to a [`spec::SweepSpec`], which is always valid; presets |
//! | [`plan`] | the size and cost of a sweep before it runs, and its fit to a dataset |
//! | [`results`] | learning curves, outcomes, and what a coordinator shows to its users |
//! | [`protocol`] | the protocol of coordinator and worker: messages, conversions, the worker's session |

pub mod configuration;
pub mod grid;
pub mod network;
pub mod plan;
pub mod protocol;
pub mod results;
pub mod rules;
pub mod settings;
pub mod spec;
pub mod vocabulary;
pub mod workers;
