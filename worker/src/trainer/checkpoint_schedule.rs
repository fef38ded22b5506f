//! The checkpoint schedule of a bundle: all lanes together never have more than one interval of training without a
//! checkpoint.

use biosweep_common::configuration::TrialKey;
use biosweep_engine::train::LaneState;
use biosweep_host::clock::Clock;
use tokio::runtime::Runtime;
use tokio::sync::oneshot::error::TryRecvError;

use crate::checkpoint::store::CheckpointId;
use crate::checkpoint::writer::{CheckpointWriter, Written};

/// The checkpoint schedule of the lanes of a bundle.
///
/// A lane is due when its first update without a checkpoint is one interval old, whichever lane trains. Lanes train one
/// at a time. A killed worker therefore loses at most one interval of training, and the time of a write.
pub(super) struct CheckpointSchedule<'a> {
    writer: &'a CheckpointWriter,
    runtime: &'a Runtime,
    every_s: f64,
    clock: Clock,
    lanes: Vec<LaneSchedule>,
}

/// The checkpoint of a lane: its id, and the key of its trajectory.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneCheckpoint {
    pub(super) id: CheckpointId,
    pub(super) key: TrialKey,
}

struct LaneSchedule {
    checkpoint: LaneCheckpoint,
    /// The time of the first update without a checkpoint, in seconds.
    unkept_since_s: Option<f64>,
    /// The checkpoint that is being written.
    in_flight: Option<Written>,
}

impl<'a> CheckpointSchedule<'a> {
    pub(super) fn new(
        writer: &'a CheckpointWriter,
        runtime: &'a Runtime,
        every_s: f64,
        clock: Clock,
        lanes: impl Iterator<Item = LaneCheckpoint>,
    ) -> Self {
        let lanes = lanes.map(|checkpoint| LaneSchedule { checkpoint, unkept_since_s: None, in_flight: None });
        Self { writer, runtime, every_s, clock, lanes: lanes.collect() }
    }

    /// Records an update of a lane.
    pub(super) fn updated(&mut self, lane: usize) {
        let clock = &self.clock;
        self.lanes[lane].unkept_since_s.get_or_insert_with(|| clock.seconds());
    }

    /// The lane that is due for the longest time among these lanes; `None` while the writer is busy.
    pub(super) fn due(&mut self, lanes: &mut dyn Iterator<Item = usize>) -> Option<usize> {
        let (now, every_s) = (self.clock.seconds(), self.every_s);
        let is_due = |since: f64| now - since >= every_s;
        let waiting = lanes.filter_map(|lane| Some((self.lanes[lane].unkept_since_s?, lane)));
        let (since, lane) = waiting.min_by(|one, other| one.0.total_cmp(&other.0))?;
        (is_due(since) && self.writer.has_room() && self.lanes[lane].is_idle(now)).then_some(lane)
    }

    /// Writes the state of a lane.
    pub(super) fn keep(&mut self, lane: usize, state: LaneState) {
        let lane = &mut self.lanes[lane];
        lane.in_flight = Some(self.writer.keep(lane.checkpoint.id, lane.checkpoint.key, state));
        lane.unkept_since_s = None;
    }

    /// Writes the last state of a lane if no checkpoint has it, and waits until the store has it.
    pub(super) fn keep_last(&mut self, lane: usize, state: &LaneState) {
        self.settle(lane);
        if self.lanes[lane].unkept_since_s.is_some() && state.update > 0 {
            self.keep(lane, state.clone());
            self.settle(lane);
        }
    }

    /// Ends a lane: waits for a write in progress.
    pub(super) fn ended(&mut self, lane: usize) {
        self.settle(lane);
        self.lanes[lane].unkept_since_s = None;
    }

