//! Exports with one run a trial, which go to places of their own.
//!
//! | module | contents |
//! |---|---|
//! | [`event_files`] | the folder of TensorBoard event files |
//! | [`mlflow`] | an MLflow tracking server, over the network |

pub(crate) mod event_files;
pub(crate) mod mlflow;
