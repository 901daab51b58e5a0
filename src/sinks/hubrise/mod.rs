//! HubRise: each update becomes the delivery of a HubRise order (`docs/hubrise.md`).
//!
//! [`core`] decides; here it is carried out. Nothing that is kept in Redis is the only place of anything: an update stays
//! in the broker until HubRise shows it.

pub mod announced;
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
use self::links::{KnownDelivery, Link, Waiting};
use self::office::Office;
use self::settings::{Connection, Settings};
use self::visit::Visit;
use super::lanes::Turns;
use super::update::{Fit, Read, Update, read};
use super::{HUBRISE, Sink, SinkMessage, SinkOutcome, Verdict, WaitReason, cells};
use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;
use crate::ports::{Cells, CellsError, chance};
use crate::telemetry::metrics::SINK_AGE;

/// The provider whose updates come from HubRise itself.
pub const OWN_PROVIDER: &str = "hubrise";
/// A link is noticed after this long at the latest.
const LONGEST_LOOK: Duration = Duration::from_mins(5);

pub struct Hubrise {
    settings: Settings,
    store: Arc<dyn Cells>,
    office: Office,
    lanes: Turns,
}

impl Hubrise {
    /// A sink that keeps what it knows in `store` and writes with `api`.
    #[must_use]
    pub fn new(settings: Settings, store: Arc<dyn Cells>, api: Arc<dyn Api>) -> Self {
        let office = Office::new(Arc::clone(&store), api, &settings.connections);
        Self { settings, store, office, lanes: Turns::default() }
    }

    async fn show(
        &self,
        connection: &Connection,
        order: &OrderId,
        update: &Update,
        message: &SinkMessage,
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
        let (known, _) = cells::read::<KnownDelivery>(self.store.as_ref(), &key).await?;
        let linked = |Link { connection, .. }: &Link| fed.iter().find(|fed| fed.name == *connection).copied();
        Ok(known.link.as_ref().and_then(|link| Some((linked(link)?, link.order_id()))))
    }

    /// Waits for a link, within bounds of time and number.
    async fn unlinked(
        &self,
        connection: &Connection,
        update: &Update,
        message: &SinkMessage,
    ) -> Result<Verdict, CellsError> {
        let Settings { unlinked_for, unlinked_most, memory, .. } = self.settings;
        let (store, key) = (self.store.as_ref(), keys::unlinked(&connection.name));
        let (waits, first_ms) = (message.waited_for(WaitReason::Unlinked), update.received_ms);
        let longest_ms = i64::try_from(unlinked_for.as_millis()).unwrap_or(i64::MAX);
        let waits_on = cells::update(store, &key, memory, |waiting: &mut Waiting, now_ms| {
            let in_time = now_ms.saturating_sub(first_ms) < longest_ms;
            match waits {
                false => in_time && waiting.begin(first_ms, now_ms, unlinked_for, unlinked_most),
                true if in_time => true,
                true => {
                    waiting.end(first_ms);
                    false
                }
            }
        })
        .await?;
        if !waits || !waits_on {
            cells::update(
                store,
                &keys::delivery(&update.delivery),
                memory,
                |known: &mut KnownDelivery, _| {
                    known.unlinked_since_ms.get_or_insert(first_ms);
                    known.dropped += u32::from(!waits_on);
                },
            )
            .await?;
        }
        if !waits_on {
            return Ok(Verdict::Done(SinkOutcome::Unlinked));
        }
        Ok(Verdict::Later { delay: patience(update, message, LONGEST_LOOK), why: WaitReason::Unlinked })
    }

    /// An update that waited for its link has it.
    async fn linked(
        &self,
        connection: &Connection,
        update: &Update,
        message: &SinkMessage,
    ) -> Result<(), CellsError> {
        if !message.waited_for(WaitReason::Unlinked) {
            return Ok(());
        }
        let key = keys::unlinked(&connection.name);
        let end = |waiting: &mut Waiting, _| waiting.end(update.received_ms);
        cells::update(self.store.as_ref(), &key, self.settings.memory, end).await
    }
}

/// How long an update waits that nothing tells when to look again: as long as it has been under way, of which chance
/// takes up to half away. So the waits double.
fn patience(update: &Update, message: &SinkMessage, longest: Duration) -> Duration {
    let age_ms = message.now_ms.saturating_sub(update.received_ms);
    let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or_default());
    age.clamp(Duration::from_secs(1), longest).mul_f64(1.0 - chance::random::<f64>() / 2.0)
}

#[async_trait]
impl Sink for Hubrise {
    fn id(&self) -> ProviderId {
        HUBRISE
    }

    async fn handle(&self, message: &SinkMessage) -> Result<Verdict, CellsError> {
        let update = match read(&message.body) {
            Read::Update(update) => update,
            Read::OtherType => return Ok(Verdict::Done(SinkOutcome::Ignored)),
            Read::Malformed(what) => return Ok(Verdict::Park(ParkReason::Malformed, what.to_owned())),
        };
        let connections = self.settings.connections.iter();
        let fed: Vec<_> = connections.filter(|connection| connection.is_fed_by(&update.delivery)).collect();
        // What HubRise told us is not told to HubRise.
        if update.delivery.provider == OWN_PROVIDER || fed.is_empty() {
            return Ok(Verdict::Done(SinkOutcome::Ignored));
        }
        if update.fit == Fit::Late {
            return Ok(Verdict::Done(SinkOutcome::Late));
        }
        let Some((connection, order)) = self.order_of(&update, &fed).await? else {
            return self.unlinked(fed[0], &update, message).await;
        };
        self.linked(connection, &update, message).await?;
        let verdict = self.show(connection, &order, &update, message).await?;
        if verdict == Verdict::Done(SinkOutcome::Shown) {
            let age_ms = message.now_ms.saturating_sub(update.received_ms).max(0);
            let age = Duration::from_millis(age_ms.unsigned_abs());
            metrics::histogram!(SINK_AGE, "sink" => HUBRISE.as_str()).record(age.as_secs_f64());
        }
        Ok(verdict)
    }

    async fn report(&self) -> Result<(), CellsError> {
        self.office.report(&self.settings.connections).await
    }
}
