//! What the coordinator itself can do, measured through all of it.
//!
//! | room | measures |
//! |---|---|
//! | [`mod@dispatch`] | trials per second |
//! | [`mod@recovery`] | seconds until a coordinator serves again |

mod dispatch;
mod recovery;

pub(crate) use dispatch::dispatch;
pub(crate) use recovery::recovery;

/// A sweep of so many trials, each a trajectory of one update.
fn spec_of(trials: u64) -> String {
    format!(
        "name = \"bench\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\n\
         rule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = {{ from = 0, count = {trials} }}\n"
    )
}
