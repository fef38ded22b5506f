//! Which sweep or worker is meant: by its id, by its name, or by the beginning of its id.
//!
//! An exact id always wins, so that no name can hide a sweep or a worker. Of equal names those of running and paused sweeps come before
//! those of ended ones. Where several are left, a command that reads takes the newest, and one that changes something
//! refuses: it would change the wrong one.

use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::views::{SweepView, WorkerView};

use super::QueryError;

/// What the sweep is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be looked at.
    Read,
    /// To be changed.
    Change,
    /// To be gone on with; one that has ended is only looked at.
    GoOn,
}

/// The sweep that is meant, among these, oldest first.
pub fn named(sweeps: &[SweepView], name: &str, purpose: Purpose) -> Result<SweepId, QueryError> {
    if let Ok(id) = name.parse::<SweepId>()
        && sweeps.iter().any(|sweep| sweep.id == id)
    {
        return Ok(id);
    }
    let bearers: Vec<&SweepView> = sweeps.iter().filter(|sweep| sweep.name == name).collect();
    let alive: Vec<&SweepView> = bearers.iter().copied().filter(|sweep| !sweep.state.has_ended()).collect();
    let mut meant: Vec<SweepId> =
        if alive.is_empty() { &bearers } else { &alive }.iter().map(|sweep| sweep.id).collect();
    let is_read = match purpose {
        Purpose::Read => true,
        Purpose::Change => false,
        Purpose::GoOn => alive.is_empty(),
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

/// The worker that is meant, among these, to be changed.
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

/// Ids that an error names at most.
const NAMED_MAX: usize = 5;

/// A few of these ids, and how many more there are.
pub(super) fn few(ids: &[String]) -> String {
    let named = ids[..ids.len().min(NAMED_MAX)].join(", ");
    match ids.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::capability::Capabilities;
    use biosweep_common::outcome::SweepState;
    use biosweep_common::time::WallTime;
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
        }
    }

    fn both(sweeps: &[SweepView], name: &str) -> [Result<SweepId, String>; 2] {
        [Purpose::Read, Purpose::Change].map(|purpose| named(sweeps, name, purpose).map_err(|error| error.to_string()))
    }

    #[test]
    fn an_exact_id_wins_whatever_sweeps_are_called() {
        let impostor = sweep(2, &id(1).to_string(), SweepState::Running);
        let sweeps = [sweep(1, "first", SweepState::Finished), impostor];
        assert_eq!(both(&sweeps, &id(1).to_string()), [Ok(id(1)), Ok(id(1))]);
        assert_eq!(both(&sweeps, &id(2).to_string()), [Ok(id(2)), Ok(id(2))]);
        assert_eq!(both(&sweeps, &id(1).to_string().to_uppercase()), [Ok(id(1)), Ok(id(1))]);
    }

    #[test]
    fn an_exact_id_wins_whatever_workers_are_called() {
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
        let why = meant("0123").expect_err("it could be any of them");
        assert!(why.contains(&id(1).to_string()) && why.contains(&id(3).to_string()), "{why}");
        assert_eq!([meant("nobody"), meant("")].map(|answer| answer.is_err()), [true, true]);
    }

    #[test]
    fn of_equal_names_what_is_alive_comes_before_what_has_ended() {
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
    fn where_several_could_be_meant_reading_takes_the_newest_and_changing_refuses() {
        for state in [SweepState::Running, SweepState::Finished] {
            let [read, change] = both(&[sweep(1, "a", state), sweep(2, "a", state)], "a");
            assert_eq!(read, Ok(id(2)));
            let why = change.expect_err("it could be either");
            assert!(why.contains(&id(1).to_string()) && why.contains(&id(2).to_string()), "{why}");
        }
    }

    #[test]
    fn what_goes_on_is_meant_as_what_is_changed_and_what_has_ended_as_what_is_read() {
        let [one, other] = [1, 2].map(|number| sweep(number, "a", SweepState::Paused));
        let named = |sweeps: &[SweepView]| named(sweeps, "a", Purpose::GoOn).map_err(|error| error.to_string());
        let why = named(&[one.clone(), other]).expect_err("it could be either");
        assert!(why.contains(&id(1).to_string()) && why.contains(&id(2).to_string()), "{why}");
        let ended = [2, 3].map(|number| sweep(number, "a", SweepState::Finished));
        assert_eq!(named(&ended), Ok(id(3)));
        assert_eq!(named(&[one, ended[0].clone(), ended[1].clone()]), Ok(id(1)));
    }

    #[test]
    fn a_name_that_another_id_begins_with_is_read_and_never_changed_by_it_alone() {
        let sweeps = [sweep(1, "first", SweepState::Running), sweep(2, "0123", SweepState::Running)];
        let [read, change] = both(&sweeps, "0123");
        assert_eq!(read, Ok(id(2)));
        assert!(change.expect_err("it could be either").contains(&id(1).to_string()));
        let rest = &id(1).to_string()[..];
        assert_eq!(both(&sweeps, rest), [Ok(id(1)), Ok(id(1))]);
    }

    #[test]
    fn an_id_is_known_by_its_beginning_and_few_are_listed_where_many_begin_so() {
        let sweeps: Vec<_> = (1..=40).map(|number| sweep(number, "a", SweepState::Running)).collect();
        assert_eq!(both(&sweeps[..1], "0123"), [Ok(id(1)), Ok(id(1))]);
        for why in both(&sweeps, "0123").map(|answer| answer.expect_err("any of them")) {
            assert!(why.contains("and 35 more") && why.len() < 400, "{why}");
            assert!(why.contains(&id(40).to_string()), "the newest are named: {why}");
        }
        assert_eq!(both(&sweeps, "nobody").map(|answer| answer.is_err()), [true, true]);
        assert_eq!(both(&sweeps, "").map(|answer| answer.is_err()), [true, true]);
    }
}
