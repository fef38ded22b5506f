//! Workers by what they have: those alike in device, memory and labels are a crew. Whether there is something for a
//! worker, and how many lanes a sweep can count on, is asked of crews: as a rule there are few of them, however many the
//! workers.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::WorkerId;

use super::scheduler::Core;
use super::sweep::Sweep;
use super::worker::Worker;

/// The workers that are alike, of those that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Crew {
    /// How many they are.
    pub(super) count: u64,
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

/// What a worker that is there counts for in its crew. It is there while its stream is up and it is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    lanes: u32,
    trust: Trust,
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Fit,
    Suspect,
    InQuarantine,
}

impl Place {
    pub(super) fn of(worker: &Worker, is_in_quarantine: bool) -> Option<Self> {
        let trust = match worker.failing.is_suspect() {
            _ if is_in_quarantine => Trust::InQuarantine,
            true => Trust::Suspect,
            false => Trust::Fit,
        };
        let place = Self { lanes: worker.description.lanes, trust, waits: worker.room() > 0 };
        (worker.connected && !worker.is_silent).then_some(place)
    }

    fn lanes_counted_on(self) -> u64 {
        if self.trust == Trust::InQuarantine { 0 } else { self.lanes.into() }
    }

    fn is_fit(self) -> bool {
        self.trust == Trust::Fit && self.lanes > 0
    }

    fn waits_as(self, trust: Trust) -> bool {
        self.waits && self.trust == trust
    }
}

fn is_fit(place: Option<Place>) -> bool {
    place.is_some_and(Place::is_fit)
}

fn lanes_counted_on(place: Option<Place>) -> u64 {
    place.map_or(0, Place::lanes_counted_on)
}

impl Crew {
    /// A worker comes, goes, or counts for something else.
    pub(super) fn change(&mut self, id: WorkerId, before: Option<Place>, after: Option<Place>) {
        let lanes = |place: Option<Place>| place.map_or(0, |place| u64::from(place.lanes));
        self.count = self.count + u64::from(after.is_some()) - u64::from(before.is_some());
        self.lanes = self.lanes + lanes(after) - lanes(before);
        self.lanes_counted_on = self.lanes_counted_on + lanes_counted_on(after) - lanes_counted_on(before);
        let waits_as = |trust| after.is_some_and(|place| place.waits_as(trust));
        let is_refused = self.refused.remove(&id) && waits_as(Trust::Fit);
        put(&mut self.fit, id, is_fit(after));
        put(&mut self.refused, id, is_refused);
        put(&mut self.asking, id, waits_as(Trust::Fit) && !is_refused);
        put(&mut self.suspects, id, waits_as(Trust::Suspect));
    }

    /// Whether anybody waits who has not been refused.
    fn has_somebody_waiting(&self) -> bool {
        !self.asking.is_empty() || !self.suspects.is_empty()
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
        let after = Place::of(worker, self.quarantined.contains_key(&id));
        let before = mem::replace(&mut worker.place, after);
        if before == after {
            return;
        }
        let capabilities = &worker.description.capabilities;
        let known = self.crews.get_key_value(capabilities).map(|(known, _)| Arc::clone(known));
        let capabilities = known.unwrap_or_else(|| Arc::new(capabilities.clone()));
        let crew = self.crews.entry(Arc::clone(&capabilities)).or_default();
        crew.change(id, before, after);
        let (lanes_before, lanes) = (lanes_counted_on(before), lanes_counted_on(after));
        if lanes != lanes_before {
            for sweep in self.sweeps.values_mut().filter(|sweep| sweep.can_use(&capabilities)) {
                sweep.lanes_there = sweep.lanes_there + lanes - lanes_before;
                sweep.is_in_round &= sweep.lanes_there > 0;
            }
        }
        // What it should have tried first, others may now.
        self.look_again |= is_fit(before) && !is_fit(after);
        if crew.count == 0 {
            self.crews.remove(&capabilities);
            self.to_look_at.remove(&capabilities);
        } else if after.is_some_and(|place| place.waits) {
            self.to_look_at.insert(capabilities);
        }
    }

    /// The crews with somebody for whom there may be something; the moment they are asked for, they have been looked at.
    pub(super) fn crews_to_look_at(&mut self) -> BTreeSet<Arc<Capabilities>> {
        let mut crews = mem::take(&mut self.to_look_at);
        if mem::take(&mut self.look_again) {
            for (capabilities, crew) in &mut self.crews {
                crew.asking.extend(mem::take(&mut crew.refused));
                crews.extend(crew.has_somebody_waiting().then(|| Arc::clone(capabilities)));
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

    /// The crews that can train this sweep.
    pub(super) fn crews_for(&self, sweep: &Sweep) -> impl Iterator<Item = &Crew> {
        self.crews.iter().filter(|(capabilities, _)| sweep.can_use(capabilities)).map(|(_, crew)| crew)
    }
}

impl Sweep {
    /// Whether such workers have what it requires.
    pub(super) fn can_use(&self, capabilities: &Capabilities) -> bool {
        self.spec.terms.require.is_met_by(capabilities)
    }

    /// Whether it has something for such workers.
    pub(super) fn has_something_for(&self, capabilities: &Capabilities) -> bool {
        self.can_grant() && self.can_use(capabilities)
    }
}
