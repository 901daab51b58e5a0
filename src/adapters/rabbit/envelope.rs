//! The envelope as an AMQP message, and back (design section 3).
//!
//! Headers are written anew for each publish. RabbitMQ's own (`x-death` and its kin) are never copied: it would
//! take a message that passes the same queue again for a cycle and drop it.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use uuid::Uuid;

use super::topology::text;
use crate::domain::envelope::{Envelope, Replay, TraceContext};
use crate::domain::history::History;
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;

/// AMQP `type` of a stored webhook.
pub(super) const MESSAGE_TYPE: &str = "milepost.webhook.v1";
/// AMQP `delivery_mode` of whatever must survive a restart: all that we publish.
pub(super) const PERSISTENT: u8 = 2;

/// No honest count of attempts or crashes comes near this; a forged one must not overflow what is added to it.
const MOST_COUNTED: i64 = 1_000_000;

pub(super) const PROVIDER: &str = "mp-provider";
pub(super) const ACCOUNT: &str = "mp-account";
pub(super) const RECEIVED_AT: &str = "mp-received-at";
pub(super) const ATTEMPT: &str = "mp-attempt";
pub(super) const CRASHES: &str = "mp-crashes";
const REPLAY: &str = "mp-replay";
pub(super) const REASON: &str = "mp-reason";
pub(super) const DETAIL: &str = "mp-detail";
pub(super) const HISTORY: &str = "mp-history";
pub(super) const PARKED_AT: &str = "mp-parked-at";
pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
const FIRST_ATTEMPT: &str = "mp-first-attempt";

/// The properties of a stored webhook.
#[must_use]
pub fn properties(envelope: &Envelope, parked: Option<(ParkReason, &'static str)>) -> BasicProperties {
    let mut headers = FieldTable::default();
    let mut put = |name: &str, value: AMQPValue| {
        headers.insert(name.into(), value);
    };
    put(PROVIDER, text(envelope.provider.as_str()));
    put(ACCOUNT, text(envelope.account.as_str()));
    put(RECEIVED_AT, AMQPValue::LongLongInt(envelope.received_at.as_millisecond()));
    put(ATTEMPT, AMQPValue::LongLongInt(envelope.attempt.into()));
    if envelope.crashes > 0 {
        put(CRASHES, AMQPValue::LongLongInt(envelope.crashes.into()));
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
        .with_timestamp(u64::try_from(envelope.received_at.as_second()).unwrap_or_default())
        .with_type(MESSAGE_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    // AMQP's short strings hold 255 bytes; a longer content type is no content type.
    match envelope.content_type.as_ref().and_then(|text| ShortString::try_new(text.as_str()).ok()) {
        Some(content_type) => properties.with_content_type(content_type),
        None => properties,
    }
}

/// Says which trace a message belongs to.
pub(super) fn trace_headers(trace: &TraceContext, headers: &mut FieldTable) {
    let all = [
        (TRACEPARENT, &trace.traceparent),
        (TRACESTATE, &trace.tracestate),
        (FIRST_ATTEMPT, &trace.first_attempt),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            headers.insert(name.into(), text(value));
        }
    }
}

/// Reads a message of `provider`'s work queue. Whatever is missing or unreadable is made up as well as can be and
/// named as a defect, so that the message can be parked whole. `now` stands in for a missing time of receipt.
#[must_use]
pub fn read(message: Message, provider: ProviderId, now: Timestamp) -> (Envelope, Option<&'static str>) {
    let properties = message.properties;
    let headers = Headers(properties.headers().as_ref());
    let mut defect = None;
    let mut miss = |what| defect = defect.or(Some(what));

    let receipt = properties.message_id().as_ref().and_then(|id| id.as_str().parse().ok());
    let receipt = receipt.unwrap_or_else(|| {
        miss("no receipt id");
        ReceiptId(Uuid::new_v4())
    });
    if properties.kind().as_ref().is_none_or(|kind| kind.as_str() != MESSAGE_TYPE) {
        miss("not of type milepost.webhook.v1");
    }
    if headers.text(PROVIDER).is_none_or(|name| name != provider.as_str()) {
        miss("another provider's, or nobody's");
    }
    let account = headers.text(ACCOUNT).and_then(|name| name.parse().ok()).unwrap_or_else(|| {
        miss("no account");
        Account::default_account()
    });
    let received_at = headers.number(RECEIVED_AT).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let received_at = received_at.unwrap_or_else(|| {
        miss("no time of receipt");
        now
    });
    let count = |name| u32::try_from(headers.number(name)?.clamp(0, MOST_COUNTED)).ok();
    let envelope = Envelope {
        receipt,
        provider,
        account,
        received_at,
        content_type: properties.content_type().as_ref().map(ShortString::to_string),
        attempt: count(ATTEMPT).unwrap_or_default(),
        crashes: count(CRASHES).unwrap_or_default(),
        replay: headers.text(REPLAY).and_then(|text| replay(&text)),
        reason: headers.text(REASON),
        history: headers.text(HISTORY).map(|text| History::from_text(&text)).unwrap_or_default(),
        trace: TraceContext::received(
            headers.text(TRACEPARENT).as_deref(),
            headers.text(TRACESTATE).as_deref(),
        )
        .after(headers.text(FIRST_ATTEMPT)),
        body: message.data.into(),
    };
    (envelope, defect)
}

fn replay(text: &str) -> Option<Replay> {
    match text.strip_prefix("force:") {
        Some(id) => id.parse().ok().map(Replay::Force),
        None => (text == "normal").then_some(Replay::Normal),
    }
}

/// Headers, read leniently: other clients write other integer widths.
pub(super) struct Headers<'a>(pub(super) Option<&'a FieldTable>);

impl Headers<'_> {
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
