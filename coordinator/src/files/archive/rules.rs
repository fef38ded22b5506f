//! What the entries of an archive must agree on. Both sides check it: what is written can be imported, and what is imported is what
//! a store could hold. In particular a result has the key of its trial and the score that its curve gives, so that no result is
//! reused for a trial with other settings.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use biosweep_common::configuration::{Configuration, TrialKey};
use biosweep_common::grid::Trajectory;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::ids::{self, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_scheduler::record::{DatasetRow, TrialResult};
use biosweep_scheduler::tables::sweep::scores;
use biosweep_server::queries;
use biosweep_store::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, CurveOrigin, ImportedRow, LateAttempt,
    References, Trainer,
};

use super::Counts;
use super::entry::{Attempt, Done, End, Entry, Late, Lease, Origin, Trial, curve, diagnostics};

/// The entries so far. Every error is a description of the contradiction.
pub(super) struct Rules {
    sweep: ArchivedSweep,
    spec: SweepSpec,
    trainers: Vec<Trainer>,
    /// The trajectories of each lease.
    leases: Vec<Range<u64>>,
    /// The least index that the next trajectory may have.
    next_trajectory: u64,
    sources: BTreeSet<SweepId>,
    pub(super) counts: Counts,
}

impl Rules {
    /// Checks the sweep itself: its spec, and that it has ended.
    pub(super) fn of(sweep: ArchivedSweep) -> Result<Self, String> {
        let submission = &sweep.row.submission;
        for part in [&submission.name, &submission.digest]
            .into_iter()
            .chain([&sweep.row.reason, &sweep.row.note].into_iter().flatten())
        {
            text(part)?;
        }
        spec_text(&submission.spec)?;
        sweep.row.extensions.iter().try_for_each(|extension| spec_text(&extension.spec))?;
        let times = [submission.submitted_at, sweep.row.state_at].into_iter();
        times.chain(sweep.row.extensions.iter().map(|extension| extension.at)).try_for_each(|at| number(at.0))?;
        if !sweep.row.state.has_ended() {
            return Err(format!("the sweep is {}, but has not ended", sweep.row.state.name()));
        }
        let spec = queries::parse(&sweep.row).map_err(|error| error.to_string())?;
        let (trials, trajectories) = (spec.grid.trials(), spec.grid.trajectories());
        if (submission.trials, submission.trajectories) != (trials, trajectories) {
            return Err(format!("the spec has {trials} trials, but the sweep has {}", submission.trials));
        }
        let attempts = sweep.attempts;
        if sweep.resumed_after > attempts || sweep.began_after > attempts || sweep.ended_before > trajectories {
            return Err("the sweep began to run after attempts that it does not have".to_owned());
        }
        let (trainers, leases, sources) = (Vec::new(), Vec::new(), BTreeSet::new());
        Ok(Self { sweep, spec, trainers, leases, next_trajectory: 0, sources, counts: Counts::default() })
    }

    /// The sweep.
    pub(super) const fn sweep(&self) -> &ArchivedSweep {
        &self.sweep
    }

    /// The spec of the sweep.
    pub(super) const fn spec(&self) -> &SweepSpec {
        &self.spec
    }

    /// The row of the next entry; `None` for an entry that others refer to.
    pub(super) fn row(&mut self, entry: &Entry) -> Result<Option<ImportedRow>, String> {
        match entry {
            Entry::Trainer(trainer) => {
                text(&trainer.name)?;
                let environment = trainer.environment.as_deref().map(environment).transpose()?.map(Arc::new);
                self.trainers.push(Trainer { name: trainer.name.clone(), environment });
                Ok(None)
            }
            Entry::Lease(lease) => self.lease(lease).map(Some),
            Entry::Attempt(attempt) => self.attempt(attempt).map(Some),
            Entry::Done(done) => self.done(done).map(Some),
            Entry::Late(late) => self.late(late).map(Some),
            Entry::Head(_) | Entry::Sweep(_) | Entry::End(_) => Err("an entry is in a wrong place".to_owned()),
        }
    }

    fn lease(&mut self, lease: &Lease) -> Result<ImportedRow, String> {
        let place = self.leases.len() as u64;
        let end = lease.first.checked_add(lease.count).filter(|&end| end <= self.spec.grid.trajectories());
        let range = lease.first..end.ok_or_else(|| format!("lease {place} has trajectories outside the grid"))?;
        if range.is_empty() || self.counts.attempts > 0 {
            return Err(format!("lease {place} is empty or comes after an attempt"));
        }
        number(lease.at)?;
        self.leases.push(range);
        Ok(ImportedRow::Lease(ArchivedLease {
            lease: place,
            first: TrajectoryIndex(lease.first),
            count: lease.count,
            worker: lease.worker,
            trainer: self.trainer(lease.trainer)?,
            at: WallTime(lease.at),
        }))
    }

