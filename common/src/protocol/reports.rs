//! Reports of any size in messages of limited size: a large report is sent in pieces and joined again.

use biosweep_proto::v1;
use biosweep_proto::v1::worker_message::Message as Up;

use super::bounds::{self, PIECE_POINTS_MAX, REPORT_POINTS_MAX};
use super::error::WireError;
use super::wire::{FromWire as _, IntoWire as _, required};
use crate::protocol::messages::{Report, ToCoordinator};
use crate::results::curve::CurvePoint;
use crate::results::outcome::Outcome;
use crate::vocabulary::diagnostics::DiagnosticPoint;
use crate::vocabulary::ids::{Attempt, TrajectoryIndex};

impl Report {
    /// Number of points of its curve and its diagnostics.
    #[must_use]
    pub fn points(&self) -> usize {
        self.curve.len() + self.diagnostics.len()
    }

    /// Approximate bytes of its points and texts in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cause = self.cause.as_ref().map_or(0, String::len);
        size_of_val(self.curve.as_slice()) + size_of_val(self.diagnostics.as_slice()) + cause
    }

    /// A report that a coordinator accepts. A report that is too large becomes a failure with this cause, because the
    /// next attempt's report would be as large.
    #[must_use]
    pub fn deliverable(self) -> Self {
        let points = self.points();
        if points <= REPORT_POINTS_MAX {
            return self;
        }
        let cause = format!(
            "the learning curve and diagnostics have {points} points, but a report has at most \
             {REPORT_POINTS_MAX}; evaluate less often (eval_every) or measure less"
        );
        Self { outcome: Outcome::Failed, cause: Some(cause), curve: Vec::new(), diagnostics: Vec::new(), ..self }
    }
}

/// Splits a worker's message: one message, or several for a large report.
#[must_use]
pub fn pieces(message: ToCoordinator) -> Pieces {
    let (mut curve, mut diagnostics) = (Vec::new(), Vec::new());
    let mut last = message;
    if let ToCoordinator::AttemptEnded(report) = &mut last
        && report.points() > PIECE_POINTS_MAX
    {
        (curve, diagnostics) = (std::mem::take(&mut report.curve), std::mem::take(&mut report.diagnostics));
    }
    Pieces { curve: curve.into_iter(), diagnostics: diagnostics.into_iter(), last: Some(last) }
}

/// The messages of one worker message, in order. Each is created when it is requested.
#[derive(Debug)]
pub struct Pieces {
    curve: std::vec::IntoIter<CurvePoint>,
    diagnostics: std::vec::IntoIter<DiagnosticPoint>,
    /// The last message; `None` after it was returned.
    last: Option<ToCoordinator>,
}

impl Iterator for Pieces {
    type Item = v1::WorkerMessage;

    fn next(&mut self) -> Option<Self::Item> {
        let curve: Vec<_> = self.curve.by_ref().take(PIECE_POINTS_MAX).collect();
        let diagnostics: Vec<_> = self.diagnostics.by_ref().take(PIECE_POINTS_MAX - curve.len()).collect();
        if let Some(ToCoordinator::AttemptEnded(report)) = &self.last
            && curve.len() + diagnostics.len() > 0
        {
            let part = v1::ReportPart {
                attempt: report.held.attempt.0,
                trajectory: report.held.trajectory.0,
                curve: curve.into_wire(),
                diagnostics: diagnostics.into_wire(),
            };
            return Some(v1::WorkerMessage { message: Some(Up::ReportPart(part)) });
        }
        self.last.take().map(ToCoordinator::into_wire)
    }
}

/// Reads the messages of one worker's stream.
#[derive(Debug, Default)]
pub struct ReportReader {
    /// The pieces of an unfinished report.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    of: (Attempt, TrajectoryIndex),
    curve: Vec<CurvePoint>,
    diagnostics: Vec<DiagnosticPoint>,
}

impl ReportReader {
    /// Bytes of the unfinished report in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = |begun: &Begun| {
            begun.curve.capacity() * size_of::<CurvePoint>()
                + begun.diagnostics.capacity() * size_of::<DiagnosticPoint>()
        };
        self.begun.as_ref().map_or(0, bytes)
    }

    /// Reads the next message; `None` if it is a piece of an unfinished report.
    ///
    /// # Errors
    /// A message that exceeds a limit, or pieces of different reports.
    pub fn read(&mut self, message: v1::WorkerMessage) -> Result<Option<ToCoordinator>, WireError> {
        match required(message.message, "message")? {
            Up::ReportPart(part) => self.take_in(part).map(|()| None),
            message => {
                let mut message = ToCoordinator::from_wire(v1::WorkerMessage { message: Some(message) })?;
                if let ToCoordinator::AttemptEnded(report) = &mut message {
                    self.complete(report)?;
                }
                Ok(Some(message))
            }
        }
    }

    fn take_in(&mut self, part: v1::ReportPart) -> Result<(), WireError> {
        let v1::ReportPart { attempt, trajectory, curve, diagnostics } = part;
        let of = (
            Attempt(bounds::number(attempt, "report_part.attempt")?),
            TrajectoryIndex(bounds::number(trajectory, "report_part.trajectory")?),
        );
        let begun = self.begun.get_or_insert_with(|| Begun { of, curve: Vec::new(), diagnostics: Vec::new() });
        if begun.of != of {
            return Err(WireError::Mingled { begun: begun.of, came: of });
        }
        check_points(begun.curve.len() + begun.diagnostics.len() + curve.len() + diagnostics.len())?;
        begun.curve.append(&mut Vec::from_wire(curve)?);
        begun.diagnostics.append(&mut Vec::from_wire(diagnostics)?);
        Ok(())
    }

    fn complete(&mut self, report: &mut Report) -> Result<(), WireError> {
        let Some(mut begun) = self.begun.take() else { return Ok(()) };
        let of = (report.held.attempt, report.held.trajectory);
        if begun.of != of {
            return Err(WireError::Mingled { begun: begun.of, came: of });
        }
        check_points(begun.curve.len() + begun.diagnostics.len() + report.points())?;
        begun.curve.append(&mut report.curve);
        begun.diagnostics.append(&mut report.diagnostics);
        (report.curve, report.diagnostics) = (begun.curve, begun.diagnostics);
        Ok(())
    }
}

