//! The cells of a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{SweepState, TrialStatus};
use biosweep_common::results::views::SweepView;
use biosweep_common::spec::{Format, SpecText};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{SweepId, TrialIndex, TrialRef};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_scheduler::record::{DatasetRow, OutcomeRow, Submission, SweepRow, TrialResult};
use sqlx::{Decode, Row as _, Type};
use uuid::Uuid;

use super::super::{curve, diagnostics};
use super::{Connection, Db, DbRow, Query, failed};
use crate::StoreError;

/// All rows of a query.
pub(super) async fn all(connection: &mut Connection, place: &str, query: Query<'_>) -> Result<Vec<DbRow>, StoreError> {
    query.fetch_all(connection).await.map_err(|error| failed(place, error))
}

/// The environments of rows that are read together: most rows have the same.
#[derive(Debug, Default)]
pub(super) struct Environments(BTreeMap<String, Arc<NumericEnvironment>>);

impl Environments {
    /// The column `environment`; `None` where it is not known.
    pub(super) fn read(&mut self, cells: Cells<'_>) -> Result<Option<Arc<NumericEnvironment>>, StoreError> {
        let text = cells.get::<&str>("environment")?;
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.0.get(text) {
            return Ok(Some(Arc::clone(known)));
        }
        let environment = text.parse().map_err(|why| cells.unreadable(&format!("environment: {why}")))?;
        Ok(Some(Arc::clone(self.0.entry(text.to_owned()).or_insert(Arc::new(environment)))))
    }
}

/// Reads the cells of a row by column name. An error names the column.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub(super) row: &'a DbRow,
    pub(super) place: &'a str,
}

impl<'a> Cells<'a> {
    pub(super) fn sweep(&self) -> Result<SweepRow, StoreError> {
        Ok(SweepRow {
            submission: Submission {
                id: SweepId(self.uuid("id")?),
                name: self.get("name")?,
                spec: SpecText {
                    text: self.get("spec_text")?,
                    format: self.named("spec_format", Format::from_name)?,
                    resolved: self.get("spec_resolved")?,
                },
                digest: self.get("digest")?,
                trials: self.count("trials")?,
                trajectories: self.count("trajectories")?,
                submitted_at: WallTime(self.count("submitted_at")?),
            },
            extensions: Vec::new(),
            state: self.named("state", SweepState::from_name)?,
            reason: self.get("reason")?,
            state_at: WallTime(self.count("state_at")?),
            note: self.get("note")?,
            completed: self.count("completed")?,
            diverged: self.count("diverged")?,
            failed: self.count("failed")?,
            reused: self.count("reused")?,
        })
    }

    pub(super) fn summary(&self) -> Result<SweepView, StoreError> {
        Ok(SweepView {
            id: SweepId(self.uuid("id")?),
            name: self.get("name")?,
            state: self.named("state", SweepState::from_name)?,
            reason: self.get("reason")?,
            trials: self.count("trials")?,
            trajectories: self.count("trajectories")?,
            completed: self.count("completed")?,
            diverged: self.count("diverged")?,
            failed: self.count("failed")?,
            reused: self.count("reused")?,
            running: 0,
            submitted_at: WallTime(self.count("submitted_at")?),
            state_at: WallTime(self.count("state_at")?),
            note: self.get("note")?,
        })
    }

    pub(super) fn result(self, environments: &mut Environments) -> Result<TrialResult, StoreError> {
        Ok(TrialResult {
            trial: TrialIndex(self.count("trial")?),
            key: self.key()?,
            status: self.named("status", TrialStatus::from_name)?,
            score: match self.get::<Option<i64>>("best_update")? {
                None => None,
                Some(_) => Some(Score {
                    validation_accuracy: self.real("validation_accuracy")?,
                    test_accuracy: self.real("test_accuracy")?,
                    best_update: self.count("best_update")?,
                    updates: self.count("score_updates")?,
                }),
            },
            updates: self.count("updates")?,
            attempts: self.narrow("attempts")?,
            worker_name: self.get("worker_name")?,
            environment: environments.read(self)?,
            seconds: self.real("seconds")?,
            reused_from: match self.get::<Option<i64>>("source_trial")? {
                None => None,
                Some(_) => Some(TrialRef {
                    sweep: SweepId(self.uuid("source")?),
                    trial: TrialIndex(self.count("source_trial")?),
                }),
            },
        })
    }

