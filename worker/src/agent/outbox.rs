//! The outbox: messages to the coordinator, in order, as fast as the network takes them. No report is lost for lack of
//! space. Heartbeats overtake reports, so that a slow network does not look like a lost worker.

use std::collections::VecDeque;
use std::future;

use biosweep_common::protocol::messages::ToCoordinator;
use biosweep_common::protocol::reports::{Pieces, pieces};
use biosweep_common::protocol::wire::IntoWire as _;
use biosweep_proto::v1;
use tokio::sync::mpsc;

/// The capacity of the transport. It is small, because a heartbeat cannot overtake messages in transit.
const IN_TRANSIT: usize = 16;
/// The number of waiting messages from which evaluations are dropped. The report contains all evaluations.
const EVALUATIONS_WAITING_MAX: usize = 1_024;

pub(super) struct Outbox {
    transport: mpsc::Sender<v1::WorkerMessage>,
    /// The latest heartbeat, if it waits.
    heartbeat: Option<ToCoordinator>,
    /// The remaining pieces of the message in progress.
    in_progress: Option<Pieces>,
    waiting: VecDeque<ToCoordinator>,
}

impl Outbox {
    /// An empty outbox, and the messages for the transport.
    pub(super) fn new() -> (Box<Self>, mpsc::Receiver<v1::WorkerMessage>) {
        let (transport, messages) = mpsc::channel(IN_TRANSIT);
        (Box::new(Self { transport, heartbeat: None, in_progress: None, waiting: VecDeque::new() }), messages)
    }

    pub(super) fn push(&mut self, message: ToCoordinator) {
        match message {
            heartbeat @ ToCoordinator::Heartbeat { .. } => self.heartbeat = Some(heartbeat),
            ToCoordinator::Evaluated { .. } if self.waiting.len() >= EVALUATIONS_WAITING_MAX => {}
            message => self.waiting.push_back(message),
        }
    }

    /// Sends all waiting messages. The future may be dropped at any point; the next call continues from there.
    pub(super) async fn flush(&mut self) {
        // If the transport is gone, the inbound stream reports it.
        while self.holds_something()
            && let Ok(room) = self.transport.clone().reserve_owned().await
        {
            if let Some(message) = self.next() {
                room.send(message);
            }
        }
    }

    /// Sends all waiting messages, and then waits for ever.
    pub(super) async fn drain(&mut self) -> std::convert::Infallible {
        self.flush().await;
        future::pending().await
    }

    fn holds_something(&self) -> bool {
        self.heartbeat.is_some() || self.in_progress.is_some() || !self.waiting.is_empty()
    }

    fn next(&mut self) -> Option<v1::WorkerMessage> {
        if let Some(heartbeat) = self.heartbeat.take() {
            return Some(heartbeat.into_wire());
        }
        if let Some(piece) = self.in_progress.as_mut().and_then(Iterator::next) {
            return Some(piece);
        }
        self.in_progress = self.waiting.pop_front().map(pieces);
        self.in_progress.as_mut().and_then(Iterator::next)
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::protocol::bounds::PIECE_POINTS_MAX;
    use biosweep_common::protocol::messages::{Held, Report};
    use biosweep_common::protocol::reports::ReportReader;
    use biosweep_common::results::curve::CurvePoint;
    use biosweep_common::results::outcome::Outcome;
    use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex};
    use biosweep_host::id::new_id;

    use super::*;

    fn ended(trajectory: u64, points: usize) -> ToCoordinator {
        let point = CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: None };
        ToCoordinator::AttemptEnded(Box::new(Report {
            held: Held { sweep: new_id::<SweepId>(), attempt: Attempt(1), trajectory: TrajectoryIndex(trajectory) },
            outcome: Outcome::Completed,
            cause: None,
            curve: vec![point; points],
            diagnostics: Vec::new(),
            updates: 1,
            seconds: 1.0,
            dataset_size: None,
            traceparent: None,
        }))
    }

    #[tokio::test]
    async fn reports_however_many_and_large_arrive_in_order_and_heartbeats_overtake_them() {
        let (mut outbox, mut messages) = Outbox::new();
        let mut sent: Vec<ToCoordinator> = vec![ended(0, 20 * PIECE_POINTS_MAX)];
        sent.extend((1..3_000).map(|trajectory| ended(trajectory, 1)));
        sent.iter().cloned().for_each(|message| outbox.push(message));
        let (mut reader, mut arrived) = (ReportReader::default(), Vec::new());
        // The transport is full before the first report is through.
        tokio::select! {
            biased;
            () = outbox.flush() => panic!("more waits than the transport takes"),
            () = future::ready(()) => {}
        }
        let heartbeat = ToCoordinator::Heartbeat { progress: Vec::new() };
        (0..3).for_each(|_| outbox.push(heartbeat.clone()));
        let point = CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: None };
        let (attempt, trajectory) = (Attempt(1), TrajectoryIndex(9));
        outbox.push(ToCoordinator::Evaluated { attempt, trajectory, point });
        let sending = async {
            outbox.flush().await;
            drop(outbox);
        };
        let reading = async {
            while let Some(message) = messages.recv().await {
                arrived.extend(reader.read(message).expect("sound"));
            }
        };
        tokio::join!(sending, reading);
        assert!(arrived.first() == Some(&heartbeat), "the latest heartbeat comes while the first report is on its way");
        assert!(arrived[1..] == sent, "what matters comes once and in order, and news are left out");
    }
}