/// Checks the number of points of a report.
pub(super) fn check_points(points: usize) -> Result<(), WireError> {
    if points <= REPORT_POINTS_MAX {
        return Ok(());
    }
    let takes = format!("at most {REPORT_POINTS_MAX} points of curve and layers together");
    Err(WireError::OutOfBounds { field: "ended", value: points.to_string(), takes })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use uuid::Uuid;

    use super::*;
    use crate::protocol::messages::Held;
    use crate::protocol::workers::tests::SIZE;
    use crate::vocabulary::diagnostics::Measure;
    use crate::vocabulary::ids::SweepId;

    /// A report with this many evaluations of a network with this many layers, with five measures.
    fn report(evaluations: u64, layers: u32) -> Report {
        let curve = (1..=evaluations).map(|n| CurvePoint {
            update: n * 390,
            train_loss: 0.25,
            validation_accuracy: 0.5,
            test_accuracy: Some(0.5),
        });
        let diagnostics = (1..=evaluations).flat_map(|n| {
            (1..=layers).flat_map(move |layer| {
                Measure::ALL[..5].iter().map(move |&measure| DiagnosticPoint {
                    update: n * 390,
                    layer,
                    measure,
                    value: 1.5,
                })
            })
        });
        Report {
            held: Held { sweep: SweepId(Uuid::from_u128(7)), attempt: Attempt(7), trajectory: TrajectoryIndex(3) },
            outcome: Outcome::Completed,
            cause: None,
            curve: curve.collect(),
            diagnostics: diagnostics.collect(),
            updates: evaluations * 390,
            seconds: 1.5,
            dataset_size: Some(SIZE),
            traceparent: None,
        }
    }

    fn ended(report: &Report) -> ToCoordinator {
        ToCoordinator::AttemptEnded(Box::new(report.clone()))
    }

    #[test]
    fn the_papers_longest_report_is_sent_in_messages_of_limited_size() {
        let report = report(2_565, 15);
        let mut reader = ReportReader::default();
        let mut arrived = Vec::new();
        for message in pieces(ended(&report)) {
            assert!(message.encoded_len() <= bounds::TO_COORDINATOR_BYTES_MAX, "{} bytes", message.encoded_len());
            // Other messages between the pieces do not disturb the report.
            let beat = reader.read(ToCoordinator::Heartbeat { progress: Vec::new() }.into_wire());
            assert!(matches!(beat, Ok(Some(ToCoordinator::Heartbeat { .. }))));
            let before = reader.bytes();
            arrived.extend(reader.read(message).expect("valid"));
            assert!(
                if arrived.is_empty() { reader.bytes() >= before.max(1) } else { reader.bytes() == 0 },
                "each piece counts"
            );
        }
        assert!(arrived == [ended(&report)], "equal to the original");
        assert_eq!(Report::from_bytes(&report.to_bytes()), Ok(report), "equal after storage on disk");
    }

    #[test]
    fn a_small_report_is_one_message() {
        assert_eq!(pieces(ended(&report(2, 3))).count(), 1);
        assert_eq!(pieces(ToCoordinator::Goodbye).collect::<Vec<_>>(), [ToCoordinator::Goodbye.into_wire()]);
    }

    #[test]
    fn a_report_that_is_too_large_becomes_a_failure_with_the_cause() {
        let mut large = report(REPORT_POINTS_MAX as u64, 0);
        assert_eq!(large.clone().deliverable(), large);
        large.curve.push(large.curve[0]);
        let failed = large.deliverable();
        assert_eq!((failed.outcome, failed.points(), failed.updates), (Outcome::Failed, 0, 780_000_000));
        let cause = failed.cause.unwrap_or_default();
        assert!(cause.contains("2000001 points") && cause.contains("eval_every"), "{cause}");
    }

    #[test]
    fn mixed_pieces_of_two_reports_and_too_many_pieces_are_refused() {
        let first = report(PIECE_POINTS_MAX as u64 + 1, 0);
        let mut other = first.clone();
        other.held.trajectory = TrajectoryIndex(4);
        let mut reader = ReportReader::default();
        let mut messages = pieces(ended(&first));
        let piece = messages.next().expect("a piece");
        assert_eq!(reader.read(piece.clone()), Ok(None));
        let mixed = reader.read(pieces(ended(&other)).next().expect("a piece")).expect_err("another report");
        assert!(mixed.to_string().contains("trajectory 4"), "{mixed}");
        let mut reader = ReportReader::default();
        let refused = (0..=REPORT_POINTS_MAX / PIECE_POINTS_MAX).find_map(|_| reader.read(piece.clone()).err());
        assert!(matches!(refused, Some(WireError::OutOfBounds { .. })), "{refused:?}");
    }
}
