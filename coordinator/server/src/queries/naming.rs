//! Finds the sweep or worker that a name refers to: an id, a name, or the start of an id.
//!
//! An exact id always wins, so no name can hide a sweep or a worker. Of equal names, running and paused sweeps come
//! before ended ones. If several are left, a command that reads takes the newest, and one that changes something
//! refuses, because it could change the wrong one.

use biosweep_common::results::views::{SweepView, WorkerView};
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};

use super::QueryError;

/// The purpose of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// To read.
    Read,
    /// To change.
    Change,
    /// To continue. A sweep that has ended is only read.
    Continue,
}

/// The sweep that the name refers to. `sweeps` are ordered oldest first.
pub fn named(sweeps: &[SweepView], name: &str, lookup: Lookup) -> Result<SweepId, QueryError> {
    if let Ok(id) = name.parse::<SweepId>()
        && sweeps.iter().any(|sweep| sweep.id == id)
    {
        return Ok(id);
    }
    let bearers: Vec<&SweepView> = sweeps.iter().filter(|sweep| sweep.name == name).collect();
    let alive: Vec<&SweepView> = bearers.iter().copied().filter(|sweep| !sweep.state.has_ended()).collect();
    let mut meant: Vec<SweepId> =
        if alive.is_empty() { &bearers } else { &alive }.iter().map(|sweep| sweep.id).collect();
    let is_read = match lookup {
        Lookup::Read => true,
        Lookup::Change => false,
        Lookup::Continue => alive.is_empty(),
    };
    if is_read && let Some(&newest) = meant.last() {
        return Ok(newest);
    }
    let beginning = name.to_ascii_lowercase();
    let begins = |sweep: &&SweepView| !beginning.is_empty() && sweep.id.to_string().starts_with(&beginning);
    meant.extend(sweeps.iter().filter(begins).filter(|sweep| sweep.name != name).map(|sweep| sweep.id));
    match meant.as_slice() {
        [id] => Ok(*id),
        [] => Err(QueryError::Unknown { name: name.to_owned() }),
        several => Err(QueryError::Ambiguous {
            name: name.to_owned(),
            ids: several.iter().rev().map(ToString::to_string).collect(),
        }),
    }
}

/// The worker that the name refers to, to be changed.
pub(super) fn worker(mut workers: Vec<WorkerView>, name: &str) -> Result<WorkerView, QueryError> {
    let beginning = name.to_ascii_lowercase();
    let begins = |worker: &WorkerView| !beginning.is_empty() && worker.id.to_string().starts_with(&beginning);
    match name.parse::<WorkerId>() {
        Ok(id) if workers.iter().any(|worker| worker.id == id) => workers.retain(|worker| worker.id == id),
        _ => workers.retain(|worker| worker.name == name || begins(worker)),
    }
    match workers.as_slice() {
        [worker] => Ok(worker.clone()),
        [] => Err(QueryError::UnknownWorker { name: name.to_owned() }),
        several => Err(QueryError::Ambiguous {
            name: name.to_owned(),
            ids: several.iter().map(|worker| worker.id.to_string()).collect(),
        }),
    }
}

/// Maximum number of ids in an error.
const NAMED_MAX: usize = 5;

