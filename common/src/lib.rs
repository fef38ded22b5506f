//! The common code of coordinator and worker: pure types and rules.
//!
//! | module | contents |
//! |---|---|
//! | [`vocabulary`] | the named choices: rules, networks, activations, optimisers, datasets |
//! | [`rules`] | learning rules, one descriptor each |
//! | [`settings`] | the table of all settings: name, type, default, condition |
//! | [`configuration`] | the configuration of a trial: shape, hyperparameters, stopping rule, key |
//! | [`spec`] | from a spec file to a [`spec::SweepSpec`], which is always valid |
//! | [`grid`] | from blocks to trials, by mixed-radix indices |
//! | [`plan`] | the size and cost of a sweep before it runs |
//! | [`cost`] | estimates of training cost |
//! | [`topology`] | the connections of a network: the sources of each layer |
//! | [`environment`] | the numeric environment of a worker |
//! | [`extents`] | the size of each layer |
//! | [`dataset`] | references to datasets |
//! | [`dataset_summary`] | the summary of a dataset, and whether a sweep can be trained on it |
//! | [`curve`] | learning curves and early stoppers |
//! | [`diagnostics`] | values measured for each layer |
//! | [`capability`] | capabilities of workers and requirements of sweeps |
//! | [`outcome`] | the outcomes and states of attempts, trials and sweeps |
//! | [`views`] | what a coordinator shows to its users |
//! | [`ids`] | identifiers, each a separate type |
//! | [`time`] | points in time |
//! | [`protocol`] | the protocol of coordinator and worker: messages, conversions, the worker's session |
//! | [`presets`] | spec files that are compiled in |

pub mod capability;
pub mod configuration;
pub mod cost;
pub mod curve;
pub mod dataset;
pub mod dataset_summary;
pub mod diagnostics;
pub mod environment;
pub mod extents;
pub mod flags;
pub mod grid;
pub mod ids;
pub mod outcome;
pub mod plan;
pub mod presets;
pub mod protocol;
pub mod rules;
pub mod settings;
pub mod spec;
pub mod time;
pub mod topology;
pub mod views;
pub mod vocabulary;