    pub(super) fn outcome(&self) -> Result<OutcomeRow, StoreError> {
        Ok(OutcomeRow {
            trial: TrialIndex(self.count("trial")?),
            status: self.named("status", TrialStatus::from_name)?,
            accuracies: match self.get::<Option<i64>>("best_update")? {
                None => None,
                Some(_) => Some((self.real("validation_accuracy")?, self.real("test_accuracy")?)),
            },
            updates: self.count("updates")?,
        })
    }

    pub(super) fn dataset(&self) -> Result<DatasetRow, StoreError> {
        let size = DatasetSize {
            classes: self.narrow("classes")?,
            train_images: self.narrow("train_images")?,
            validation_images: self.narrow("validation_images")?,
            test_images: self.narrow("test_images")?,
        };
        Ok(DatasetRow { digest: self.get("digest")?, size })
    }

    pub(super) fn key(&self) -> Result<TrialKey, StoreError> {
        self.bytes("key").map(TrialKey)
    }

    pub(super) fn bytes<const N: usize>(&self, column: &'static str) -> Result<[u8; N], StoreError> {
        let bytes = self.get::<&[u8]>(column)?;
        bytes.try_into().map_err(|_| self.unreadable(&format!("{column}: not of {N} bytes")))
    }

    pub(super) fn get<T: Decode<'a, Db> + Type<Db>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.unreadable(&error.to_string()))
    }

    pub(super) fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.unreadable(&format!("{column}: below 0")))
    }

    pub(super) fn count_or_null(&self, column: &'static str) -> Result<Option<u64>, StoreError> {
        self.get::<Option<i64>>(column)?.map(|_| self.count(column)).transpose()
    }

    pub(super) fn narrow(&self, column: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.count(column)?).map_err(|_| self.unreadable(&format!("{column}: more than 32 bits")))
    }

    /// SQLite has no NaN and stores NULL for it.
    pub(super) fn real(&self, column: &'static str) -> Result<f64, StoreError> {
        Ok(self.get::<Option<f64>>(column)?.unwrap_or(f64::NAN))
    }

    pub(super) fn uuid(&self, column: &'static str) -> Result<Uuid, StoreError> {
        let bytes = self.get::<&[u8]>(column)?;
        Uuid::from_slice(bytes).map_err(|error| self.unreadable(&format!("{column}: {error}")))
    }

    pub(super) fn named<T>(&self, column: &'static str, from_name: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let name = self.get::<&str>(column)?;
        from_name(name).ok_or_else(|| self.unreadable(&format!("{column}: unknown name `{name}`")))
    }

    /// The column `points`.
    pub(super) fn points(&self) -> Result<Vec<CurvePoint>, StoreError> {
        curve::decode(self.get("points")?).map_err(|why| self.unreadable(&format!("points: {why}")))
    }

    /// The column `diagnostics`; empty where nothing was measured.
    pub(super) fn diagnostics(&self) -> Result<Vec<DiagnosticPoint>, StoreError> {
        let found = self.get::<Option<&[u8]>>("diagnostics")?.map_or(Ok(Vec::new()), diagnostics::decode);
        found.map_err(|why| self.unreadable(&format!("diagnostics: {why}")))
    }

    pub(super) fn unreadable(&self, what: &str) -> StoreError {
        StoreError::Unreadable { place: self.place.to_owned(), what: what.to_owned() }
    }
}
