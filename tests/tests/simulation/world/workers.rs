//! The events of the workers, and the actions of their agents.

use super::*;

impl World {
    pub(super) fn start(&mut self, slot: usize) -> Result<(), String> {
        if self.workers[slot].is_some() {
            return Ok(());
        }
        self.lives += 1;
        let life = self.lives;
        // A new process takes over the identity and the reports of a dead worker, or starts as a new worker.
        let alive: BTreeSet<WorkerId> = self.workers.iter().flatten().map(|worker| worker.id).collect();
        let left = self.spool.iter().find(|(id, reports)| !alive.contains(id) && !reports.is_empty());
        let left = left.map(|(&id, reports)| (id, reports.values().cloned().collect()));
        let (id, reports) = match left {
            Some(left) if self.rng.random_bool(0.8) => left,
            _ => (WorkerId(Uuid::from_u128(1_000 * (slot as u128 + 1) + u128::from(life))), Vec::new()),
        };
        let lanes = 1 + (slot as u32 % 3);
        let labels = (slot < FAST).then(|| "fast".to_owned()).into_iter().collect();
        self.workers[slot] = Some(Worker::new(id, lanes, labels, life, reports));
        self.schedule(20, WorldEvent::Connect { slot, life });
        Ok(())
    }

    pub(super) fn worker(&mut self, slot: usize, life: u64) -> Option<&mut Worker> {
        self.workers[slot].as_mut().filter(|worker| worker.life == life)
    }

    /// Delays an event while the worker is suspended; returns whether it is.
    pub(super) fn delay_if_suspended(&mut self, slot: usize, event: &WorldEvent) -> bool {
        let until = self.workers[slot].as_ref().map_or(0, |worker| worker.frozen_until);
        if until > self.now {
            self.schedule(until - self.now, event.clone());
        }
        until > self.now
    }

    pub(super) fn connect(&mut self, slot: usize, life: u64) -> Result<(), String> {
        if self.worker(slot, life).is_none_or(|worker| worker.stream.is_some()) {
            return Ok(());
        }
        if self.delay_if_suspended(slot, &WorldEvent::Connect { slot, life }) {
            return Ok(());
        }
        let Some(epoch) = self.reached() else {
            let in_ms = self.rng.random_range(100..2_000);
            self.schedule(in_ms, WorldEvent::Connect { slot, life });
            return Ok(());
        };
        self.last_stream.0 += 1;
        let stream = self.last_stream;
        self.streams.insert(stream, (slot, self.now, self.now));
        self.led_by.insert(stream, epoch);
        if let Some(worker) = self.worker(slot, life) {
            worker.stream = Some(stream);
        }
        self.input(slot, Input::Connected)
    }

    pub(super) fn receive(&mut self, slot: usize, stream: StreamId, message: ToWorker) -> Result<(), String> {
        if self.workers[slot].as_ref().is_none_or(|worker| worker.stream != Some(stream)) {
            return Ok(());
        }
        if self.delay_if_suspended(slot, &WorldEvent::Down { slot, stream, message: message.clone() }) {
            return Ok(());
        }
        self.input(slot, Input::Received(message))
    }

    pub(super) fn heartbeat(&mut self, slot: usize, life: u64, stream: StreamId) -> Result<(), String> {
        if self.worker(slot, life).is_none_or(|worker| worker.stream != Some(stream)) {
            return Ok(());
        }
        if self.delay_if_suspended(slot, &WorldEvent::Heartbeat { slot, life, stream }) {
            return Ok(());
        }
        let updates = self.worker(slot, life).map(|worker| worker.lanes.iter().map(|lane| lane.updates).collect());
        self.input(slot, Input::HeartbeatDue(updates.unwrap_or_default()))?;
        self.schedule(TIMEOUTS.heartbeat_ms, WorldEvent::Heartbeat { slot, life, stream });
        Ok(())
    }

