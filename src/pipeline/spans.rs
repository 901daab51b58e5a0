//! The spans of the pipeline, named and attributed as OpenTelemetry's semantic conventions for messaging ask
//! (`traces::SCHEMA_URL` says in which version).
//!
//! A trace that is not sampled has no spans (`telemetry::traces`).

use tracing::Span;

use crate::domain::envelope::Envelope;
use crate::domain::event::UpdateEvent;
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::verdict::Outcome;
use crate::telemetry::traces;

/// The receiver hands a webhook to the broker, for the HTTP request whose span is `request`.
pub(super) fn send(request: &Span, provider: ProviderId, account: &Account, receipt: ReceiptId) -> Span {
    if request.is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        parent: request,
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
    )
}

/// A worker publishes an update, while it processes a webhook.
pub(super) fn publish(event: &UpdateEvent) -> Span {
    if Span::current().is_disabled() {
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

/// A worker processes a webhook, for the receiver's span. Every attempt is a span of that one trace.
pub(super) fn process(envelope: &Envelope) -> Span {
    if !envelope.trace.is_sampled() {
        return Span::none();
    }
    let provider = envelope.provider;
    let span = tracing::info_span!(
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
    );
    traces::set_parent(&span, &envelope.trace);
    span
}

/// What became of the webhook that `span` processes; nothing when it has to be delivered again.
pub(super) fn processed(span: &Span, outcome: Option<Outcome>) {
    span.record("milepost.outcome", outcome.map(Outcome::as_str));
    if let Some(failure) = outcome.and_then(Outcome::failure) {
        traces::failed(span, failure);
    }
}
