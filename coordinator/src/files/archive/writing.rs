//! A sweep of a store to a file. Memory is bounded: rows are read and written in pages.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use biosweep_common::vocabulary::ids::{self, SweepId, TrialIndex};
use biosweep_scheduler::record::{DatasetRow, TrialResult};
use biosweep_store::Store;
use biosweep_store::archive::{ArchivedCurve, ArchivedSweep, CurveOrigin, Trainer};
use blake3::{Hash, Hasher};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::entry::{self, Attempt, Done, End, Entry, Head, Late, Lease, Origin, Trial, curve_text, diagnostics_text};
use super::rules::{Rules, custom_digests};
use super::{ArchiveError, Counts, KIND, VERSION};

/// Number of rows that are read from the store at once.
const PAGE: u32 = 1_000;
/// Number of curve points that are read from the store at once, approximately.
const POINTS: usize = 250_000;

/// What was written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// The sweep.
    pub(crate) sweep: ArchivedSweep,
    /// The number of its entries.
    pub(crate) counts: Counts,
    /// The digest of the entries without the first and the last: of what an import writes.
    pub(super) content: Hash,
}

/// A written file.
#[derive(Debug, Clone)]
pub(crate) struct WrittenFile {
    /// What was written.
    pub(crate) written: Written,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The digest at its end.
    pub(crate) digest: Hash,
}

/// Writes the file of a sweep that has ended.
pub(crate) async fn file(store: &dyn Store, id: SweepId, out: impl Write + Send) -> Result<WrittenFile, ArchiveError> {
    let mut digested = Digested { out, hasher: Hasher::new(), bytes: 0 };
    writeln!(digested, "{KIND}{VERSION}").map_err(ArchiveError::Unwritten)?;
    let mut packed = GzEncoder::new(digested, Compression::default());
    let written = entries(store, id, &mut packed).await?;
    let mut digested = packed.finish().map_err(ArchiveError::Unwritten)?;
    let digest = digested.hasher.finalize();
    digested.write_all(digest.as_bytes()).map_err(ArchiveError::Unwritten)?;
    Ok(WrittenFile { written, bytes: digested.bytes, digest })
}

/// The digest of a stored sweep's entries without the first and the last.
pub(crate) async fn content(store: &dyn Store, id: SweepId) -> Result<Hash, ArchiveError> {
    Ok(entries(store, id, io::sink()).await?.content)
}

/// Counts and hashes what is written.
struct Digested<W> {
    out: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes all entries of a sweep.
async fn entries(store: &dyn Store, id: SweepId, out: impl Write + Send) -> Result<Written, ArchiveError> {
    let damaged = |why| ArchiveError::Damaged { id: id.to_string(), why };
    let changed = || ArchiveError::Changed { id: id.to_string() };
    let sweep = store.archived(id).await?.ok_or_else(changed)?;
    let row = &sweep.row;
    if !row.state.has_ended() {
        let (name, state) = (row.submission.name.clone(), row.state.name());
        return Err(ArchiveError::NotEnded { name, id: id.to_string(), state });
    }
    let rules = Rules::of(sweep.clone()).map_err(damaged)?;
    let mut lines = Lines { out, content: Hasher::new(), id, rules, trainers: BTreeMap::new() };
    lines.line(&Entry::Head(Head {
        biosweep: env!("CARGO_PKG_VERSION").to_owned(),
        sweep: id,
        name: row.submission.name.clone(),
        trials: row.submission.trials,
        results: row.completed + row.diverged + row.failed,
        attempts: sweep.attempts,
    }))?;
    lines.line(&Entry::Sweep(Box::new((&sweep).into())))?;
    let leases = lines.leases(store).await?;
    lines.attempts(store, &leases).await?;
    lines.done(store, &leases).await?;
    lines.late(store, &leases).await?;
    let mut end = End { deleted: Vec::new(), datasets: Vec::new() };
    for source in lines.rules.sources() {
        if store.is_deleted(*source).await? {
            end.deleted.push(*source);
        }
    }
    let custom: Vec<String> = custom_digests(lines.rules.spec()).collect();
    let datasets = store.datasets().await?.into_iter().filter(|DatasetRow { digest, .. }| custom.contains(digest));
    end.datasets = datasets.map(entry::Dataset::from).collect();
    // A retry, an extension, a deletion or a new note while the rows were read.
    if store.archived(id).await?.as_ref() != Some(&sweep) {
        return Err(changed());
    }
    lines.rules.end(&end).map_err(damaged)?;
    lines.line(&Entry::End(end))?;
    Ok(Written { counts: lines.rules.counts, content: lines.content.finalize(), sweep })
}

/// The entries so far.
struct Lines<W> {
    out: W,
    content: Hasher,
    id: SweepId,
    rules: Rules,
    trainers: BTreeMap<Trainer, u64>,
}

impl<W: Write + Send> Lines<W> {
    fn line(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let line = bytes(entry);
        if !matches!(entry, Entry::Head(_) | Entry::End(_)) {
            self.content.update(&line);
        }
        self.out.write_all(&line).map_err(ArchiveError::Unwritten)
    }

