//! Traces for OpenTelemetry: both programs send spans by OTLP over gRPC if the standard variables name a collector.
//!
//! The spans are not lexical: they begin and end in different processes, and their ids follow from what they are about
//! ([`biosweep_common::vocabulary::trace`]). So a finished span is handed over as a whole.
//!
//! | module | contents |
//! |---|---|
//! | this module | the handle with which a program sends spans |
//! | `settings` | the variables of the environment |
//! | `exporter` | the thread that sends spans to the collector |
//! | `span` | a finished span |

mod exporter;
mod settings;
mod span;

use std::fmt;
use std::sync::Arc;

use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};
use biosweep_common::vocabulary::trace::TracedShare;

use exporter::Exporter;
pub use exporter::TracesError;
use settings::Settings;
pub use settings::SettingsError;
pub use span::FinishedSpan;

/// Sends spans, or nothing. Copies share one exporter.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Exporting>>);

struct Exporting {
    exporter: Exporter,
    share: TracedShare,
}

impl fmt::Debug for Traces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Traces").field(&self.is_on()).finish()
    }
}

impl Traces {
    /// Traces that are sent nowhere. They cost nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts to send traces if the environment names a collector. `service` is the name of the program unless the environment has
    /// another one.
    ///
    /// # Errors
    /// A variable has a value that is not possible, or the system cannot start a thread.
    pub fn start(service: &'static str) -> Result<Self, TracesError> {
        let Some(settings) = Settings::of_environment()? else { return Ok(Self::off()) };
        let share = settings.share;
        Ok(Self(Some(Arc::new(Exporting { exporter: Exporter::start(settings, service)?, share }))))
    }

    /// Whether spans are sent.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a trajectory is traced, if no other process has decided this.
    #[must_use]
    pub fn contains(&self, sweep: SweepId, trajectory: TrajectoryIndex) -> bool {
        self.0.as_ref().is_some_and(|exporting| exporting.share.contains(sweep, trajectory))
    }

    /// Whether some trajectories are traced.
    #[must_use]
    pub fn contains_some(&self) -> bool {
        self.0.as_ref().is_some_and(|exporting| !exporting.share.is_none())
    }

    /// Sends a span. This never waits: a span that has no room in the queue is dropped and counted.
    pub fn send(&self, span: FinishedSpan) {
        if let Some(exporting) = &self.0 {
            exporting.exporter.send(span.into_data());
        }
    }

    /// Number of spans that were dropped: the queue was full, or the collector did not take them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |exporting| exporting.exporter.dropped())
    }

    /// Sends the last spans and ends the exporter. A collector that does not answer is not waited for longer than two seconds.
    pub async fn stop(self) {
        if let Some(exporting) = &self.0 {
            exporting.exporter.stop().await;
        }
    }
}
