//! Sample records for tests of stores.

use super::*;

pub(crate) fn sweep(number: u128) -> SweepId {
    SweepId(Uuid::from_u128(number))
}

/// The numeric environment of every worker.
pub(crate) fn environment() -> Arc<NumericEnvironment> {
    Arc::new(NumericEnvironment {
        device: "cpu".to_owned(),
        processor: "A \"fast\" Processor".to_owned(),
        instructions: "avx2".to_owned(),
        libtorch: "2.11.0".to_owned(),
        variables: [("MKL_CBWR".to_owned(), "COMPATIBLE".to_owned())].into(),
    })
}

pub(crate) fn submission(id: u128) -> Submission {
    Submission {
        id: sweep(id),
        name: format!("sweep {id}"),
        spec: spec_text("name = \"ünïcode\"\n", Format::Toml),
        digest: format!("digest of {id}"),
        trials: 1 << 40,
        trajectories: 1 << 39,
        submitted_at: WallTime(1_800_000_000_000),
    }
}

pub(crate) fn spec_text(text: &str, format: Format) -> SpecText {
    SpecText { text: text.to_owned(), format, resolved: format!("{text}retries = 2\n") }
}

pub(crate) fn state_changed(id: u128, state: SweepState) -> Record {
    Record::StateChanged { sweep: sweep(id), state, reason: None, at: WallTime(5) }
}

/// Each trajectory with the sweep and trajectory that it is reused from.
pub(crate) fn reused(id: u128, trajectories: &[(u64, u128, u64)]) -> Record {
    let rows = trajectories.iter().map(|&(trajectory, source, from)| reused_row(trajectory, source, from));
    Record::Reused { sweep: sweep(id), trajectories: rows.collect() }
}

pub(crate) fn reused_row(trajectory: u64, source: u128, from: u64) -> ReusedRow {
    ReusedRow {
        trajectory: TrajectoryIndex(trajectory),
        source: sweep(source),
        source_trajectory: TrajectoryIndex(from),
        results: taken_over(trajectory, source, from),
    }
}

/// The results of a reused trajectory.
pub(crate) fn taken_over(trajectory: u64, source: u128, from: u64) -> Vec<TrialResult> {
    let of = |(trial, result): (u64, TrialResult)| TrialResult {
        reused_from: Some(TrialRef { sweep: sweep(source), trial: TrialIndex(trial) }),
        attempts: 0,
        ..result
    };
    (2 * from..).zip(results(trajectory, TrialStatus::Completed)).map(of).collect()
}

pub(crate) fn paused(id: u128) -> Record {
    let reason = Some("it was too hot".to_owned());
    Record::StateChanged { sweep: sweep(id), state: SweepState::Paused, reason, at: WallTime(6) }
}

pub(crate) fn noted(id: u128, note: Option<&str>) -> Record {
    Record::Noted { sweep: sweep(id), note: note.map(str::to_owned) }
}

pub(crate) fn retried(id: u128, trajectories: &[u64]) -> Record {
    let row = |&trajectory: &u64| RetriedRow {
        trajectory: TrajectoryIndex(trajectory),
        first_trial: TrialIndex(2 * trajectory),
        trials: 2,
    };
    Record::Retried { sweep: sweep(id), trajectories: trajectories.iter().map(row).collect() }
}

pub(crate) fn leased(attempt: u64, id: u128, first: u64, count: u64) -> Record {
    Record::Leased(LeaseRow {
        attempt: Attempt(attempt),
        sweep: sweep(id),
        first: TrajectoryIndex(first),
        count,
        worker: WorkerId(Uuid::from_u128(u128::from(attempt % 3))),
        worker_name: format!("worker of attempt {attempt}"),
        at: WallTime(attempt * 10),
        environment: environment(),
    })
}

