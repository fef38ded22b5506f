//! Conversions between messages and domain types for the service for users.

use biosweep_proto::v1;

use super::bounds::{self, HELD_MAX, clean_line};
use super::error::WireError;
use super::wire::{FromWire, IntoWire, capabilities, cause_from_wire, cause_into_wire, choice, parsed, required};
use crate::configuration::TrialKey;
use crate::results::views::{
    IncompleteAttempt, IncompleteCause, LaneView, ResultView, SpecView, SweepStatus, SweepView, WatchEvent, WorkerView,
};
use crate::spec::SpecText;
use crate::vocabulary::ids::{Attempt, TrajectoryIndex, TrialIndex};
use crate::vocabulary::time::WallTime;
use crate::workers::capability::Capabilities;

#[cfg(test)]
mod tests;

impl IntoWire<v1::Sweep> for SweepView {
    fn into_wire(self) -> v1::Sweep {
        v1::Sweep {
            id: self.id.to_string(),
            name: self.name,
            state: self.state.into_wire(),
            trials: self.trials,
            trajectories: self.trajectories,
            completed: self.completed,
            diverged: self.diverged,
            failed: self.failed,
            running: self.running,
            submitted_at_ms: self.submitted_at.0,
            state_at_ms: self.state_at.0,
            reason: cause_into_wire(self.reason),
            reused: self.reused,
            note: self.note,
        }
    }
}

impl FromWire<v1::Sweep> for SweepView {
    fn from_wire(message: v1::Sweep) -> Result<Self, WireError> {
        Ok(Self {
            id: parsed(&message.id, "sweep.id")?,
            name: bounds::text(message.name, "sweep.name")?,
            state: choice(message.state, "sweep.state")?,
            trials: bounds::number(message.trials, "sweep.trials")?,
            trajectories: bounds::number(message.trajectories, "sweep.trajectories")?,
            completed: bounds::number(message.completed, "sweep.completed")?,
            diverged: bounds::number(message.diverged, "sweep.diverged")?,
            failed: bounds::number(message.failed, "sweep.failed")?,
            reused: bounds::number(message.reused, "sweep.reused")?,
            running: bounds::number(message.running, "sweep.running")?,
            submitted_at: WallTime(bounds::number(message.submitted_at_ms, "sweep.submitted_at_ms")?),
            state_at: WallTime(bounds::number(message.state_at_ms, "sweep.state_at_ms")?),
            reason: cause_from_wire(message.reason, "sweep.reason")?,
            note: bounds::note(message.note.as_deref().unwrap_or_default(), "sweep.note")?,
        })
    }
}

impl IntoWire<Vec<v1::SpecResponse>> for SpecView {
    fn into_wire(self) -> Vec<v1::SpecResponse> {
        let text = |SpecText { text, format, resolved }: SpecText| v1::SpecResponse {
            spec: text,
            format: format.into_wire(),
            resolved,
        };
        std::iter::once(self.text).chain(self.extensions).map(text).collect()
    }
}

impl FromWire<Vec<v1::SpecResponse>> for SpecView {
    fn from_wire(messages: Vec<v1::SpecResponse>) -> Result<Self, WireError> {
        let text = |message: v1::SpecResponse| -> Result<SpecText, WireError> {
            let v1::SpecResponse { spec, format, resolved } = message;
            Ok(SpecText { text: spec, format: choice(format, "spec.format")?, resolved })
        };
        let mut texts = messages.into_iter().map(text);
        let text = required(texts.next(), "spec")??;
        Ok(Self { text, extensions: texts.collect::<Result<_, _>>()? })
    }
}

/// All workers in one piece. `show_pieces` splits a status with many workers.
impl IntoWire<v1::SweepStatus> for SweepStatus {
    fn into_wire(self) -> v1::SweepStatus {
        v1::SweepStatus {
            sweep: Some(self.sweep.into_wire()),
            workers: self.workers.into_wire(),
            incomplete_attempts: self.incomplete_attempts.into_wire(),
            incomplete_causes: self.incomplete_causes.into_wire(),
            degraded: cause_into_wire(self.degraded),
            in_training_done: self.in_training_done,
        }
    }
}

