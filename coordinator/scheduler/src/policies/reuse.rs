//! Reuse of results between sweeps. A sweep takes over the results of trajectories that another sweep has trained. If another
//! sweep is training the same trajectory for long enough, the sweep waits for that result.

use std::sync::Arc;

use biosweep_common::configuration::{StoppingRule, trajectory_point};
use biosweep_common::grid::{Grid, GridIndex, Trajectory};
use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::{ExecutionOptions, Reuse, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_common::workers::environment::NumericEnvironment;

use crate::event::{Action, Notice, Now};
use crate::record::{Record, ReusedRow, TrialResult};
use crate::scheduler::Scheduler;
use crate::tables::lease::OpenLane;
use crate::tables::sweep::{Sweep, scores};

/// A trained trajectory whose results may be taken over.
#[derive(Debug, Clone, Copy)]
pub struct TrainedSource<'a> {
    /// The sweep.
    pub sweep: SweepId,
    /// The index of the trajectory in that sweep.
    pub index: TrajectoryIndex,
    /// The trajectory.
    pub trajectory: &'a Trajectory,
    /// The learning curve.
    pub curve: &'a [CurvePoint],
    /// The name of the worker that trained the trajectory.
    pub worker_name: &'a str,
    /// The numeric environment of that worker.
    pub environment: Option<&'a Arc<NumericEnvironment>>,
}

impl TrainedSource<'_> {
    /// The results that the same trajectory of another grid or block takes over; `None` if the curve does not give the result of
    /// each of its trials.
    pub fn taken_over_by(&self, grid: &Grid, index: TrajectoryIndex) -> Option<ReusedRow> {
        let dependent = grid.trajectory(index)?;
        let scores: Vec<_> = scores(&dependent, self.curve).into_iter().collect::<Option<_>>()?;
        let result = |((trial, rule), score): ((u64, _), biosweep_common::results::curve::Score)| {
            // Refer to the trial of the same key or, if there is none, to the first trial of the trajectory.
            let same = self.trajectory.stopping_rules.iter().position(|other| other == rule).unwrap_or(0);
            TrialResult {
                trial: TrialIndex(trial),
                key: grid.configuration(TrialIndex(trial)).expect("a trajectory's trials are in its grid").key(),
                status: TrialStatus::Completed,
                score: Some(score),
                updates: score.updates,
                attempts: 0,
                worker_name: self.worker_name.to_owned(),
                environment: self.environment.cloned(),
                seconds: 0.0,
                reused_from: Some(TrialRef {
                    sweep: self.sweep,
                    trial: TrialIndex(self.trajectory.first_trial.0 + same as u64),
                }),
            }
        };
        let trials = (dependent.first_trial.0..).zip(&dependent.stopping_rules).zip(scores);
        Some(ReusedRow {
            trajectory: index,
            source: self.sweep,
            source_trajectory: self.index,
            results: trials.map(result).collect(),
        })
    }
}

/// The numeric environments whose results a sweep reuses.
#[derive(Debug, Clone)]
pub enum Environments {
    /// All environments.
    All,
    /// Environments of the same class as one of these.
    Like(Vec<Arc<NumericEnvironment>>),
}

impl Environments {
    /// Whether a result from this environment is reused. An unknown environment is of no class.
    #[must_use]
    pub fn include(&self, environment: Option<&NumericEnvironment>) -> bool {
        match self {
            Self::All => true,
            Self::Like(known) => {
                environment.is_some_and(|environment| known.iter().any(|other| other.class() == environment.class()))
            }
        }
    }
}

/// A sweep for which stored results are searched.
#[derive(Debug, Clone)]
pub struct SearchedSweep {
    /// The sweep.
    pub id: SweepId,
    /// Its spec.
    pub spec: Arc<SweepSpec>,
    /// The trajectories of its grid, by their settings.
    pub index: Arc<GridIndex>,
}

/// Whether `dependent` may take over results of `source`: it allows reuse, and `source` has all its measures.
pub fn may_take_over(dependent: &SweepSpec, source: &SweepSpec) -> bool {
    dependent.execution.reuse != Reuse::Never
        && dependent.measures.iter().all(|measure| source.measures.contains(measure))
}

