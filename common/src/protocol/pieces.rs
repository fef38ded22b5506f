//! Answers of any length, in pieces that fit into one message each. One side splits them and the other joins them.

use biosweep_proto::v1;
use prost::Message;

use super::bounds;
use super::error::WireError;
use super::wire::{FromWire, IntoWire, parsed, required};
use crate::results::views::{CurveView, SweepStatus, TrainedView};
use crate::vocabulary::ids::{TrajectoryIndex, TrialIndex};

/// Maximum bytes of a message of the service for users, on both sides.
pub const SWEEPS_MESSAGE_BYTES_MAX: usize = 12 << 20;

/// Approximate bytes of a piece. It is far below the maximum of a message, because the last item of a piece may be
/// long.
const PIECE_BYTES: usize = 1 << 20;

/// Messages in order, in pieces of about `PIECE_BYTES`; at least one piece, which may be empty. Each piece is made when it is
/// asked for.
pub fn pieces<M: Message>(messages: impl IntoIterator<Item = M>) -> impl Iterator<Item = Vec<M>> {
    let mut messages = messages.into_iter().peekable();
    let mut is_first = true;
    std::iter::from_fn(move || {
        if !std::mem::take(&mut is_first) && messages.peek().is_none() {
            return None;
        }
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while let Some(message) = messages.next_if(|next| bytes == 0 || bytes + next.encoded_len() <= PIECE_BYTES) {
            bytes += message.encoded_len();
            piece.push(message);
        }
        Some(piece)
    })
}

/// Splits a sweep's status. The first piece has everything except the workers that do not fit.
#[must_use]
pub fn show_pieces(mut status: SweepStatus) -> Vec<v1::ShowResponse> {
    let mut workers = pieces(std::mem::take(&mut status.workers).into_wire());
    let first = v1::SweepStatus { workers: workers.next().unwrap_or_default(), ..status.into_wire() };
    std::iter::once(v1::ShowResponse { status: Some(first), workers: Vec::new() })
        .chain(workers.map(|workers| v1::ShowResponse { workers, ..Default::default() }))
        .collect()
}

/// Joins the pieces of a status.
///
/// # Errors
/// No piece, or a piece that cannot be read.
pub fn show_of_pieces(pieces: Vec<v1::ShowResponse>) -> Result<SweepStatus, WireError> {
    let mut pieces = pieces.into_iter();
    let mut first = required(pieces.next().and_then(|first| first.status), "show.status")?;
    first.workers.extend(pieces.flat_map(|piece| piece.workers));
    SweepStatus::from_wire(first)
}

/// Splits a curve. Every piece has its trajectory, and the first has the settings. Each piece is made when it is asked for.
pub fn curve_pieces(curve: CurveView) -> impl Iterator<Item = v1::Curve> {
    let CurveView { trajectory, first_trial, point, points, diagnostics } = curve;
    let piece = move |points, diagnostics| v1::Curve {
        trajectory: trajectory.0,
        first_trial: first_trial.0,
        settings: Vec::new(),
        points,
        diagnostics,
    };
    let mut points = pieces(points.into_iter().map(IntoWire::into_wire)).peekable();
    let mut diagnostics = pieces(diagnostics.into_iter().map(IntoWire::into_wire));
    let of_first = points.next().unwrap_or_default();
    // Most curves fit into one message.
    let together = if points.peek().is_none() { diagnostics.next().unwrap_or_default() } else { Vec::new() };
    let first = v1::Curve { settings: point.into_wire(), ..piece(of_first, together) };
    let diagnostics = diagnostics.filter(|diagnostics| !diagnostics.is_empty());
    std::iter::once(first)
        .chain(points.map(move |points| piece(points, Vec::new())))
        .chain(diagnostics.map(move |diagnostics| piece(Vec::new(), diagnostics)))
}

/// Joins curves from their pieces.
#[derive(Debug, Default)]
pub struct Curves {
    open: Option<v1::Curve>,
}