impl FromWire<v1::SweepStatus> for SweepStatus {
    fn from_wire(message: v1::SweepStatus) -> Result<Self, WireError> {
        Ok(Self {
            sweep: SweepView::from_wire(required(message.sweep, "sweep")?)?,
            workers: Vec::from_wire(bounds::at_most(message.workers, HELD_MAX, "show.workers")?)?,
            incomplete_attempts: Vec::from_wire(bounds::at_most(
                message.incomplete_attempts,
                HELD_MAX,
                "show.incomplete_attempts",
            )?)?,
            incomplete_causes: Vec::from_wire(bounds::at_most(
                message.incomplete_causes,
                HELD_MAX,
                "show.incomplete_causes",
            )?)?,
            degraded: cause_from_wire(message.degraded, "degraded")?,
            in_training_done: bounds::seconds(message.in_training_done, "show.in_training_done")?,
        })
    }
}

impl IntoWire<v1::Worker> for WorkerView {
    fn into_wire(self) -> v1::Worker {
        let Self { id, name, capabilities, lanes, connected, quarantined, training, training_count } = self;
        let Capabilities { device, memory_bytes, labels } = capabilities;
        let (quarantined, training) = (cause_into_wire(quarantined), training.into_wire());
        let (id, name, device) = (id.to_string(), clean_line(name), clean_line(device));
        let labels = labels.into_iter().map(clean_line).collect();
        v1::Worker { id, name, device, lanes, connected, quarantined, training, memory_bytes, labels, training_count }
    }
}

impl FromWire<v1::Worker> for WorkerView {
    fn from_wire(message: v1::Worker) -> Result<Self, WireError> {
        let v1::Worker { id, name, device, lanes, connected, quarantined, training, .. } = message;
        let (memory_bytes, labels, training_count) = (message.memory_bytes, message.labels, message.training_count);
        let training = bounds::at_most(training, HELD_MAX, "worker.training")?;
        let (id, training) = (parsed(&id, "worker.id")?, Vec::from_wire(training)?);
        let quarantined = cause_from_wire(quarantined, "worker.quarantined")?;
        let capabilities = capabilities(device, memory_bytes, labels)?;
        let (name, lanes) = (bounds::line(name, "worker.name")?, bounds::lanes(lanes, "worker.lanes")?);
        Ok(Self { id, name, capabilities, lanes, connected, quarantined, training, training_count })
    }
}

impl IntoWire<v1::LaneProgress> for LaneView {
    fn into_wire(self) -> v1::LaneProgress {
        v1::LaneProgress {
            sweep: self.sweep.to_string(),
            trajectory: self.trajectory.0,
            attempt: self.attempt.0,
            settings: self.point.into_wire(),
            latest: self.latest.map(IntoWire::into_wire),
            max_updates: self.max_updates,
            updates: self.updates,
        }
    }
}

impl FromWire<v1::LaneProgress> for LaneView {
    fn from_wire(message: v1::LaneProgress) -> Result<Self, WireError> {
        Ok(Self {
            sweep: parsed(&message.sweep, "lane.sweep")?,
            trajectory: TrajectoryIndex(bounds::number(message.trajectory, "lane.trajectory")?),
            attempt: Attempt(bounds::number(message.attempt, "lane.attempt")?),
            point: FromWire::from_wire(message.settings)?,
            latest: message.latest.map(FromWire::from_wire).transpose()?,
            updates: bounds::number(message.updates, "lane.updates")?,
            max_updates: bounds::number(message.max_updates, "lane.max_updates")?,
        })
    }
}

impl IntoWire<v1::IncompleteAttempt> for IncompleteAttempt {
    fn into_wire(self) -> v1::IncompleteAttempt {
        v1::IncompleteAttempt {
            trajectory: self.trajectory.0,
            attempt: self.attempt.0,
            worker: clean_line(self.worker_name),
            outcome: self.outcome.into_wire(),
            cause: cause_into_wire(self.cause),
            at_ms: self.at.0,
        }
    }
}

