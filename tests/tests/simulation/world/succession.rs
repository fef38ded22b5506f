//! Two coordinators of one store: one takes over while the other does not know it yet.

use super::*;

/// Maximum milliseconds until a coordinator knows that another one has taken over.
const UNAWARE_MS: u64 = 20_000;

impl World {
    /// Lets another coordinator take over. The former one goes on, but the store refuses its transactions.
    pub(super) fn take_over(&mut self) -> Result<(), String> {
        if self.former.is_some() {
            return Ok(());
        }
        let Some(mut former) = self.coordinator.take() else { return Ok(()) };
        // The store ends an open transaction before the takeover: it is committed, or it never will be.
        if self.rng.random_bool(0.5)
            && let Some((records, is_there @ false)) = &mut former.writing
        {
            self.store.commit(records).now_or_never().expect("memory").map_err(|error| error.to_string())?;
            *is_there = true;
        }
        let (epoch, in_ms) = (former.epoch, self.rng.random_range(0..UNAWARE_MS));
        // It lost its connections to some workers together with the store.
        self.break_streams_of(epoch, 0.5);
        self.former = Some(former);
        self.successions.0 += 1;
        self.schedule(in_ms, WorldEvent::Lapse { epoch });
        self.restart()
    }

    /// Runs an event of the coordinator of this epoch, which may be the former one. There may be none any more.
    pub(super) fn at(&mut self, epoch: u64, act: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        let is_led = |coordinator: &Option<Coordinator>| coordinator.as_ref().is_some_and(|known| known.epoch == epoch);
        if is_led(&self.coordinator) {
            return act(self);
        }
        if !is_led(&self.former) {
            return Ok(());
        }
        std::mem::swap(&mut self.coordinator, &mut self.former);
        let done = act(self);
        std::mem::swap(&mut self.coordinator, &mut self.former);
        done
    }

    /// Whether another coordinator has taken over from the acting one.
    pub(super) fn is_former(&self) -> bool {
        self.coordinator.as_ref().is_some_and(|coordinator| coordinator.epoch < self.epoch)
    }

    /// Ends the acting coordinator, which has learned of its successor.
    pub(super) fn lapse(&mut self) {
        if let Some(coordinator) = self.coordinator.take() {
            self.break_streams_of(coordinator.epoch, 1.0);
        }
    }

    /// Breaks a share of the streams to the coordinator of this epoch.
    pub(super) fn break_streams_of(&mut self, epoch: u64, share: f64) {
        let led_by = |stream: &&StreamId| self.led_by.get(stream) == Some(&epoch);
        let open: Vec<StreamId> = self.streams.keys().filter(led_by).copied().collect();
        for stream in open {
            if self.rng.random_bool(share) {
                self.break_stream(stream);
            }
        }
    }

    /// The epoch of the coordinator that a worker reaches; `None` if none runs.
    pub(super) fn reached(&mut self) -> Option<u64> {
        let of = |coordinator: &Option<Coordinator>| coordinator.as_ref().map(|known| known.epoch);
        match (of(&self.coordinator), of(&self.former)) {
            (Some(leader), Some(former)) => Some(if self.rng.random_bool(0.3) { former } else { leader }),
            (leader, former) => leader.or(former),
        }
    }
}

/// Without these the other tests would not cover a takeover.
#[test]
fn workers_meet_a_former_coordinator_and_leave_it() {
    let (mut takeovers, mut left) = (0, 0);
    for seed in 1..=30 {
        let mut world = World::new(seed, Faults::all(seed));
        world.run().expect("the world ends without an error");
        takeovers += world.successions.0;
        left += world.successions.1;
    }
    assert!(takeovers > 20 && left > 0, "{takeovers} takeovers, of which {left} workers noticed");
}
