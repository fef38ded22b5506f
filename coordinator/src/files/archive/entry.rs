//! The entries of an archive as JSON. A new field needs a new version of the format, because readers refuse unknown fields: they
//! must not lose anything.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{Format, SpecText};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::record::{DatasetRow, Extension, Submission, SweepRow};
use biosweep_store::archive::ArchivedSweep;
use biosweep_store::sql;
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first line.
    Head(Head),
    /// The sweep.
    Sweep(Box<Sweep>),
    /// A worker; others refer to it by its number, from 0.
    Trainer(Trainer),
    /// A lease; others refer to it by its number, from 0.
    Lease(Lease),
    /// An ended attempt.
    Attempt(Attempt),
    /// A trajectory that has ended for good, with the results of all its trials.
    Done(Box<Done>),
    /// A late report.
    Late(Late),
    /// The last line.
    End(End),
}

/// Who wrote the archive, of which sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// The version of the program.
    pub(super) biosweep: String,
    pub(super) sweep: SweepId,
    pub(super) name: String,
    pub(super) trials: u64,
    /// Number of trials with a result.
    pub(super) results: u64,
    /// Number of ended attempts.
    pub(super) attempts: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sweep {
    id: SweepId,
    name: String,
    spec: Spec,
    digest: String,
    extensions: Vec<Extended>,
    trials: u64,
    trajectories: u64,
    submitted_at: u64,
    state: String,
    state_at: u64,
    reason: Option<String>,
    note: Option<String>,
    attempts: u64,
    /// Numbers of attempts that had ended when the sweep was last resumed, and when it last began to run.
    resumed_after: u64,
    began_after: u64,
    /// Number of trajectories that had completed or diverged then.
    ended_before: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    text: String,
    format: String,
    resolved: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extended {
    spec: Spec,
    at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trainer {
    pub(super) name: String,
    /// The numeric environment as JSON.
    pub(super) environment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lease {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) worker: WorkerId,
    pub(super) trainer: u64,
    pub(super) at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attempt {
    pub(super) lease: u64,
    pub(super) trajectory: u64,
    pub(super) outcome: Outcome,
    pub(super) cause: Option<String>,
    pub(super) at: u64,
    pub(super) updates: Option<u64>,
    pub(super) forgiven: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    pub(super) trajectory: u64,
    pub(super) origin: Origin,
    /// The points and diagnostics in the encodings of the store, in base64.
    pub(super) points: String,
    pub(super) diagnostics: Option<String>,
    /// One for each trial, in order.
    pub(super) results: Vec<Trial>,
}

/// Where a curve comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// An attempt under the lease with this number.
    Lease(u64),
    /// Another trajectory, which the worker with this number trained.
    TakenOver(u64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// In hexadecimal.
    pub(super) key: String,
    pub(super) status: TrialStatus,
    pub(super) score: Option<Scored>,
    pub(super) updates: u64,
    pub(super) attempts: u32,
    pub(super) trainer: u64,
    pub(super) seconds: Real,
    /// `SWEEP/TRIAL`.
    pub(super) reused_from: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scored {
    validation_accuracy: Real,
    test_accuracy: Real,
    best_update: u64,
    updates: u64,
}

/// A real number. JSON has none that is not finite; those are their bits in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Real(pub(super) f64);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Late {
    /// The number of the lease; `None` if the attempt was none of this sweep.
    pub(super) lease: Option<u64>,
    /// The reported number of an attempt that was none of this sweep.
    pub(super) unknown_attempt: Option<u64>,
    pub(super) trajectory: u64,
    pub(super) worker: WorkerId,
    pub(super) outcome: Outcome,
    pub(super) points: String,
    pub(super) at: u64,
}

/// What the sweep refers to beyond itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// Sweeps whose results were taken over, and which were deleted when the archive was written.
    pub(super) deleted: Vec<SweepId>,
    /// The custom data that it was trained on.
    pub(super) datasets: Vec<Dataset>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    digest: String,
    size: DatasetSize,
}

impl From<DatasetRow> for Dataset {
    fn from(DatasetRow { digest, size }: DatasetRow) -> Self {
        Self { digest, size }
    }
}

impl From<Dataset> for DatasetRow {
    fn from(Dataset { digest, size }: Dataset) -> Self {
        Self { digest, size }
    }
}

impl From<&SpecText> for Spec {
    fn from(spec: &SpecText) -> Self {
        let SpecText { text, format, resolved } = spec.clone();
        Self { text, format: format.name().to_owned(), resolved }
    }
}

impl Spec {
    fn read(self) -> Result<SpecText, String> {
        let format =
            Format::from_name(&self.format).ok_or_else(|| format!("a spec has the format `{}`", self.format))?;
        Ok(SpecText { text: self.text, format, resolved: self.resolved })
    }
}

impl From<&ArchivedSweep> for Sweep {
    fn from(sweep: &ArchivedSweep) -> Self {
        let ArchivedSweep { row, attempts, resumed_after, began_after, ended_before } = sweep.clone();
        let SweepRow { submission, extensions, state, state_at, reason, note, .. } = row;
        let Submission { id, name, spec, digest, trials, trajectories, submitted_at } = submission;
        let extended = |extension: &Extension| Extended { spec: (&extension.spec).into(), at: extension.at.0 };
        Self {
            id,
            name,
            spec: (&spec).into(),
            digest,
            extensions: extensions.iter().map(extended).collect(),
            trials,
            trajectories,
            submitted_at: submitted_at.0,
            state: state.name().to_owned(),
            state_at: state_at.0,
            reason,
            note,
            attempts,
            resumed_after,
            began_after,
            ended_before,
        }
    }
}

impl Sweep {
    /// The sweep, without its counts of results.
    pub(super) fn read(self) -> Result<ArchivedSweep, String> {
        let state = SweepState::from_name(&self.state).ok_or_else(|| format!("its state is `{}`", self.state))?;
        let extension = |Extended { spec, at }| Ok(Extension { spec: spec.read()?, at: WallTime(at) });
        Ok(ArchivedSweep {
            row: SweepRow {
                submission: Submission {
                    id: self.id,
                    name: self.name,
                    spec: self.spec.read()?,
                    digest: self.digest,
                    trials: self.trials,
                    trajectories: self.trajectories,
                    submitted_at: WallTime(self.submitted_at),
                },
                extensions: self.extensions.into_iter().map(extension).collect::<Result<_, String>>()?,
                state,
                state_at: WallTime(self.state_at),
                reason: self.reason,
                note: self.note,
                completed: 0,
                diverged: 0,
                failed: 0,
                reused: 0,
            },
            attempts: self.attempts,
            resumed_after: self.resumed_after,
            began_after: self.began_after,
            ended_before: self.ended_before,
        })
    }
}

impl From<Score> for Scored {
    fn from(score: Score) -> Self {
        Self {
            validation_accuracy: Real(score.validation_accuracy),
            test_accuracy: Real(score.test_accuracy),
            best_update: score.best_update,
            updates: score.updates,
        }
    }
}

impl From<Scored> for Score {
    fn from(scored: Scored) -> Self {
        Self {
            validation_accuracy: scored.validation_accuracy.0,
            test_accuracy: scored.test_accuracy.0,
            best_update: scored.best_update,
            updates: scored.updates,
        }
    }
}

impl Serialize for Real {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            serializer.serialize_str(&format!("{:016x}", self.0.to_bits()))
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Bits(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Self(number)),
            Form::Bits(bits) => {
                let bits = u64::from_str_radix(&bits, 16).map_err(serde::de::Error::custom)?;
                Ok(Self(f64::from_bits(bits)))
            }
        }
    }
}

/// A curve as text.
pub(super) fn curve_text(points: &[CurvePoint]) -> String {
    in_base64(&sql::curve::encode(points))
}

/// A text as a curve.
pub(super) fn curve(text: &str) -> Result<Vec<CurvePoint>, String> {
    sql::curve::decode(&of_base64(text)?).map_err(|why| format!("a curve cannot be read: {why}"))
}

/// Diagnostics as text; `None` if there are none.
pub(super) fn diagnostics_text(points: &[DiagnosticPoint]) -> Option<String> {
    (!points.is_empty()).then(|| in_base64(&sql::diagnostics::encode(points)))
}

/// A text as diagnostics.
pub(super) fn diagnostics(text: Option<&str>) -> Result<Vec<DiagnosticPoint>, String> {
    let Some(text) = text else { return Ok(Vec::new()) };
    sql::diagnostics::decode(&of_base64(text)?).map_err(|why| format!("diagnostics cannot be read: {why}"))
}

fn in_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn of_base64(text: &str) -> Result<Vec<u8>, String> {
    BASE64_STANDARD.decode(text).map_err(|error| format!("a curve is not base64: {error}"))
}