impl FromWire<v1::IncompleteAttempt> for IncompleteAttempt {
    fn from_wire(message: v1::IncompleteAttempt) -> Result<Self, WireError> {
        Ok(Self {
            trajectory: TrajectoryIndex(bounds::number(message.trajectory, "incomplete_attempt.trajectory")?),
            attempt: Attempt(bounds::number(message.attempt, "incomplete_attempt.attempt")?),
            worker_name: bounds::line(message.worker, "incomplete_attempt.worker")?,
            outcome: choice(message.outcome, "incomplete_attempt.outcome")?,
            cause: cause_from_wire(message.cause, "incomplete_attempt.cause")?,
            at: WallTime(bounds::number(message.at_ms, "incomplete_attempt.at_ms")?),
        })
    }
}

impl IntoWire<v1::IncompleteCause> for IncompleteCause {
    fn into_wire(self) -> v1::IncompleteCause {
        v1::IncompleteCause {
            outcome: self.outcome.into_wire(),
            cause: cause_into_wire(self.cause),
            attempts: self.attempts,
            latest_at_ms: self.latest.0,
        }
    }
}

impl FromWire<v1::IncompleteCause> for IncompleteCause {
    fn from_wire(message: v1::IncompleteCause) -> Result<Self, WireError> {
        Ok(Self {
            outcome: choice(message.outcome, "incomplete_cause.outcome")?,
            cause: cause_from_wire(message.cause, "incomplete_cause.cause")?,
            attempts: bounds::number(message.attempts, "incomplete_cause.attempts")?,
            latest: WallTime(bounds::number(message.latest_at_ms, "incomplete_cause.latest_at_ms")?),
        })
    }
}

impl IntoWire<v1::WatchEvent> for WatchEvent {
    fn into_wire(self) -> v1::WatchEvent {
        let event = match self {
            Self::State(status) => v1::watch_event::Event::State((*status).into_wire()),
            Self::IncompleteAttempt(incomplete_attempt) => {
                v1::watch_event::Event::IncompleteAttempt(incomplete_attempt.into_wire())
            }
        };
        v1::WatchEvent { event: Some(event) }
    }
}

impl FromWire<v1::WatchEvent> for WatchEvent {
    fn from_wire(message: v1::WatchEvent) -> Result<Self, WireError> {
        Ok(match required(message.event, "event")? {
            v1::watch_event::Event::State(status) => Self::State(Box::new(SweepStatus::from_wire(status)?)),
            v1::watch_event::Event::IncompleteAttempt(incomplete_attempt) => {
                Self::IncompleteAttempt(IncompleteAttempt::from_wire(incomplete_attempt)?)
            }
        })
    }
}

impl IntoWire<v1::TrialResult> for ResultView {
    fn into_wire(self) -> v1::TrialResult {
        v1::TrialResult {
            trial: self.trial.0,
            key: self.key.to_string(),
            status: self.status.into_wire(),
            settings: self.point.into_wire(),
            score: self.score.map(IntoWire::into_wire),
            updates: self.updates,
            attempts: self.attempts,
            worker: clean_line(self.worker_name),
            seconds: self.seconds,
            reused_from: cause_into_wire(self.reused_from.map(|from| from.to_string())),
            environment: self.environment.map(IntoWire::into_wire),
            dataset_size: self.dataset_size.map(IntoWire::into_wire),
        }
    }
}

impl FromWire<v1::TrialResult> for ResultView {
    fn from_wire(message: v1::TrialResult) -> Result<Self, WireError> {
        let key = parsed::<blake3::Hash>(&message.key, "result.key")?;
        Ok(Self {
            trial: TrialIndex(bounds::number(message.trial, "result.trial")?),
            key: TrialKey(*key.as_bytes()),
            status: choice(message.status, "result.status")?,
            point: FromWire::from_wire(message.settings)?,
            score: message.score.map(FromWire::from_wire).transpose()?,
            updates: bounds::number(message.updates, "result.updates")?,
            attempts: message.attempts,
            worker_name: bounds::line(message.worker, "result.worker")?,
            seconds: bounds::seconds(message.seconds, "result.seconds")?,
            reused_from: match message.reused_from.as_str() {
                "" => None,
                from => Some(parsed(from, "result.reused_from")?),
            },
            environment: message.environment.map(FromWire::from_wire).transpose()?,
            dataset_size: message.dataset_size.map(FromWire::from_wire).transpose()?,
        })
    }
}