    fn attempt(&mut self, attempt: &Attempt) -> Result<ImportedRow, String> {
        self.is_under(attempt.lease, attempt.trajectory)?;
        number(attempt.at)?;
        number(attempt.updates.unwrap_or_default())?;
        text(attempt.cause.as_deref().unwrap_or_default())?;
        self.counts.attempts += 1;
        Ok(ImportedRow::Attempt(ArchivedAttempt {
            lease: attempt.lease,
            trajectory: TrajectoryIndex(attempt.trajectory),
            outcome: attempt.outcome,
            cause: attempt.cause.clone(),
            at: WallTime(attempt.at),
            updates: attempt.updates,
            is_forgiven: attempt.forgiven,
        }))
    }

    fn done(&mut self, done: &Done) -> Result<ImportedRow, String> {
        let index = TrajectoryIndex(done.trajectory);
        let trajectory = self.spec.grid.trajectory(index).filter(|_| index.0 >= self.next_trajectory);
        let trajectory = trajectory.ok_or_else(|| format!("trajectory {index} is outside the grid or out of order"))?;
        self.next_trajectory = index.0 + 1;
        let origin = match done.origin {
            Origin::Lease(lease) => {
                self.is_under(lease, index.0)?;
                CurveOrigin::Attempt(lease)
            }
            Origin::TakenOver(trainer) => CurveOrigin::TakenOver(self.trainer(trainer)?),
        };
        let is_taken_over = matches!(origin, CurveOrigin::TakenOver(_));
        let (points, diagnostics) = (curve(&done.points)?, diagnostics(done.diagnostics.as_deref())?);
        let results = self.results(&trajectory, &points, &done.results)?;
        if let Some(odd) = results.iter().find(|result| result.reused_from.is_some() != is_taken_over) {
            return Err(format!("trial {} is reused, but its curve is not, or the reverse", odd.trial));
        }
        self.counts.curves += 1;
        self.counts.results += results.len() as u64;
        Ok(ImportedRow::Done(ArchivedCurve { trajectory: index, origin, points, diagnostics }, results))
    }

    /// The results of a trajectory's trials, checked against the grid and the curve. Keys and scores of another numerics version
    /// cannot be computed here; such a sweep is not reused.
    fn results(
        &mut self,
        trajectory: &Trajectory,
        points: &[CurvePoint],
        trials: &[Trial],
    ) -> Result<Vec<TrialResult>, String> {
        let first = trajectory.first_trial;
        if trials.len() != trajectory.stopping_rules.len() {
            return Err(format!("the trajectory of trial {first} has {} results", trials.len()));
        }
        let is_ours = self.sweep.row.submission.other_numerics().is_none();
        let expected = trajectory.stopping_rules.iter().zip(scores(trajectory, points));
        let mut configuration = Configuration {
            shape: trajectory.shape.clone(),
            hyperparameters: trajectory.hyperparameters,
            stopping_rule: trajectory.stopping_rules[0],
        };
        let mut results = Vec::with_capacity(trials.len());
        for ((trial, (rule, score)), index) in trials.iter().zip(expected).zip(first.0..) {
            let result = self.result(TrialIndex(index), trial)?;
            configuration.stopping_rule = *rule;
            let key = configuration.key();
            if is_ours && result.key != key {
                return Err(format!("trial {index} has the key {}, but its settings have {key}", result.key));
            }
            if is_ours && !fits(result.status, result.score, score) {
                return Err(format!("the score of trial {index} is not that of its learning curve"));
            }
            results.push(result);
        }
        Ok(results)
    }

    fn result(&mut self, trial: TrialIndex, entry: &Trial) -> Result<TrialResult, String> {
        let key = blake3::Hash::from_hex(&entry.key).map_err(|error| format!("the key of trial {trial}: {error}"))?;
        let score: Option<Score> = entry.score.map(Score::from);
        let of_score = score.map_or([0; 2], |score| [score.best_update, score.updates]);
        [entry.updates].into_iter().chain(of_score).try_for_each(number)?;
        if score.is_some() != (entry.status == TrialStatus::Completed) {
            return Err(format!("trial {trial} has a score and is {}, or the reverse", entry.status.name()));
        }
        let reused_from = match &entry.reused_from {
            None => None,
            Some(from) => {
                let from: TrialRef = from.parse().map_err(|error| format!("`{from}`: {error}"))?;
                number(from.trial.0)?;
                if from.sweep != self.sweep.row.submission.id {
                    self.sources.insert(from.sweep);
                }
                Some(from)
            }
        };
        let Trainer { name, environment } = self.trainer(entry.trainer)?;
        Ok(TrialResult {
            trial,
            key: TrialKey(*key.as_bytes()),
            status: entry.status,
            score,
            updates: entry.updates,
            attempts: entry.attempts,
            worker_name: name,
            seconds: entry.seconds.0,
            reused_from,
            environment,
        })
    }