impl Curves {
    /// Adds a piece. If it starts a new curve, returns the curve before it.
    ///
    /// # Errors
    /// A curve that cannot be read.
    pub fn add(&mut self, piece: v1::Curve) -> Result<Option<CurveView>, WireError> {
        match &mut self.open {
            Some(open) if open.trajectory == piece.trajectory => {
                open.points.extend(piece.points);
                open.diagnostics.extend(piece.diagnostics);
                Ok(None)
            }
            open => open.replace(piece).map(curve).transpose(),
        }
    }

    /// The last curve; `None` if there was no piece.
    ///
    /// # Errors
    /// A curve that cannot be read.
    pub fn finish(self) -> Result<Option<CurveView>, WireError> {
        self.open.map(curve).transpose()
    }
}

fn curve(message: v1::Curve) -> Result<CurveView, WireError> {
    Ok(CurveView {
        trajectory: TrajectoryIndex(bounds::number(message.trajectory, "curve.trajectory")?),
        first_trial: TrialIndex(bounds::number(message.first_trial, "curve.first_trial")?),
        point: FromWire::from_wire(message.settings)?,
        points: Vec::from_wire(message.points)?,
        diagnostics: Vec::from_wire(message.diagnostics)?,
    })
}

/// Splits a trained trial: its id is in the first piece, then come the results, then the curve. Each piece is made when it is
/// asked for.
pub fn trained_pieces(trained: TrainedView) -> impl Iterator<Item = v1::TrainedResponse> {
    let TrainedView { trial, results, curve } = trained;
    let of_results = pieces(results.into_iter().map(IntoWire::into_wire));
    let of_results = of_results.map(|results| v1::TrainedResponse { results, ..Default::default() });
    let of_curve = curve_pieces(curve).map(|curve| v1::TrainedResponse { curve: Some(curve), ..Default::default() });
    let mut trial = Some(trial.to_string());
    of_results
        .chain(of_curve)
        .map(move |piece| v1::TrainedResponse { trial: trial.take().unwrap_or_default(), ..piece })
}

