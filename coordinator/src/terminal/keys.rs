//! Keys that are pressed while a command runs, without Enter.
//!
//! The terminal normally waits for Enter and prints what is typed. [`Keys`] turns both off and on again. Ctrl-C, Ctrl-\ and
//! Ctrl-Z work as before. A command in the background changes nothing and reads nothing, because the system would stop it.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, read, tcgetpgrp};

/// Maximum milliseconds of a wait for a key.
const WAIT_MS: u16 = 100;

/// The keyboard of the terminal on stdin.
#[derive(Debug)]
pub(crate) struct Keys {
    mode: Mutex<Mode>,
}

/// The mode of the terminal.
#[derive(Debug)]
enum Mode {
    /// It was not changed so far.
    Unchanged,
    /// It was changed, from this one.
    Changed(Box<Termios>),
    /// It has its first mode again and keeps it.
    Restored,
}

impl Keys {
    /// The keyboard; `None` if stdin is not a terminal.
    pub(crate) fn of_stdin() -> Option<Self> {
        io::stdin().is_terminal().then(|| Self { mode: Mutex::new(Mode::Unchanged) })
    }

    /// Waits a tenth of a second at most, and returns whether this key, or its capital letter, was pressed.
    pub(crate) fn wait_for(&self, key: char) -> bool {
        if !self.change_mode() {
            wait();
            return false;
        }
        let stdin = io::stdin();
        let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::from(WAIT_MS)) {
            Ok(0) => return false,
            Ok(_) if is_in_foreground() => {}
            _ => {
                wait();
                return false;
            }
        }
        let mut bytes = [0; 64];
        let typed = read(stdin.as_fd(), &mut bytes).unwrap_or(0);
        if typed == 0 {
            // The terminal is gone, and every wait for it ends at once.
            wait();
        }
        bytes[..typed].iter().any(|byte| char::from(*byte).eq_ignore_ascii_case(&key))
    }

    /// Restores the mode of the terminal for good.
    pub(crate) fn restore(&self) {
        let mut mode = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        if let Mode::Changed(before) = &*mode
            && is_in_foreground()
        {
            // An error means that the terminal is gone.
            let _restored = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
        *mode = Mode::Restored;
    }

    /// Turns line mode and echo off, also after a shell has turned them on again. Returns whether they are off.
    fn change_mode(&self) -> bool {
        let mut mode = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*mode, Mode::Restored) || !is_in_foreground() {
            return false;
        }
        let Ok(now) = tcgetattr(io::stdin()) else { return false };
        if !now.local_flags.contains(LocalFlags::ICANON) {
            return matches!(*mode, Mode::Changed(_));
        }
        let mut single = now.clone();
        single.local_flags -= LocalFlags::ICANON | LocalFlags::ECHO;
        // A read returns at once.
        single.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        single.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        let changed = tcsetattr(io::stdin(), SetArg::TCSANOW, &single).is_ok();
        if changed {
            *mode = Mode::Changed(Box::new(now));
        }
        changed
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Waits a tenth of a second.
pub(crate) fn wait() {
    std::thread::sleep(Duration::from_millis(WAIT_MS.into()));
}

fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())
}
