//! A submitted array of workers.

/// A submitted array of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlurmJob {
    /// The number of the job.
    pub(crate) id: String,
    /// The number of its workers.
    pub(crate) workers: u32,
}