/// Joins the pieces of a trained trial.
///
/// # Errors
/// No piece, or a piece that cannot be read.
pub fn trained_of_pieces(pieces: Vec<v1::TrainedResponse>) -> Result<TrainedView, WireError> {
    let trial = parsed(&required(pieces.first(), "trained")?.trial, "trained.trial")?;
    let (mut results, mut curves) = (Vec::new(), Curves::default());
    for piece in pieces {
        results.append(&mut Vec::from_wire(piece.results)?);
        if let Some(curve) = piece.curve {
            curves.add(curve)?;
        }
    }
    Ok(TrainedView { trial, results, curve: required(curves.finish()?, "trained.curve")? })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::configuration::{Point, TrialKey};
    use crate::results::curve::CurvePoint;
    use crate::results::outcome::{Outcome, SweepState, TrialStatus};
    use crate::results::views::{IncompleteCause, LaneView, ResultView, SweepView, WorkerView};
    use crate::settings::{Setting, Value};
    use crate::vocabulary::diagnostics::{DiagnosticPoint, Measure};
    use crate::vocabulary::ids::{Attempt, SweepId, TrialRef, WorkerId};
    use crate::vocabulary::time::WallTime;
    use crate::workers::capability::Capabilities;

    fn point() -> Point {
        Point::from([(Setting::Rule, Value::Name("fa".into())), (Setting::Depth, Value::Integer(14))])
    }

    /// A curve longer than any of the paper: five measures of fourteen hidden layers and the output.
    fn long_curve(trajectory: u64, evaluations: u64) -> CurveView {
        let point_of = |index: u64| CurvePoint {
            update: 390 * index,
            train_loss: 0.1,
            validation_accuracy: 0.9,
            test_accuracy: Some(0.875),
        };
        let diagnostics = |index: u64| DiagnosticPoint {
            update: 390 * index,
            layer: 1 + (index % 15) as u32,
            measure: Measure::WeightNorm,
            value: 0.5,
        };
        CurveView {
            trajectory: TrajectoryIndex(trajectory),
            first_trial: TrialIndex(2 * trajectory),
            point: point(),
            points: (0..evaluations).map(point_of).collect(),
            diagnostics: (0..75 * evaluations).map(diagnostics).collect(),
        }
    }

    fn fits(message: &impl Message) {
        assert!(message.encoded_len() <= 2 * PIECE_BYTES, "{} bytes", message.encoded_len());
    }

    #[test]
    fn a_curve_of_any_length_is_sent_in_messages_of_limited_size() {
        let curves = [long_curve(0, 2_565), long_curve(1, 0), long_curve(2, 40), long_curve(5, 100_000)];
        let messages: Vec<_> = curves.iter().cloned().flat_map(curve_pieces).collect();
        messages.iter().for_each(fits);
        assert_eq!(messages.iter().filter(|message| message.trajectory == 2).count(), 1, "a short curve is not split");
        let (mut read, mut together) = (Vec::new(), Curves::default());
        for message in messages {
            read.extend(together.add(message).expect("valid"));
        }
        read.extend(together.finish().expect("valid"));
        assert!(read == curves, "joined curves are equal to the originals");
    }

    #[test]
    fn a_trained_trial_is_sent_in_messages_of_limited_size() {
        let result = |trial| ResultView {
            trial: TrialIndex(trial),
            key: TrialKey([7; 32]),
            status: TrialStatus::Diverged,
            point: point(),
            score: None,
            updates: 1,
            attempts: 1,
            worker_name: "host/1".to_owned(),
            seconds: 1.0,
            reused_from: None,
            environment: None,
            dataset_size: None,
        };
        let trial = TrialRef { sweep: SweepId(Uuid::from_u128(7)), trial: TrialIndex(3) };
        let trained = TrainedView { trial, results: (0..20_000).map(result).collect(), curve: long_curve(0, 2_565) };
        let messages: Vec<_> = trained_pieces(trained.clone()).collect();
        messages.iter().for_each(fits);
        assert!(trained_of_pieces(messages).expect("valid") == trained);
    }

    #[test]
    fn thousands_of_lanes_are_shown_in_messages_of_limited_size_and_watched_in_one() {
        let sweep = SweepId(Uuid::from_u128(7));
        let lane = |trajectory| LaneView {
            sweep,
            trajectory: TrajectoryIndex(trajectory),
            attempt: Attempt(1),
            point: point(),
            latest: None,
            updates: 1,
            max_updates: 2,
        };
        let worker = |lanes: u32| WorkerView {
            id: WorkerId(Uuid::from_u128(7)),
            name: "host/1".to_owned(),
            capabilities: Capabilities::default(),
            lanes,
            connected: true,
            quarantined: None,
            training: (0..u64::from(lanes)).map(lane).collect(),
            training_count: lanes,
        };
        let view = SweepView {
            id: sweep,
            name: "wide".to_owned(),
            state: SweepState::Running,
            reason: None,
            trials: 1,
            trajectories: 1,
            completed: 0,
            diverged: 0,
            failed: 0,
            reused: 0,
            running: 0,
            submitted_at: WallTime(1),
            state_at: WallTime(1),
            note: None,
        };
        let cause = IncompleteCause { outcome: Outcome::Failed, cause: None, attempts: 9, latest: WallTime(1) };
        let workers = (0..200).map(|_| worker(0)).chain((0..100).map(|_| worker(1_024))).collect();
        let status = SweepStatus {
            sweep: view,
            workers,
            incomplete_attempts: Vec::new(),
            incomplete_causes: vec![cause],
            degraded: None,
            in_training_done: 2.5,
        };
        let messages = show_pieces(status.clone());
        messages.iter().for_each(fits);
        assert!(messages.len() > 1 && show_of_pieces(messages).expect("valid") == status);
        let alone = SweepStatus { workers: vec![worker(0), worker(1_024), worker(3)], ..status.clone() }.for_watchers();
        let shown = alone.workers.iter().map(|worker| worker.training.len()).collect::<Vec<_>>();
        assert_eq!(shown, [7, 1, 0], "eight together, and one of each worker at least");
        let watched = status.for_watchers();
        assert_eq!(watched.incomplete_causes, [], "watchers do not receive the causes");
        assert_eq!(
            watched.workers.first().map(|worker| (worker.training.len(), worker.training_count)),
            Some((1, 1_024))
        );
        let message: v1::SweepStatus = watched.into_wire();
        fits(&message);
    }
}
