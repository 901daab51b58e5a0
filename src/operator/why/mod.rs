//! All that is known of an event, a delivery, a receipt or a merchant's reference, put together from the ledger, the stream of updates and the
//! parked queues. What cannot be asked is said, and the rest is shown all the same.

mod answer;
mod hubrise;
pub mod publications;
mod row;
mod sought;

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::answer::Explanation;
pub use self::hubrise::AtHubrise;
pub use self::publications::{Publication, PublicationData, Range, Searched};
pub use self::row::{AskedSystems, Row, way};
pub use self::sought::Sought;
use super::parked::entry::Entry;
use super::parked::filter::Filter;
use super::parked::look;
use crate::adapters::rabbit::inspect;
use crate::adapters::rabbit::topology::work_queue;
use crate::adapters::redis::{DeliveryName, LedgerReader, RedisCells};
use crate::app::backends::{rabbit_settings, redis_connection};
use crate::config::Config;
use crate::domain::identity::ReceiptId;
use crate::ports::LedgerError;
use crate::providers;

/// Servers' clocks may differ this much: a receipt's id says when it was given by the receiver's, a sequence number by
/// Redis's, and the log finds a time by the broker's.
const CLOCK_SKEW: Duration = Duration::from_mins(10);
/// Of the deliveries that have one reference, so many are shown: merchants number their orders from 1 again.
const MOST_REFERRED: usize = 20;

#[derive(Debug, Clone, Default)]
pub struct Question {
    /// A delivery's id, an event's id (the published one or the provider's own), a receipt's, or a reference of the merchant's.
    pub id: String,
    /// Of a delivery, what happened since then.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Search only the updates published since so long ago.
    pub since: Option<Duration>,
}

/// Whom to ask for parked messages.
pub enum ParkedOf<'a> {
    /// The queues themselves, which are locked meanwhile.
    Queues(CancellationToken),
    Index(&'a (dyn Fn(&Sought) -> Vec<Entry> + Sync)),
}

/// Asks everybody.
///
/// # Errors
/// When a URL of the configuration cannot be used, or a time is out of range.
pub async fn ask(
    question: &Question,
    config: &Config,
    now: Timestamp,
    parked_of: ParkedOf<'_>,
) -> anyhow::Result<Explanation> {
    let mut answer = Explanation::new(question.id.clone(), (question.from, question.until));
    let inspector = LedgerReader::new(redis_connection(config)?);
    // The ledger comes first: of a receipt that repeats an event, it says where in the log that one is.
    let names = inspector.deliveries(&question.id).await;
    if let Ok(names) = &names {
        remember(&inspector, names.clone(), &mut answer).await.unwrap_or_default();
    }
    let range = range(question, answer.first_receipt(), now)?;
    search(config, (range, now), &mut answer).await;
    let by_updates = answer.referring().len();
    look_for(config, &parked_of, &mut answer).await;
    // What does not say the reference itself is found by its delivery.
    if answer.referring().len() > by_updates {
        look_for(config, &parked_of, &mut answer).await;
    }
    if !answer.referred().is_empty() {
        search(config, (range, now), &mut answer).await;
    }
    let all = names.map(|names| [names, answer.deliveries()].concat());
    let remembered = match all {
        Ok(names) => remember(&inspector, names, &mut answer).await,
        Err(error) => Err(error),
    };
    if let Err(error) = remembered {
        answer.unknown("the ledger", &error);
    }
    if answer.is_empty() && ReceiptId::given_at(&question.id).is_some() {
        answer.waiting(waiting(config).await);
    }
    if config.hubrise_sink.is_used() {
        let store = RedisCells::new(redis_connection(config)?);
        match hubrise::known(&store, &answer.deliveries()).await {
            Ok(known) => answer.hubrise(known),
            Err(error) => answer.unknown("the HubRise sink", &error),
        }
    }
    Ok(answer)
}

/// Searches the updates for what the answer is about so far.
async fn search(config: &Config, (range, now): (Range, Timestamp), answer: &mut Explanation) {
    let sought = Sought::new(&answer.published_as(), answer.referred());
    match publications::of(config.amqp.url.expose(), range, now, &sought).await {
        Ok(searched) => answer.searched(searched),
        Err(outage) => answer.unknown("the updates published", &outage),
    }
}

/// Looks among the parked messages for what the answer is about so far.
async fn look_for(config: &Config, of: &ParkedOf<'_>, answer: &mut Explanation) {
    let sought = Sought::new(&answer.id, answer.referring());
    match parked(&sought, config, of).await {
        Ok(parked) => answer.parked(parked),
        Err(error) => answer.unknown("the messages parked", &error),
    }
}

/// The parked messages that are looked for, and those that say the id as a reference.
async fn parked(sought: &Sought, config: &Config, of: &ParkedOf<'_>) -> anyhow::Result<Vec<Entry>> {
    let stop = match of {
        ParkedOf::Index(known) => return Ok(known(sought)),
        ParkedOf::Queues(stop) => stop,
    };
    let mut parked = Vec::new();
    let (settings, every) = (rabbit_settings(config, "why"), Filter::default());
    look(&settings, &every, stop, |entry, _| {
        parked.extend(Some(entry).filter(|entry| sought.finds_parked(entry)));
        Ok(())
    })
    .await?;
    Ok(parked)
}

/// Asks the ledger for every delivery that is in question.
async fn remember(
    inspector: &LedgerReader,
    mut names: Vec<DeliveryName>,
    answer: &mut Explanation,
) -> Result<(), LedgerError> {
    names.sort();
    names.dedup();
    let mut deliveries = Vec::new();
    for name in names {
        deliveries.push(inspector.delivery(&name).await?);
    }
    answer.remembered(deliveries);
    Ok(())
}

/// The webhooks that wait to be taken up, in each queue that has any. `None` when the broker cannot be asked.
async fn waiting(config: &Config) -> Option<Vec<(String, u32)>> {
    let broker = inspect::Inspector::connect(rabbit_settings(config, "why")).await.ok()?;
    let mut waiting = Vec::new();
    for provider in providers::ALL {
        let queue = work_queue(provider.id());
        if let Ok(Some(messages @ 1..)) = broker.waiting(&queue).await {
            waiting.push((queue, messages));
        }
    }
    broker.close().await;
    Some(waiting)
}

/// What of the log is searched: it may hold millions of updates.
fn range(question: &Question, first: Option<ReceiptId>, now: Timestamp) -> anyhow::Result<Range> {
    let received = first.map(ReceiptId::received_at).or_else(|| ReceiptId::given_at(&question.id));
    let received = received.and_then(|received| received.checked_sub(CLOCK_SKEW).ok());
    let since = question.since.map(|since| now.checked_sub(since)).transpose()?;
    Ok(Range { from: question.from.or(since).or(received), until: question.until })
}
