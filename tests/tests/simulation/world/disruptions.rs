//! Crashes, partitions and clock jumps, and users who interfere and repair.

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::rows::{TokenInfo, TokenRow};
use biosweep_common::vocabulary::access::token::TokenId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::policies::reuse::Environments;
use biosweep_scheduler::record::{AccessChange, SweepRow};
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_server::commands::reuse::{self, Wanted};
use biosweep_server::queries;

use super::*;

impl World {
    pub(super) fn disrupt(&mut self) -> Result<(), String> {
        if !self.faults.disruptions || self.now > FAULTS_MS {
            return Ok(());
        }
        let in_ms = self.rng.random_range(200..6_000);
        self.schedule(in_ms, WorldEvent::Disruption);
        let slot = self.rng.random_range(0..WORKERS);
        match self.rng.random_range(0..13) {
            0..3 => {
                let killed = self.workers[slot].as_ref().map(|worker| worker.id);
                self.end_worker(slot);
                if let Some(worker) = killed.filter(|_| self.rng.random_bool(0.5)) {
                    let cause = "killed".to_owned();
                    return self.send_event(Event::Died { worker, cause });
                }
            }
            3..5 => {
                let epoch = self.coordinator.as_ref().map(|coordinator| coordinator.epoch);
                self.kill_coordinator()?;
                epoch.into_iter().for_each(|epoch| self.break_streams_of(epoch, 1.0));
                let in_ms = self.rng.random_range(10..20_000);
                self.schedule(in_ms, WorldEvent::Restart);
            }
            5 => {
                let until = self.now + self.rng.random_range(100..30_000);
                if let Some(worker) = &mut self.workers[slot] {
                    worker.frozen_until = until;
                }
            }
            6 => return self.input(slot, Input::Leave),
            // A partition: the streams of some workers break, and the coordinator notices late.
            7 => {
                let open: Vec<StreamId> = self.streams.keys().copied().collect();
                for stream in open {
                    if self.rng.random_bool(0.5) {
                        self.break_stream(stream);
                    }
                }
            }
            8 => self.wall = self.wall.saturating_sub(self.rng.random_range(0..10_000_000)),
            // The coordinator's machine was suspended.
            9 => self.slept += self.rng.random_range(0..40_000),
            10 => {
                let id = self.any_sweep();
                self.paused.insert(id);
                return self.send_event(Event::Paused(id));
            }
            11 => return self.take_over(),
            _ => {
                let id = self.any_sweep();
                self.paused.remove(&id);
                return self.send_event(Event::Resumed(id));
            }
        }
        Ok(())
    }

    pub(super) fn any_sweep(&mut self) -> SweepId {
        SweepId(Uuid::from_u128(self.rng.random_range(1..=SPECS.len() as u128)))
    }

    /// A user submits missing sweeps, resumes sweeps that the scheduler paused, retries failed trials, writes notes,
    /// and releases workers.
    pub(super) fn intervene(&mut self) -> Result<(), String> {
        self.schedule(5_000, WorldEvent::Intervene);
        // The stored state is read below, so it has to be up to date.
        if self.coordinator.as_ref().is_none_or(|coordinator| !coordinator.is_settled()) {
            return Ok(());
        }
        self.submit()?;
        if self.now > FAULTS_MS || !self.faults.disruptions || self.rng.random_bool(0.2) {
            self.extend()?;
        }
        let rows = self.store.sweeps().now_or_never().expect("memory").map_err(|error| error.to_string())?;
        for row in &rows {
            let id = row.submission.id;
            let calm = self.now > FAULTS_MS;
            if row.state == SweepState::Paused && (calm || !self.paused.contains(&id)) {
                self.send_event(Event::Resumed(id))?;
            }
            if row.failed > 0 && self.coordinator.as_ref().is_some_and(Coordinator::is_settled) {
                self.retry(id)?;
            }
        }
        let release = self.now > FAULTS_MS || self.rng.random_bool(0.2);
        let quarantined =
            self.coordinator.as_ref().map(|coordinator| coordinator.batcher.scheduler().worker_views(None));
        for worker in quarantined.into_iter().flatten().filter(|worker| worker.quarantined.is_some() && release) {
            self.send_event(Event::Released(worker.id))?;
        }
        self.cycle_temporary_sweep()?;
        // The other commands need a settled coordinator, so notes come last.
        rows.iter().try_for_each(|row| self.note(row))?;
        self.create_token()
    }

    fn create_token(&mut self) -> Result<(), String> {
        let info = TokenInfo {
            id: TokenId(self.rng.random()),
            role: Role::Worker,
            label: String::new(),
            creator: "the simulation".to_owned(),
            created_at: WallTime(self.now),
            expires_at: None,
            uses_left: None,
            revoked_at: None,
        };
        let token = TokenRow { info, secret_digest: self.rng.random() };
        self.send_event(Event::AccessChanged(AccessChange::TokenCreated(token)))
    }

    /// Writes a new note, or removes it. The sweep may have ended. The coordinator has shown the stored one until now.
    fn note(&mut self, row: &SweepRow) -> Result<(), String> {
        let id = row.submission.id;
        let shown = self.coordinator.as_ref().and_then(|coordinator| coordinator.batcher.scheduler().sweep_view(id));
        if let Some(shown) = shown.filter(|shown| shown.note != row.note) {
            return Err(format!("sweep {id} is shown with the note {:?}, but {:?} is stored", shown.note, row.note));
        }
        let note = (!self.now.is_multiple_of(3)).then(|| format!("seen at {}", self.now));
        self.send_event(Event::Noted { sweep: id, note })
    }

    pub(super) fn retry(&mut self, id: SweepId) -> Result<(), String> {
        let failures = self.store.failures(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let restored =
            self.store.restore_sweep(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let restored = restored.expect("the sweep is stored");
        let prepared = PreparedSpec::new(queries::parse(&restored.row).map_err(|error| error.to_string())?);
        let these = failures.iter().map(|&(index, _)| index).collect();
        let these = Wanted::These(&these);
        let reused = reuse::find(self.store.as_ref(), &prepared.spec, &prepared.index, these, &Environments::All)
            .now_or_never()
            .expect("memory");
        let reused = reused.map_err(|error| error.to_string())?;
        let finished = (restored.row.state == SweepState::Finished).then(|| Box::new((restored, prepared)));
        self.send_event(Event::Retried { sweep: id, finished, failures, reused })
    }
}
