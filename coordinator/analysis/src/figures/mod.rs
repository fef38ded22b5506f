//! Figures of results and curves, at the size at which they are printed: SVG, PNG and PDF, the same for the same data.
//!
//! | module | contents |
//! |---|---|
//! | `depth` | test accuracy by depth |
//! | `single` | test accuracy at a single depth |
//! | `groups` | cells by panel and line |
//! | `learning` | validation accuracy by updates |
//! | `parts` | what figures share: axes, panels, the key |
//! | `scene` | marks and text, and the bundled font |
//! | `output` | files |

mod depth;
mod groups;
mod learning;
mod output;
mod parts;
mod scene;
mod single;

#[cfg(test)]
mod tests;

pub use depth::accuracy_by_depth;
pub use learning::learning_curves;
pub use output::size::{Width, WidthError};
pub use output::{Figure, FigureError, Format};
