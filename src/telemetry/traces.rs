//! Traces: spans go to an OTLP collector, off unless one is configured, and the W3C trace context travels
//! with each webhook.
//!
//! A span is exported by a thread of its own from a bounded queue. A collector that is slow or gone costs
//! spans, never a webhook.

use std::time::Duration;

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::export;
use super::sampling::Sampling;
use crate::domain::envelope::TraceContext;

/// The semantic conventions that our spans keep to: 1.37.0, those for HTTP servers and those for messaging with RabbitMQ.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";
/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The start of our own modules' and binaries' names. Libraries' spans are not exported: the exporter's own
/// would make more of themselves.
pub(super) const OURS: &str = "milepost";

/// The endpoint is not one that the exporter can use. What it says of it is left out: it quotes the whole
/// URL.
#[derive(Debug, Error)]
#[error("no OTLP exporter can be made for this endpoint")]
pub struct EndpointError;

/// The running export of spans.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    sampling: Sampling,
}

impl Traces {
    /// Exports to an OTLP/gRPC collector, which need not be there yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// When `endpoint` is none.
    pub fn otlp(endpoint: &str, sample_ratio: f64, service: &str) -> Result<Self, EndpointError> {
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_TIMEOUT);
        if endpoint.starts_with("https:") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
        }
        let exporter = exporter.build().map_err(|_| EndpointError)?;
        Ok(Self::with_exporter(exporter, sample_ratio, service))
    }

    /// Exports in batches through `exporter`: a `sample_ratio` of the traces begun here, those that whoever began them
    /// chose to sample, and every span that begins with an `error.type`.
    pub fn with_exporter(exporter: impl SpanExporter + 'static, sample_ratio: f64, service: &str) -> Self {
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampling = Sampling::new(sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(export::processor(exporter))
            .with_sampler(sampling.clone())
            .with_resource(resource)
            .build();
        Self { provider, sampling }
    }

    /// Decides about traces that begin here.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.sampling.clone()
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

/// The trace context of `span`, to be sent along; `None` without traces, when whatever came in is to be
/// passed on as it is.
#[must_use]
pub fn context_of(span: &Span) -> Option<TraceContext> {
    written(&span.context())
}

/// `context` as it is sent along.
pub(super) fn written(context: &Context) -> Option<TraceContext> {
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = Carrier::default();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    Some(carrier.0)
}

/// Makes `span` a child of the one that sent `trace`. To be called before `span` is entered.
pub fn set_parent(span: &Span, trace: &TraceContext) {
    if let Some(parent) = remote_for(span, trace) {
        let _ = span.set_parent(parent);
    }
}

/// Says that what `span` is about failed. The span must have the fields `error.type` and `otel.status_code`.
pub fn failed(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

/// Links `span` to the one that sent `trace`.
pub fn add_link(span: &Span, trace: &TraceContext) {
    if let Some(other) = remote_for(span, trace) {
        span.add_link(other.span().span_context().clone());
    }
}

/// The context of whoever sent `trace`, if that says one.
pub(super) fn remote(trace: &TraceContext) -> Option<Context> {
    trace.traceparent.as_ref()?;
    let remote = TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(trace.clone()));
    remote.span().span_context().is_valid().then_some(remote)
}

/// The same, unless `span` has no use for it.
fn remote_for(span: &Span, trace: &TraceContext) -> Option<Context> {
    if span.is_disabled() { None } else { remote(trace) }
}

/// Reads and writes the two headers.
#[derive(Default)]
struct Carrier(TraceContext);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        match key {
            "traceparent" => self.0.traceparent = Some(value),
            // Nothing to say is not said.
            "tracestate" if !value.is_empty() => self.0.tracestate = Some(value),
            _ => {}
        }
    }
}

impl Extractor for Carrier {
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
