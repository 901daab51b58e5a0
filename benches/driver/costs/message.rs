//! The messages: each differs from the first in one thing.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

const PERSISTENT: u8 = 2;
/// As large as a normalized update.
const BYTES: usize = 900;
const UUID: &str = "01936f3e-8c4a-7d5b-9a1e-3f0c2b7d6e51";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
const TYPE: &str = "milepost.delivery.updated.v1";

/// The name of the first.
pub const BARE: &str = "a persistent message, nothing else";

/// A message to publish.
pub struct Variant {
    pub name: &'static str,
    pub properties: BasicProperties,
    pub bytes: usize,
}

pub fn variants() -> Vec<Variant> {
    let bare = || BasicProperties::default().with_delivery_mode(PERSISTENT);
    let all = || {
        let properties = bare().with_message_id(UUID.into()).with_timestamp(1_735_689_600);
        properties.with_content_type(CONTENT_TYPE.into()).with_type(TYPE.into())
    };
    let with = |name, properties| Variant { name, properties, bytes: BYTES };
    let larger = |name, more| Variant { name, properties: bare(), bytes: BYTES + more };
    let five = [
        ("mp-one", "telyport"),
        ("mp-two", "default"),
        ("mp-three", "3"),
        ("mp-four", "0"),
        ("mp-five", UUID),
    ];
    vec![
        with(BARE, bare()),
        with("no delivery_mode", BasicProperties::default()),
        with("+ message_id, a UUID", bare().with_message_id(UUID.into())),
        with("+ timestamp", bare().with_timestamp(1_735_689_600)),
        with("+ content_type, 43 bytes", bare().with_content_type(CONTENT_TYPE.into())),
        with("+ content_type, 16 bytes", bare().with_content_type("application/json".into())),
        with("+ type, 28 bytes", bare().with_type(TYPE.into())),
        with("+ correlation_id, 7 bytes", bare().with_correlation_id("default".into())),
        with("+ headers, empty", bare().with_headers(headers(&[]))),
        with("+ 1 header, 8 bytes", bare().with_headers(headers(&five[..1]))),
        with("+ 5 headers", bare().with_headers(headers(&five))),
        with("+ the header traceparent", bare().with_headers(headers(&[("traceparent", TRACEPARENT)]))),
        larger("+ 100 bytes", 100),
        larger("+ 1 KiB", 1024),
        with("message_id, timestamp, content_type, type", all()),
        with("and the header traceparent", all().with_headers(headers(&[("traceparent", TRACEPARENT)]))),
        with("and 5 headers", all().with_headers(headers(&five))),
    ]
}

fn headers(pairs: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    table
}
