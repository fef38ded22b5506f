//! What befalls the coordinator, and what its driver does.

use biosweep_scheduler::event::Extended;
use biosweep_scheduler::record::Extension;
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
        let specs = restored.sweeps.iter().map(|sweep| queries::parse(&sweep.row).map(Arc::new));
        let specs = specs.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let scheduler = Scheduler::restore(TIMEOUTS, self.time(), &restored, &specs);
        let (streams, undone, deferred) = (BTreeMap::new(), Vec::new(), VecDeque::new());
        self.coordinator = Some(Coordinator { scheduler, streams, undone, stalled: None, deferred });
        self.soon(0, Happening::Tick);
        self.submit()
    }

    /// Submits what is not there yet, as people do who saw no answer.
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
        let spec = Arc::new(SweepSpec::parse(text, Format::Toml, "simulated").map_err(|error| error.to_string())?);
        self.specs.insert(id, Arc::clone(&spec));
        let submission = Submission::new(id, &spec, (text.to_owned(), Format::Toml), WallTime(self.wall));
        let submission = Box::new(submission);
        let all = Wanted::From(TrajectoryIndex(0));
        let reused = reuse::find(self.store.as_ref(), &spec, all).now_or_never().expect("memory");
        let reused = reused.map_err(|error| error.to_string())?;
        self.request(Request::Event(Event::Submitted { submission, spec, reused }))
    }

    /// Has a sweep come that shares trajectories with the first, cancels it after a while, and deletes it once it has ended:
    /// what others took over from it is to stay.
    pub(super) fn come_and_go(&mut self) -> Result<(), String> {
        // What is about to be committed may be taken over from it.
        if self.coordinator.as_ref().is_none_or(|coordinator| !coordinator.undone.is_empty()) {
            return Ok(());
        }
        let rows = self.store.sweeps().now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let calm = self.now > TROUBLED_MS;
        match rows.iter().find(|row| is_passing(row.submission.id)) {
            None if calm || !self.faults.mishaps => Ok(()),
            None => {
                self.passing += 1;
                self.submit_one(SweepId(Uuid::from_u128(PASSING + self.passing)), PASSING_SPEC)
            }
            Some(row) if row.state.has_ended() => self.request(Request::Event(Event::Deleted(row.submission.id))),
            Some(row) if calm || self.rng.random_bool(0.2) => {
                self.request(Request::Event(Event::Cancelled(row.submission.id)))
            }
            Some(_) => Ok(()),
        }
    }

    /// Adds to the first sweep what is not there yet, as its owner does who saw no answer.
    pub(super) fn extend(&mut self) -> Result<(), String> {
        let id = SweepId(Uuid::from_u128(1));
        let restored =
            self.store.restore_sweep(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let Some(restored) = restored.filter(|restored| restored.row.extensions.is_empty()) else { return Ok(()) };
        let before = queries::parse(&restored.row).map_err(|error| error.to_string())?;
        let more = SweepSpec::parse(EXTENSION, Format::Toml, "simulated").map_err(|error| error.to_string())?;
        let spec = Arc::new(before.extended(&more).map_err(|error| error.to_string())?);
        // Workers and results may know of it before it is kept.
        self.specs.insert(id, Arc::clone(&spec));
        let new = Wanted::From(TrajectoryIndex(before.grid.trajectories()));
        let reused = reuse::find(self.store.as_ref(), &spec, new).now_or_never().expect("memory");
        let reused = reused.map_err(|error| error.to_string())?;
        let extension = Extension { text: EXTENSION.to_owned(), format: Format::Toml, at: WallTime(self.wall) };
        let finished = (restored.row.state == SweepState::Finished).then_some(restored);
        let extended = Box::new(Extended { extension, spec, finished, reused });
        self.request(Request::Event(Event::Extended { sweep: id, extended }))
    }

    /// What the driver does with a request: nothing where it is dead, later where its store is in degraded.
    pub(super) fn request(&mut self, request: Request) -> Result<(), String> {
        let now = self.time();
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        if coordinator.stalled.is_some() {
            let is_command = matches!(&request, Request::Event(event) if event.is_command());
            if !is_command {
                coordinator.deferred.push_back(request);
            }
            return Ok(());
        }
        let event = match request {
            Request::Event(event) => event,
            Request::Attach { worker, stream, hello } => {
                let before = coordinator.streams.insert(worker, stream).filter(|&before| before != stream);
                // Whoever is on the other end of it hears that it ends, be it the living worker.
                before.into_iter().for_each(|before| self.break_stream(before));
                Event::Message { worker, message: hello }
            }
            Request::Said { worker, stream, message } if coordinator.streams.get(&worker) == Some(&stream) => {
                Event::Message { worker, message }
            }
            Request::Detach { worker, stream } if coordinator.streams.get(&worker) == Some(&stream) => {
                coordinator.streams.remove(&worker);
                Event::Disconnected(worker)
            }
            Request::Said { .. } | Request::Detach { .. } => return Ok(()),
        };
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        let actions = coordinator.scheduler.apply(now, event);
        for action in &actions {
            if let Action::Send { worker, message: ToWorker::Grant(grant) } = action {
                coordinator.scheduler.check_grant(*worker, grant.sweep)?;
            }
        }
        let first = coordinator.undone.is_empty();
        coordinator.undone.extend(actions);
        if first && !coordinator.undone.is_empty() {
            // What comes before then is one transaction with it.
            let in_ms = self.rng.random_range(0..3);
            self.soon(in_ms, Happening::Commit);
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), String> {
        let fails = self.chance(self.faults.commits);
        let kept_all_the_same = fails && self.rng.random_bool(0.5);
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        let (records, is_there) = match coordinator.stalled.take() {
            Some(stalled) => stalled,
            None => {
                let records = coordinator.undone.iter().filter_map(|action| match action {
                    Action::Persist(record) => Some(record.clone()),
                    Action::Send { .. } | Action::Notify(_) => None,
                });
                (records.collect(), false)
            }
        };
        self.kinds.extend(records.iter().map(kind));
        if !is_there && (!fails || kept_all_the_same) {
            let written = self.store.commit(&records).now_or_never().expect("memory");
            written.map_err(|error| error.to_string())?;
        }
        if fails {
            coordinator.stalled = Some((records, is_there || kept_all_the_same));
            let in_ms = self.rng.random_range(50..5_000);
            self.soon(in_ms, Happening::Commit);
            return Ok(());
        }
        let actions = std::mem::take(&mut coordinator.undone);
        let deferred = std::mem::take(&mut coordinator.deferred);
        if !deferred.is_empty() {
            let now = self.time();
            let coordinator = self.coordinator.as_mut().expect("it is alive");
            let awake = coordinator.scheduler.apply(now, Event::Awoke);
            coordinator.undone.extend(awake);
        }
        for action in actions {
            if let Action::Send { worker, message } = action {
                self.say_down(worker, message);
            }
        }
        for request in deferred {
            self.request(request)?;
        }
        let undone = self.coordinator.as_ref().is_some_and(|coordinator| !coordinator.undone.is_empty());
        if undone {
            self.soon(1, Happening::Commit);
        }
        Ok(())
    }

    pub(super) fn tick(&mut self) -> Result<(), String> {
        if self.coordinator.is_none() {
            return Ok(());
        }
        self.request(Request::Event(Event::Ticked))?;
        self.soon(500, Happening::Tick);
        Ok(())
    }

    pub(super) fn say_down(&mut self, worker: WorkerId, message: ToWorker) {
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
        self.soon(at - now, Happening::Down { slot, stream, message });
    }

    pub(super) fn delay(&mut self) -> u64 {
        let slow = self.faults.mishaps && self.rng.random_bool(0.01);
        if slow { self.rng.random_range(0..12_000) } else { self.rng.random_range(0..30) }
    }

    /// A stream breaks: its worker knows at once, the coordinator in its own time; what was on its way up may still come.
    pub(super) fn break_stream(&mut self, stream: StreamId) {
        let Some((slot, ..)) = self.streams.remove(&stream) else { return };
        if self.rng.random_bool(0.5) {
            self.happenings.values_mut().for_each(|happening| {
                if let Happening::Up { stream: of, message, .. } = happening
                    && *of == stream
                {
                    // Nobody has this stream: it is lost.
                    (*of, *message) = (0, ToCoordinator::Goodbye);
                }
            });
        }
        let Some(worker) = self.workers[slot].as_mut().filter(|worker| worker.stream == Some(stream)) else { return };
        worker.stream = None;
        let (id, life) = (worker.id, worker.life);
        let (noticed, again) = (self.rng.random_range(0..6_000), self.rng.random_range(50..3_000));
        self.soon(noticed, Happening::Noticed { worker: id, stream });
        self.soon(again, Happening::Connect { slot, life });
    }
}
