//! The signals that ask a program to stop. The first asks for a clean stop; a second one may stop it at once.

use std::future::{pending, poll_fn};
use std::task::Poll;
use std::{fs, io};

use biosweep_common::vocabulary::time::Tick;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::clock::Clock;

/// Minimum milliseconds between two stop requests by SIGINT or SIGTERM. An earlier second signal is a repetition:
/// terminals, `timeout` and batch systems send some signals twice.
const SECOND_AFTER_MS: u64 = 1_000;

/// A signal that asks a program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// SIGUSR1.
    User1,
    /// SIGUSR2, which batch systems send before they end a job.
    User2,
}

impl StopSignal {
    const ALL: [Self; 5] = [Self::Interrupt, Self::Terminate, Self::HangUp, Self::User1, Self::User2];

    /// The reason of the stop, for messages.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated by SIGTERM",
            Self::HangUp => "terminal closed",
            Self::User1 => "stopped by SIGUSR1",
            Self::User2 => "time limit announced by SIGUSR2",
        }
    }

    const fn kind(self) -> SignalKind {
        match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
            Self::HangUp => SignalKind::hangup(),
            Self::User1 => SignalKind::user_defined1(),
            Self::User2 => SignalKind::user_defined2(),
        }
    }
}

/// The stages of stopping. All but `Running` have the first signal.
///
/// ```text
/// Running ──any signal──▶ Clean ──SIGTERM after SIGUSR2──▶ Hurried
///                           └───────────────┬────────────────┘
///      a second SIGINT or SIGTERM, one second or more after the first of its kind
///                                           ▼
///                                        AtOnce
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stopping {
    #[default]
    Running,
    Clean(StopSignal),
    Hurried(StopSignal),
    AtOnce(StopSignal),
}

/// The signals received so far, and the stage that follows from them.
#[derive(Debug, Default)]
struct Received {
    stopping: Stopping,
    interrupt_at: Option<Tick>,
    terminate_at: Option<Tick>,
}

impl Received {
    fn signal(&mut self, now: Tick, signal: StopSignal) -> Stopping {
        let first_at = match signal {
            StopSignal::Interrupt => Some(&mut self.interrupt_at),
            StopSignal::Terminate => Some(&mut self.terminate_at),
            StopSignal::HangUp | StopSignal::User1 | StopSignal::User2 => None,
        };
        let is_second = first_at.is_some_and(|at| now.since_ms(*at.get_or_insert(now)) >= SECOND_AFTER_MS);
        self.stopping = match self.stopping {
            Stopping::Running => Stopping::Clean(signal),
            Stopping::Clean(first) | Stopping::Hurried(first) if is_second => Stopping::AtOnce(first),
            Stopping::Clean(first @ StopSignal::User2) if signal == StopSignal::Terminate => Stopping::Hurried(first),
            unchanged => unchanged,
        };
        self.stopping
    }
}

/// The stop requests of this process; copies see the same requests.
#[derive(Debug, Clone)]
pub struct Stop {
    stopping: watch::Receiver<Stopping>,
}

impl Stop {
    /// Starts to catch the signals; call it inside a runtime. A SIGHUP that is ignored, as under `nohup`, stays
    /// ignored.
    ///
    /// # Errors
    /// A system that does not allow a signal to be caught.
    pub fn listen() -> io::Result<Self> {
        let mut signals = Vec::new();
        for each in StopSignal::ALL {
            if each != StopSignal::HangUp || !ignores_hang_up() {
                signals.push((each, signal(each.kind())?));
            }
        }
        let (tell, stopping) = watch::channel(Stopping::Running);
        // The task ends with the runtime: as long as the runtime lives, a signal must not kill the process.
        tokio::spawn(receive(signals, tell));
        Ok(Self { stopping })
    }

    /// No stop requests, for a program that signals end in the usual way.
    #[must_use]
    pub fn never() -> Self {
        Self { stopping: watch::channel(Stopping::Running).1 }
    }

