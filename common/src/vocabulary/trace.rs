//! The trace of a sweep: the ids of its spans, the trajectories that are traced, and the context that travels in messages.
//!
//! All ids follow from the ids of the sweep, the trajectory and the attempt. So a coordinator that restarts, or another one that
//! takes over, continues the trace without stored state.

use std::fmt;
use std::num::NonZeroU64;

use super::ids::{Attempt, SweepId, TrajectoryIndex};

/// The id of a span. It is never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub NonZeroU64);

/// The subject of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// The submission of the sweep.
    Submit,
    /// The grant of an attempt at a trajectory.
    Grant(TrajectoryIndex, Attempt),
    /// The training of an attempt.
    Train(TrajectoryIndex, Attempt),
    /// The storage of the report of an attempt.
    Result(TrajectoryIndex, Attempt),
    /// The end of an attempt that has no report: its worker was lost, or the sweep was cancelled.
    End(TrajectoryIndex, Attempt),
}

impl Span {
    /// The name of the span.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Grant(..) => "grant",
            Self::Train(..) => "train",
            Self::Result(..) => "result",
            Self::End(..) => "end",
        }
    }

    /// The attempt that the span is about.
    #[must_use]
    pub const fn attempt(self) -> Option<(TrajectoryIndex, Attempt)> {
        match self {
            Self::Submit => None,
            Self::Grant(trajectory, attempt)
            | Self::Train(trajectory, attempt)
            | Self::Result(trajectory, attempt)
            | Self::End(trajectory, attempt) => Some((trajectory, attempt)),
        }
    }

    /// The id of the span in the trace of a sweep.
    #[must_use]
    pub fn id(self, sweep: SweepId) -> SpanId {
        let (trajectory, attempt) = self.attempt().map_or((0, 0), |(trajectory, attempt)| (trajectory.0, attempt.0));
        let id = hash(self.name(), sweep, trajectory, attempt);
        SpanId(NonZeroU64::new(id).unwrap_or(NonZeroU64::MIN))
    }
}

/// The id of the trace of a sweep: the sweep's own id.
#[must_use]
pub const fn trace_id(sweep: SweepId) -> u128 {
    sweep.0.as_u128()
}

/// The share of trajectories that are traced, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct TracedShare(f64);

impl TracedShare {
    /// Every trajectory.
    pub const ALL: Self = Self(1.0);
    /// No trajectory.
    pub const NONE: Self = Self(0.0);

    /// A share; `None` for a number that is not from 0 to 1.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// Whether nothing is traced.
    #[must_use]
    pub fn is_none(self) -> bool {
        self <= Self::NONE
    }

    /// Whether a trajectory is traced. Every process that asks gets the same answer, for every attempt.
    #[must_use]
    pub fn contains(self, sweep: SweepId, trajectory: TrajectoryIndex) -> bool {
        // The upper 53 bits are exact as a number from 0 to below 1.
        let place = (hash("share", sweep, trajectory.0, 0) >> 11) as f64 / (1_u64 << 53) as f64;
        place < self.0
    }
}

/// The first 8 bytes of the hash of a purpose, a sweep and two numbers.
fn hash(purpose: &str, sweep: SweepId, trajectory: u64, attempt: u64) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("biosweep trace 1");
    hasher.update(purpose.as_bytes()).update(sweep.0.as_bytes());
    hasher.update(&trajectory.to_le_bytes()).update(&attempt.to_le_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// A span as the parent of a span in another process. Its text is the header `traceparent` of W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    /// The id of the trace.
    pub trace: u128,
    /// The span.
    pub span: SpanId,
    /// Whether the trajectory is traced.
    pub is_sampled: bool,
}

impl Traceparent {
    /// Bytes of the text in version 00.
    pub const BYTES: usize = 55;

    /// A span of a sweep.
    #[must_use]
    pub fn new(sweep: SweepId, span: Span, is_sampled: bool) -> Self {
        Self { trace: trace_id(sweep), span: span.id(sweep), is_sampled }
    }

    /// Reads the text of a peer; `None` if it is malformed or not of the trace of this sweep.
    #[must_use]
    pub fn of_peer(text: &str, sweep: SweepId) -> Option<Self> {
        Self::parse(text).filter(|parent| parent.trace == trace_id(sweep))
    }

