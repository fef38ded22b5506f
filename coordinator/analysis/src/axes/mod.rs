//! The axes of a sweep: how much they matter.
//!
//! | module | contents |
//! |---|---|
//! | [`importance`] | how much each axis, and each combination of axes, matters for the test accuracy |
//! | [`sensitivity`] | how much an arm depends on its tuning settings |

pub mod importance;
pub mod sensitivity;
