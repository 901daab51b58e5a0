//! The envelope as an AMQP message, and back.
//!
//! A broker pays for each property, and most for a header table. So the first attempt of a webhook says only what nothing
//! else does: its receipt, which is also when it was received, and its account. Whose it is the queue says. The rest is
//! there when it is not its usual value.
//!
//! Headers are written anew for each publish. RabbitMQ's own (`x-death` and its kin) are never copied: it would
//! take a message that passes the same queue again for a cycle and drop it.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::topology::text;
use crate::domain::envelope::{Envelope, Replay, TraceContext};
use crate::domain::history::History;
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;

/// The `Content-Type` that goes without saying.
const JSON: &str = "application/json";
/// AMQP `delivery_mode` of what must survive a restart: all that we publish.
pub(super) const PERSISTENT: u8 = 2;

/// No honest count of attempts or crashes comes near this; a forged one must not overflow what is added to it.
const MOST_COUNTED: i64 = 1_000_000;

pub(super) const ATTEMPT: &str = "mp-attempt";
pub(super) const CRASHES: &str = "mp-crashes";
const REPLAY: &str = "mp-replay";
pub(super) const REASON: &str = "mp-reason";
pub(super) const DETAIL: &str = "mp-detail";
pub(super) const HISTORY: &str = "mp-history";
pub(super) const PARKED_AT: &str = "mp-parked-at";
const RETURNS: &str = "x-delivery-count";
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";

/// The properties of a stored webhook: `message_id` is its receipt, `correlation_id` its account.
#[must_use]
pub fn properties(envelope: &Envelope, parked: Option<(ParkReason, &str)>) -> BasicProperties {
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: AMQPValue| {
        headers.insert(name.into(), value);
    };
    for (name, count) in [(ATTEMPT, envelope.attempt), (CRASHES, envelope.crashes)] {
        if count > 0 {
            put(name, AMQPValue::LongLongInt(count.into()));
        }
    }
    match envelope.replay {
        None => {}
        Some(Replay::Normal) => put(REPLAY, text("normal")),
        Some(Replay::Force(id)) => put(REPLAY, text(&format!("force:{id}"))),
    }
    if let Some((reason, detail)) = parked {
        put(REASON, text(reason.as_str()));
        put(DETAIL, text(detail));
        if let Some(at) = envelope.history.latest() {
            put(PARKED_AT, AMQPValue::LongLongInt(at.as_millisecond()));
        }
    } else if let Some(reason) = &envelope.reason {
        put(REASON, text(reason));
    }
    if let Some(history) = envelope.history.to_text() {
        put(HISTORY, text(&history));
    }
    trace_headers(&envelope.trace, &mut headers);
    let properties = BasicProperties::default()
        .with_message_id(envelope.receipt.to_string().into())
        .with_correlation_id(envelope.account.as_str().into())
        .with_delivery_mode(PERSISTENT);
    // AMQP's short strings hold 255 bytes; a longer content type is no content type.
    let content_type = envelope.content_type.as_deref().filter(|content_type| *content_type != JSON);
    let properties = match content_type.and_then(|text| ShortString::try_new(text).ok()) {
        Some(content_type) => properties.with_content_type(content_type),
        None => properties,
    };
    if headers.inner().is_empty() { properties } else { properties.with_headers(headers) }
}

/// Says which trace a message belongs to.
pub(super) fn trace_headers(trace: &TraceContext, headers: &mut FieldTable) {
    for (name, value) in [(TRACEPARENT, &trace.traceparent), (TRACESTATE, &trace.tracestate)] {
        if let Some(value) = value {
            headers.insert(name.into(), text(value));
        }
    }
}

/// Reads a message of `provider`'s work queue. What is missing or unreadable is made up as well as can be and
/// named as a defect, so that the message can be parked whole. `now` replaces a missing time of receipt.
#[must_use]
pub fn read(message: Message, provider: ProviderId, now: Timestamp) -> (Envelope, Option<&'static str>) {
    let properties = message.properties;
    let headers = HeaderTable(properties.headers().as_ref());
    let mut defect = None;
    let mut miss = |what| defect = defect.or(Some(what));

    let receipt = properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
    let receipt = receipt.unwrap_or_else(|| {
        miss("no receipt id");
        ReceiptId::new(now, &rand::random())
    });
    let account = account(&properties).unwrap_or_else(|| {
        miss("no account");
        Account::default_account()
    });
    let count = |name| u32::try_from(headers.number(name)?.clamp(0, MOST_COUNTED)).ok();
    let content_type = properties.content_type().as_ref().map_or(JSON, ShortString::as_str);
    let envelope = Envelope {
        receipt,
        provider,
        account,
        content_type: Some(content_type.to_owned()),
        attempt: count(ATTEMPT).unwrap_or_default(),
        crashes: count(CRASHES).unwrap_or_default(),
        replay: headers.text(REPLAY).and_then(|text| replay(&text)),
        reason: headers.text(REASON),
        history: headers.text(HISTORY).map(|text| History::from_text(&text)).unwrap_or_default(),
        trace: TraceContext::received(
            headers.text(TRACEPARENT).as_deref(),
            headers.text(TRACESTATE).as_deref(),
        ),
        body: message.data.into(),
    };
    (envelope, defect)
}

/// The account that a message names.
pub(super) fn account(properties: &BasicProperties) -> Option<Account> {
    properties.correlation_id().as_ref()?.as_str().parse().ok()
}

/// How often a quorum queue gave the message out before.
pub(super) fn returns(properties: &BasicProperties) -> u32 {
    let returns = HeaderTable(properties.headers().as_ref()).number(RETURNS).unwrap_or_default();
    u32::try_from(returns.clamp(0, MOST_COUNTED)).unwrap_or_default()
}

fn replay(text: &str) -> Option<Replay> {
    match text.strip_prefix("force:") {
        Some(id) => id.parse().ok().map(Replay::Force),
        None => (text == "normal").then_some(Replay::Normal),
    }
}

/// Headers, read leniently: other clients write other integer widths.
pub(super) struct HeaderTable<'a>(pub(super) Option<&'a FieldTable>);

impl HeaderTable<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&AMQPValue> {
        self.0?.inner().get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned),
            AMQPValue::ShortString(value) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match *self.get(name)? {
            AMQPValue::LongLongInt(value) => Some(value),
            AMQPValue::LongInt(value) => Some(value.into()),
            AMQPValue::LongUInt(value) => Some(value.into()),
            AMQPValue::ShortInt(value) => Some(value.into()),
            AMQPValue::ShortUInt(value) => Some(value.into()),
            AMQPValue::ShortShortInt(value) => Some(value.into()),
            AMQPValue::ShortShortUInt(value) => Some(value.into()),
            _ => None,
        }
    }
}