    /// Reads a text; `None` if it is malformed. Later versions than 00 may append fields, which are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(Self::BYTES)?;
        let mut fields = known.split('-');
        let version = digits(fields.next()?, 2)?;
        let trace = digits(fields.next()?, 32)?;
        let span = u64::try_from(digits(fields.next()?, 16)?).ok()?;
        let flags = digits(fields.next()?, 2)?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let span = SpanId(NonZeroU64::new(span)?);
        (is_whole && trace != 0).then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

/// A field of this many hexadecimal digits, which are lower-case.
fn digits(field: &str, count: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_field = field.len() == count && field.bytes().all(is_digit);
    is_field.then(|| u128::from_str_radix(field, 16).ok()).flatten()
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span.0, u8::from(self.is_sampled))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn sweep(id: u128) -> SweepId {
        SweepId(Uuid::from_u128(id))
    }

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let parent = Traceparent::parse(TEXT).expect("well-formed");
        assert_eq!(parent.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(parent.span.0.get(), 0xb7ad_6b71_6920_3331);
        assert!(parent.is_sampled);
        assert_eq!(parent.to_string(), TEXT);
        assert_eq!(TEXT.len(), Traceparent::BYTES);
        let unsampled = Traceparent::parse(&TEXT.replace("-01", "-fe")).expect("only the first flag counts");
        assert!(!unsampled.is_sampled);
    }

    #[test]
    fn a_later_version_may_append_fields_and_version_00_may_not() {
        assert!(Traceparent::parse(&TEXT.replacen("00", "cc", 1)).is_some());
        assert!(Traceparent::parse(&format!("{}-what-ever", TEXT.replacen("00", "cc", 1))).is_some());
        assert_eq!(Traceparent::parse(&format!("{}x", TEXT.replacen("00", "cc", 1))), None);
        assert_eq!(Traceparent::parse(&format!("{TEXT}-00")), None);
    }

    #[test]
    fn a_malformed_text_is_ignored() {
        let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let zero_span = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16));
        let (capital, wide) = (TEXT.to_uppercase(), TEXT.replace("b7ad6b", "b7äd6"));
        let (version, sign) = (TEXT.replacen("00", "ff", 1), TEXT.replacen("00", "+0", 1));
        let (spread, split) = (TEXT.replace('-', "_"), TEXT.replace("0af7", "0-f7"));
        let all = ["", "00", &TEXT[1..], &TEXT[..54], &zero_trace, &zero_span, &capital, &wide, &version, &sign];
        for text in all.into_iter().chain([&*spread, &*split]) {
            assert_eq!(Traceparent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_context_of_another_sweep_is_ignored() {
        let own = Traceparent::new(sweep(7), Span::Submit, true);
        assert_eq!(Traceparent::of_peer(&own.to_string(), sweep(7)), Some(own));
        assert_eq!(Traceparent::of_peer(&own.to_string(), sweep(8)), None);
    }

    #[test]
    fn spans_of_different_subjects_have_different_ids() {
        let mut ids = BTreeSet::new();
        for id in [1, 2] {
            assert!(ids.insert(Span::Submit.id(sweep(id))));
            for (trajectory, attempt) in
                (0..50).flat_map(|trajectory| (0..50).map(move |attempt| (trajectory, attempt)))
            {
                let (trajectory, attempt) = (TrajectoryIndex(trajectory), Attempt(attempt));
                for span in [Span::Grant, Span::Train, Span::Result, Span::End] {
                    assert!(ids.insert(span(trajectory, attempt).id(sweep(id))));
                }
            }
        }
    }

    #[test]
    fn ids_stay_the_same_in_later_versions() {
        let span = Span::Train(TrajectoryIndex(3), Attempt(7));
        let text = Traceparent::new(sweep(1), span, true).to_string();
        assert_eq!(text, "00-00000000000000000000000000000001-cad9e112aadc8333-01");
    }

    #[test]
    fn a_share_is_kept_and_a_smaller_one_is_part_of_a_larger_one() {
        let traced = |share: f64| {
            let share = TracedShare::new(share).expect("a share");
            let trajectories = (0..10_000).map(TrajectoryIndex);
            trajectories.filter(|&trajectory| share.contains(sweep(1), trajectory)).collect::<BTreeSet<_>>()
        };
        assert_eq!((traced(0.0).len(), traced(1.0).len()), (0, 10_000));
        let (tenth, third) = (traced(0.1), traced(0.3));
        assert!((900..1_100).contains(&tenth.len()) && (2_800..3_200).contains(&third.len()));
        assert!(tenth.is_subset(&third));
        for outside in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(TracedShare::new(outside), None);
        }
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_after_reading_and_writing(trace in 1_u128.., span in 1_u64.., is_sampled: bool) {
            let span = SpanId(NonZeroU64::new(span).expect("not 0"));
            let parent = Traceparent { trace, span, is_sampled };
            prop_assert_eq!(Traceparent::parse(&parent.to_string()), Some(parent));
        }

        #[test]
        fn no_text_of_a_peer_is_a_panic(text in "\\PC*", place in 0..=TEXT.len()) {
            let _read = Traceparent::parse(&text);
            let _read = Traceparent::parse(&[&TEXT[..place], &text, &TEXT[place..]].concat());
        }
    }
}
