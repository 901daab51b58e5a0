//! Links that services announce on the exchange `milepost.links`: one JSON object a message.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::links;
use super::settings::Settings;
use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;
use crate::ports::{Cells, CellsError};
use crate::sinks::update::UpdatedDelivery;
use crate::sinks::{HUBRISE_LINKS, Sink, SinkMessage, SinkOutcome, Verdict};

#[derive(Debug, Deserialize)]
struct Announcement {
    provider: String,
    #[serde(default = "default_account")]
    account: String,
    /// The provider's id of the delivery.
    delivery_id: String,
    /// The order: its id, or `location/order`.
    order: String,
    /// Of which connection, where several are fed by the account.
    connection: Option<String>,
}

fn default_account() -> String {
    "default".to_owned()
}

pub struct Announced {
    settings: Settings,
    store: Arc<dyn Cells>,
}

impl Announced {
    /// Keeps them in `store`.
    #[must_use]
    pub const fn new(settings: Settings, store: Arc<dyn Cells>) -> Self {
        Self { settings, store }
    }
}

#[async_trait]
impl Sink for Announced {
    fn id(&self) -> ProviderId {
        HUBRISE_LINKS
    }

    async fn handle(&self, message: &SinkMessage) -> Result<Verdict, CellsError> {
        let Ok(announcement) = serde_json::from_slice::<Announcement>(&message.body) else {
            let what = "not a link: expected provider, delivery_id and order".to_owned();
            return Ok(Verdict::Park(ParkReason::Malformed, what));
        };
        let Announcement { provider, account, delivery_id, order, connection } = announcement;
        let delivery = UpdatedDelivery { provider, account, id: delivery_id };
        match links::link(&self.settings.connections, &delivery, &order, connection.as_deref()) {
            Ok(link) => {
                links::keep(self.store.as_ref(), &self.settings, &delivery, link).await?;
                Ok(Verdict::Done(SinkOutcome::Linked))
            }
            Err(why) => Ok(Verdict::Park(ParkReason::SinkRefused, why)),
        }
    }
}
