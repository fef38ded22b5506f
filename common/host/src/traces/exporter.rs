//! The thread that sends spans to the collector. It has a runtime of its own, so it never delays the rest of the program.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::settings::{Settings, SettingsError};
use crate::clock::Clock;

/// Number of spans that may wait for the collector.
const QUEUE: usize = 8_192;
/// Number of spans in one message.
const BATCH: usize = 512;
/// How long a span waits for others to be sent together.
const GATHER: Duration = Duration::from_secs(1);
/// Time limit of the last spans when the program ends.
const LAST: Duration = Duration::from_secs(2);
/// Seconds between two warnings about dropped spans.
const WARN_EVERY_S: f64 = 60.0;

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A variable has a value that is not possible.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The exporter refuses the address or another standard variable.
    #[error("traces cannot be sent to {endpoint}: {source}; correct the variables OTEL_EXPORTER_OTLP_*, or unset them")]
    Exporter {
        /// The address of the collector.
        endpoint: String,
        /// The error of the exporter.
        #[source]
        source: Box<ExporterBuildError>,
    },
    /// The system cannot start the thread.
    #[error(
        "the thread that sends traces cannot be started: {0}; raise the limit on threads, or unset OTEL_EXPORTER_OTLP_ENDPOINT"
    )]
    Thread(#[from] std::io::Error),
}

/// The handle of the thread.
pub(super) struct Exporter {
    /// `None` after the end.
    queue: Mutex<Option<mpsc::Sender<SpanData>>>,
    /// Tells that the thread has sent the last spans.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    /// Starts the thread. The collector is reached when there are spans.
    pub(super) fn start(settings: Settings, service: &'static str) -> Result<Self, TracesError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exporter = build(&runtime, &settings, service).map_err(|source| TracesError::Exporter {
            endpoint: settings.endpoint.clone(),
            source: Box::new(source),
        })?;
        let ((queue, spans), (end, ended)) = (mpsc::channel(QUEUE), oneshot::channel());
        let dropped = Arc::new(AtomicU64::new(0));
        let sending = Sending {
            exporter,
            endpoint: settings.endpoint,
            spans,
            dropped: Arc::clone(&dropped),
            clock: Clock::start(),
        };
        thread::Builder::new().name("traces".to_owned()).spawn(move || {
            runtime.block_on(sending.run());
            // The program may have stopped waiting.
            let _gone = end.send(());
        })?;
        Ok(Self { queue: Mutex::new(Some(queue)), ended: Mutex::new(Some(ended)), dropped })
    }

    /// Puts a span into the queue, or drops and counts it.
    pub(super) fn send(&self, span: SpanData) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.as_ref().is_none_or(|queue| queue.try_send(span).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Number of spans that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Ends the queue and waits for the last spans. If they are not sent in time, the thread ends with the process.
    pub(super) async fn stop(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended
            && timeout(LAST, ended).await.is_err()
        {
            tracing::warn!(
                "the last spans of traces are lost: the collector does not take them in {} s",
                LAST.as_secs()
            );
        }
    }
}

fn build(runtime: &Runtime, settings: &Settings, service: &'static str) -> Result<SpanExporter, ExporterBuildError> {
    // The connection belongs to the runtime of the thread.
    let _inside = runtime.enter();
    let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(&settings.endpoint).build()?;
    let name = settings.service.clone().unwrap_or_else(|| service.to_owned());
    exporter.set_resource(&Resource::builder().with_service_name(name).build());
    Ok(exporter)
}

/// The state of the thread.
struct Sending {
    exporter: SpanExporter,
    endpoint: String,
    spans: mpsc::Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    clock: Clock,
}

impl Sending {
    /// Sends spans until the queue has ended and is empty.
    async fn run(mut self) {
        let (mut warned, mut warned_s) = (0, None);
        loop {
            let batch = self.next_batch().await;
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            let failure = self.exporter.export(batch).await.err();
            if failure.is_some() {
                self.dropped.fetch_add(count, Ordering::Relaxed);
            }
            let (dropped, now_s) = (self.dropped.load(Ordering::Relaxed), self.clock.seconds());
            if dropped > warned && warned_s.is_none_or(|before: f64| now_s - before >= WARN_EVERY_S) {
                let why = failure.map_or_else(|| "too many at once".to_owned(), |error| error.to_string());
                tracing::warn!(collector = self.endpoint, spans = dropped - warned, why, "spans of traces are dropped");
                (warned, warned_s) = (dropped, Some(now_s));
            }
        }
    }

    /// The next spans; none if the queue has ended.
    async fn next_batch(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        batch.extend(self.spans.recv().await);
        let gather = async {
            // A queue that has ended has nothing more.
            while (1..BATCH).contains(&batch.len())
                && let Some(span) = self.spans.recv().await
            {
                batch.push(span);
            }
        };
        // What has come by then is sent.
        let _elapsed = timeout(GATHER, gather).await;
        batch
    }
}