    fn late(&mut self, late: &Late) -> Result<ImportedRow, String> {
        let attempt = match (late.lease, late.unknown_attempt) {
            (Some(lease), None) if lease < self.leases.len() as u64 => LateAttempt::Under(lease),
            (None, Some(attempt)) => LateAttempt::Unknown(ids::Attempt(attempt)),
            _ => return Err("a late report has no attempt".to_owned()),
        };
        [late.trajectory, late.at, late.unknown_attempt.unwrap_or_default()].into_iter().try_for_each(number)?;
        self.counts.late += 1;
        Ok(ImportedRow::Late(ArchivedLate {
            attempt,
            trajectory: TrajectoryIndex(late.trajectory),
            worker: late.worker,
            outcome: late.outcome,
            points: curve(&late.points)?,
            at: WallTime(late.at),
        }))
    }

    /// The sweeps whose results were taken over.
    pub(super) const fn sources(&self) -> &BTreeSet<SweepId> {
        &self.sources
    }

    /// Checks that nothing is missing, and returns what the sweep refers to.
    pub(super) fn end(&self, end: &End) -> Result<References, String> {
        let (Counts { results, attempts, .. }, row) = (self.counts, &self.sweep.row);
        if attempts != self.sweep.attempts {
            return Err(format!("the sweep has {} attempts, but {attempts} are there", self.sweep.attempts));
        }
        if row.state == SweepState::Finished && results != row.submission.trials {
            return Err(format!(
                "the sweep has finished, but {results} of {} results are there",
                row.submission.trials
            ));
        }
        let datasets: BTreeSet<_> = custom_digests(&self.spec).collect();
        if let Some(other) = end.deleted.iter().find(|id| !self.sources.contains(id)) {
            return Err(format!("no result was taken over from sweep {other}"));
        }
        let datasets = end.datasets.iter().map(|dataset| {
            let row = DatasetRow::from(dataset.clone());
            if datasets.contains(&row.digest) {
                Ok(row)
            } else {
                Err(format!("no trial has the dataset {}", row.digest))
            }
        });
        let sources = self.sources.iter().map(|id| (*id, end.deleted.contains(id)));
        Ok(References { sources: sources.collect(), datasets: datasets.collect::<Result<_, _>>()? })
    }

    fn trainer(&self, place: u64) -> Result<Trainer, String> {
        let found = usize::try_from(place).ok().and_then(|place| self.trainers.get(place));
        found.cloned().ok_or_else(|| format!("worker {place} is not there"))
    }

    fn is_under(&self, lease: u64, trajectory: u64) -> Result<(), String> {
        let range = usize::try_from(lease).ok().and_then(|lease| self.leases.get(lease));
        match range.is_some_and(|range| range.contains(&trajectory)) {
            true => Ok(()),
            false => Err(format!("trajectory {trajectory} is not under lease {lease}")),
        }
    }
}

/// The digests of the custom data of a spec.
pub(super) fn custom_digests(spec: &SweepSpec) -> impl Iterator<Item = String> {
    let custom = spec.grid.datasets().into_iter().filter(|dataset| matches!(dataset, DatasetRef::Custom(_)));
    custom.map(|dataset| dataset.digest().into_owned())
}

/// Whether a trial with this status and score can have this score by its curve. A failed trial has none, whatever its curve.
fn fits(status: TrialStatus, score: Option<Score>, by_curve: Option<Score>) -> bool {
    let same = |one: f64, other: f64| one == other || one.is_nan() && other.is_nan();
    match (status, score, by_curve) {
        (TrialStatus::Failed, None, _) | (TrialStatus::Diverged, None, None) => true,
        (TrialStatus::Completed, Some(score), Some(by_curve)) => {
            same(score.validation_accuracy, by_curve.validation_accuracy)
                && same(score.test_accuracy, by_curve.test_accuracy)
                && (score.best_update, score.updates) == (by_curve.best_update, by_curve.updates)
        }
        _ => false,
    }
}

fn environment(json: &str) -> Result<NumericEnvironment, String> {
    text(json)?;
    json.parse().map_err(|error| format!("the environment of a worker cannot be read: {error}"))
}

fn spec_text(spec: &SpecText) -> Result<(), String> {
    text(&spec.text)?;
    text(&spec.resolved)
}

/// Every store can hold texts without NUL characters.
fn text(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err(format!("{text:?} has a NUL character")) } else { Ok(()) }
}

/// Every store can hold numbers below 2⁶³.
fn number(number: u64) -> Result<(), String> {
    i64::try_from(number).map(drop).map_err(|_| format!("{number} is too large"))
}