    /// Writes a row, which must follow the rules.
    fn row(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        self.rules.row(entry).map_err(|why| self.damaged(why))?;
        self.line(entry)
    }

    fn damaged(&self, why: String) -> ArchiveError {
        ArchiveError::Damaged { id: self.id.to_string(), why }
    }

    /// Writes the leases, and returns their fencing numbers in order.
    async fn leases(&mut self, store: &dyn Store) -> Result<Vec<ids::Attempt>, ArchiveError> {
        let (mut numbers, mut from) = (Vec::new(), ids::Attempt(0));
        loop {
            let leases = store.archived_leases(self.id, from, PAGE).await?;
            let Some(last) = leases.last() else { return Ok(numbers) };
            from = ids::Attempt(last.lease.0 + 1);
            for lease in leases {
                numbers.push(lease.lease);
                let trainer = self.trainer(lease.trainer)?;
                let (first, count, worker, at) = (lease.first.0, lease.count, lease.worker, lease.at.0);
                self.row(&Entry::Lease(Lease { first, count, worker, trainer, at }))?;
            }
        }
    }

    async fn attempts(&mut self, store: &dyn Store, leases: &[ids::Attempt]) -> Result<(), ArchiveError> {
        let mut from = 0;
        loop {
            let attempts = store.archived_attempts(self.id, from, PAGE).await?;
            let Some((last, _)) = attempts.last() else { return Ok(()) };
            from = last + 1;
            for (_, attempt) in attempts {
                let entry = Attempt {
                    lease: self.place(leases, attempt.lease)?,
                    trajectory: attempt.trajectory.0,
                    outcome: attempt.outcome,
                    cause: attempt.cause,
                    at: attempt.at.0,
                    updates: attempt.updates,
                    forgiven: attempt.is_forgiven,
                };
                self.row(&Entry::Attempt(entry))?;
            }
        }
    }

    async fn done(&mut self, store: &dyn Store, leases: &[ids::Attempt]) -> Result<(), ArchiveError> {
        let (mut from, mut page) = (0, 1);
        let mut results = Results { store, id: self.id, from: TrialIndex(0), page: VecDeque::new() };
        loop {
            let curves = store.archived_curves(self.id, from, page).await?;
            let Some(last) = curves.last() else { break };
            from = last.trajectory.0 + 1;
            page = next_page(page, &curves);
            for curve in curves {
                let trajectory = self.rules.spec().grid.trajectory(curve.trajectory);
                let outside = || self.damaged(format!("trajectory {} is outside its grid", curve.trajectory));
                let trajectory = trajectory.ok_or_else(outside)?;
                let end = trajectory.first_trial.0 + trajectory.stopping_rules.len() as u64;
                let mut trials = Vec::new();
                while let Some(result) = results.next_before(end).await? {
                    trials.push(result);
                }
                if trials.first().is_none_or(|result| result.trial != trajectory.first_trial) {
                    return Err(
                        self.damaged(format!("trajectory {} has a curve, but not its results", curve.trajectory))
                    );
                }
                let origin = match curve.origin {
                    CurveOrigin::Attempt(lease) => Origin::Lease(self.place(leases, lease)?),
                    CurveOrigin::TakenOver(trainer) => Origin::TakenOver(self.trainer(trainer)?),
                };
                let entry = Done {
                    trajectory: curve.trajectory.0,
                    origin,
                    points: curve_text(&curve.points),
                    diagnostics: diagnostics_text(&curve.diagnostics),
                    results: trials.into_iter().map(|result| self.trial(result)).collect::<Result<_, _>>()?,
                };
                self.row(&Entry::Done(Box::new(entry)))?;
            }
        }
        match results.next_before(u64::MAX).await? {
            None => Ok(()),
            Some(result) => Err(self.damaged(format!("trial {} has a result, but no learning curve", result.trial))),
        }
    }

