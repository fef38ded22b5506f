//! Conversions between messages and domain types for the service for workers.

use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use prost::Message as _;

use super::bounds::{self, HELD_MAX, LANES_MAX, clean_line, clean_text, shown};
use super::error::WireError;
use super::reports::check_points;
use super::version::{self, PROGRAM_VERSION, PROTOCOL_VERSION, Peer};
use super::wire::{FromWire, IntoWire, capabilities, cause_from_wire, cause_into_wire, choice, parsed, required};
use crate::configuration::{Configuration, EarlyStop, Hyperparameters, Point, StoppingRule};
use crate::vocabulary::diagnostics::Measure;
use crate::vocabulary::ids::{Attempt, TrajectoryIndex};
use crate::vocabulary::trace::Traceparent;
use crate::workers::capability::Capabilities;

use crate::protocol::messages::{
    Grant, Held, Hello, Lane, Progress, Report, ToCoordinator, ToWorker, WorkerDescription,
};
use crate::settings::{Level, Setting};

impl IntoWire<v1::WorkerMessage> for ToCoordinator {
    fn into_wire(self) -> v1::WorkerMessage {
        let message = match self {
            Self::Hello(hello) => Up::Hello(hello.into_wire()),
            Self::Poll { lanes } => Up::Poll(v1::Poll { lanes }),
            Self::Heartbeat { progress } => Up::Heartbeat(v1::Heartbeat { progress: progress.into_wire() }),
            Self::Evaluated { attempt, trajectory, point } => Up::Evaluated(v1::Evaluated {
                attempt: attempt.0,
                trajectory: trajectory.0,
                point: Some(point.into_wire()),
            }),
            Self::AttemptEnded(report) => Up::AttemptEnded((*report).into_wire()),
            Self::Goodbye => Up::Goodbye(v1::Goodbye {}),
        };
        v1::WorkerMessage { message: Some(message) }
    }
}

impl FromWire<v1::WorkerMessage> for ToCoordinator {
    fn from_wire(message: v1::WorkerMessage) -> Result<Self, WireError> {
        Ok(match required(message.message, "message")? {
            Up::Hello(hello) => Self::Hello(Hello::from_wire(hello)?),
            Up::Poll(v1::Poll { lanes }) => Self::Poll { lanes: bounds::lanes(lanes, "poll.lanes")? },
            Up::Heartbeat(v1::Heartbeat { progress }) => {
                let progress = bounds::at_most(progress, LANES_MAX as usize, "heartbeat.progress")?;
                Self::Heartbeat { progress: Vec::from_wire(progress)? }
            }
            Up::Evaluated(v1::Evaluated { attempt, trajectory, point }) => Self::Evaluated {
                attempt: Attempt(bounds::number(attempt, "evaluated.attempt")?),
                trajectory: TrajectoryIndex(bounds::number(trajectory, "evaluated.trajectory")?),
                point: FromWire::from_wire(required(point, "evaluated.point")?)?,
            },
            Up::AttemptEnded(ended) => Self::AttemptEnded(Box::new(Report::from_wire(ended)?)),
            Up::Goodbye(v1::Goodbye {}) => Self::Goodbye,
            // A single piece has no meaning: `reports::ReportReader` joins it with the others.
            Up::ReportPart(_) => return Err(WireError::Missing { field: "ended" }),
        })
    }
}

impl IntoWire<v1::Hello> for Hello {
    fn into_wire(self) -> v1::Hello {
        let Self { worker, description, numerics_version, held } = self;
        let WorkerDescription { name, capabilities, lanes, version, environment } = description;
        let environment = Some(environment.into_wire());
        let Capabilities { device, memory_bytes, labels } = capabilities;
        let (worker, held, labels) = (worker.to_string(), held.into_wire(), labels.into_iter().collect());
        let (name, device, version) = (clean_line(name), clean_line(device), clean_line(version));
        v1::Hello {
            worker,
            name,
            device,
            lanes,
            numerics_version,
            version,
            held,
            memory_bytes,
            labels,
            environment,
            protocol_version: PROTOCOL_VERSION,
        }
    }
}

