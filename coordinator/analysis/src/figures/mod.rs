//! Figures of results and curves, at the size at which they are printed: SVG, PNG and PDF, the same for the same data.
//!
//! | module | contents |
//! |---|---|
//! | `accuracy` | test accuracy by depth and by learning rate |
//! | `contrasts` | contrasts with their intervals |
//! | `tuning` | all settings sorted, tuning budgets, importance of axes |
//! | `training` | learning curves, and diagnostics of layers over updates |
//! | `gallery` | every kind of figure from one material |
//! | `parts` | what figures share: axes, panels, the key |
//! | `scene` | marks and text, and the bundled font |
//! | `output` | files |

mod accuracy;
mod contrasts;
mod gallery;
mod output;
mod parts;
mod scene;
mod training;
mod tuning;

#[cfg(test)]
mod tests;

pub use accuracy::{accuracy_by_depth, accuracy_by_learning_rate};
pub use contrasts::contrasts;
pub use gallery::{Kind, Material};
pub use output::size::{Width, WidthError};
pub use output::{Figure, FigureError, Format};
pub use training::{Chosen, diagnostics, learning_curves, selected_curves};
pub use tuning::{Slice, importance, sensitivity, slice, tuning_budget};
