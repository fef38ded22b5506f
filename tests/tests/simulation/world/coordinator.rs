//! The events of the coordinator, and the actions of its driver.

use biosweep_scheduler::event::Extended;
use biosweep_scheduler::policies::reuse::Environments;
use biosweep_scheduler::record::Extension;
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_server::commands::reuse::{self, Wanted};
use biosweep_server::queries;

use super::*;

impl World {
    pub(super) fn time(&self) -> Now {
        Now { tick: Tick(self.now + self.slept), wall: WallTime(self.wall) }
    }

    pub(super) fn restart(&mut self) -> Result<(), String> {
        if self.coordinator.is_some() {
            return Ok(());
        }
        let restored = self.store.restore().now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let specs = restored.sweeps.iter().map(|sweep| queries::parse(&sweep.row).map(PreparedSpec::new));
        let specs = specs.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        self.epoch += 1;
        let epoch = self.epoch;
        let batcher = Batcher::new(Scheduler::restore(TIMEOUTS, self.time(), &restored, specs).in_epoch(epoch));
        self.coordinator = Some(Coordinator { epoch, batcher, streams: BTreeMap::new(), writing: None, is_due: false });
        self.schedule(0, WorldEvent::Tick { epoch });
        self.submit()
    }

    /// Submits the sweeps that are not stored, as a user does who got no answer.
    pub(super) fn submit(&mut self) -> Result<(), String> {
        for (number, text) in SPECS.iter().enumerate() {
            let id = SweepId(Uuid::from_u128(number as u128 + 1));
            let known = self.store.sweep(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
            if known.is_none() {
                self.submit_one(id, text)?;
            }
        }
        Ok(())
    }

    fn submit_one(&mut self, id: SweepId, text: &str) -> Result<(), String> {
        let (spec, text) = stored(text)?;
        self.specs.insert(id, Arc::clone(&spec));
        let submission = Submission::new(id, &spec, text, WallTime(self.wall));
        let submission = Box::new(submission);
        let all = Wanted::From(TrajectoryIndex(0));
        let prepared = PreparedSpec::new(spec);
        let reused = reuse::find(self.store.as_ref(), &prepared.spec, &prepared.index, all, &Environments::All)
            .now_or_never()
            .expect("memory");
        let reused = reused.map_err(|error| error.to_string())?;
        self.send_event(Event::Submitted { submission, prepared, reused })
    }

    /// Submits a temporary sweep that shares trajectories with the first, cancels it after a while, or deletes it if it has ended.
    /// Other sweeps must keep the results that they took over from it.
    pub(super) fn cycle_temporary_sweep(&mut self) -> Result<(), String> {
        // Records that are not committed may refer to the temporary sweep.
        if self.coordinator.as_ref().is_none_or(|coordinator| !coordinator.is_settled()) {
            return Ok(());
        }
        let rows = self.store.sweeps().now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let calm = self.now > FAULTS_MS;
        match rows.iter().find(|row| is_temporary(row.submission.id)) {
            None if calm || !self.faults.disruptions => Ok(()),
            None => {
                self.temporary += 1;
                self.submit_one(SweepId(Uuid::from_u128(TEMPORARY + self.temporary)), TEMPORARY_SPEC)
            }
            Some(row) if row.state.has_ended() => self.send_event(Event::Deleted(row.submission.id)),
            Some(row) if calm || self.rng.random_bool(0.2) => self.send_event(Event::Cancelled(row.submission.id)),
            Some(_) => Ok(()),
        }
    }

    /// Extends the first sweep if it is not extended, as a user does who got no answer.
    pub(super) fn extend(&mut self) -> Result<(), String> {
        let id = SweepId(Uuid::from_u128(1));
        let restored =
            self.store.restore_sweep(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let Some(restored) = restored.filter(|restored| restored.row.extensions.is_empty()) else { return Ok(()) };
        let before = queries::parse(&restored.row).map_err(|error| error.to_string())?;
        let (more, text) = stored(EXTENSION)?;
        let spec = Arc::new(before.extended(&more).map_err(|error| error.to_string())?);
        // Workers may get grants of the extension before this function returns.
        self.specs.insert(id, Arc::clone(&spec));
        let new = Wanted::From(TrajectoryIndex(before.grid.trajectories()));
        let prepared = PreparedSpec::new(spec);
        let reused = reuse::find(self.store.as_ref(), &prepared.spec, &prepared.index, new, &Environments::All)
            .now_or_never()
            .expect("memory");
        let reused = reused.map_err(|error| error.to_string())?;
        let extension = Extension { spec: text, at: WallTime(self.wall) };
        let finished = (restored.row.state == SweepState::Finished).then_some(restored);
        let extended = Box::new(Extended { extension, prepared, finished, reused });
        self.send_event(Event::Extended { sweep: id, extended })
    }

    /// Sends an event to the coordinator.
    pub(super) fn send_event(&mut self, event: Event) -> Result<(), String> {
        self.request(Request::Event { event, caller: () })
    }

    /// Sends a request to the coordinator, if it is running, and schedules a commit.
    pub(super) fn request(&mut self, request: Request<()>) -> Result<(), String> {
        let now = self.time();
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        let replaced = match &request {
            Request::Attach { hello, stream } => {
                coordinator.streams.insert(hello.worker, *stream).filter(|before| before != stream)
            }
            Request::Detach { worker, stream } if coordinator.streams.get(worker) == Some(stream) => {
                coordinator.streams.remove(worker);
                None
            }
            _ => None,
        };
        coordinator.batcher.tick(now);
        let outputs = coordinator.batcher.on_request(now, request);
        // The worker of the replaced stream notices its end, even if it is the same worker.
        replaced.into_iter().for_each(|before| self.break_stream(before));
        self.release(outputs);
        self.expect_commit();
        Ok(())
    }

    /// Schedules a commit. All requests before the commit are one transaction.
    fn expect_commit(&mut self) {
        if let Some(coordinator) = self.coordinator.as_mut().filter(|coordinator| coordinator.is_settled()) {
            coordinator.is_due = true;
            let (epoch, in_ms) = (coordinator.epoch, self.rng.random_range(0..3));
            self.schedule(in_ms, WorldEvent::Commit { epoch });
        }
    }

    /// Begins a transaction, or ends the current one with success or failure.
    pub(super) fn commit(&mut self) -> Result<(), String> {
        let now = self.time();
        let is_former = self.is_former();
        let (fails, written_anyway) = (self.chance(self.faults.commits), self.rng.random_bool(0.5));
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        let epoch = coordinator.epoch;
        coordinator.is_due = false;
        let Some((records, is_there)) = coordinator.writing.take() else {
            let (records, outputs) = coordinator.batcher.begin();
            if is_former && records.is_some() {
                // The store refuses it.
                self.lapse();
                return Ok(());
            }
            if let Some(records) = records {
                self.kinds.extend(records.iter().map(kind));
                coordinator.writing = Some((records, false));
                let in_ms = self.rng.random_range(0..20);
                self.schedule(in_ms, WorldEvent::Commit { epoch });
            }
            self.release(outputs);
            return Ok(());
        };
        if is_former {
            // The store does not say whether it was committed before.
            self.lapse();
            return Ok(());
        }
        let is_written = is_there || !fails || written_anyway;
        if is_written && !is_there {
            let written = self.store.commit(&records).now_or_never().expect("memory");
            written.map_err(|error| error.to_string())?;
        }
        let outputs = if fails {
            coordinator.writing = Some((records, is_written));
            coordinator.batcher.failed("the disk is full".to_owned())
        } else {
            coordinator.batcher.committed(now)
        };
        self.release(outputs);
        if fails {
            let in_ms = self.rng.random_range(50..5_000);
            self.schedule(in_ms, WorldEvent::Commit { epoch });
        } else {
            self.expect_commit();
        }
        Ok(())
    }

    /// Kills the coordinator. The transaction that was being written may be committed.
    pub(super) fn kill_coordinator(&mut self) -> Result<(), String> {
        let is_committed = self.rng.random_bool(0.5);
        let writing = self.coordinator.take().and_then(|coordinator| coordinator.writing);
        if let Some((records, false)) = writing
            && is_committed
        {
            self.store.commit(&records).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn release(&mut self, outputs: Vec<FromBatcher<()>>) {
        for output in outputs {
            if let FromBatcher::Send { worker, messages } = output {
                messages.into_iter().for_each(|message| self.send_down(worker, message));
            }
        }
    }

    pub(super) fn tick(&mut self) -> Result<(), String> {
        let now = self.time();
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        coordinator.batcher.tick(now);
        let epoch = coordinator.epoch;
        self.expect_commit();
        self.schedule(500, WorldEvent::Tick { epoch });
        Ok(())
    }

    pub(super) fn send_down(&mut self, worker: WorkerId, message: ToWorker) {
        let stream = self.coordinator.as_ref().and_then(|coordinator| coordinator.streams.get(&worker)).copied();
        let Some(stream) = stream else { return };
        if self.chance(self.faults.breaks) {
            return self.break_stream(stream);
        }
        let delay = self.delay();
        let now = self.now;
        let Some((slot, _, free_at)) = self.streams.get_mut(&stream) else { return };
        let at = (now + delay).max(*free_at);
        *free_at = at;
        let slot = *slot;
        self.schedule(at - now, WorldEvent::Down { slot, stream, message });
    }

    pub(super) fn delay(&mut self) -> u64 {
        let slow = self.faults.disruptions && self.rng.random_bool(0.01);
        if slow { self.rng.random_range(0..12_000) } else { self.rng.random_range(0..30) }
    }

    /// Breaks a stream. The worker notices at once, the coordinator later. Messages to the coordinator may still arrive.
    pub(super) fn break_stream(&mut self, stream: StreamId) {
        let Some((slot, ..)) = self.streams.remove(&stream) else { return };
        if self.rng.random_bool(0.5) {
            self.events.values_mut().for_each(|event| {
                if let WorldEvent::Up { stream: of, message, .. } = event
                    && *of == stream
                {
                    // No worker has this stream, so the coordinator drops the message.
                    (*of, *message) = (StreamId(0), ToCoordinator::Goodbye);
                }
            });
        }
        let Some(worker) = self.workers[slot].as_mut().filter(|worker| worker.stream == Some(stream)) else { return };
        worker.stream = None;
        let (id, life) = (worker.id, worker.life);
        let (noticed, again) = (self.rng.random_range(0..6_000), self.rng.random_range(50..3_000));
        self.schedule(noticed, WorldEvent::StreamLost { worker: id, stream });
        self.schedule(again, WorldEvent::Connect { slot, life });
    }
}

/// A spec, and its text as a store keeps it.
fn stored(text: &str) -> Result<(Arc<SweepSpec>, SpecText), String> {
    let (spec, text) =
        SweepSpec::parse_to_store(text.to_owned(), Format::Toml, "simulated").map_err(|error| error.to_string())?;
    Ok((Arc::new(spec), text))
}
