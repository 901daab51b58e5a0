//! Which spans are exported.

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// A span that begins with this says that something failed.
const ERROR_TYPE: &str = "error.type";

/// Failures always; of the rest what whoever began the trace chose to sample, and a share of the traces begun here.
#[derive(Debug, Clone)]
pub(super) struct Sampling(Sampler);

impl Sampling {
    /// `ratio` is the share, from 0 to 1.
    pub(super) fn new(ratio: f64) -> Self {
        Self(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
    }
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
        let chosen = self.0.should_sample(parent_context, trace_id, name, span_kind, attributes, links);
        if attributes.iter().any(|attribute| attribute.key.as_str() == ERROR_TYPE) {
            SamplingResult { decision: SamplingDecision::RecordAndSample, ..chosen }
        } else {
            chosen
        }
    }
}
