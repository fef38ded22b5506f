//! Submitted sweeps and their extensions.

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_common::vocabulary::time::WallTime;

/// A submitted sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Its id.
    pub id: SweepId,
    /// The name in its spec.
    pub name: String,
    /// The text of the spec.
    pub spec: SpecText,
    /// The digest of the spec's meaning: equal for equal grids, however their specs are written.
    pub digest: String,
    /// Number of trials in its grid.
    pub trials: u64,
    /// Number of trajectories in its grid.
    pub trajectories: u64,
    /// Time of submission.
    pub submitted_at: WallTime,
}

impl Submission {
    /// The submission of a spec with this text.
    #[must_use]
    pub fn new(id: SweepId, spec: &SweepSpec, text: SpecText, at: WallTime) -> Self {
        Self {
            id,
            name: spec.name.clone(),
            spec: text,
            digest: Self::digest(spec),
            trials: spec.grid.trials(),
            trajectories: spec.grid.trajectories(),
            submitted_at: at,
        }
    }

    /// The digest of a submission: the digest of the spec, and the numerics version. Submissions with equal digests are the same
    /// sweep.
    #[must_use]
    pub fn digest(spec: &SweepSpec) -> String {
        format!("{}/{NUMERICS_VERSION}", spec.digest())
    }

    /// The numerics version in its digest; `None` if it is the version of this program.
    pub fn other_numerics(&self) -> Option<u32> {
        let version = self.digest.rsplit_once('/')?.1.parse().ok()?;
        (version != NUMERICS_VERSION).then_some(version)
    }
}

/// Trials added to a sweep after its submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The text of the spec.
    pub spec: SpecText,
    /// Time of the extension.
    pub at: WallTime,
}
