//! HubRise: each update becomes the delivery of a HubRise order (`docs/hubrise.md`).
//!
//! [`core`] decides; here it is carried out. Nothing that is kept in Redis is the only place of anything: an update stays
//! in the broker until HubRise shows it.

pub mod api;
pub mod core;
pub mod keys;
pub mod links;
mod office;
pub mod settings;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::api::Api;
use self::core::rule::OrderId;
use self::links::{Known, Link, Waiting};
use self::office::Office;
use self::settings::{Connection, Settings};
use self::visit::Visit;
use super::lanes::Lanes;
use super::update::{Fit, Read, Update, read};
use super::{Message, Outcome, ParkReason, Reason, Sink, Verdict, cells};
use crate::ports::{Cells, CellsError};

/// The provider whose updates come from HubRise itself.
const OWN_PROVIDER: &str = "hubrise";
/// The first wait of an update that is not linked; it doubles.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// A link is noticed after this long at the latest.
const LAST_LOOK: Duration = Duration::from_mins(5);

/// The sink.
pub struct Hubrise {
    settings: Settings,
    store: Arc<dyn Cells>,
    office: Office,
    lanes: Lanes,
}

impl Hubrise {
    /// A sink that keeps what it knows in `store` and writes with `api`.
    #[must_use]
    pub fn new(settings: Settings, store: Arc<dyn Cells>, api: Arc<dyn Api>) -> Self {
        let office = Office::new(Arc::clone(&store), api);
        Self { settings, store, office, lanes: Lanes::default() }
    }

    async fn show(
        &self,
        connection: &Connection,
        order: &OrderId,
        update: &Update,
        message: &Message,
    ) -> Result<Verdict, CellsError> {
        Visit::new(self, connection, order, update, message).run().await
    }

    /// The order that an update belongs to: by the rule of a connection that it feeds, else by a link.
    async fn order_of<'a>(
        &'a self,
        update: &Update,
        fed: &[&'a Connection],
    ) -> Result<Option<(&'a Connection, OrderId)>, CellsError> {
        let by_rule = |connection: &&'a Connection| {
            let order = connection.rule.order_of(update, &connection.locations)?;
            Some((*connection, order))
        };
        if let Some(found) = fed.iter().find_map(by_rule) {
            return Ok(Some(found));
        }
        let key = keys::delivery(&update.delivery);
        let (known, _) = cells::read::<Known>(self.store.as_ref(), &key).await?;
        let linked = |Link { connection, .. }: &Link| fed.iter().find(|fed| fed.name == *connection).copied();
        Ok(known.link.as_ref().and_then(|link| Some((linked(link)?, link.order_id()))))
    }

    /// Waits for a link, within bounds of time and number.
    async fn unlinked(
        &self,
        connection: &Connection,
        update: &Update,
        message: &Message,
    ) -> Result<Verdict, CellsError> {
        let Settings { unlinked_for, unlinked_most, memory, .. } = self.settings;
        let (store, key) = (self.store.as_ref(), keys::unlinked(&connection.name));
        let waits = message.reason.as_deref() == Some(Reason::Unlinked.as_str());
        let longest_ms = i64::try_from(unlinked_for.as_millis()).unwrap_or(i64::MAX);
        let (first_ms, waits_on) = cells::update(store, &key, memory, |waiting: &mut Waiting, now_ms| {
            if !waits {
                return (now_ms, waiting.begin(now_ms, unlinked_for, unlinked_most));
            }
            let in_time = now_ms.saturating_sub(message.first_ms) < longest_ms;
            if !in_time {
                waiting.end(message.first_ms);
            }
            (message.first_ms, in_time)
        })
        .await?;
        if !waits || !waits_on {
            cells::update(store, &keys::delivery(&update.delivery), memory, |known: &mut Known, _| {
                known.unlinked_since_ms.get_or_insert(first_ms);
                known.dropped += u32::from(!waits_on);
            })
            .await?;
        }
        if !waits_on {
            return Ok(Verdict::Done(Outcome::Unlinked));
        }
        let delay = FIRST_LOOK.saturating_mul(1 << message.deferred.min(10)).min(LAST_LOOK);
        Ok(Verdict::Later { delay, why: Reason::Unlinked })
    }

    /// An update that waited for its link has it.
    async fn linked(&self, connection: &Connection, message: &Message) -> Result<(), CellsError> {
        if message.reason.as_deref() != Some(Reason::Unlinked.as_str()) {
            return Ok(());
        }
        let key = keys::unlinked(&connection.name);
        let end = |waiting: &mut Waiting, _| waiting.end(message.first_ms);
        cells::update(self.store.as_ref(), &key, self.settings.memory, end).await
    }
}

#[async_trait]
impl Sink for Hubrise {
    fn name(&self) -> &'static str {
        "hubrise"
    }

    async fn handle(&self, message: &Message) -> Result<Verdict, CellsError> {
        let update = match read(&message.body) {
            Read::Update(update) => update,
            Read::OtherType => return Ok(Verdict::Done(Outcome::Ignored)),
            Read::Malformed(what) => return Ok(Verdict::Park(ParkReason::Malformed, what.to_owned())),
        };
        let connections = self.settings.connections.iter();
        let fed: Vec<_> = connections.filter(|connection| connection.is_fed_by(&update.delivery)).collect();
        // What HubRise told us is not told to HubRise.
        if update.delivery.provider == OWN_PROVIDER || fed.is_empty() {
            return Ok(Verdict::Done(Outcome::Ignored));
        }
        if update.fit == Fit::Late {
            return Ok(Verdict::Done(Outcome::Late));
        }
        match self.order_of(&update, &fed).await? {
            Some((connection, order)) => {
                self.linked(connection, message).await?;
                self.show(connection, &order, &update, message).await
            }
            None => self.unlinked(fed[0], &update, message).await,
        }
    }
}