/// Some of these ids, and the number of others.
pub(super) fn few(ids: &[String]) -> String {
    let named = ids[..ids.len().min(NAMED_MAX)].join(", ");
    match ids.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::SweepState;
    use biosweep_common::vocabulary::time::WallTime;
    use biosweep_common::workers::capability::Capabilities;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> SweepId {
        SweepId(Uuid::from_u128((0x0123_4567 << 96) + number))
    }

    fn sweep(number: u128, name: &str, state: SweepState) -> SweepView {
        SweepView {
            id: id(number),
            name: name.to_owned(),
            state,
            reason: None,
            trials: 1,
            trajectories: 1,
            completed: 0,
            diverged: 0,
            failed: 0,
            reused: 0,
            running: 0,
            submitted_at: WallTime(0),
            state_at: WallTime(0),
            note: None,
        }
    }

    fn both(sweeps: &[SweepView], name: &str) -> [Result<SweepId, String>; 2] {
        [Lookup::Read, Lookup::Change].map(|lookup| named(sweeps, name, lookup).map_err(|error| error.to_string()))
    }

    #[test]
    fn an_exact_id_wins_over_any_name_of_a_sweep() {
        let impostor = sweep(2, &id(1).to_string(), SweepState::Running);
        let sweeps = [sweep(1, "first", SweepState::Finished), impostor];
        assert_eq!(both(&sweeps, &id(1).to_string()), [Ok(id(1)), Ok(id(1))]);
        assert_eq!(both(&sweeps, &id(2).to_string()), [Ok(id(2)), Ok(id(2))]);
        assert_eq!(both(&sweeps, &id(1).to_string().to_uppercase()), [Ok(id(1)), Ok(id(1))]);
    }

    #[test]
    fn an_exact_id_wins_over_any_name_of_a_worker() {
        let id = |number: u128| WorkerId(Uuid::from_u128((0x0123_4567 << 96) + number));
        let called = |number, name: String| WorkerView {
            id: id(number),
            name,
            capabilities: Capabilities::default(),
            lanes: 1,
            connected: true,
            quarantined: None,
            training: Vec::new(),
            training_count: 0,
        };
        let workers = [called(1, "first".to_owned()), called(2, id(1).to_string()), called(3, "0123".to_owned())];
        let meant =
            |name: &str| worker(workers.to_vec(), name).map(|worker| worker.id).map_err(|error| error.to_string());
        assert_eq!(meant(&id(1).to_string()), Ok(id(1)));
        assert_eq!(meant(&id(2).to_string().to_uppercase()), Ok(id(2)));
        assert_eq!(meant("first"), Ok(id(1)));
        let why = meant("0123").expect_err("several matches");
        assert!(why.contains(&id(1).to_string()) && why.contains(&id(3).to_string()), "{why}");
        assert_eq!([meant("nobody"), meant("")].map(|answer| answer.is_err()), [true, true]);
    }

    #[test]
    fn of_equal_names_a_running_sweep_comes_before_ended_ones() {
        let sweeps = [
            sweep(1, "a", SweepState::Finished),
            sweep(2, "a", SweepState::Paused),
            sweep(3, "a", SweepState::Cancelled),
            sweep(4, "b", SweepState::Finished),
        ];
        assert_eq!(both(&sweeps, "a"), [Ok(id(2)), Ok(id(2))]);
        assert_eq!(both(&sweeps, "b"), [Ok(id(4)), Ok(id(4))]);
    }

    #[test]
    fn of_several_matches_reading_takes_the_newest_and_changing_refuses() {
        for state in [SweepState::Running, SweepState::Finished] {
            let [read, change] = both(&[sweep(1, "a", state), sweep(2, "a", state)], "a");
            assert_eq!(read, Ok(id(2)));
            let why = change.expect_err("two matches");
            assert!(why.contains(&id(1).to_string()) && why.contains(&id(2).to_string()), "{why}");
        }
    }

    #[test]
    fn continuing_treats_running_sweeps_as_changing_and_ended_ones_as_reading() {
        let [one, other] = [1, 2].map(|number| sweep(number, "a", SweepState::Paused));
        let named = |sweeps: &[SweepView]| named(sweeps, "a", Lookup::Continue).map_err(|error| error.to_string());
        let why = named(&[one.clone(), other]).expect_err("two matches");
        assert!(why.contains(&id(1).to_string()) && why.contains(&id(2).to_string()), "{why}");
        let ended = [2, 3].map(|number| sweep(number, "a", SweepState::Finished));
        assert_eq!(named(&ended), Ok(id(3)));
        assert_eq!(named(&[one, ended[0].clone(), ended[1].clone()]), Ok(id(1)));
    }

    #[test]
    fn a_name_that_is_also_the_start_of_another_id_is_read_but_not_changed() {
        let sweeps = [sweep(1, "first", SweepState::Running), sweep(2, "0123", SweepState::Running)];
        let [read, change] = both(&sweeps, "0123");
        assert_eq!(read, Ok(id(2)));
        assert!(change.expect_err("two matches").contains(&id(1).to_string()));
        let rest = &id(1).to_string()[..];
        assert_eq!(both(&sweeps, rest), [Ok(id(1)), Ok(id(1))]);
    }

    #[test]
    fn an_id_is_found_by_its_start_and_few_of_many_matches_are_listed() {
        let sweeps: Vec<_> = (1..=40).map(|number| sweep(number, "a", SweepState::Running)).collect();
        assert_eq!(both(&sweeps[..1], "0123"), [Ok(id(1)), Ok(id(1))]);
        for why in both(&sweeps, "0123").map(|answer| answer.expect_err("many matches")) {
            assert!(why.contains("and 35 more") && why.len() < 400, "{why}");
            assert!(why.contains(&id(40).to_string()), "the newest are named: {why}");
        }
        assert_eq!(both(&sweeps, "nobody").map(|answer| answer.is_err()), [true, true]);
        assert_eq!(both(&sweeps, "").map(|answer| answer.is_err()), [true, true]);
    }
}
