//! The spans of the pipeline, named and attributed as OpenTelemetry's semantic conventions for messaging ask
//! (`traces::SCHEMA_URL` says in which version).
//!
//! They are for traces alone: without a collector they are disabled where they are made, and cost nothing. In a trace
//! that is not sampled there are none (`telemetry::trace`).

use std::future::Future;
use std::pin::Pin;

use tracing::Span;

use crate::domain::envelope::{Envelope, TraceContext};
use crate::domain::event::UpdateEvent;
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::verdict::Outcome;
use crate::telemetry::trace::{self, Trace};
use crate::telemetry::traces;

/// The receiver hands a webhook to the broker, for the HTTP request that `request` traces.
pub(super) fn send(request: &Trace, provider: ProviderId, account: &Account, receipt: ReceiptId) -> Trace {
    if request.is_unsampled() {
        return request.clone();
    }
    Trace::Span(tracing::info_span!(
        parent: request.span(),
        "send",
        otel.name = "send milepost.webhooks",
        otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.destination.name = format!("milepost.webhooks:{provider}"),
        messaging.destination.template = "milepost.webhooks",
        messaging.rabbitmq.destination.routing_key = provider.as_str(),
        messaging.message.id = %receipt,
        milepost.provider = provider.as_str(),
        milepost.account = %account,
    ))
}

/// A worker publishes an update.
pub(super) fn publish(event: &UpdateEvent) -> Span {
    if trace::is_unsampled_now() {
        return Span::none();
    }
    tracing::info_span!(
        "publish",
        otel.name = "send milepost.updates",
        otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.destination.name = format!("milepost.updates:{}", event.routing_key),
        messaging.destination.template = "milepost.updates",
        messaging.rabbitmq.destination.routing_key = event.routing_key,
        messaging.message.id = %event.id,
    )
}

/// A worker processes a webhook.
pub(super) struct Process {
    trace: Trace,
    provider: ProviderId,
    receipt: ReceiptId,
    attempt: u32,
}

impl Process {
    /// The first attempt belongs to the trace that sent it; a later one, minutes or hours after, is a trace of its own
    /// that links to the first.
    pub(super) fn begin(envelope: &Envelope) -> Self {
        let Envelope { provider, receipt, attempt, .. } = *envelope;
        let unsampled = if attempt == 0 { Trace::passed_on(&envelope.trace) } else { None };
        let trace = unsampled.unwrap_or_else(|| {
            let span = described(envelope);
            match &envelope.trace.first_attempt {
                _ if attempt == 0 => traces::set_parent(&span, &envelope.trace),
                None => traces::add_link(&span, &envelope.trace),
                Some(first) => traces::add_link(&span, &TraceContext::received(Some(first), None)),
            }
            Trace::Span(span)
        });
        Self { trace, provider, receipt, attempt }
    }

    /// Does all of the message's work in the trace, and says what became of it.
    pub(super) async fn around(
        self,
        work: Pin<&mut impl Future<Output = Option<Outcome>>>,
    ) -> Option<Outcome> {
        let done = self.trace.around(work).await;
        self.trace.span().record("milepost.outcome", done.map(Outcome::as_str));
        if let Some(failure) = done.and_then(Outcome::failure) {
            traces::failed(self.trace.span(), failure);
            if self.trace.is_unsampled() {
                self.failure(failure);
            }
        }
        done
    }

    /// Nobody chose to sample the trace, and it failed: a span of a trace of its own, which is always sampled because
    /// it begins with an `error.type`, tells of it and links to the one that is missing.
    fn failure(&self, failure: &'static str) {
        let Self { provider, receipt, attempt, .. } = *self;
        let span = tracing::info_span!(
            parent: None,
            "failure",
            otel.name = format!("failure milepost.webhooks.{provider}"),
            otel.kind = "internal",
            otel.status_code = "ERROR",
            error.type = failure,
            messaging.system = "rabbitmq",
            messaging.message.id = %receipt,
            milepost.provider = provider.as_str(),
            milepost.attempt = attempt,
        );
        self.trace.link_from(&span);
    }
}

fn described(envelope: &Envelope) -> Span {
    let provider = envelope.provider;
    tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process milepost.webhooks.{provider}"),
        otel.kind = "consumer",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = format!("milepost.webhooks:{provider}:milepost.webhooks.{provider}"),
        messaging.destination.template = format!("milepost.webhooks.{provider}"),
        messaging.rabbitmq.destination.routing_key = provider.as_str(),
        messaging.message.id = %envelope.receipt,
        milepost.provider = provider.as_str(),
        milepost.account = %envelope.account,
        milepost.attempt = envelope.attempt,
        milepost.outcome = tracing::field::Empty,
    )
}

/// A copy that the current attempt schedules: of the same trace, and it knows the first attempt.
pub(super) fn of_retry(copy: Envelope) -> Envelope {
    let current = || trace::current()?.traceparent;
    let first_attempt = copy.trace.first_attempt.clone().or_else(current);
    Envelope { trace: copy.trace.after(first_attempt), ..copy }
}
