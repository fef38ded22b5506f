//! What the core shows of itself.

use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::views::{SweepView, WorkerView};

use super::lease::Lease;
use super::scheduler::Core;
use super::sweep::Sweep;

impl Core {
    /// A running sweep, with its counts as of now; `None` where it has ended or never was.
    pub(crate) fn sweep_view(&self, id: SweepId) -> Option<SweepView> {
        self.sweeps.get(&id).map(|sweep| self.view(sweep))
    }

    /// Every running sweep.
    pub(crate) fn sweep_views(&self) -> Vec<SweepView> {
        self.sweeps.values().map(|sweep| self.view(sweep)).collect()
    }

    fn view(&self, sweep: &Sweep) -> SweepView {
        let view = sweep.view();
        SweepView { reason: view.reason.or_else(|| self.waits_for(sweep)), ..view }
    }

    /// The workers, each with what it trains: of one sweep, or of all.
    pub(crate) fn worker_views(&self, sweep: Option<SweepId>) -> Vec<WorkerView> {
        self.workers.iter().map(|(&id, _)| id).filter_map(|id| self.worker_view(id, sweep)).collect()
    }

    fn worker_view(&self, id: WorkerId, sweep: Option<SweepId>) -> Option<WorkerView> {
        let worker = self.workers.get(&id)?;
        let of_sweep = |lease: &Lease| sweep.is_none_or(|sweep| lease.sweep == sweep);
        let leases = worker.leases.iter().filter_map(|attempt| Some((*attempt, self.leases.get(attempt)?)));
        let leases = leases.filter(|(_, lease)| of_sweep(lease));
        Some(WorkerView {
            id,
            name: worker.description.name.clone(),
            capabilities: worker.description.capabilities.clone(),
            lanes: worker.description.lanes,
            connected: worker.connected,
            quarantined: self.quarantined.get(&id).cloned(),
            training: leases.flat_map(|(attempt, lease)| lease.views(attempt)).collect(),
        })
    }
}
