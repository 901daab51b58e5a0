//! One of Milepost's updates, to be published again and again, each time with another receipt in it: as much as Milepost
//! publishes, without the work of making it.

use anyhow::Context as _;
use lapin::BasicProperties;
use serde::Deserialize;

use super::says::Says;

const RECEIPT: &str = "\"receipt_id\":\"";
/// The length of a receipt: a UUID.
const UUID: usize = 36;

#[derive(Deserialize)]
struct Given {
    properties: Says,
    body: String,
}

pub struct Update {
    properties: BasicProperties,
    before: String,
    after: String,
}

impl Update {
    pub fn read(json: &str) -> anyhow::Result<Self> {
        let Given { properties, body } = serde_json::from_str(json)?;
        let at = body.rfind(RECEIPT).context("an update without a receipt")? + RECEIPT.len();
        let (before, rest) = body.split_at(at);
        let after = rest.get(UUID..).context("a receipt that is no UUID")?;
        Ok(Self { properties: properties.properties()?, before: before.to_owned(), after: after.to_owned() })
    }

    /// The update in place of a message with these properties.
    pub fn of(&self, message: &BasicProperties) -> anyhow::Result<(BasicProperties, Vec<u8>)> {
        let receipt = message.message_id().as_ref().context("a message without a receipt")?;
        let body = [self.before.as_bytes(), receipt.as_str().as_bytes(), self.after.as_bytes()].concat();
        Ok((self.properties.clone(), body))
    }
}