impl FromWire<v1::Hello> for Hello {
    fn from_wire(message: v1::Hello) -> Result<Self, WireError> {
        let v1::Hello {
            worker,
            name,
            device,
            lanes,
            numerics_version,
            version,
            held,
            memory_bytes,
            labels,
            environment,
            protocol_version,
        } = message;
        // First, because another version may have other fields.
        version::check(protocol_version, || (Peer::Worker(shown(&name)), shown(&version)))?;
        let description = WorkerDescription {
            name: bounds::line(name, "hello.name")?,
            capabilities: capabilities(device, memory_bytes, labels)?,
            lanes: bounds::lanes(lanes, "hello.lanes")?,
            version: bounds::line(version, "hello.version")?,
            environment: FromWire::from_wire(required(environment, "hello.environment")?)?,
        };
        let held = bounds::at_most(held, HELD_MAX, "hello.held")?;
        Ok(Self {
            worker: parsed(&worker, "hello.worker")?,
            description,
            numerics_version,
            held: Vec::from_wire(held)?,
        })
    }
}

impl IntoWire<v1::Held> for Held {
    fn into_wire(self) -> v1::Held {
        v1::Held { sweep: self.sweep.to_string(), attempt: self.attempt.0, trajectory: self.trajectory.0 }
    }
}

impl FromWire<v1::Held> for Held {
    fn from_wire(message: v1::Held) -> Result<Self, WireError> {
        Ok(Self {
            sweep: parsed(&message.sweep, "held.sweep")?,
            attempt: Attempt(bounds::number(message.attempt, "held.attempt")?),
            trajectory: TrajectoryIndex(bounds::number(message.trajectory, "held.trajectory")?),
        })
    }
}

impl IntoWire<v1::Progress> for Progress {
    fn into_wire(self) -> v1::Progress {
        v1::Progress { attempt: self.attempt.0, trajectory: self.trajectory.0, updates: self.updates }
    }
}

impl FromWire<v1::Progress> for Progress {
    fn from_wire(message: v1::Progress) -> Result<Self, WireError> {
        let v1::Progress { attempt, trajectory, updates } = message;
        Ok(Self {
            attempt: Attempt(bounds::number(attempt, "progress.attempt")?),
            trajectory: TrajectoryIndex(bounds::number(trajectory, "progress.trajectory")?),
            updates: bounds::number(updates, "progress.updates")?,
        })
    }
}

impl IntoWire<v1::AttemptEnded> for Report {
    fn into_wire(self) -> v1::AttemptEnded {
        v1::AttemptEnded {
            sweep: self.held.sweep.to_string(),
            attempt: self.held.attempt.0,
            trajectory: self.held.trajectory.0,
            outcome: self.outcome.into_wire(),
            cause: cause_into_wire(self.cause),
            curve: self.curve.into_wire(),
            diagnostics: self.diagnostics.into_wire(),
            updates: self.updates,
            seconds: self.seconds,
            dataset_size: self.dataset_size.map(IntoWire::into_wire),
            traceparent: self.traceparent.map(|parent| parent.to_string()),
        }
    }
}

impl FromWire<v1::AttemptEnded> for Report {
    fn from_wire(message: v1::AttemptEnded) -> Result<Self, WireError> {
        let v1::AttemptEnded {
            sweep,
            attempt,
            trajectory,
            outcome,
            cause,
            curve,
            updates,
            seconds,
            diagnostics,
            dataset_size,
            traceparent,
        } = message;
        check_points(curve.len() + diagnostics.len())?;
        let held = Held::from_wire(v1::Held { sweep, attempt, trajectory })?;
        Ok(Self {
            held,
            outcome: choice(outcome, "ended.outcome")?,
            cause: cause_from_wire(cause, "ended.cause")?,
            curve: Vec::from_wire(curve)?,
            diagnostics: Vec::from_wire(diagnostics)?,
            updates: bounds::number(updates, "ended.updates")?,
            seconds: bounds::seconds(seconds, "ended.seconds")?,
            dataset_size: dataset_size.map(FromWire::from_wire).transpose()?,
            traceparent: traceparent.and_then(|text| Traceparent::of_peer(&text, held.sweep)),
        })
    }
}

impl Report {
    /// The report as a message, for storage.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_wire().encode_to_vec()
    }

    /// Reads the output of [`Report::to_bytes`].
    ///
    /// # Errors
    /// Bytes that are not a message, or a message that is not a report.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_wire(v1::AttemptEnded::decode(bytes)?)
    }
}