    /// Waits for the first signal.
    pub async fn requested(&self) -> StopSignal {
        self.reached(|stopping| match stopping {
            Stopping::Running => None,
            Stopping::Clean(first) | Stopping::Hurried(first) | Stopping::AtOnce(first) => Some(first),
        })
        .await
    }

    /// Waits until the clean stop has to be faster than planned.
    pub async fn hurried(&self) -> StopSignal {
        self.reached(|stopping| match stopping {
            Stopping::Running | Stopping::Clean(_) => None,
            Stopping::Hurried(first) | Stopping::AtOnce(first) => Some(first),
        })
        .await
    }

    /// Waits until the program has to stop at once, and returns the first signal.
    pub async fn at_once(&self) -> StopSignal {
        self.reached(|stopping| match stopping {
            Stopping::Running | Stopping::Clean(_) | Stopping::Hurried(_) => None,
            Stopping::AtOnce(first) => Some(first),
        })
        .await
    }

    /// The first signal, if one has come.
    #[must_use]
    pub fn first(&self) -> Option<StopSignal> {
        match *self.stopping.borrow() {
            Stopping::Running => None,
            Stopping::Clean(first) | Stopping::Hurried(first) | Stopping::AtOnce(first) => Some(first),
        }
    }

    async fn reached(&self, is_reached: impl Fn(Stopping) -> Option<StopSignal>) -> StopSignal {
        let mut stopping = self.stopping.clone();
        let reached = stopping.wait_for(|&stopping| is_reached(stopping).is_some()).await;
        match reached.ok().and_then(|stopping| is_reached(*stopping)) {
            Some(first) => first,
            // The sender is gone: there are no requests, or the runtime is ending.
            None => pending().await,
        }
    }
}

async fn receive(mut signals: Vec<(StopSignal, Signal)>, tell: watch::Sender<Stopping>) {
    let clock = Clock::start();
    let mut received = Received::default();
    loop {
        let next = poll_fn(|context| {
            let mut each = signals.iter_mut();
            let received = each.find_map(|(each, stream)| stream.poll_recv(context).is_ready().then_some(*each));
            received.map_or(Poll::Pending, Poll::Ready)
        });
        let stopping = received.signal(clock.now(), next.await);
        tell.send_replace(stopping);
    }
}

/// Whether this process has inherited that SIGHUP is ignored.
fn ignores_hang_up() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is signal 1, SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::StopSignal::{HangUp, Interrupt, Terminate, User1, User2};
    use super::*;

    #[test]
    fn only_a_second_sigint_or_sigterm_after_a_second_stops_at_once() {
        let cases: [(&[(u64, StopSignal)], Stopping); 11] = [
            (&[], Stopping::Running),
            (&[(5, HangUp)], Stopping::Clean(HangUp)),
            (&[(5, User1), (9_000, User1), (20_000, User2), (30_000, HangUp)], Stopping::Clean(User1)),
            (&[(5, Interrupt), (900, Interrupt)], Stopping::Clean(Interrupt)),
            (&[(5, Interrupt), (900, Interrupt), (1_005, Interrupt)], Stopping::AtOnce(Interrupt)),
            (&[(5, Terminate), (1_005, Terminate)], Stopping::AtOnce(Terminate)),
            (&[(5, Terminate), (5_000, Interrupt)], Stopping::Clean(Terminate)),
            (&[(5, Terminate), (5_000, Interrupt), (6_000, Interrupt)], Stopping::AtOnce(Terminate)),
            (&[(5, User2), (5_000, Terminate)], Stopping::Hurried(User2)),
            (&[(5, User2), (5_000, Terminate), (5_500, Terminate)], Stopping::Hurried(User2)),
            (&[(5, User2), (5_000, Terminate), (6_000, Terminate)], Stopping::AtOnce(User2)),
        ];
        for (signals, expected) in cases {
            let mut received = Received::default();
            for &(ms, signal) in signals {
                received.signal(Tick(ms), signal);
            }
            assert_eq!(received.stopping, expected, "{signals:?}");
        }
    }
}
