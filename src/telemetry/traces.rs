//! Traces: spans go to an OTLP collector, off unless one is configured, and the W3C trace context travels with each
//! webhook whose trace is sampled. In a trace that is not sampled nothing is made and nothing travels: a span costs more
//! than much of the work it is about.
//!
//! A span is exported by a thread of its own from a bounded queue. A collector that is slow or gone costs
//! spans, never a webhook.

use std::time::Duration;

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanExporter};
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::export;
use crate::domain::envelope::TraceContext;

/// The semantic conventions that our spans keep to: 1.37.0, those for HTTP servers and those for messaging with RabbitMQ.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";
/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The start of our own modules' and binaries' names. Libraries' spans are not exported: the exporter's own
/// would make more of themselves.
const OURS: &str = "milepost";

/// The endpoint is not one that the exporter can use. What it says of it is left out: it quotes the whole
/// URL.
#[derive(Debug, Error)]
#[error("no OTLP exporter can be made for this endpoint")]
pub struct EndpointError;

/// The running export of spans.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Exports to an OTLP/gRPC collector, which need not be there yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// When `endpoint` is none.
    pub fn otlp(endpoint: &str, service: &str) -> Result<Self, EndpointError> {
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT);
        if endpoint.starts_with("https:") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
        }
        let exporter = exporter.build().map_err(|_| EndpointError)?;
        Ok(Self::with_exporter(exporter, service))
    }

    /// Exports in batches through `exporter`. A span is made only in a sampled trace; of a trace that began elsewhere,
    /// its sender decided.
    pub fn with_exporter(exporter: impl SpanExporter + 'static, service: &str) -> Self {
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(export::processor(exporter))
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_resource(resource)
            .build();
        Self { provider }
    }

    /// Hands our spans to the exporter.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(OURS))
            .with_max_level_hint(LevelFilter::DEBUG);
        let scope = InstrumentationScope::builder(OURS)
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build();
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer_with_scope(scope))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    }

    /// Exports what is left and ends, within `bound`. What the collector has not taken by then is lost.
    pub async fn shutdown(self, bound: Duration) {
        // The library blocks its caller meanwhile. It logs a failure itself.
        let ending = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(bound));
        let _ = tokio::time::timeout(bound, ending).await;
    }
}

/// Begins the trace of a request, with the span that `describe` makes; none when it is not sampled. A sender that sent a
/// trace has decided that; of the others `sample_ratio` are.
///
/// A sender's sampled trace counts only once its webhook is authentic, when [`set_parent`] is called: until then the
/// span is a child of the same trace, unsampled, and is not exported.
pub fn begin(sample_ratio: f64, sender: &TraceContext, describe: impl FnOnce() -> Span) -> Span {
    match remote(sender) {
        None if rand::random::<f64>() < sample_ratio => describe(),
        Some(sender) if sender.span().span_context().is_sampled() => {
            let span = describe();
            let _ = span.set_parent(unsampled(&sender));
            span
        }
        _ => Span::none(),
    }
}

/// Makes `span` a child of the one that sent `trace`. To be called before `span` is entered.
pub fn set_parent(span: &Span, trace: &TraceContext) {
    if !span.is_disabled()
        && let Some(parent) = remote(trace)
    {
        let _ = span.set_parent(parent);
    }
}

/// The trace context of `span`, to be sent along; `None` without a span, and without a collector.
#[must_use]
pub fn context_of(span: &Span) -> Option<TraceContext> {
    written(&span.context())
}

/// The trace context of what is being done; `None` without a span, and without a collector.
#[must_use]
pub fn current() -> Option<TraceContext> {
    Context::map_current(written)
}

/// Records that what `span` is about failed. The span must have the fields `error.type` and `otel.status_code`.
pub fn failed(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

fn written(context: &Context) -> Option<TraceContext> {
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HeaderCarrier::default();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    Some(carrier.0)
}

/// The context of the span that sent `trace`, if it names one.
fn remote(trace: &TraceContext) -> Option<Context> {
    trace.traceparent.as_ref()?;
    let remote =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderCarrier(trace.clone()));
    remote.span().span_context().is_valid().then_some(remote)
}

fn unsampled(remote: &Context) -> Context {
    let span = remote.span();
    let (trace, id) = (span.span_context().trace_id(), span.span_context().span_id());
    let unsampled = SpanContext::new(trace, id, TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(unsampled)
}

/// Reads and writes the two headers.
#[derive(Default)]
struct HeaderCarrier(TraceContext);

impl Injector for HeaderCarrier {
    fn set(&mut self, key: &str, value: String) {
        match key {
            "traceparent" => self.0.traceparent = Some(value),
            // Nothing to say is not said.
            "tracestate" if !value.is_empty() => self.0.tracestate = Some(value),
            _ => {}
        }
    }
}

impl Extractor for HeaderCarrier {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.0.traceparent.as_deref(),
            "tracestate" => self.0.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
