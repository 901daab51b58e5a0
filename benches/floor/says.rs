//! What a floor's messages say: what Milepost's say, as the driver found them. It is passed as JSON, with amqplib's
//! names, so that programs in other languages are passed the same.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde::Deserialize;
use serde_json::Value;

const PERSISTENT: u8 = 2;

/// The properties of one of Milepost's messages.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Says {
    persistent: bool,
    content_type: Option<String>,
    message_id: Option<String>,
    correlation_id: Option<String>,
    timestamp: Option<u64>,
    r#type: Option<String>,
    app_id: Option<String>,
    headers: Option<serde_json::Map<String, Value>>,
}

impl Says {
    /// As AMQP takes them.
    pub fn properties(self) -> anyhow::Result<BasicProperties> {
        let mut properties = BasicProperties::default();
        if self.persistent {
            properties = properties.with_delivery_mode(PERSISTENT);
        }
        if let Some(text) = self.content_type {
            properties = properties.with_content_type(text.into());
        }
        if let Some(text) = self.message_id {
            properties = properties.with_message_id(text.into());
        }
        if let Some(text) = self.correlation_id {
            properties = properties.with_correlation_id(text.into());
        }
        if let Some(seconds) = self.timestamp {
            properties = properties.with_timestamp(seconds);
        }
        if let Some(text) = self.r#type {
            properties = properties.with_type(text.into());
        }
        if let Some(text) = self.app_id {
            properties = properties.with_app_id(text.into());
        }
        if let Some(headers) = self.headers {
            let mut table = FieldTable::default();
            for (name, value) in headers {
                let value = match value {
                    Value::String(text) => AMQPValue::LongString(text.into()),
                    Value::Number(number) if number.is_i64() => {
                        AMQPValue::LongLongInt(number.as_i64().unwrap_or_default())
                    }
                    other => anyhow::bail!("a header {name} that is {other}"),
                };
                table.insert(name.into(), value);
            }
            properties = properties.with_headers(table);
        }
        Ok(properties)
    }
}
