//! Trains a trajectory again, in a temporary home with one worker, and compares the curves bit by bit.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{ResultView, TrainedView, WatchEvent};
use biosweep_common::settings::{Level, Setting, Value};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::ids::{TrialIndex, TrialRef, WorkerId};
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_host::traces::Traces;
use biosweep_server::host::{Host, HostError, HostOptions, Lifetime, Protection, Scope, TIMEOUTS};
use biosweep_server::local::fleet::Fleet;
use biosweep_server::local::{LocalError, WorkerOptions};
use serde::Serialize;

use crate::client::{Client, ClientError};

/// Why a trajectory was not trained again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The trial failed, so there is no curve to compare with.
    #[error("trial {trial} failed, so there is no curve to compare with; retry it with `biosweep retry`")]
    NoCurve {
        /// The trial.
        trial: TrialRef,
    },
    /// The result is from another numerics version.
    #[error(
        "trial {trial} was trained with another numerics version of biosweep; replay it \
         with that version"
    )]
    OtherNumerics {
        /// The trial.
        trial: TrialRef,
    },
    /// The new training did not complete.
    #[error("trial {trial} did not complete this time: {why}")]
    NotTrained {
        /// The trial.
        trial: TrialRef,
        /// The reason.
        why: String,
    },
    /// The worker cannot run here.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The coordinator failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command could not start its own coordinator.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ReplayVerdict {
    /// The trial, as SWEEP/TRIAL.
    pub(crate) trial: String,
    /// The key of the trial.
    pub(crate) key: String,
    /// Whether the curves are equal to the last bit.
    pub(crate) same: bool,
    /// Number of evaluations compared.
    pub(crate) evaluations: usize,
    /// The first difference.
    pub(crate) difference: Option<Difference>,
    /// The numeric environment of the stored training; `None` if it is unknown.
    pub(crate) trained_in: Option<NumericEnvironment>,
    /// The numeric environment of the new training. Curves from equal environments are equal.
    pub(crate) environment: NumericEnvironment,
    /// Duration in seconds.
    pub(crate) seconds: f64,
}

impl ReplayVerdict {
    /// Why two curves may differ, from the two environments.
    pub(crate) fn explanation(&self) -> String {
        let now = &self.environment;
        let Some(before) = &self.trained_in else {
            return "the environment of the stored training is unknown; another processor, libtorch version or environment \
                    variable can change the last bits"
                .to_owned();
        };
        let why = if before == now {
            "the environments are equal, so the curves must be equal: this is a bug in biosweep, please report it"
        } else if (&before.device, &before.instructions) != (&now.device, &now.instructions) {
            "it was trained on another kind of CPU, which can change the last bits"
        } else if before.libtorch != now.libtorch {
            "it was trained with another version of libtorch, which can change the last bits"
        } else if before.variables != now.variables {
            "it was trained with other environment variables, which can change the last bits"
        } else {
            "it was trained on another processor of the same kind; libtorch chooses some kernels by the processor, which can \
             change the last bits"
        };
        format!("then trained with: {before}\n{why}")
    }
}

/// The first difference between two curves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// The first update that differs.
    pub(crate) update: u64,
    /// The value that differs.
    pub(crate) what: &'static str,
    /// The stored value; `None` if there is no such evaluation or accuracy.
    pub(crate) stored: Option<f64>,
    /// The new value.
    pub(crate) replayed: Option<f64>,
}

/// Trains the trajectory of `trained` again.
pub(crate) async fn run(trained: &TrainedView, worker: &WorkerOptions) -> Result<ReplayVerdict, ReplayError> {
    let clock = Clock::start();
    let trial = trained.trial;
    let asked = trained.results.iter().find(|result| result.trial == trial.trial);
    let key = asked.map_or(TrialKey([0; 32]), |result| result.key);
    if trained.curve.points.is_empty() {
        return Err(ReplayError::NoCurve { trial });
    }
    let text = spec_of(&trained.results);
    let spec = SweepSpec::parse(&text, Format::Toml, "replay").ok();
    let keys = spec
        .iter()
        .flat_map(|spec| (0..spec.grid.trials()).filter_map(|trial| spec.grid.configuration(TrialIndex(trial))));
    if !keys.map(|configuration| configuration.key()).eq(trained.results.iter().map(|result| result.key)) {
        return Err(ReplayError::OtherNumerics { trial });
    }
    let datasets: Vec<DatasetRef> = spec.iter().flat_map(|spec| spec.grid.datasets()).collect();
    worker.check(&datasets).await?;
    let environment = worker.environment().await?;
    let home = std::env::temp_dir().join(format!("biosweep-replay-{}", new_id::<WorkerId>()));
    let replayed = train(trial, text, &home, worker).await;
    // If it cannot be removed, it does no harm.
    drop(fs::remove_dir_all(&home));
    let replayed = replayed?;
    let difference = first_difference(&trained.curve.points, &replayed);
    Ok(ReplayVerdict {
        trial: trial.to_string(),
        key: key.to_string(),
        same: difference.is_none(),
        evaluations: trained.curve.points.len(),
        difference,
        trained_in: asked.and_then(|result| result.environment.as_deref().cloned()),
        environment,
        seconds: clock.seconds(),
    })
}

