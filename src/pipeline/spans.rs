//! The spans of the pipeline, named and attributed as OpenTelemetry's semantic conventions for messaging (1.37) ask.
//!
//! They are for traces alone: without a collector they are disabled where they are made, and cost nothing.

use tracing::Span;

use crate::domain::envelope::Envelope;
use crate::domain::identity::ReceiptId;
use crate::domain::provider::ProviderId;
use crate::telemetry::traces;

/// The receiver hands a webhook to the broker.
pub(super) fn send(provider: ProviderId, receipt: ReceiptId) -> Span {
    tracing::info_span!(
        "send",
        otel.name = "send milepost.webhooks",
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "send",
        messaging.operation.type = "send",
        messaging.destination.name = "milepost.webhooks",
        messaging.rabbitmq.destination.routing_key = provider.as_str(),
        messaging.message.id = %receipt,
    )
}

/// A worker processes a webhook. The first attempt belongs to the trace that sent it; a later one, minutes or hours
/// after, is a trace of its own that links to it.
pub(super) fn process(envelope: &Envelope) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process milepost.webhooks.{}", envelope.provider),
        otel.kind = "consumer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = "milepost.webhooks",
        messaging.rabbitmq.destination.routing_key = envelope.provider.as_str(),
        messaging.message.id = %envelope.receipt,
        milepost.attempt = envelope.attempt,
        milepost.outcome = tracing::field::Empty,
    );
    if envelope.attempt == 0 {
        traces::set_parent(&span, &envelope.trace);
    } else {
        traces::add_link(&span, &envelope.trace);
    }
    span
}