    async fn late(&mut self, store: &dyn Store, leases: &[ids::Attempt]) -> Result<(), ArchiveError> {
        let mut from = 0;
        loop {
            let reports = store.archived_late(self.id, from, PAGE).await?;
            let Some((last, _)) = reports.last() else { return Ok(()) };
            from = last + 1;
            for (_, late) in reports {
                let lease = leases.binary_search(&late.attempt).ok().map(|place| place as u64);
                let entry = Late {
                    lease,
                    unknown_attempt: lease.is_none().then_some(late.attempt.0),
                    trajectory: late.trajectory.0,
                    worker: late.worker,
                    outcome: late.outcome,
                    points: curve_text(&late.points),
                    at: late.at.0,
                };
                self.row(&Entry::Late(entry))?;
            }
        }
    }

    fn trial(&mut self, result: TrialResult) -> Result<Trial, ArchiveError> {
        let TrialResult {
            key, status, score, updates, attempts, worker_name, seconds, reused_from, environment, ..
        } = result;
        let trainer = self.trainer(Trainer { name: worker_name, environment })?;
        let (key, seconds) = (key.to_string(), entry::Real(seconds));
        let (score, reused_from) = (score.map(Into::into), reused_from.map(|from| from.to_string()));
        Ok(Trial { key, status, score, updates, attempts, trainer, seconds, reused_from })
    }

    /// The number of a worker, which is written when it is first needed.
    fn trainer(&mut self, trainer: Trainer) -> Result<u64, ArchiveError> {
        if let Some(&place) = self.trainers.get(&trainer) {
            return Ok(place);
        }
        let environment = trainer.environment.as_ref().map(|environment| environment.to_json());
        self.row(&Entry::Trainer(entry::Trainer { name: trainer.name.clone(), environment }))?;
        let place = self.trainers.len() as u64;
        self.trainers.insert(trainer, place);
        Ok(place)
    }

    /// The place of a fencing number among those of the sweep.
    fn place(&self, leases: &[ids::Attempt], attempt: ids::Attempt) -> Result<u64, ArchiveError> {
        let place = leases.binary_search(&attempt).map(|place| place as u64);
        place.map_err(|_| self.damaged(format!("attempt {attempt} has no lease")))
    }
}

/// An entry as a line.
pub(super) fn bytes(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).expect("entries have text keys only");
    line.push(b'\n');
    line
}

/// The results of a sweep, in order.
struct Results<'a> {
    store: &'a dyn Store,
    id: SweepId,
    from: TrialIndex,
    page: VecDeque<TrialResult>,
}

impl Results<'_> {
    /// The next result, if its trial comes before this one.
    async fn next_before(&mut self, end: u64) -> Result<Option<TrialResult>, ArchiveError> {
        if self.page.is_empty() {
            self.page = self.store.results(self.id, self.from, PAGE).await?.into();
            if let Some(last) = self.page.back() {
                self.from = TrialIndex(last.trial.0 + 1);
            }
        }
        let is_before = self.page.front().is_some_and(|result| result.trial.0 < end);
        Ok(if is_before { self.page.pop_front() } else { None })
    }
}

/// The number of curves to read next, so that their points fit into memory.
fn next_page(page: u32, curves: &[ArchivedCurve<ids::Attempt>]) -> u32 {
    let points: usize = curves.iter().map(|curve| curve.points.len() + curve.diagnostics.len()).sum();
    let fitting = POINTS * curves.len() / points.max(1);
    u32::try_from(fitting).unwrap_or(PAGE).clamp(1, PAGE).min(2 * page)
}
