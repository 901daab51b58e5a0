//! Which spans are exported.

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::trace::Trace;

/// A span that begins with this says that something failed.
const ERROR_TYPE: &str = "error.type";

/// Failures always; of the rest what whoever began the trace chose to sample, and a share of the traces begun here.
#[derive(Debug, Clone)]
pub struct Sampling {
    ratio: f64,
    sampler: Sampler,
}

/// What was decided about a trace before its first span was made.
#[derive(Debug, Clone, Copy)]
struct Chosen(bool);

impl Sampling {
    /// `ratio` is the share, from 0 to 1.
    pub(super) fn new(ratio: f64) -> Self {
        Self { ratio, sampler: Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))) }
    }

    /// Begins a trace, with the span that `describe` makes if it is sampled; or if it may yet join one that is, which is
    /// what `hoped` says.
    pub fn begin(&self, hoped: bool, describe: impl FnOnce() -> Span) -> Trace {
        let chosen = rand::random::<f64>() < self.ratio;
        if !chosen && !hoped {
            return Trace::Unsampled(unsampled());
        }
        let span = describe();
        let _ = span.set_parent(Context::new().with_value(Chosen(chosen)));
        Trace::Span(span)
    }
}

/// The context of a new trace.
fn unsampled() -> Context {
    let (trace, span) = (TraceId::from(rand::random::<u128>()), SpanId::from(rand::random::<u64>()));
    let root = SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
    Context::new().with_remote_span_context(root)
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let usual = self.sampler.should_sample(parent_context, trace_id, name, span_kind, attributes, links);
        let failed = attributes.iter().any(|attribute| attribute.key.as_str() == ERROR_TYPE);
        let decision = match parent_context.and_then(|parent| parent.get::<Chosen>()) {
            _ if failed => SamplingDecision::RecordAndSample,
            Some(Chosen(true)) => SamplingDecision::RecordAndSample,
            Some(Chosen(false)) => SamplingDecision::Drop,
            None => usual.decision,
        };
        SamplingResult { decision, ..usual }
    }
}
