//! A finished span.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use biosweep_common::vocabulary::ids::SweepId;
use biosweep_common::vocabulary::trace::{Span, SpanId, trace_id};
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Maximum characters of an error's description.
const ERROR_CHARACTERS: usize = 256;

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedSpan {
    sweep: SweepId,
    span: Span,
    parent: Option<SpanId>,
    time: (Duration, Duration),
    attributes: Vec<KeyValue>,
    error: Option<String>,
}

impl FinishedSpan {
    /// A span of a sweep from a begin to an end, both since 1970. Its attributes are the ids of what it is about.
    #[must_use]
    pub fn new(sweep: SweepId, span: Span, (begin, end): (Duration, Duration)) -> Self {
        let mut attributes = vec![KeyValue::new("sweep", sweep.to_string())];
        match span {
            Span::Submit => {}
            Span::Grant(trajectory, attempt)
            | Span::Train(trajectory, attempt)
            | Span::Result(trajectory, attempt)
            | Span::End(trajectory, attempt) => {
                attributes.push(KeyValue::new("trajectory", integer(trajectory.0)));
                attributes.push(KeyValue::new("attempt", integer(attempt.0)));
            }
        }
        // The clock may have been set back meanwhile.
        Self { sweep, span, parent: None, time: (begin, end.max(begin)), attributes, error: None }
    }

    /// Names its parent.
    #[must_use]
    pub fn child_of(self, parent: SpanId) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// Adds an attribute that is a text.
    #[must_use]
    pub fn text(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.attributes.push(KeyValue::new(key, value.into()));
        self
    }

    /// Adds an attribute that is a number.
    #[must_use]
    pub fn number(mut self, key: &'static str, value: u64) -> Self {
        self.attributes.push(KeyValue::new(key, integer(value)));
        self
    }

    /// Says that it failed, and why. Only the first line of the reason is kept.
    #[must_use]
    pub fn failed(self, why: &str) -> Self {
        let why: String = why.lines().next().unwrap_or_default().chars().take(ERROR_CHARACTERS).collect();
        Self { error: Some(why), ..self }
    }

    /// The form that an exporter takes.
    pub(super) fn into_data(self) -> SpanData {
        let Self { sweep, span, parent, time: (begin, end), attributes, error } = self;
        let id = |span: SpanId| opentelemetry::trace::SpanId::from(span.0.get());
        let trace = opentelemetry::trace::TraceId::from(trace_id(sweep));
        let flags = TraceFlags::SAMPLED;
        SpanData {
            span_context: SpanContext::new(trace, id(span.id(sweep)), flags, false, TraceState::NONE),
            parent_span_id: parent.map_or(opentelemetry::trace::SpanId::INVALID, id),
            parent_span_is_remote: matches!(span, Span::Train(..) | Span::Result(..)),
            span_kind: SpanKind::Internal,
            name: span.name().into(),
            start_time: UNIX_EPOCH + begin,
            end_time: UNIX_EPOCH + end,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: error.map_or(Status::Unset, Status::error),
            instrumentation_scope: InstrumentationScope::builder("biosweep")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

/// OpenTelemetry's integers are signed.
fn integer(number: u64) -> Value {
    Value::I64(i64::try_from(number).unwrap_or(i64::MAX))
}