impl IntoWire<v1::CoordinatorMessage> for ToWorker {
    fn into_wire(self) -> v1::CoordinatorMessage {
        let message = match self {
            Self::Welcome { heartbeat_ms, store, epoch } => {
                let store = store.map_or_else(String::new, |store| store.to_string());
                let version = PROGRAM_VERSION.to_owned();
                Down::Welcome(v1::Welcome { heartbeat_ms, store, protocol_version: PROTOCOL_VERSION, version, epoch })
            }
            Self::Grant(grant) => Down::Grant((*grant).into_wire()),
            Self::Acknowledged { attempt, trajectories, accepted } => {
                let trajectories = numbers(trajectories);
                Down::Acknowledged(v1::Acknowledged { attempt: attempt.0, trajectories, accepted })
            }
            Self::Stop { attempt, trajectories, reason } => {
                let (trajectories, reason) = (numbers(trajectories), clean_text(reason));
                Down::Stop(v1::Stop { attempt: attempt.0, trajectories, reason })
            }
            Self::HandBack { attempt, trajectories, reason } => {
                let (trajectories, reason) = (numbers(trajectories), clean_text(reason));
                Down::HandBack(v1::HandBack { attempt: attempt.0, trajectories, reason })
            }
            Self::Drain { reason } => Down::Drain(v1::Drain { reason: clean_text(reason) }),
        };
        v1::CoordinatorMessage { message: Some(message) }
    }
}

impl FromWire<v1::CoordinatorMessage> for ToWorker {
    fn from_wire(message: v1::CoordinatorMessage) -> Result<Self, WireError> {
        Ok(match required(message.message, "message")? {
            Down::Welcome(v1::Welcome { heartbeat_ms, store, protocol_version, version, epoch }) => {
                version::check(protocol_version, || (Peer::CoordinatorOfWorker, shown(&version)))?;
                let store = if store.is_empty() { None } else { Some(parsed(&store, "welcome.store")?) };
                let heartbeat_ms = bounds::number(heartbeat_ms, "welcome.heartbeat_ms")?;
                Self::Welcome { heartbeat_ms, store, epoch: bounds::number(epoch, "welcome.epoch")? }
            }
            Down::Grant(grant) => Self::Grant(Box::new(Grant::from_wire(grant)?)),
            Down::Acknowledged(v1::Acknowledged { attempt, trajectories, accepted }) => {
                let (attempt, trajectories) = named_at_once(attempt, trajectories)?;
                Self::Acknowledged { attempt, trajectories, accepted }
            }
            Down::Stop(v1::Stop { attempt, trajectories, reason }) => {
                let (attempt, trajectories) = named_at_once(attempt, trajectories)?;
                Self::Stop { attempt, trajectories, reason: bounds::text(reason, "stop.reason")? }
            }
            Down::HandBack(v1::HandBack { attempt, trajectories, reason }) => {
                let (attempt, trajectories) = named_at_once(attempt, trajectories)?;
                Self::HandBack { attempt, trajectories, reason: bounds::text(reason, "hand_back.reason")? }
            }
            Down::Drain(v1::Drain { reason }) => Self::Drain { reason: bounds::text(reason, "drain.reason")? },
        })
    }
}

fn numbers(trajectories: Vec<TrajectoryIndex>) -> Vec<u64> {
    trajectories.into_iter().map(|trajectory| trajectory.0).collect()
}

/// Trajectories of one lease.
fn named_at_once(attempt: u64, trajectories: Vec<u64>) -> Result<(Attempt, Vec<TrajectoryIndex>), WireError> {
    let trajectories = bounds::at_most(trajectories, HELD_MAX, "trajectories")?;
    let index = |number| bounds::number(number, "trajectories").map(TrajectoryIndex);
    let trajectories = trajectories.into_iter().map(index).collect::<Result<_, _>>()?;
    Ok((Attempt(bounds::number(attempt, "attempt")?), trajectories))
}

