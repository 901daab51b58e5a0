//! A parked message as one line of JSON, and back.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::message::ParkedMessage;
use crate::adapters::rabbit::envelope::{
    DETAIL, HeaderTable, PARKED_AT, PERSISTENT, REASON, TRACEPARENT, TRACESTATE,
};
use crate::adapters::rabbit::topology::text;

/// What a header of ours begins with.
const OURS: &str = "mp-";

/// A parked message, whole: what it says to an operator, and what it takes to park it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub provider: String,
    /// AMQP `message_id`.
    #[serde(default)]
    pub message_id: Option<String>,
    /// AMQP `correlation_id`: the account.
    #[serde(default)]
    pub account: Option<String>,
    /// AMQP `content_type`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Our headers, and the trace's. The broker's own are never put back: it would see a cycle.
    pub headers: BTreeMap<String, Header>,
    /// The bytes, in base64.
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Header {
    Number(i64),
    Text(String),
}

/// A line that is no record of ours.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A header that we do not write.
    #[error("the header {0:?} is not one of ours")]
    Header(String),
    /// The body is not base64.
    #[error("the body is not base64")]
    Body,
    /// A property is too long for AMQP.
    #[error("{0} is longer than AMQP allows")]
    TooLong(&'static str),
}

impl From<&ParkedMessage> for Record {
    fn from(message: &ParkedMessage) -> Self {
        let properties = &message.properties;
        let short = |value: &Option<ShortString>| value.as_ref().map(ShortString::to_string);
        let table = properties.headers().as_ref();
        let read = HeaderTable(table);
        let mut headers = BTreeMap::new();
        for name in table.into_iter().flat_map(|table| table.inner().keys()).map(ShortString::as_str) {
            let value = read.number(name).map(Header::Number).or_else(|| read.text(name).map(Header::Text));
            if let Some(value) = value.filter(|_| is_ours(name)) {
                headers.insert(name.to_owned(), value);
            }
        }
        // What only the broker's headers say of it.
        let about = &message.about;
        headers.insert(REASON.to_owned(), Header::Text(about.reason.clone()));
        headers.extend(about.detail.clone().map(|detail| (DETAIL.to_owned(), Header::Text(detail))));
        let parked_at = about.parked_at.map(Timestamp::as_millisecond);
        headers.extend(parked_at.map(|at| (PARKED_AT.to_owned(), Header::Number(at))));
        Self {
            id: about.id.clone(),
            provider: about.provider.to_string(),
            message_id: short(properties.message_id()),
            account: short(properties.correlation_id()),
            content_type: short(properties.content_type()),
            headers,
            body: STANDARD.encode(&message.envelope.body),
        }
    }
}

impl Record {
    /// The message to park.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn message(&self) -> Result<(BasicProperties, Vec<u8>), RecordError> {
        let mut headers = FieldTable::default();
        for (name, value) in &self.headers {
            let key = ShortString::try_new(name.as_str()).ok().filter(|_| is_ours(name));
            let key = key.ok_or_else(|| RecordError::Header(name.clone()))?;
            let value = match value {
                Header::Number(number) => AMQPValue::LongLongInt(*number),
                Header::Text(value) => text(value),
            };
            headers.insert(key, value);
        }
        let short = |name, value: &Option<String>| {
            let short = value.as_deref().map(ShortString::try_new).transpose();
            short.map_err(|_| RecordError::TooLong(name))
        };
        let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
        if let Some(id) = short("message_id", &self.message_id)? {
            properties = properties.with_message_id(id);
        }
        if let Some(account) = short("account", &self.account)? {
            properties = properties.with_correlation_id(account);
        }
        if let Some(content_type) = short("content_type", &self.content_type)? {
            properties = properties.with_content_type(content_type);
        }
        let body = STANDARD.decode(&self.body).map_err(|_| RecordError::Body)?;
        Ok((properties, body))
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(OURS) || name == TRACEPARENT || name == TRACESTATE
}
