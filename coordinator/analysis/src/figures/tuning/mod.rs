//! Figures of tuning settings.
//!
//! | module | contents |
//! |---|---|
//! | `sensitivity` | the accuracies of all settings, sorted |
//! | `budget` | the accuracy that a number of tried settings gives |
//! | `importance` | how much each axis matters |
//! | `slice` | the accuracy by one axis |

mod budget;
mod importance;
mod sensitivity;
mod slice;

pub use budget::tuning_budget;
pub use importance::importance;
pub use sensitivity::sensitivity;
pub use slice::{Slice, slice};
