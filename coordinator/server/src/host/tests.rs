//! Tests of the start of a coordinator.

use biosweep_common::configuration::{Point, TrialKey};
use biosweep_common::grid::GridIndex;
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::{Outcome, TrialStatus};
use biosweep_common::spec::{Format, SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::id::new_id;
use biosweep_scheduler::event::Event;
use biosweep_scheduler::policies::reuse::Environments;
use biosweep_scheduler::record::{Ending, LeaseRow, Record, Submission, TrialResult};
use biosweep_store::memory::Memory;

use super::*;
use crate::commands::reuse::{Wanted, find};

#[tokio::test]
async fn a_stored_sweep_above_todays_limits_is_continued_listed_and_cancelled() {
    let text = "name = \"large\"\n[data]\ndataset = \"synthetic-digits\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
                max_updates = 1_000_000_000\neval_every = 390\nearly_stop_start = 0\nweight_decay = 1e-50\n";
    SweepSpec::parse(text, Format::Toml, "large").expect_err("it would be refused");
    let (id, store) = (new_id::<SweepId>(), Arc::new(Memory::default()));
    let stored = SpecText { text: text.to_owned(), format: Format::Toml, resolved: text.to_owned() };
    let spec = stored.spec("large").expect("a stored spec has no limits");
    let submission = Submission::new(id, &spec, stored, WallTime(0));
    store.commit(&[Record::Submitted(submission)]).await.expect("a valid batch");
    let clock = Clock::start();
    let scheduler = restore(store.as_ref(), clock, Scope::All, TIMEOUTS).await.expect("it is continued");
    let (handle, _) = driver::start(scheduler, store, clock);
    let listed = queries::list(&handle).await.expect("reads");
    assert_eq!(listed.iter().map(|sweep| (sweep.id, sweep.state)).collect::<Vec<_>>(), [(id, SweepState::Running)]);
    let spec = queries::spec(&handle, id).await.expect("it is read");
    assert!(spec.grid.configuration(TrialIndex(0)).is_some());
    handle.apply(Event::Cancelled(id)).await.expect("there is room");
    assert_eq!(queries::status(&handle, id).await.expect("reads").sweep.state, SweepState::Cancelled);
}

/// A sweep of two trajectories: the first has ended with a result of this key, the second is still leased.
fn half_trained(sweep: SweepId, key: TrialKey) -> [Record; 3] {
    let (attempt, trajectory) = (Attempt(1), TrajectoryIndex(0));
    let lease = LeaseRow {
        attempt,
        sweep,
        first: trajectory,
        count: 1,
        worker: new_id(),
        worker_name: "w".to_owned(),
        environment: Arc::default(),
        at: WallTime(0),
    };
    let result = TrialResult {
        trial: TrialIndex(0),
        key,
        status: TrialStatus::Completed,
        score: None,
        updates: 1,
        attempts: 1,
        worker_name: "w".to_owned(),
        environment: None,
        seconds: 1.0,
        reused_from: None,
    };
    let ending = Ending {
        sweep,
        trajectory,
        attempt,
        outcome: Outcome::Completed,
        cause: None,
        updates: 1,
        at: WallTime(0),
        results: vec![result],
        curve: vec![CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) }],
        diagnostics: Vec::new(),
        dataset: None,
    };
    let second = LeaseRow { attempt: Attempt(2), first: TrajectoryIndex(1), ..lease.clone() };
    [Record::Leased(lease), Record::Leased(second), Record::Ended(Box::new(ending))]
}

#[tokio::test]
async fn a_sweep_that_would_be_read_as_other_trials_is_paused_and_can_only_be_cancelled() {
    let text = "name = \"two\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\nrule = \"bp\"\n\
                network = \"nn\"\ndepth = 1\nseed = [0, 1]\n";
    let (spec, stored) = SweepSpec::parse_to_store(text.to_owned(), Format::Toml, "two").expect("a good spec");
    let (stored_text, is_ended) = (stored.clone(), |record: &&Record| matches!(record, Record::Ended(_)));
    let refused = async |submission: Submission, records: &[Record]| {
        let (store, id) = (Arc::new(Memory::default()), submission.id);
        let digest = submission.digest.clone();
        store.commit(&[Record::Submitted(submission)]).await.expect("a valid batch");
        store.commit(records).await.expect("a valid batch");
        let alone = restore(store.as_ref(), Clock::start(), Scope::Digest(&digest), TIMEOUTS).await;
        let error = alone.err().map(|error| error.to_string());

        // A coordinator of all sweeps pauses this one. It does not resume it, but it cancels it.
        let clock = Clock::start();
        let scheduler = restore(store.as_ref(), clock, Scope::All, TIMEOUTS).await.expect("the others go on");
        assert_eq!(scheduler.sweep_view(id).is_none(), error.is_some());
        let commands = Commands::new(driver::start(scheduler, Arc::clone(&store) as Arc<dyn Store>, clock).0);
        let stored = async || store.restore_sweep(id).await.expect("reads").expect("the sweep");
        if let Some(error) = &error {
            let row = stored().await.row;
            assert_eq!(row.state, SweepState::Paused);
            assert!(row.reason.is_some_and(|reason| reason.starts_with("this version cannot read its spec (")));
            let (spec, text) = (spec.clone(), stored_text.clone());
            for refused in [
                commands.resume(id).await.expect_err("it cannot be read").to_string(),
                commands.retry(id, Point::new()).await.expect_err("it cannot be read").to_string(),
                commands.extend(id, spec, text).await.expect_err("it cannot be read").to_string(),
            ] {
                assert_eq!(refused, *error);
            }
        }
        let (index, all) = (GridIndex::of(&spec.grid), Wanted::From(TrajectoryIndex(0)));
        let reusable = find(store.as_ref(), &spec, &index, all, &Environments::All).await.expect("reads");
        assert_eq!(reusable.len(), if error.is_none() { records.iter().filter(is_ended).count() } else { 0 });

        assert_eq!(commands.cancel(id).await.expect("it is cancelled").state, SweepState::Cancelled);
        let left = stored().await;
        assert_eq!((left.row.state, left.open), (SweepState::Cancelled, Vec::new()));
        error
    };
    let id = new_id::<SweepId>();
    let sound = Submission::new(id, &spec, stored, WallTime(0));
    assert_eq!(refused(sound.clone(), &[]).await, None);

    let resolved = sound.spec.resolved.replace("batch_size = 128", "batch_size = 64");
    let other = Submission { spec: SpecText { resolved, ..sound.spec.clone() }, ..sound.clone() };
    let error = refused(other, &[]).await.expect("its digest is another");
    assert!(
        error.contains("use the version that stored it (it now describes other trials than when it was submitted)"),
        "{error}"
    );

    let configuration = spec.grid.configuration(TrialIndex(0)).expect("the first trial");
    assert_eq!(refused(sound.clone(), &half_trained(id, configuration.key())).await, None);
    let error = refused(sound, &half_trained(id, TrialKey([7; 32]))).await.expect("its key is another");
    assert!(error.contains("trial 0 has the key 0707"), "{error}");
}
