//! Figures of test accuracies.
//!
//! | module | contents |
//! |---|---|
//! | `depth` | test accuracy by depth |
//! | `single` | test accuracy at a single depth |
//! | `rate` | test accuracy by learning rate |
//! | `lines` | panels with lines along an axis |
//! | `groups` | cells by panel and line |

mod depth;
mod groups;
mod lines;
mod rate;
mod single;

pub use depth::accuracy_by_depth;
pub use rate::accuracy_by_learning_rate;
