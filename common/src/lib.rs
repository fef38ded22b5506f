//! The vocabulary of biosweep: pure types and rules that coordinator and worker share.
//!
//! | module | contents |
//! |---|---|
//! | [`vocabulary`] | the named choices: rules, networks, activations, optimisers, datasets |
//! | [`rules`] | learning rules, one descriptor each |
//! | [`settings`] | the table of every setting: its name, type, default, and what it applies to |
//! | [`configuration`] | one trial, complete: shape, hyper-parameters, stopping rule; its key |
//! | [`spec`] | a spec file → a [`spec::SweepSpec`] that cannot be invalid |
//! | [`grid`] | blocks → trials by mixed-radix index; nothing is materialised |
//! | [`plan`] | what a sweep holds and costs, before anything runs |
//! | [`cost`] | what training costs |
//! | [`topology`] | layer → sources: connectivity as data |
//! | [`environment`] | what the last bits of results depend on beside settings and data |
//! | [`extents`] | how large each layer is |
//! | [`dataset`] | a published dataset or one's own, as settings name it |
//! | [`dataset_summary`] | what a dataset holds, in numbers, and whether a sweep can be trained on it |
//! | [`curve`] | a learning curve, and the stopping rules that watch it |
//! | [`diagnostics`] | what is measured of each layer, if a sweep asks for it |
//! | [`capability`] | what sweeps require of workers |
//! | [`outcome`] | how attempts, trials and sweeps stand |
//! | [`views`] | what a coordinator shows to people |
//! | [`ids`] | identifiers the compiler keeps apart |
//! | [`time`] | points in time |
//! | [`protocol`] | what coordinator and worker say to each other: messages, conversions, the worker's session |
//! | [`presets`] | spec files compiled in |

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