/// Whether the training of `trained` surely lasts until every trial of `other` would have stopped.
fn covers(trained: &Trajectory, other: &Trajectory) -> bool {
    let outlasts = |rule: &StoppingRule, theirs: &StoppingRule| {
        let stops_no_sooner = rule.early_stop.is_none() || rule.early_stop == theirs.early_stop;
        stops_no_sooner && rule.max_updates >= theirs.max_updates
    };
    other.stopping_rules.iter().all(|theirs| trained.stopping_rules.iter().any(|rule| outlasts(rule, theirs)))
}

impl Scheduler {
    /// The numeric environments whose results a sweep with these options reuses now.
    #[must_use]
    pub fn reusable_environments(&self, options: &ExecutionOptions) -> Environments {
        match options.reuse {
            Reuse::Always => Environments::All,
            Reuse::SameCpuClass => {
                let connected = self.workers.iter().map(|(_, worker)| worker).filter(|worker| worker.connected);
                let usable = connected.filter(|worker| options.require.is_met_by(&worker.description.capabilities));
                let mut found: Vec<Arc<NumericEnvironment>> = Vec::new();
                for environment in usable.map(|worker| &worker.description.environment) {
                    if found.iter().all(|other| other.class() != environment.class()) {
                        found.push(Arc::clone(environment));
                    }
                }
                Environments::Like(found)
            }
            Reuse::Never => Environments::Like(Vec::new()),
        }
    }

    /// The sweeps that reuse results of the class of this worker, and have no connected worker of that class.
    #[must_use]
    pub fn sweeps_without_class_of(&self, worker: &WorkerDescription) -> Vec<SearchedSweep> {
        let is_new_to = |sweep: &&Sweep| {
            let options = &sweep.spec.execution;
            options.reuse == Reuse::SameCpuClass
                && options.require.is_met_by(&worker.capabilities)
                && !self.reusable_environments(options).include(Some(&worker.environment))
        };
        self.sweeps
            .values()
            .filter(is_new_to)
            .map(|sweep| SearchedSweep {
                id: sweep.id(),
                spec: Arc::clone(&sweep.spec),
                index: Arc::clone(&sweep.grid_index),
            })
            .collect()
    }

    /// Updates the sources and dependents of a sweep. This comparison of grids is too expensive for every ended trajectory.
    pub(crate) fn note_overlaps(&mut self, id: SweepId) {
        self.forget_overlaps(id);
        let Some(sweep) = self.sweeps.get(&id) else { return };
        let mut pairs = Vec::new();
        for (&other_id, other) in &self.sweeps {
            let numerics = |sweep: &Sweep| sweep.row.submission.other_numerics();
            let overlap = if numerics(sweep) != numerics(other) {
                // Results of another numerics version are not taken over.
                false
            } else if other_id == id {
                // A sweep without `share` does not share results between its blocks either.
                sweep.spec.execution.share && sweep.grid_index.overlaps_itself()
            } else {
                sweep.grid_index.overlaps(&other.grid_index)
            };
            if overlap {
                pairs.extend(may_take_over(&other.spec, &sweep.spec).then_some((id, other_id)));
                pairs.extend(may_take_over(&sweep.spec, &other.spec).then_some((other_id, id)));
            }
        }
        for (source, dependent) in pairs {
            self.dependents.entry(source).or_default().insert(dependent);
            self.await_source(source, dependent);
        }
    }

    /// Lets a sweep await the trajectories that its sources have in training.
    pub(crate) fn await_others(&mut self, dependent: SweepId) {
        let sources =
            self.dependents.iter().filter(|(_, dependents)| dependents.contains(&dependent)).map(|(&source, _)| source);
        sources.collect::<Vec<_>>().into_iter().for_each(|source| self.await_source(source, dependent));
    }

    fn await_source(&mut self, source: SweepId, dependent: SweepId) {
        let attempts: Vec<_> = self.leases.of_sweep(source).map(|(attempt, _)| attempt).collect();
        attempts.into_iter().for_each(|attempt| self.await_lease(attempt, dependent));
    }

