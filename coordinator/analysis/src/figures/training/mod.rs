//! Figures of training: values over updates.
//!
//! | module | contents |
//! |---|---|
//! | `learning` | validation accuracy |
//! | `layers` | diagnostics of each layer |
//! | `selected` | validation accuracy of selected configurations |
//! | `shown` | the curves that a figure shows |

mod layers;
mod learning;
mod selected;
mod shown;

pub use layers::diagnostics;
pub use learning::learning_curves;
pub use selected::selected_curves;
pub use shown::Chosen;
