//! How much each axis of a grid matters.
//!
//! | module | contents |
//! |---|---|
//! | [`anova`] | on a complete grid: the exact functional ANOVA |
//! | [`ped`] | on an incomplete grid: PED-ANOVA, from counts |

pub mod anova;
pub mod ped;
