//! Random faults from a seed.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The remaining faults.
pub(super) struct Faults {
    pub(super) rng: ChaCha8Rng,
    pub(super) left: u32,
    pub(super) workers_killed: u32,
    pub(super) coordinators_killed: u32,
    pub(super) coordinators_stopped: u32,
}

impl Faults {
    pub(super) fn new(seed: u64, faults: u32) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, left: faults, workers_killed: 0, coordinators_killed: 0, coordinators_stopped: 0 }
    }

    pub(super) fn none() -> Self {
        Self::new(0, 0)
    }

    pub(super) fn done(&self) -> u32 {
        self.workers_killed + self.coordinators_killed + self.coordinators_stopped
    }

    pub(super) fn ms(&mut self, (least, greatest): (u64, u64)) -> Duration {
        Duration::from_millis(self.rng.random_range(least..=greatest))
    }
}
