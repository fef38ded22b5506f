//! What the core shows of itself.

use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::views::{SweepView, WorkerView};

use super::scheduler::Core;

impl Core {
    /// A running sweep, with its counts as of now; `None` where it has ended or never was.
    pub(crate) fn sweep_view(&self, id: SweepId) -> Option<SweepView> {
        self.sweeps.get(&id).map(|sweep| sweep.view())
    }

    /// Every running sweep.
    pub(crate) fn sweep_views(&self) -> Vec<SweepView> {
        self.sweeps.values().map(|sweep| sweep.view()).collect()
    }

    /// The workers, each with what it trains of this sweep.
    pub(crate) fn worker_views(&self, sweep: SweepId) -> Vec<WorkerView> {
        self.workers.iter().map(|(&id, _)| id).filter_map(|id| self.worker_view(id, sweep)).collect()
    }

    fn worker_view(&self, id: WorkerId, sweep: SweepId) -> Option<WorkerView> {
        let worker = self.workers.get(&id)?;
        let leases = self.leases.iter().filter(|(_, lease)| lease.worker == id && lease.sweep == sweep);
        Some(WorkerView {
            id,
            name: worker.description.name.clone(),
            device: worker.description.device.clone(),
            lanes: worker.description.lanes,
            connected: worker.connected,
            training: leases.flat_map(|(&attempt, lease)| lease.views(attempt)).collect(),
        })
    }
}
