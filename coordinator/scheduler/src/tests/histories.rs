//! Random histories of events: every trial gets one result.

use proptest::prelude::*;

use super::*;

proptest! {
    /// Workers send, lose and repeat messages at random. Every trial gets exactly one result, under the attempt that held it, and
    /// the sweep finishes after the faults stop.
    #[test]
    fn every_trial_gets_exactly_one_result(steps in prop::collection::vec((0_u8..9, 1_u128..4, 0_u64..6), 0..120)) {
        let mut world = World::new();
        let mut record = Accepted::default();
        let mut grants: Vec<(WorkerId, Grant)> = Vec::new();
        for (kind, number, pick) in steps {
            let id = worker(number);
            let actions = match kind {
                0 => world.hello(id, Vec::new()),
                1 | 2 => world.send(id, ToCoordinator::Poll { lanes: 2 }),
                3..=5 => match grants.get(pick as usize % grants.len().max(1)).cloned() {
                    Some((holder, grant)) => {
                        let outcome = [Outcome::Completed, Outcome::Diverged, Outcome::Preempted][kind as usize - 3];
                        let lane = pick as usize % grant.lanes.len();
                        let report = world.report(&grant, lane, outcome, 20);
                        world.end(if pick == 5 { id } else { holder }, report)
                    }
                    None => Vec::new(),
                },
                6 => world.apply(Event::Disconnected(id)),
                7 => world.apply(Event::Died { worker: id, cause: "killed".to_owned() }),
                _ => world.pass(pick * 4_000),
            };
            record.take(&actions);
            for action in &actions {
                if let Action::Send { worker, message: ToWorker::Grant(grant) } = action {
                    grants.push((*worker, (**grant).clone()));
                }
            }
        }
        record.take(&world.pass(TIMEOUTS.lease_ms * 2));
        let id = worker(100);
        world.hello(id, Vec::new());
        while let Some(grant) = world.poll(id, 2) {
            record.granted(&grant);
            for lane in 0..grant.lanes.len() {
                let actions = world.end(id, world.report(&grant, lane, Outcome::Completed, 20));
                record.take(&actions);
            }
        }
        prop_assert_eq!(record.trials, (0..12).map(TrialIndex).collect::<BTreeSet<_>>());
        prop_assert_eq!(world.scheduler.sweep_view(world.sweep), None);
    }
}

/// The accepted results and open leases, checked after every event.
#[derive(Default)]
struct Accepted {
    trials: BTreeSet<TrialIndex>,
    /// The attempt that holds each trajectory.
    holder: BTreeMap<TrajectoryIndex, Attempt>,
}

impl Accepted {
    fn granted(&mut self, grant: &Grant) {
        for lane in &grant.lanes {
            let other = self.holder.insert(lane.trajectory, grant.attempt);
            assert!(other.is_none(), "{} was held by {other:?} when it was granted", lane.trajectory);
        }
    }

    fn take(&mut self, actions: &[Action]) {
        for ending in endings(actions) {
            assert_eq!(self.holder.remove(&ending.trajectory), Some(ending.attempt), "{ending:?}");
            for result in &ending.results {
                assert!(self.trials.insert(result.trial), "a second result for trial {}", result.trial);
            }
        }
        granted(actions).iter().for_each(|grant| self.granted(grant));
    }
}