    /// Trains every lane to its next evaluation.
    pub(super) fn trained(&mut self, slot: usize, life: u64, bundle: Attempt) -> Result<(), String> {
        let has_bundle = |worker: &mut Worker| worker.lanes.first().is_some_and(|lane| lane.held.attempt == bundle);
        if !self.worker(slot, life).is_some_and(has_bundle) {
            return Ok(());
        }
        if self.delay_if_suspended(slot, &WorldEvent::Trained { slot, life, bundle }) {
            return Ok(());
        }
        let bad = slot == self.bad;
        let fails = if bad { self.faults.fails + self.faults.fails_on_bad } else { self.faults.fails };
        let count = self.worker(slot, life).map_or(0, |worker| worker.lanes.len());
        for place in 0..count {
            let (fails, keeps, kind) = (self.chance(fails), self.rng.random_bool(0.5), self.rng.random_range(0..5));
            let Some(lane) = self.worker(slot, life).and_then(|worker| worker.lanes.get_mut(place)) else { break };
            if lane.over {
                continue;
            }
            let (held, updates) = (lane.held, lane.updates);
            let cause = || Some(format!("fault {} of {updates}", ["alpha", "beta", "gamma", "delta", "epsilon"][kind]));
            let (point, end) = match lane.halted {
                Some(keep) => {
                    let end = lane.end(Outcome::Preempted, None);
                    if keep {
                        self.checkpoints.insert((held.sweep, held.trajectory), updates);
                    }
                    (None, Some(end))
                }
                None if fails => (None, Some(lane.end(Outcome::Failed, cause()))),
                None => {
                    let (point, end) = lane.advance();
                    if end.is_none() && keeps {
                        let updates = lane.updates;
                        self.checkpoints.insert((held.sweep, held.trajectory), updates);
                    }
                    (Some(point), end)
                }
            };
            if let Some(point) = point {
                self.input(slot, Input::Evaluated { lane: place, point })?;
            }
            if let Some(end) = end {
                self.input(slot, Input::LaneEnded { lane: place, end })?;
            }
        }
        let over = self.worker(slot, life).is_some_and(|worker| worker.lanes.iter().all(|lane| lane.over));
        if over {
            if let Some(worker) = self.worker(slot, life) {
                worker.lanes.clear();
            }
            return self.input(slot, Input::BundleDone);
        }
        let in_ms = self.rng.random_range(200..1_500);
        self.schedule(in_ms, WorldEvent::Trained { slot, life, bundle });
        Ok(())
    }

    /// Applies an input to a worker's session, and executes the outputs.
    pub(super) fn input(&mut self, slot: usize, input: Input) -> Result<(), String> {
        let Some(worker) = &mut self.workers[slot] else { return Ok(()) };
        let (id, life, stream) = (worker.id, worker.life, worker.stream);
        for output in worker.session.apply(input) {
            match output {
                Output::Send(message) => self.send_up(slot, id, message),
                Output::Train(grant) => {
                    let Some(worker) = &mut self.workers[slot] else { break };
                    worker.train(&grant, &self.specs, &self.checkpoints);
                    self.schedule(300, WorldEvent::Trained { slot, life, bundle: grant.attempt });
                }
                Output::Halt { lane, keep } => {
                    let lane = self.workers[slot].as_mut().and_then(|worker| worker.lanes.get_mut(lane));
                    if let Some(lane) = lane {
                        lane.halted = Some(keep);
                    }
                }
                Output::Keep(owed) => {
                    let Held { attempt, trajectory, .. } = owed.report.held;
                    self.spool.entry(id).or_default().insert((attempt, trajectory), *owed);
                }
                Output::Forget { held, .. } => {
                    self.spool.entry(id).or_default().remove(&(held.attempt, held.trajectory));
                }
                Output::Discard(held) => drop(self.checkpoints.remove(&(held.sweep, held.trajectory))),
                Output::Beat { every_ms } => {
                    if let Some(stream) = stream {
                        self.schedule(every_ms, WorldEvent::Heartbeat { slot, life, stream });
                    }
                }
                Output::Reconnect => {
                    self.successions.1 += 1;
                    stream.into_iter().for_each(|stream| self.break_stream(stream));
                    break;
                }
                Output::Exit => self.end_worker(slot),
            }
        }
        Ok(())
    }

    pub(super) fn send_up(&mut self, slot: usize, worker: WorkerId, message: ToCoordinator) {
        let Some(stream) = self.workers[slot].as_ref().and_then(|worker| worker.stream) else { return };
        if self.chance(self.faults.breaks) {
            return self.break_stream(stream);
        }
        let delay = self.delay();
        let (repeated, overtaken) = match &message {
            ToCoordinator::AttemptEnded(_) => (self.chance(self.faults.repeats), self.chance(self.faults.repeats)),
            _ => (false, false),
        };
        let now = self.now;
        let Some((_, free_at, _)) = self.streams.get_mut(&stream) else { return };
        let at = (now + delay).max(*free_at);
        *free_at = at;
        if repeated {
            self.schedule(at - now + 40, WorldEvent::Up { worker, stream, message: message.clone() });
        }
        let at = if overtaken { at + 60 } else { at };
        self.schedule(at - now, WorldEvent::Up { worker, stream, message });
    }

    /// Ends a worker's process. Its spool stays on disk.
    pub(super) fn end_worker(&mut self, slot: usize) {
        let Some(worker) = self.workers[slot].take() else { return };
        if let Some(stream) = worker.stream {
            self.streams.remove(&stream);
            let in_ms = self.rng.random_range(0..6_000);
            self.schedule(in_ms, WorldEvent::StreamLost { worker: worker.id, stream });
        }
        let in_ms = self.rng.random_range(100..12_000);
        self.schedule(in_ms, WorldEvent::Start { slot });
    }
}
