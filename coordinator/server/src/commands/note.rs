//! Writes or removes the note of a sweep.

use biosweep_common::results::note::{self, InvalidNote};
use biosweep_common::results::views::SweepView;
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_scheduler::event::Event;

use super::Commands;
use crate::driver::{DriverError, Handle};
use crate::queries::{self, QueryError};

/// Why the note of a sweep was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The text is not a note.
    #[error(transparent)]
    Invalid(#[from] InvalidNote),
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
}

impl Commands {
    /// Writes the note of a sweep in any state; returns the sweep after the command. `None` or an empty text removes the note.
    /// A sweep that this coordinator does not work on can have a note, too.
    pub async fn note(&self, id: SweepId, text: Option<String>) -> Result<SweepView, NoteError> {
        let note = note::note(text.as_deref().unwrap_or_default())?;
        self.one_at_a_time(async move |handle: Handle| write(&handle, id, note).await).await
    }
}

async fn write(handle: &Handle, id: SweepId, note: Option<String>) -> Result<SweepView, NoteError> {
    // The store refuses a note of a sweep that it does not have. No deletion begins while this command has the lock.
    queries::row(handle, id).await?;
    handle.apply(Event::Noted { sweep: id, note }).await?;
    Ok(queries::status(handle, id).await?.sweep)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use biosweep_common::results::outcome::SweepState;
    use biosweep_host::clock::Clock;
    use biosweep_host::id::new_id;
    use biosweep_scheduler::event::Now;
    use biosweep_scheduler::record::Restored;
    use biosweep_scheduler::scheduler::Scheduler;
    use biosweep_store::Store as _;
    use biosweep_store::memory::Memory;

    use super::*;
    use crate::driver::{self, tests::submitted};
    use crate::host::TIMEOUTS;

    #[tokio::test]
    async fn a_sweep_in_any_state_can_be_noted_and_only_a_stored_one() {
        let (store, clock) = (Arc::new(Memory::default()), Clock::start());
        let now = Now { tick: clock.now(), wall: clock.wall() };
        let scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
        let (handle, _loop) = driver::start(scheduler, store.clone(), clock);
        let commands = Commands::new(handle.clone());
        let id = new_id::<SweepId>();
        let stored = async || store.sweep(id).await.expect("memory").and_then(|row| row.note);
        let note = async |text: &str| commands.note(id, Some(text.to_owned())).await;

        assert!(matches!(note("early").await, Err(NoteError::Query(QueryError::Unknown { .. }))));
        handle.apply(submitted(id)).await.expect("the loop lives");
        assert_eq!(note("to see\n").await.expect("stored").note.as_deref(), Some("to see"));
        assert!(matches!(note("a\u{1b}b").await, Err(NoteError::Invalid(_))));
        assert_eq!(stored().await.as_deref(), Some("to see"), "a refused note changes nothing");

        let paused = commands.pause(id).await.expect("stored");
        assert_eq!((paused.state, paused.note.as_deref()), (SweepState::Paused, Some("to see")));
        let cancelled = commands.cancel(id).await.expect("stored");
        assert_eq!((cancelled.state, cancelled.note.as_deref()), (SweepState::Cancelled, Some("to see")));
        let noted = note("it was too slow").await.expect("stored");
        assert_eq!((noted.state, noted.note.as_deref()), (SweepState::Cancelled, Some("it was too slow")));
        assert_eq!(commands.note(id, None).await.expect("stored").note, None);
        assert_eq!(stored().await, None);

        commands.delete(id, false).await.expect("it has ended");
        assert!(matches!(note("late").await, Err(NoteError::Query(QueryError::Unknown { .. }))));
        assert_eq!(queries::list(&handle).await.expect("the loop goes on"), []);
    }
}
