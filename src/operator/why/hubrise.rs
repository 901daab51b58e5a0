//! What the HubRise sink knows of a delivery.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::adapters::redis::DeliveryName;
use crate::operator::waiting::until;
use crate::ports::{Cells, CellsError};
use crate::sinks::cells;
use crate::sinks::hubrise::core::record::{HubriseSide, OrderRecord};
use crate::sinks::hubrise::keys;
use crate::sinks::hubrise::links::{KnownDelivery, Link};
use crate::sinks::update::UpdatedDelivery;

/// What is known of one delivery.
pub struct AtHubrise {
    delivery: DeliveryName,
    known: KnownDelivery,
    record: Option<OrderRecord>,
}

/// Asks for each of these deliveries. Those that nothing is known of are left out.
pub(super) async fn known(
    store: &dyn Cells,
    deliveries: &[DeliveryName],
) -> Result<Vec<AtHubrise>, CellsError> {
    let mut found = Vec::new();
    let mut names = deliveries.to_vec();
    names.sort();
    names.dedup();
    for delivery in names {
        let DeliveryName { provider, account, delivery_id } = delivery.clone();
        let key = keys::delivery(&UpdatedDelivery { provider, account, id: delivery_id });
        let (known, _) = cells::read::<KnownDelivery>(store, &key).await?;
        if known == KnownDelivery::default() {
            continue;
        }
        let record = match known.shown_at.as_ref().or(known.link.as_ref()) {
            Some(link) => {
                let key = keys::order(&link.connection, &link.order_id());
                Some(cells::read::<OrderRecord>(store, &key).await?.0)
            }
            None => None,
        };
        found.push(AtHubrise { delivery, known, record });
    }
    Ok(found)
}

impl AtHubrise {
    /// In words.
    #[must_use]
    pub fn in_words(&self, now: Timestamp) -> String {
        let ago =
            |ms: i64| Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |at| until(at, now));
        let mut words = Vec::new();
        match self.known.shown_at.as_ref().or(self.known.link.as_ref()) {
            Some(Link { connection, location, order }) => {
                words.push(format!("order {location}/{order} of {connection}"));
            }
            None => words.push("not linked to an order: see `milepost hubrise link`".to_owned()),
        }
        if let Some(since_ms) = self.known.unlinked_since_ms {
            words.push(format!("an update had no order {}", ago(since_ms)));
        }
        if self.known.dropped > 0 {
            words.push(format!("updates dropped without an order: {}", self.known.dropped));
        }
        if let Some(record) = &self.record {
            words.push(match (record.known, record.shown_stage()) {
                (HubriseSide::Delivery, Some(stage)) => format!("shows {}", stage.as_str()),
                (HubriseSide::NoDelivery, _) => "has no delivery yet".to_owned(),
                _ => "what it shows is not known".to_owned(),
            });
            if let Some(last) = &record.last {
                words.push(format!("last request {}: {}, {}", last.request, last.result, ago(last.at_ms)));
            }
        }
        words.join("; ")
    }

    #[must_use]
    pub fn as_json(&self) -> Value {
        let DeliveryName { provider, account, delivery_id } = &self.delivery;
        let record = self.record.as_ref().map(|record| {
            json!({
                "known": record.known, "status": record.shown_stage(), "last": record.last,
                "pending": record.pending().keys().map(|field| field.as_str()).collect::<Vec<_>>(),
                "refused": record.refused.keys().map(|field| field.as_str()).collect::<Vec<_>>(),
            })
        });
        json!({
            "provider": provider, "account": account, "delivery_id": delivery_id, "order": self.known.shown_at,
            "link": self.known.link, "unlinked_since_ms": self.known.unlinked_since_ms,
            "dropped": self.known.dropped, "record": record,
        })
    }
}