async fn train(
    trial: TrialRef,
    text: String,
    home: &PathBuf,
    worker: &WorkerOptions,
) -> Result<Vec<CurvePoint>, ReplayError> {
    let options = HostOptions {
        home,
        store: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        protection: Protection::Loopback,
        page_hosts: &[],
        scope: Scope::All,
        timeouts: TIMEOUTS,
        lifetime: Lifetime::OneCommand,
        stands_by: false,
        traces: Traces::off(),
    };
    let mut host = Host::start_alone(options).await?;
    let worker = WorkerOptions { home: home.clone(), ..worker.clone() };
    let mut fleet = Fleet::start(1, &worker, &host.url(), &host.handle);
    let handle = host.handle.clone();
    let connection = host.connection.clone();
    let curve = tokio::select! {
        curve = follow(trial, text, &connection) => curve,
        ended = fleet.ended() => match ended {
            Err(error) => Err(error.into()),
            Ok(()) => Err(ReplayError::NotTrained { trial, why: "its worker has left".to_owned() }),
        },
        error = host.failed() => Err(error.into()),
    };
    fleet.leave(&handle, "the trial has been trained again").await;
    drop(handle);
    host.stop().await?;
    curve
}

async fn follow(trial: TrialRef, text: String, connection: &ConnectionFile) -> Result<Vec<CurvePoint>, ReplayError> {
    let mut client = Client::reach(connection).await?;
    let (sweep, _) = client.submit(text, Format::Toml, "replay".to_owned(), true).await?;
    let id = sweep.id.to_string();
    let mut events = client.watch(&id).await?;
    let mut why = "its worker was lost".to_owned();
    while let Some(event) = events.next().await? {
        match event {
            WatchEvent::IncompleteAttempt(incomplete_attempt) => why = incomplete_attempt.cause.unwrap_or(why),
            WatchEvent::State(status) if status.sweep.state == SweepState::Paused => break,
            WatchEvent::State(_) => {}
        }
    }
    let mut curves = client.curves(&id).await?;
    let failed = client.show(&id).await?.sweep.failed > 0;
    client.close().await?;
    match curves.pop().filter(|_| !failed) {
        Some(curve) => Ok(curve.points),
        None => Err(ReplayError::NotTrained { trial, why }),
    }
}

/// The spec of a sweep with this trajectory only, with the stopping rules of all its trials.
fn spec_of(results: &[ResultView]) -> String {
    let mut text = "name = \"replay\"\nretries = 0\n".to_owned();
    let Some(first) = results.first() else { return text };
    let dataset = first.point.get(&Setting::Dataset).map(ToString::to_string).unwrap_or_default();
    let dataset = match dataset.parse() {
        Ok(DatasetRef::Custom(own)) => format!("{{ {} = {} }}", own.format, quoted(&own.place())),
        _ => quoted(&dataset),
    };
    let _fits = write!(text, "[data]\ndataset = {dataset}\n[grid]\n");
    let mut advancing = Vec::new();
    for (setting, value) in first.point.iter().filter(|(setting, _)| **setting != Setting::Dataset) {
        let words = |value: &Value| match value {
            Value::Name(name) => quoted(name),
            other => other.to_string(),
        };
        let each: Vec<String> = results.iter().filter_map(|result| result.point.get(setting)).map(words).collect();
        if setting.level() == Level::Stop && each.iter().any(|word| *word != each[0]) {
            advancing.push(quoted(setting.name()));
            let _fits = writeln!(text, "{setting} = [{}]", each.join(", "));
        } else {
            let _fits = writeln!(text, "{setting} = {}", words(value));
        }
    }
    if advancing.len() > 1 {
        let _fits = writeln!(text, "zip = [[{}]]", advancing.join(", "));
    }
    text
}

fn quoted(text: &str) -> String {
    // A JSON string is valid in TOML too.
    serde_json::Value::String(text.to_owned()).to_string()
}

