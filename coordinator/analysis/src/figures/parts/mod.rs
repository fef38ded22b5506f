//! The parts that figures share.
//!
//! | module | contents |
//! |---|---|
//! | `style` | the look of rules, networks and text |
//! | `key` | samples of marks with their meanings |
//! | `axis` | scales and ticks |
//! | `chart` | the title, and panels in rows and columns |
//! | `plot` | the content of a panel |

pub(super) mod axis;
pub(super) mod chart;
pub(super) mod key;
pub(super) mod plot;
pub(super) mod style;