/// The end of a trajectory: with results if completed or diverged, otherwise without, to run again.
pub(crate) fn ended(id: u128, trajectory: u64, attempt: u64, outcome: Outcome) -> Record {
    let results = match outcome {
        Outcome::Completed => results(trajectory, TrialStatus::Completed),
        Outcome::Diverged => results(trajectory, TrialStatus::Diverged),
        _ => Vec::new(),
    };
    ended_with(id, trajectory, attempt, outcome, results)
}

pub(crate) fn failed_for_good(id: u128, trajectory: u64, attempt: u64) -> Record {
    ended_with(id, trajectory, attempt, Outcome::Failed, results(trajectory, TrialStatus::Failed))
}

pub(crate) fn ended_with(
    id: u128,
    trajectory: u64,
    attempt: u64,
    outcome: Outcome,
    results: Vec<TrialResult>,
) -> Record {
    Record::Ended(Box::new(Ending {
        sweep: sweep(id),
        trajectory: TrajectoryIndex(trajectory),
        attempt: Attempt(attempt),
        outcome,
        cause: cause(outcome),
        updates: 100 * attempt + trajectory,
        at: WallTime(1_000 + trajectory),
        curve: if results.is_empty() { Vec::new() } else { curve(trajectory) },
        diagnostics: if results.is_empty() { Vec::new() } else { diagnostics(trajectory) },
        dataset: (!results.is_empty()).then(|| dataset(trajectory % 2)),
        results,
    }))
}

/// The dataset with this number.
pub(crate) fn dataset(number: u64) -> DatasetRow {
    let size = DatasetSize { classes: 10 + number as u32, train_images: 50, validation_images: 10, test_images: 20 };
    DatasetRow { digest: format!("blake3:{number}"), size }
}

pub(crate) fn cause(outcome: Outcome) -> Option<String> {
    (outcome != Outcome::Completed).then(|| format!("why it is {}", outcome.name()))
}

/// The results of a trajectory's two trials.
pub(crate) fn results(trajectory: u64, status: TrialStatus) -> Vec<TrialResult> {
    let result = |trial: u64| TrialResult {
        trial: TrialIndex(trial),
        key: TrialKey([trial as u8; 32]),
        status,
        score: (status == TrialStatus::Completed).then_some(Score {
            validation_accuracy: 0.1 + 0.2,
            test_accuracy: 1.0 / (trial + 3) as f64,
            best_update: 390,
            updates: 780,
        }),
        updates: 780,
        attempts: 2,
        worker_name: format!("worker {}", trial % 3),
        seconds: 1.0 / 3.0,
        reused_from: None,
        environment: Some(environment()),
    };
    vec![result(2 * trajectory), result(2 * trajectory + 1)]
}

pub(crate) fn curve(trajectory: u64) -> Vec<CurvePoint> {
    let point = |i: u64| CurvePoint {
        update: i * 390,
        train_loss: 2.3 / i as f64,
        validation_accuracy: 0.9,
        test_accuracy: i.is_multiple_of(2).then_some(0.8),
    };
    (1..=trajectory % 5).map(point).collect()
}

/// Diagnostics; empty for every third trajectory.
pub(crate) fn diagnostics(trajectory: u64) -> Vec<DiagnosticPoint> {
    let point = |i: u64| DiagnosticPoint {
        update: i * 390,
        layer: i as u32 % 3 + 1,
        measure: Measure::ALL[i as usize % Measure::ALL.len()],
        value: 90.0 / i as f64,
    };
    (1..=trajectory % 3).map(point).collect()
}

/// A late report of the worker that has the lease with this number.
pub(crate) fn late(id: u128, trajectory: u64, attempt: u64) -> Record {
    Record::Late {
        sweep: sweep(id),
        trajectory: TrajectoryIndex(trajectory),
        attempt: Attempt(attempt),
        worker: WorkerId(Uuid::from_u128(u128::from(attempt % 3))),
        outcome: Outcome::Completed,
        curve: curve(trajectory),
        at: WallTime(7),
    }
}
