//! Figures of training: values over updates.
//!
//! | module | contents |
//! |---|---|
//! | `learning` | validation accuracy |
//! | `layers` | diagnostics of each layer |
//! | `shown` | the curves that a figure shows |

mod layers;
mod learning;
mod shown;

pub use layers::diagnostics;
pub use learning::learning_curves;