    /// Lets a sweep await the trajectories under an attempt, instead of training the same trajectories.
    pub(crate) fn await_lease(&mut self, attempt: Attempt, dependent: SweepId) {
        let worker = self.leases.get(attempt).and_then(|lease| self.workers.get(lease.worker));
        let environment = worker.map(|worker| Arc::clone(&worker.description.environment));
        let options = &self.sweeps[&dependent].spec.execution;
        if !self.reusable_environments(options).include(environment.as_deref()) {
            return;
        }
        let sweep = self.sweeps.get_mut(&dependent).expect("a dependent is in the table");
        for OpenLane { trajectory, awaited_by, .. } in self.leases.lanes_under(attempt) {
            let same = sweep.grid_index.find(&trajectory_point(&trajectory.shape, trajectory.hyperparameters));
            let is_to_wait = |index: &TrajectoryIndex| {
                sweep.pending.contains(*index) && covers(trajectory, &sweep.trajectory(*index))
            };
            for index in same.into_iter().filter(is_to_wait).collect::<Vec<_>>() {
                sweep.await_result(index);
                awaited_by.push((dependent, index));
            }
        }
    }

    /// Handles the end of an awaited trajectory: the dependents that did not get its results have to train it themselves.
    pub(crate) fn unblock(&mut self, awaited_by: Vec<(SweepId, TrajectoryIndex)>) {
        let mut is_any_lacking = false;
        for (id, index) in awaited_by {
            is_any_lacking |= self.sweeps.get_mut(&id).is_some_and(|sweep| sweep.stop_awaiting(index));
        }
        if is_any_lacking {
            self.check_all = true;
        }
    }

    /// Removes a sweep from the sources and dependents.
    pub(crate) fn forget_overlaps(&mut self, id: SweepId) {
        self.dependents.remove(&id);
        self.dependents.retain(|_, dependents| {
            dependents.remove(&id);
            !dependents.is_empty()
        });
    }

    /// Passes the results of a trained trajectory on to all sweeps that lack it.
    pub(crate) fn pass_on(&mut self, now: Now, source: TrainedSource<'_>, actions: &mut Vec<Action>) {
        let Some(dependents) = self.dependents.get(&source.sweep).cloned() else { return };
        let point = trajectory_point(&source.trajectory.shape, source.trajectory.hyperparameters);
        for id in dependents {
            let Some(sweep) = self.sweeps.get(&id) else { continue };
            if !self.reusable_environments(&sweep.spec.execution).include(source.environment.map(Arc::as_ref)) {
                continue;
            }
            let lacking = sweep.grid_index.find(&point).into_iter().filter(|index| sweep.lacks(*index));
            let rows: Arc<[ReusedRow]> =
                lacking.filter_map(|index| source.taken_over_by(&sweep.spec.grid, index)).collect();
            self.take_over(id, rows, actions);
            if id != source.sweep {
                self.remove_if_finished(now, id, actions);
            }
        }
    }

    /// Handles stored results that a sweep may reuse since a worker of their class has connected.
    pub(crate) fn on_results_found(
        &mut self,
        now: Now,
        id: SweepId,
        rows: Arc<[ReusedRow]>,
        actions: &mut Vec<Action>,
    ) {
        self.take_over(id, rows, actions);
        self.remove_if_finished(now, id, actions);
    }

    /// Lets a sweep take over the results that it lacks.
    pub(crate) fn take_over(&mut self, id: SweepId, rows: Arc<[ReusedRow]>, actions: &mut Vec<Action>) {
        let Some(sweep) = self.sweeps.get_mut(&id) else { return };
        let is_lacking = |row: &ReusedRow| sweep.lacks(row.trajectory);
        let trajectories = if rows.iter().all(is_lacking) {
            rows
        } else {
            rows.iter().filter(|&row| is_lacking(row)).cloned().collect()
        };
        if trajectories.is_empty() {
            return;
        }
        trajectories.iter().for_each(|row| sweep.take_over(row));
        // A reused result does not show which worker is at fault for an earlier failure.
        for row in trajectories.iter() {
            let failed_on = self.sweeps.get_mut(&id).map(|sweep| sweep.failed_on.remove(row.trajectory));
            self.excuse((id, row.trajectory), failed_on.unwrap_or_default());
        }
        actions.push(Action::Persist(Record::Reused { sweep: id, trajectories }));
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    /// Removes a sweep if every trial has a result; returns whether it does.
    pub(crate) fn remove_if_finished(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) -> bool {
        let is_finished = self.sweeps.get(&id).is_some_and(Sweep::is_finished);
        if is_finished {
            self.change_state(now, id, SweepState::Finished, None, actions);
            self.sweeps.remove(&id);
            self.forget_overlaps(id);
        }
        is_finished
    }
}
