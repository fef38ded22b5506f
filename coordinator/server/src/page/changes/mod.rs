//! What has changed, for open pages: numbered, so that a page that was away reads only what it has missed.
//!
//! | module | contents |
//! |---|---|
//! | `pace` | the remaining time of sweeps |

mod pace;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use biosweep_common::vocabulary::ids::SweepId;
use biosweep_host::id::new_id;
use biosweep_scheduler::event::Notice;
use biosweep_scheduler::scheduler::Scheduler;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use self::pace::Paces;
use crate::driver::{Handle, Stopped};

/// Minimum time between two changes.
const PACE: Duration = Duration::from_millis(250);
/// Time between two looks at workers and at the progress of sweeps, which no notice tells.
const LOOK: Duration = Duration::from_secs(1);
/// Number of changes that a slow page may miss before it is told to load everything again.
const QUEUED: usize = 32;

/// A change. Its id is that of this process, and a number.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Change {
    #[serde(skip)]
    pub(super) number: u64,
    /// The sweeps that have changed.
    pub(super) sweeps: Vec<SweepId>,
    /// Whether anything may have changed: workers, the list of sweeps, or more than is known.
    pub(super) reload: bool,
}

/// All changes since the start.
#[derive(Clone)]
pub(super) struct Changes {
    /// Tells this process from the one before a restart.
    process: Arc<str>,
    log: Arc<Mutex<Log>>,
    paces: Arc<Mutex<Paces>>,
    changed: broadcast::Sender<Arc<Change>>,
}

/// The number of the latest change of each sweep, and of everything.
#[derive(Debug, Default)]
struct Log {
    latest: u64,
    sweeps: BTreeMap<SweepId, u64>,
    everything: u64,
}

impl Changes {
    pub(super) fn new() -> Self {
        let process = new_id::<SweepId>().to_string().into();
        Self { process, log: Arc::default(), paces: Arc::default(), changed: broadcast::channel(QUEUED).0 }
    }

    /// Follows the coordinator until it stops.
    pub(super) async fn follow(self, handle: Handle) {
        let (mut notices, mut degraded) = (handle.notices(), handle.degraded());
        let mut look = tokio::time::interval(LOOK);
        let mut workers = 0;
        loop {
            let mut change = Change::default();
            tokio::select! {
                notice = notices.recv() => match notice {
                    Ok(notice) => change.add(&notice),
                    Err(RecvError::Lagged(_)) => change.reload = true,
                    Err(RecvError::Closed) => return,
                },
                told = degraded.changed() => match told {
                    Ok(()) => change.reload = true,
                    Err(_) => return,
                },
                _ = look.tick() => match self.look(&handle).await {
                    Ok(now) => change.reload = std::mem::replace(&mut workers, now) != now,
                    Err(Stopped) => return,
                },
            }
            if change == Change::default() {
                continue;
            }
            tokio::time::sleep(PACE).await;
            loop {
                match notices.try_recv() {
                    Ok(notice) => change.add(&notice),
                    Err(TryRecvError::Lagged(_)) => change.reload = true,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            self.publish(change);
        }
    }

    /// Samples the progress of sweeps; returns a hash of what is shown of workers.
    async fn look(&self, handle: &Handle) -> Result<u64, Stopped> {
        let seen = handle.ask(|scheduler: &Scheduler| {
            let sweeps = scheduler.sweep_views();
            let done: Vec<_> = sweeps
                .iter()
                .map(|sweep| (sweep.id, sweep.ended() as f64 + scheduler.in_training_done(sweep.id)))
                .collect();
            let mut hasher = DefaultHasher::new();
            scheduler.worker_states().hash(&mut hasher);
            (done, hasher.finish())
        });
        let (done, workers) = seen.await?;
        let now_s = handle.clock.seconds();
        self.paces.lock().unwrap_or_else(PoisonError::into_inner).sample(now_s, &done);
        Ok(workers)
    }

    fn publish(&self, mut change: Change) {
        let mut log = self.log();
        log.latest += 1;
        change.number = log.latest;
        for &sweep in &change.sweeps {
            log.sweeps.insert(sweep, change.number);
        }
        if change.reload {
            log.everything = change.number;
        }
        // There may be no open page.
        drop(self.changed.send(Arc::new(change)));
    }

    /// The changes from now on. First the change that sums up all since `since`, the id of the last change that a page knows:
    /// everything, if that id is not of this process.
    pub(super) fn since(&self, since: Option<&str>) -> (Change, broadcast::Receiver<Arc<Change>>) {
        let log = self.log();
        let changed = self.changed.subscribe();
        let known = since.map(|id| self.number(id));
        let missed = match known {
            None => Change { number: log.latest, ..Change::default() },
            Some(Some(known)) if known <= log.latest => {
                let sweeps = log.sweeps.iter().filter(|&(_, &number)| number > known).map(|(&sweep, _)| sweep);
                Change { number: log.latest, sweeps: sweeps.collect(), reload: log.everything > known }
            }
            Some(_) => Change { number: log.latest, reload: true, ..Change::default() },
        };
        (missed, changed)
    }

    /// The id of a change.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}.{number}", self.process)
    }

    /// The number of the latest change.
    pub(super) fn latest(&self) -> u64 {
        self.log().latest
    }

    /// Seconds until all trials of a sweep are done; `None` if it is not known.
    pub(super) fn left_s(&self, id: SweepId, trials: u64) -> Option<f64> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner).left_s(id, trials)
    }

    fn number(&self, id: &str) -> Option<u64> {
        let (process, number) = id.rsplit_once('.')?;
        if process == &*self.process { number.parse().ok() } else { None }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn add(&mut self, notice: &Notice) {
        let sweep = match notice {
            Notice::Changed(sweep) | Notice::IncompleteAttempt { sweep, .. } => *sweep,
            Notice::StateChanged(sweep) => {
                // The list of sweeps may have another one.
                self.reload = true;
                *sweep
            }
        };
        if !self.sweeps.contains(&sweep) {
            self.sweeps.push(sweep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_away_reads_what_it_has_missed() {
        let (changes, a, b) = (Changes::new(), new_id::<SweepId>(), new_id::<SweepId>());
        let of = |sweep| Change { sweeps: vec![sweep], ..Change::default() };
        changes.publish(of(a));
        let known = changes.id(changes.latest());
        changes.publish(of(b));
        changes.publish(of(b));
        let (missed, mut later) = changes.since(Some(&known));
        assert_eq!(missed, Change { number: 3, sweeps: vec![b], reload: false });
        changes.publish(of(a));
        assert_eq!(later.try_recv().map(|change| change.sweeps.clone()), Ok(vec![a]));
        let (fresh, _) = changes.since(None);
        assert_eq!(fresh, Change { number: 4, ..Change::default() });
    }

    #[test]
    fn after_a_restart_everything_is_read_again() {
        let changes = Changes::new();
        for id in [Changes::new().id(0).as_str(), "x", "", &changes.id(7)] {
            assert!(changes.since(Some(id)).0.reload, "{id}");
        }
    }
}
