//! Follows a sweep: its counts as they change, at most ten times a second, and at once where it goes on, stands still or
//! ends, and every setback.

use std::time::Duration;

use biosweep_common::ids::SweepId;
use biosweep_common::views::WatchEvent;
use tokio::sync::broadcast::error::RecvError;

use crate::core::event::Notice;
use crate::driver::{Handle, Stopped};
use crate::queries::{self, QueryError};

/// The least time between two of its counts.
const PACE: Duration = Duration::from_millis(100);

/// Emits until the sweep has ended or `emit` says that nobody listens.
pub(crate) async fn watch<Emit, Emitted>(handle: &Handle, id: SweepId, emit: Emit) -> Result<(), QueryError>
where
    Emit: Fn(WatchEvent) -> Emitted,
    Emitted: Future<Output = bool>,
{
    let (mut notices, mut trouble) = (handle.notices(), handle.trouble());
    loop {
        let status = queries::status(handle, id).await?;
        let ended = status.sweep.state.has_ended();
        if !emit(WatchEvent::State(Box::new(status.for_watchers()))).await || ended {
            return Ok(());
        }
        let mut changed = false;
        let paced = tokio::time::sleep(PACE);
        tokio::pin!(paced);
        // Leaves once something has changed and the pace allows to say so.
        loop {
            tokio::select! {
                () = &mut paced, if !paced.is_elapsed() => {}
                told = trouble.changed() => match told {
                    Ok(()) => changed = true,
                    Err(_) => return Err(Stopped.into()),
                },
                notice = notices.recv() => match notice {
                    Ok(Notice::Changed(sweep)) => changed |= sweep == id,
                    Ok(Notice::StateChanged(sweep)) if sweep == id => break,
                    Ok(Notice::StateChanged(_)) => {}
                    Ok(Notice::Setback { sweep, setback }) if sweep == id => {
                        if !emit(WatchEvent::Setback(setback)).await {
                            return Ok(());
                        }
                    }
                    Ok(Notice::Setback { .. }) => {}
                    Err(RecvError::Lagged(_)) => changed = true,
                    Err(RecvError::Closed) => return Err(Stopped.into()),
                },
            }
            if changed && paced.is_elapsed() {
                break;
            }
        }
    }
}
