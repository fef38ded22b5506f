//! Workers by what they have: those alike in device, memory and labels are a crew. Whether there is something for a
//! worker, and how many lanes a sweep can count on, is asked of crews: there are few of them, however many the workers.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::WorkerId;
use biosweep_common::outcome::SweepState;

use super::scheduler::Core;
use super::sweep::Sweep;
use super::worker::Worker;

/// The workers that are alike, of those whose streams are up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Crew {
    /// How many they are.
    pub(super) connected: u64,
    /// Their lanes.
    pub(super) lanes: u64,
    /// The lanes of those that are not in quarantine.
    pub(super) lanes_counted_on: u64,
    /// Those that have lanes and are beyond suspicion.
    pub(super) fit: BTreeSet<WorkerId>,
    /// Of the fit, those that wait for work, and for whom there may be some.
    pub(super) asking: BTreeSet<WorkerId>,
    /// Of the fit, those that wait for work where others should try first what there is. They are few: each of what there
    /// is has failed on all of them.
    pub(super) refused: BTreeSet<WorkerId>,
    /// Suspects that wait for work.
    pub(super) suspects: BTreeSet<WorkerId>,
}

/// What a worker is counted for in its crew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    connected: bool,
    lanes: u32,
    in_quarantine: bool,
    suspect: bool,
    waits: bool,
}

impl Standing {
    pub(super) fn of(worker: &Worker, in_quarantine: bool) -> Self {
        if !worker.connected {
            return Self::default();
        }
        let waits = worker.room() > 0 && !worker.is_silent && !in_quarantine;
        let (lanes, suspect) = (worker.description.lanes, worker.failing.is_suspect());
        Self { connected: true, lanes, in_quarantine, suspect, waits }
    }

    const fn lanes_counted_on(self) -> u64 {
        if self.in_quarantine { 0 } else { self.lanes as u64 }
    }

    const fn is_fit(self) -> bool {
        self.lanes_counted_on() > 0 && !self.suspect
    }
}

impl Crew {
    /// A worker comes, goes, or counts for something else.
    pub(super) fn change(&mut self, id: WorkerId, before: Standing, after: Standing) {
        self.connected = self.connected + u64::from(after.connected) - u64::from(before.connected);
        self.lanes = self.lanes + u64::from(after.lanes) - u64::from(before.lanes);
        self.lanes_counted_on = self.lanes_counted_on + after.lanes_counted_on() - before.lanes_counted_on();
        let is_fit = after.is_fit();
        let is_refused = self.refused.remove(&id) && after.waits && is_fit;
        put(&mut self.fit, id, is_fit);
        put(&mut self.refused, id, is_refused);
        put(&mut self.asking, id, after.waits && is_fit && !is_refused);
        put(&mut self.suspects, id, after.waits && !is_fit);
    }

    fn has_somebody_waiting(&self) -> bool {
        !self.asking.is_empty() || !self.refused.is_empty() || !self.suspects.is_empty()
    }
}

fn put(set: &mut BTreeSet<WorkerId>, id: WorkerId, belongs: bool) {
    if belongs {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}

impl Core {
    /// Takes note of what became of a worker: what can be counted on it for, and whether it waits for work.
    pub(super) fn assess(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let after = Standing::of(worker, self.quarantined.contains_key(&id));
        let before = mem::replace(&mut worker.standing, after);
        if before == after {
            return;
        }
        let capabilities = &worker.description.capabilities;
        let alike = self.crews.get_key_value(capabilities).map(|(alike, _)| Arc::clone(alike));
        let alike = alike.unwrap_or_else(|| Arc::new(capabilities.clone()));
        let crew = self.crews.entry(Arc::clone(&alike)).or_default();
        crew.change(id, before, after);
        if crew.connected == 0 {
            self.crews.remove(&alike);
        }
        let (lanes_before, lanes) = (before.lanes_counted_on(), after.lanes_counted_on());
        if lanes != lanes_before {
            for sweep in self.sweeps.values_mut().filter(|sweep| sweep.can_use(&alike)) {
                sweep.lanes_there = sweep.lanes_there + lanes - lanes_before;
                sweep.is_in_round &= sweep.lanes_there > 0;
            }
        }
        if after.waits && !before.waits {
            self.to_look_at.insert(alike);
        }
        self.look_again |= before.is_fit() != after.is_fit();
    }

    /// The crews with somebody for whom there may be something; the moment they are asked for, they have been looked at.
    pub(super) fn crews_to_look_at(&mut self) -> BTreeSet<Arc<Capabilities>> {
        let mut crews = mem::take(&mut self.to_look_at);
        if mem::take(&mut self.look_again) {
            for (alike, crew) in &mut self.crews {
                crew.asking.append(&mut crew.refused);
                crews.extend(crew.has_somebody_waiting().then(|| Arc::clone(alike)));
            }
        }
        crews
    }

    /// The lanes a sweep can count on.
    pub(super) fn lanes_there(&self, sweep: &Sweep) -> u64 {
        self.crews_for(sweep).map(|crew| crew.lanes_counted_on).sum()
    }

    /// The workers that can train this sweep and are beyond suspicion.
    pub(super) fn fit_for(&self, sweep: &Sweep) -> impl Iterator<Item = WorkerId> {
        self.crews_for(sweep).flat_map(|crew| crew.fit.iter().copied())
    }

    fn crews_for(&self, sweep: &Sweep) -> impl Iterator<Item = &Crew> {
        self.crews.iter().filter(|(alike, _)| sweep.can_use(alike)).map(|(_, crew)| crew)
    }

    /// What a sweep that has something to be granted waits for, where nobody is there who could take it.
    pub(super) fn waits_for(&self, sweep: &Sweep) -> Option<String> {
        let is_running = sweep.row.state == SweepState::Running;
        if is_running && sweep.pending.is_empty() && sweep.turn.open() == 0 {
            return Some(
                "all that is left of it is in training for another sweep, and is taken over from there".to_owned(),
            );
        }
        if !sweep.can_grant() || sweep.lanes_there > 0 {
            return None;
        }
        let connected: u64 = self.crews.values().map(|crew| crew.connected).sum();
        let is_of_use = self.crews_for(sweep).any(|crew| crew.lanes > 0);
        let require = &sweep.spec.terms.require;
        let (wanted, that) =
            if require.is_none() { (String::new(), "a lane") } else { (format!(" with {require}"), "that") };
        let there = match connected {
            0 => "none is connected".to_owned(),
            _ if is_of_use => "all that are connected are in quarantine".to_owned(),
            1 => format!("the one that is connected has not got {that}"),
            several => format!("none of the {several} that are connected has got {that}"),
        };
        Some(format!("it waits for a worker{wanted}: {there}"))
    }
}

impl Sweep {
    /// Whether such workers have what it requires.
    pub(super) fn can_use(&self, alike: &Capabilities) -> bool {
        self.spec.terms.require.is_met_by(alike)
    }

    /// Whether it has something for such workers.
    pub(super) fn has_something_for(&self, alike: &Capabilities) -> bool {
        self.can_grant() && self.can_use(alike)
    }
}
