//! Results taken over: what one sweep has source, another that waits for the same does not train; nor does it begin with
//! what the other is training, where that will do for it.

use std::sync::Arc;

use biosweep_common::configuration::{StoppingRule, trajectory_point};
use biosweep_common::curve::CurvePoint;
use biosweep_common::environment::NumericEnvironment;
use biosweep_common::grid::{Grid, Trajectory};
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_common::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::SweepSpec;

use crate::event::{Action, Notice, Now};
use crate::record::{Record, ReusedRow, TrialResult};
use crate::scheduler::Scheduler;
use crate::tables::lease::OpenLane;
use crate::tables::sweep::{Sweep, scores};

/// A trajectory that has been trained.
#[derive(Debug, Clone, Copy)]
pub struct TrainedSource<'a> {
    /// Its sweep.
    pub sweep: SweepId,
    /// Its index there.
    pub index: TrajectoryIndex,
    /// What was trained.
    pub trajectory: &'a Trajectory,
    /// Its evaluations.
    pub curve: &'a [CurvePoint],
    /// Who trained it.
    pub worker_name: &'a str,
    /// The numeric environment of that worker.
    pub environment: Option<&'a Arc<NumericEnvironment>>,
}

impl TrainedSource<'_> {
    /// What the same trajectory of another grid, or of another block, takes over; `None` where the curve does not say
    /// what each of its trials would have source.
    pub fn taken_over_by(&self, grid: &Grid, index: TrajectoryIndex) -> Option<ReusedRow> {
        let dependent = grid.trajectory(index)?;
        let scores: Vec<_> = scores(&dependent, self.curve).into_iter().collect::<Option<_>>()?;
        let result = |((trial, rule), score): ((u64, _), biosweep_common::curve::Score)| {
            // A trial of the same key where there is one, or else the first of those that were trained with it.
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

/// Whether results of the one sweep can be those of the other: it wants them, and lacks nothing that it measures.
pub fn may_take_over(dependent: &SweepSpec, source: &SweepSpec) -> bool {
    dependent.execution.reuse && dependent.measures.iter().all(|measure| source.measures.contains(measure))
}

/// Whether training this one is sure to go on until every trial of the other would have stopped.
fn will_do_for(trained: &Trajectory, other: &Trajectory) -> bool {
    let outlasts = |rule: &StoppingRule, theirs: &StoppingRule| {
        let stops_no_sooner = rule.early_stop.is_none() || rule.early_stop == theirs.early_stop;
        stops_no_sooner && rule.max_updates >= theirs.max_updates
    };
    other.stopping_rules.iter().all(|theirs| trained.stopping_rules.iter().any(|rule| outlasts(rule, theirs)))
}

impl Scheduler {
    /// Notes which sweeps wait for trajectories that this one has too: a question that is too expensive for every ending.
    pub(crate) fn note_overlaps(&mut self, id: SweepId) {
        self.forget_overlaps(id);
        let Some(sweep) = self.sweeps.get(&id) else { return };
        let mut pairs = Vec::new();
        for (&other_id, other) in &self.sweeps {
            let numerics = |sweep: &Sweep| sweep.row.submission.other_numerics();
            let overlap = if numerics(sweep) != numerics(other) {
                // What was trained before this program came is not what it would train.
                false
            } else if other_id == id {
                // Trials that are to share no training share no results either.
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

    /// Has a sweep wait for what those it could take over from have in training.
    pub(crate) fn await_others(&mut self, dependent: SweepId) {
        let sources =
            self.dependents.iter().filter(|(_, dependents)| dependents.contains(&dependent)).map(|(&source, _)| source);
        sources.collect::<Vec<_>>().into_iter().for_each(|source| self.await_source(source, dependent));
    }

    fn await_source(&mut self, source: SweepId, dependent: SweepId) {
        let attempts: Vec<_> = self.leases.of_sweep(source).map(|(attempt, _)| attempt).collect();
        attempts.into_iter().for_each(|attempt| self.await_lease(attempt, dependent));
    }

    /// Has a sweep wait for the ends of what is trained under an attempt, in place of training the same.
    pub(crate) fn await_lease(&mut self, attempt: Attempt, dependent: SweepId) {
        let sweep = self.sweeps.get_mut(&dependent).expect("a sweep that takes over results is here");
        for OpenLane { trajectory, awaited_by, .. } in self.leases.lanes_under(attempt) {
            let same = sweep.grid_index.find(&trajectory_point(&trajectory.shape, trajectory.hyperparameters));
            let is_to_wait = |index: &TrajectoryIndex| {
                sweep.pending.contains(*index) && will_do_for(trajectory, &sweep.trajectory(*index))
            };
            for index in same.into_iter().filter(is_to_wait).collect::<Vec<_>>() {
                sweep.set_aside(index);
                awaited_by.push((dependent, index));
            }
        }
    }

    /// What was awaited has ended: those that did not get their results from it train for themselves.
    pub(crate) fn unblock(&mut self, awaited_by: Vec<(SweepId, TrajectoryIndex)>) {
        let mut is_any_lacking = false;
        for (id, index) in awaited_by {
            is_any_lacking |= self.sweeps.get_mut(&id).is_some_and(|sweep| sweep.wait_no_longer(index));
        }
        if is_any_lacking {
            self.check_all = true;
        }
    }

    /// The sweep is no longer here, or no longer what it was.
    pub(crate) fn forget_overlaps(&mut self, id: SweepId) {
        self.dependents.remove(&id);
        self.dependents.retain(|_, dependents| {
            dependents.remove(&id);
            !dependents.is_empty()
        });
    }

    /// A trajectory has come to its end: whoever waits for the same has it too.
    pub(crate) fn pass_on(&mut self, now: Now, source: TrainedSource<'_>, actions: &mut Vec<Action>) {
        let Some(dependents) = self.dependents.get(&source.sweep).cloned() else { return };
        let point = trajectory_point(&source.trajectory.shape, source.trajectory.hyperparameters);
        for id in dependents {
            let Some(sweep) = self.sweeps.get(&id) else { continue };
            let lacking = sweep.grid_index.find(&point).into_iter().filter(|index| sweep.lacks(*index));
            let rows: Arc<[ReusedRow]> =
                lacking.filter_map(|index| source.taken_over_by(&sweep.spec.grid, index)).collect();
            self.take_over(id, rows, actions);
            if id != source.sweep {
                self.leave_if_finished(now, id, actions);
            }
        }
    }

    /// A sweep takes over what it lacks.
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
        // They tell nothing of those who failed them here.
        for row in trajectories.iter() {
            let failed_on = self.sweeps.get_mut(&id).map(|sweep| sweep.failed_on.remove(row.trajectory));
            self.excuse((id, row.trajectory), failed_on.unwrap_or_default());
        }
        actions.push(Action::Persist(Record::Reused { sweep: id, trajectories }));
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    /// A sweep whose every trial has a result leaves.
    pub(crate) fn leave_if_finished(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) -> bool {
        let is_finished = self.sweeps.get(&id).is_some_and(Sweep::is_finished);
        if is_finished {
            self.change_state(now, id, SweepState::Finished, None, actions);
            self.sweeps.remove(&id);
            self.forget_overlaps(id);
        }
        is_finished
    }
}