/// The first evaluation in which two curves differ in a bit.
fn first_difference(stored: &[CurvePoint], replayed: &[CurvePoint]) -> Option<Difference> {
    let same = |one: Option<f64>, other: Option<f64>| one.map(f64::to_bits) == other.map(f64::to_bits);
    for (one, other) in stored.iter().zip(replayed) {
        let update = one.update.min(other.update);
        if one.update != other.update {
            let only = |point: &CurvePoint| (point.update == update).then_some(point.validation_accuracy);
            return Some(Difference { update, what: "evaluation", stored: only(one), replayed: only(other) });
        }
        let pairs = [
            ("train_loss", Some(one.train_loss), Some(other.train_loss)),
            ("validation_accuracy", Some(one.validation_accuracy), Some(other.validation_accuracy)),
            ("test_accuracy", one.test_accuracy, other.test_accuracy),
        ];
        if let Some(&(what, stored, replayed)) = pairs.iter().find(|(_, one, other)| !same(*one, *other)) {
            return Some(Difference { update, what, stored, replayed });
        }
    }
    let (left, right) = (stored.get(replayed.len()), replayed.get(stored.len()));
    let update = left.or(right)?.update;
    let accuracy = |point: Option<&CurvePoint>| point.map(|point| point.validation_accuracy);
    Some(Difference { update, what: "evaluation", stored: accuracy(left), replayed: accuracy(right) })
}

#[cfg(test)]
mod tests {
    use biosweep_analysis::samples::{completed, with};

    use super::*;

    fn curve(losses: &[f64]) -> Vec<CurvePoint> {
        let point =
            |(update, &train_loss)| CurvePoint { update, train_loss, validation_accuracy: 0.5, test_accuracy: None };
        (1..).zip(losses).map(point).collect()
    }

    #[test]
    fn curves_differ_at_the_first_bit_that_differs() {
        let stored = curve(&[1.0, 0.1 + 0.2, f64::NAN]);
        assert_eq!(first_difference(&stored, &stored.clone()), None, "NaN is the same as itself");
        let difference = first_difference(&stored, &curve(&[1.0, 0.3, 7.0])).expect("a bit differs");
        assert_eq!((difference.update, difference.what), (2, "train_loss"));
        assert_eq!((difference.stored, difference.replayed), (Some(0.1 + 0.2), Some(0.3)));
        let mut other = stored.clone();
        other[0].test_accuracy = Some(0.25);
        let difference = first_difference(&stored, &other).expect("it was not tested before");
        assert_eq!((difference.update, difference.what, difference.stored), (1, "test_accuracy", None));
    }

    #[test]
    fn curves_of_different_lengths_differ_at_the_end_of_the_shorter_one() {
        let (short, long) = (curve(&[1.0]), curve(&[1.0, 0.5]));
        let difference = first_difference(&short, &long).expect("one curve is longer");
        assert_eq!((difference.update, difference.what), (2, "evaluation"));
        assert_eq!((difference.stored, difference.replayed), (None, Some(0.5)));
        assert_eq!(first_difference(&long, &short).expect("one curve is longer").replayed, None);
        let shifted: Vec<CurvePoint> =
            long.iter().map(|point| CurvePoint { update: point.update + 1, ..*point }).collect();
        assert_eq!(first_difference(&long, &shifted).map(|difference| difference.update), Some(1));
    }

    #[test]
    fn the_spec_of_a_trajectory_has_exactly_its_trials() {
        let stops = [(0, 3, 100), (50, 3, 100), (50, 4, 200)];
        let result = |&(start, patience, max): &(u64, u64, u64)| {
            let settings = [
                ("early_stop_start", Value::Integer(start)),
                ("early_stop_patience", Value::Integer(patience)),
                ("max_updates", Value::Integer(max)),
                ("learning_rate", Value::Real(1.0 / 3.0)),
                ("dataset", Value::Name(format!("npy:/a \"place\"#{}", "ab".repeat(32)).into())),
            ];
            with(completed("dtp", "lognormal", 5, 0.5, 0.5), &settings)
        };
        for count in 1..=3 {
            let results: Vec<ResultView> = stops[..count].iter().map(result).collect();
            let text = spec_of(&results);
            let spec = SweepSpec::parse(&text, Format::Toml, "r").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
            assert_eq!((spec.grid.trials(), spec.grid.trajectories()), (count as u64, 1), "{text}");
            for (trial, result) in (0..).map(TrialIndex).zip(&results) {
                let point = spec.grid.point(trial).expect("in the grid");
                assert!(result.point.iter().all(|(setting, value)| point.get(setting) == Some(value)), "{text}");
            }
        }
    }
}
