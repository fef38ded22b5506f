//! The parts that figures share.
//!
//! | module | contents |
//! |---|---|
//! | `style` | the look of rules, networks and text |
//! | `key` | samples of marks with their meanings |
//! | `axis` | scales and ticks |
//! | `family` | networks that share a panel |
//! | `intervals` | what bars and bands are |
//! | `chart` | the title, and panels in rows and columns |
//! | `plot` | the content of a panel |

pub(super) mod axis;
pub(super) mod chart;
pub(super) mod family;
pub(super) mod intervals;
pub(super) mod key;
pub(super) mod plot;
pub(super) mod style;