    /// Sets all checkpoints of a lane aside.
    pub(super) fn set_aside(&self, lane: usize) {
        let id = self.lanes[lane].checkpoint.id;
        if let Err(error) = self.runtime.block_on(self.writer.store().set_aside(id)) {
            tracing::warn!(sweep = %id.sweep, trajectory = %id.trajectory, %error, "its checkpoints cannot be set aside");
        }
    }

    /// Waits for a write of a lane in progress.
    fn settle(&mut self, lane: usize) {
        if let Some(written) = self.lanes[lane].in_flight.take()
            && self.runtime.block_on(written) != Ok(true)
        {
            self.updated(lane);
        }
    }
}

impl LaneSchedule {
    /// Whether no write is in progress. A failed write is repeated one interval later.
    fn is_idle(&mut self, now: f64) -> bool {
        let Some(written) = &mut self.in_flight else { return true };
        match written.try_recv() {
            Err(TryRecvError::Empty) => return false,
            Ok(true) => self.in_flight = None,
            Ok(false) | Err(TryRecvError::Closed) => {
                self.in_flight = None;
                self.unkept_since_s = Some(now);
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use biosweep_common::vocabulary::ids::TrajectoryIndex;

    use super::*;
    use crate::checkpoint::store::CheckpointStore;

    fn id(trajectory: u64) -> CheckpointId {
        let sweep = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
        CheckpointId { sweep, trajectory: TrajectoryIndex(trajectory) }
    }

    fn state(update: u64) -> LaneState {
        let (steps, tensors) = (BTreeMap::new(), BTreeMap::new());
        LaneState { update, loss_sum: 0.0, loss_count: 0, curve: Vec::new(), diagnostics: Vec::new(), steps, tensors }
    }

    fn with_schedule(every_s: f64, test: impl FnOnce(&mut CheckpointSchedule<'_>, &dyn Fn(usize) -> Option<u64>)) {
        let (folder, runtime) = (tempfile::tempdir().expect("a folder"), Runtime::new().expect("a runtime"));
        let open = |folder: &Path| CheckpointStore::open(&folder.to_string_lossy()).expect("a store");
        let writer = CheckpointWriter::start(open(folder.path()), &runtime);
        let key = TrialKey([7; 32]);
        let lanes = (0..3).map(|lane| LaneCheckpoint { id: id(lane), key });
        let mut schedule = CheckpointSchedule::new(&writer, &runtime, every_s, Clock::start(), lanes);
        let store = open(folder.path());
        test(&mut schedule, &|lane| runtime.block_on(store.latest(id(lane as u64), key)).map(|state| state.update));
    }

    #[test]
    fn lanes_that_wait_for_their_turn_are_due_too_the_longest_unkept_first() {
        with_schedule(0.0, |schedule, kept| {
            assert_eq!(schedule.due(&mut (0..3)), None, "nothing was trained yet");
            [1, 2, 0].into_iter().for_each(|lane| schedule.updated(lane));
            for lane in [1, 2, 0] {
                // The writer accepts a state as soon as it writes the previous one.
                while !schedule.writer.has_room() {
                    std::thread::yield_now();
                }
                assert_eq!(schedule.due(&mut (0..3)), Some(lane));
                schedule.keep(lane, state(lane as u64 + 5));
            }
            (0..3).for_each(|lane| schedule.ended(lane));
            assert_eq!([0, 1, 2].map(kept), [Some(5), Some(6), Some(7)], "who has ended has nothing under way");
        });
    }

    #[test]
    fn a_lane_is_kept_as_it_is_handed_back_unless_it_is_already() {
        with_schedule(1e9, |schedule, kept| {
            schedule.keep_last(0, &state(8));
            assert_eq!(kept(0), None, "it was not trained since it was taken up");
            schedule.updated(1);
            assert_eq!(schedule.due(&mut (0..3)), None, "an interval has not passed");
            schedule.keep_last(1, &state(9));
            assert_eq!(kept(1), Some(9));
            schedule.set_aside(1);
            assert_eq!(kept(1), None);
        });
    }
}
