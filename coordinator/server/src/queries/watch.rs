//! Follows a sweep: its counts when they change, at most ten times a second; changes of its state at once; and every
//! incomplete attempt.

use std::time::Duration;

use biosweep_common::results::views::WatchEvent;
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_scheduler::event::Notice;
use tokio::sync::broadcast::error::RecvError;

use crate::driver::{Handle, Stopped};
use crate::queries::{self, QueryError};

/// Minimum time between two messages with counts.
const PACE: Duration = Duration::from_millis(100);

/// Sends events until the sweep has ended or the receiver is gone. `emit` sends one event; `gone` completes when the
/// receiver is gone, even if nothing happens.
pub async fn watch<Emit, Emitted>(
    handle: &Handle,
    id: SweepId,
    emit: Emit,
    gone: impl Future<Output = ()>,
) -> Result<(), QueryError>
where
    Emit: Fn(WatchEvent) -> Emitted,
    Emitted: Future<Output = bool>,
{
    let (mut notices, mut degraded) = (handle.notices(), handle.degraded());
    tokio::pin!(gone);
    loop {
        let status = queries::status(handle, id).await?;
        let ended = status.sweep.state.has_ended();
        if !emit(WatchEvent::State(Box::new(status.for_watchers()))).await || ended {
            return Ok(());
        }
        let mut changed = false;
        let paced = tokio::time::sleep(PACE);
        tokio::pin!(paced);
        // The loop ends when something has changed and the minimum time has passed.
        loop {
            tokio::select! {
                () = &mut paced, if !paced.is_elapsed() => {}
                () = &mut gone => return Ok(()),
                told = degraded.changed() => match told {
                    Ok(()) => changed = true,
                    Err(_) => return Err(Stopped.into()),
                },
                notice = notices.recv() => match notice {
                    Ok(Notice::Changed(sweep)) => changed |= sweep == id,
                    Ok(Notice::StateChanged(sweep)) if sweep == id => break,
                    Ok(Notice::StateChanged(_)) => {}
                    Ok(Notice::IncompleteAttempt { sweep, incomplete_attempt }) if sweep == id => {
                        if !emit(WatchEvent::IncompleteAttempt(incomplete_attempt)).await {
                            return Ok(());
                        }
                    }
                    Ok(Notice::IncompleteAttempt { .. }) => {}
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use biosweep_host::id::new_id;
    use biosweep_scheduler::event::Event;
    use biosweep_scheduler::record::Restored;
    use biosweep_scheduler::scheduler::{Scheduler, Timeouts};
    use biosweep_store::memory::Memory;
    use tokio::sync::mpsc;

    use super::*;
    use crate::driver::{self, tests::submitted};

    #[tokio::test]
    async fn following_a_paused_sweep_ends_when_the_receiver_is_gone() {
        let clock = biosweep_host::clock::Clock::start();
        let now = biosweep_scheduler::event::Now { tick: clock.now(), wall: clock.wall() };
        let scheduler = Scheduler::restore(Timeouts::of_lease_ms(60_000), now, &Restored::default(), Vec::new());
        let (handle, _) = driver::start(scheduler, Arc::new(Memory::default()), clock);
        let id = new_id::<SweepId>();
        handle.apply(submitted(id)).await.expect("there is room");
        handle.apply(Event::Paused(id)).await.expect("there is room");
        let (out, mut told) = mpsc::channel(16);
        let watching = tokio::spawn(async move {
            let closed = out.clone();
            let emit = move |event| {
                let out = out.clone();
                async move { out.send(event).await.is_ok() }
            };
            watch(&handle, id, emit, async move { closed.closed().await }).await
        });
        assert!(matches!(told.recv().await, Some(WatchEvent::State(_))), "the first state");
        drop(told);
        let ended = tokio::time::timeout(Duration::from_secs(60), watching).await;
        ended.expect("nothing will ever happen in that sweep").expect("no panic").expect("it was followed");
    }
}
