//! The thread that draws the picture and reads the key `t`, and the end of both: also in a panic.

use std::io::{self, Write as _};
use std::panic;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use biosweep_host::clock::Clock;

use super::picture::Picture;
use super::taskbar::Taskbar;
use crate::terminal::keys::{self, Keys};
use crate::terminal::{Size, stderr_size};

/// The key that prints a status.
const STATUS: char = 't';
/// The time limit for the thread to end. It ends later only if the terminal takes no output.
const LAST_DRAWING: Duration = Duration::from_secs(1);

/// A picture on the terminal. When it is dropped, the terminal is as it was before.
pub(super) struct Live {
    shared: Arc<Shared>,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with the rest of the program. Whoever needs both locks takes that of stderr first.
struct Shared {
    picture: Mutex<Picture>,
    keys: Option<Keys>,
    clock: Clock,
    /// The size if the terminal does not tell it any more.
    size: Size,
}

impl Live {
    /// Starts to draw.
    ///
    /// # Errors
    /// If the system allows no further thread.
    pub(super) fn start(picture: Picture, size: Size) -> io::Result<Self> {
        let (picture, clock) = (Mutex::new(picture), Clock::start());
        let shared = Arc::new(Shared { picture, keys: Keys::of_stdin(), clock, size });
        let (end, ended) = channel();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            of_thread.draw();
            drop(end);
        })?;
        let of_panic = Arc::downgrade(&shared);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            if let Some(shared) = of_panic.upgrade() {
                shared.end_in_panic();
            }
            before(what);
        }));
        Ok(Self { shared, ended, thread: Some(thread) })
    }

    /// The picture, to change it.
    pub(super) fn picture(&self) -> MutexGuard<'_, Picture> {
        self.shared.picture()
    }

    /// Removes the picture and restores the terminal.
    pub(super) fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.end();
        // The other side never sends: it is dropped when the thread ends.
        if self.ended.recv_timeout(LAST_DRAWING) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected) {
            // A panic of the thread was reported by the hook.
            drop(thread.join());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> Size {
        stderr_size().unwrap_or(self.size)
    }

    /// Draws until the picture has ended.
    fn draw(&self) {
        loop {
            let is_asked = self.keys.as_ref().map_or_else(
                || {
                    keys::wait();
                    false
                },
                |keys| keys.wait_for(STATUS),
            );
            let mut stderr = io::stderr().lock();
            let mut picture = self.picture();
            if picture.has_ended() {
                return;
            }
            if is_asked {
                picture.ask(self.clock.wall());
            }
            let bytes = picture.bytes(self.clock.now(), self.size());
            // Others change the picture while a slow terminal is written to.
            drop(picture);
            if let Some(bytes) = bytes {
                // An error means that the terminal is gone.
                drop(stderr.write_all(bytes.as_bytes()).and_then(|()| stderr.flush()));
            }
        }
    }

    fn end(&self) {
        let mut stderr = io::stderr().lock();
        let bytes = self.picture().end(self.size());
        drop(stderr.write_all(bytes.as_bytes()).and_then(|()| stderr.flush()));
        if let Some(keys) = &self.keys {
            keys.restore();
        }
    }

    /// The same, while this thread may hold the picture.
    fn end_in_panic(&self) {
        let is_free = self.picture.try_lock().is_ok();
        if is_free {
            return self.end();
        }
        drop(write!(io::stderr().lock(), "\r\n{}", Taskbar::Clear.sequence()));
        if let Some(keys) = &self.keys {
            keys.restore();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::Abilities;
    use super::super::tests::{RATE, many};
    use super::*;

    #[test]
    fn a_panic_ends_the_picture_before_it_is_reported() {
        let mut picture = Picture::new(None, Abilities::default());
        picture.show(&many(1), RATE);
        let live = Live::start(picture, Size { columns: 80, rows: 24 }).expect("a thread");
        let panicked = thread::spawn(|| panic!("this panic is a test"));
        panicked.join().expect_err("it panics");
        assert!(live.picture().has_ended());
    }

    #[test]
    fn a_panic_that_holds_the_picture_blocks_nothing() {
        let mut live =
            Live::start(Picture::new(None, Abilities::default()), Size { columns: 80, rows: 24 }).expect("a thread");
        thread::scope(|scope| {
            let holds = scope.spawn(|| {
                let _held = live.shared.picture.lock();
                panic!("this panic is a test");
            });
            holds.join().expect_err("it panics");
        });
        live.end();
        assert!(live.picture().has_ended());
    }
}
