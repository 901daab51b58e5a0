//! How spans leave: from a bounded queue, by a thread of its own, and each is accounted for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::metrics::TRACE_SPANS;

/// The most spans that wait for the collector. A few kilobytes each.
const QUEUE: usize = 2048;
/// The most spans in one export.
const BATCH: usize = 512;
/// How long a span waits at the most for others to be exported with.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// What becomes of a span: the values of the label `result`.
pub(super) const RESULTS: [&str; 3] = [EXPORTED, FAILED, DROPPED];
const EXPORTED: &str = "exported";
const FAILED: &str = "failed";
const DROPPED: &str = "dropped";

/// Exports through `exporter`. Ending a span never waits.
pub(super) fn processor(exporter: impl SpanExporter + 'static) -> impl SpanProcessor {
    let waiting = Arc::new(AtomicUsize::new(0));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let exporter = Accounted { exporter, waiting: Arc::clone(&waiting), failing: AtomicBool::new(false) };
    Bounded { next: BatchSpanProcessor::builder(exporter).with_batch_config(config).build(), waiting }
}

fn count(result: &'static str, spans: usize) {
    counter!(TRACE_SPANS, "result" => result).increment(spans as u64);
}

/// Drops what the queue has no room for. The library would, too, and not say how much.
#[derive(Debug)]
struct Bounded {
    next: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            self.next.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            count(DROPPED, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Counts what was exported, and says once when that fails and once when it works again.
#[derive(Debug)]
struct Accounted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Accounted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let failing = exported.is_err();
        count(if failing { FAILED } else { EXPORTED }, spans);
        match (self.failing.swap(failing, Ordering::Relaxed), failing) {
            (false, true) => tracing::warn!("the collector does not take spans: they are lost until it does"),
            (true, false) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        // The failure is accounted for: returned, the library would log it with each batch.
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