impl IntoWire<v1::Grant> for Grant {
    fn into_wire(self) -> v1::Grant {
        let Self { sweep, attempt, shape, measures, checkpoint_every_ms, lanes } = self;
        let stopping_rule = StoppingRule { max_updates: 1, early_stop: None };
        let first = lanes.first().map_or_else(Hyperparameters::default, |lane| lane.hyperparameters);
        let mut each = Configuration { shape, hyperparameters: first, stopping_rule };
        let trained = Setting::ALL.iter().filter(|setting| setting.level() != Level::Stop);
        let mut common: Vec<_> = trained.map(|&setting| (setting, each.get(setting))).collect();
        let mut own = Vec::new();
        for lane in &lanes {
            each.hyperparameters = lane.hyperparameters;
            own.extend(
                common.extract_if(.., |(setting, value)| each.get(*setting) != *value).map(|(setting, _)| setting),
            );
        }
        let settings = common.into_iter().filter_map(|(setting, value)| Some((setting, value?).into_wire())).collect();
        let lane = |lane: Lane| {
            each.hyperparameters = lane.hyperparameters;
            v1::Lane {
                trajectory: lane.trajectory.0,
                settings: own.iter().filter_map(|&setting| Some((setting, each.get(setting)?).into_wire())).collect(),
                stopping_rules: lane.stopping_rules.into_wire(),
                traceparent: lane.traceparent.map(|parent| parent.to_string()),
            }
        };
        v1::Grant {
            sweep: sweep.to_string(),
            attempt: attempt.0,
            lanes: lanes.into_iter().map(lane).collect(),
            measures: measures.into_iter().map(|measure| measure.name().to_owned()).collect(),
            checkpoint_every_ms,
            settings,
        }
    }
}

impl FromWire<v1::Grant> for Grant {
    fn from_wire(message: v1::Grant) -> Result<Self, WireError> {
        let sweep = parsed(&message.sweep, "grant.sweep")?;
        let message_lanes = bounds::at_most(message.lanes, LANES_MAX as usize, "grant.lanes")?;
        let mut shared = Point::from_wire(message.settings)?;
        if shared.is_empty() {
            // The form of earlier versions: every lane has all settings.
            let first = message_lanes.first().ok_or(WireError::MixedShapes)?;
            shared = Point::from_wire(first.settings.clone())?;
            shared.retain(|setting, _| setting.level() == Level::Shape);
        }
        let shared = Configuration::from_point(&shared)?;
        let mut lanes = Vec::with_capacity(message_lanes.len());
        for lane in message_lanes {
            let mut configuration = shared.clone();
            for message in bounds::at_most(lane.settings, bounds::SETTINGS_MAX, "lane.settings")? {
                let (setting, value) = FromWire::from_wire(message)?;
                configuration.set(setting, &value)?;
            }
            if configuration.shape != shared.shape {
                return Err(WireError::MixedShapes);
            }
            let rules = bounds::at_most(lane.stopping_rules, bounds::STOPPING_RULES_MAX, "lane.stopping_rules")?;
            lanes.push(Lane {
                trajectory: TrajectoryIndex(bounds::number(lane.trajectory, "lane.trajectory")?),
                hyperparameters: configuration.hyperparameters,
                stopping_rules: Vec::from_wire(rules)?,
                traceparent: lane.traceparent.and_then(|text| Traceparent::of_peer(&text, sweep)),
            });
        }
        if lanes.is_empty() {
            return Err(WireError::MixedShapes);
        }
        let measure = |name: &String| parsed(name, "grant.measures");
        let measures = bounds::at_most(message.measures, Measure::ALL.len(), "grant.measures")?;
        let measures = measures.iter().map(measure).collect::<Result<_, _>>()?;
        Ok(Self {
            sweep,
            attempt: Attempt(bounds::number(message.attempt, "grant.attempt")?),
            shape: shared.shape,
            measures,
            checkpoint_every_ms: bounds::number(message.checkpoint_every_ms, "grant.checkpoint_every_ms")?,
            lanes,
        })
    }
}

impl IntoWire<v1::StoppingRule> for StoppingRule {
    fn into_wire(self) -> v1::StoppingRule {
        let early_stop = self.early_stop.map(|EarlyStop { start, patience }| v1::EarlyStop { start, patience });
        v1::StoppingRule { max_updates: self.max_updates, early_stop }
    }
}

impl FromWire<v1::StoppingRule> for StoppingRule {
    fn from_wire(message: v1::StoppingRule) -> Result<Self, WireError> {
        let early_stop = message.early_stop.map(|v1::EarlyStop { start, patience }| {
            bounds::number(start, "early_stop.start").map(|start| EarlyStop { start, patience })
        });
        let max_updates = bounds::number(message.max_updates, "stopping_rule.max_updates")?;
        Ok(Self { max_updates, early_stop: early_stop.transpose()? })
    }
}

#[cfg(test)]
pub(super) mod tests;
