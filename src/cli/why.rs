//! `milepost why`: all that is known of an event, a delivery or a receipt, put together from the ledger, the stream of
//! updates and the parked queues. What cannot be asked is said, and the rest is shown all the same.

mod answer;
mod hubrise;
pub(super) mod publications;
mod row;

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use self::answer::Answer;
use self::publications::Range;
use super::config::load_with;
use super::parked::{Broker, entry::Entry, filter::Filter, look};
use super::when::when;
use super::{Exit, Global, duration, misuse};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::inspect;
use crate::adapters::rabbit::topology::work_queue;
use crate::adapters::redis::{DeliveryName, Inspector, RedisCells};
use crate::app::backends::{rabbit_settings, redis_connection};
use crate::config::Config;
use crate::domain::identity::ReceiptId;
use crate::ports::{Clock as _, LedgerError};
use crate::providers;

/// Servers' clocks may differ this much: a receipt's id says when it was given by the receiver's, a sequence number by
/// Redis's, and the log finds a time by the broker's.
const CLOCK_SKEW: Duration = Duration::from_mins(10);

const EXAMPLES: &str = "\
Examples:
  milepost why IN250212151234                                  all that is known of a delivery
  milepost why IN250212151234 --from 10:00 --until 10:30       what happened to it between
  milepost why 0195f1c2-3a4b-7c5d-8e6f-0a1b2c3d4e5f            what became of a request: its Milepost-Receipt

Times are in UTC.";

/// What `milepost why` is asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A delivery's id, an event's id (the published one or the provider's own), or a receipt's (`Milepost-Receipt`)
    pub id: String,
    /// Of a delivery, show what happened since then: a time such as 10:00 or 2026-01-02T03:04:05Z, or so long ago, such as
    /// 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub from: Option<Timestamp>,
    /// And until then
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// Show everything, but search only the updates published since so long ago, such as 1h or 2d [default: since the
    /// receipt, or all that are kept]
    #[arg(long, value_name = "SPAN", value_parser = duration, conflicts_with_all = ["from", "until"])]
    pub since: Option<Duration>,
    /// Where RabbitMQ is.
    #[command(flatten)]
    pub broker: Broker,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Asks everybody and shows what they know.
///
/// # Errors
/// When the configuration cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    if args.from.zip(args.until).is_some_and(|(from, until)| until <= from) {
        return Err(misuse("--until is not after --from"));
    }
    let flags = [("--amqp", &args.broker.amqp), ("--redis", &args.redis)];
    let config = load_with(global, &flags)?.config;
    let now = SystemClock.now();
    let answer = ask(&args, &config, now).await?;
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", answer.as_json(now))?;
    } else {
        write!(out, "{}", answer.for_a_person(now))?;
    }
    out.flush()?;
    Ok(if answer.is_empty() { Exit::Failed } else { Exit::Done })
}

async fn ask(args: &Args, config: &Config, now: Timestamp) -> anyhow::Result<Answer> {
    let mut answer = Answer::new(args.id.clone(), (args.from, args.until));
    let inspector = Inspector::new(redis_connection(config)?);
    // The ledger comes first: of a receipt that repeats an event, it says where in the log that one is.
    let names = inspector.deliveries(&args.id).await;
    if let Ok(names) = &names {
        remember(&inspector, names.clone(), &mut answer).await.unwrap_or_default();
    }
    let range = range(args, answer.first_receipt(), now)?;
    match publications::of(config.amqp.url.expose(), range, now, &answer.published_as()).await {
        Ok(searched) => answer.searched(searched),
        Err(outage) => answer.unknown("the updates published", &outage),
    }
    let mut parked = Vec::new();
    let settings = rabbit_settings(config, "why");
    let every = Filter::default();
    let looked = look(&settings, &every, |entry, _| {
        parked.extend(Some(entry).filter(|entry| is_about(entry, &args.id)));
        Ok(())
    });
    match looked.await {
        Ok(()) => answer.parked(parked),
        Err(error) => answer.unknown("the messages parked", &error),
    }
    let all = names.map(|names| [names, answer.deliveries()].concat());
    let remembered = match all {
        Ok(names) => remember(&inspector, names, &mut answer).await,
        Err(error) => Err(error),
    };
    if let Err(error) = remembered {
        answer.unknown("the ledger", &error);
    }
    if answer.is_empty() && ReceiptId::given_at(&args.id).is_some() {
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

/// Asks the ledger for every delivery that is in question.
async fn remember(
    inspector: &Inspector,
    mut names: Vec<DeliveryName>,
    answer: &mut Answer,
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
fn range(args: &Args, first: Option<ReceiptId>, now: Timestamp) -> anyhow::Result<Range> {
    let received = first.map(ReceiptId::received_at).or_else(|| ReceiptId::given_at(&args.id));
    let received = received.and_then(|received| received.checked_sub(CLOCK_SKEW).ok());
    let since = args.since.map(|since| now.checked_sub(since)).transpose()?;
    Ok(Range { from: args.from.or(since).or(received), until: args.until })
}

fn is_about(entry: &Entry, id: &str) -> bool {
    let content = &entry.content;
    let said = [&content.delivery_id, &content.provider_event_id, &content.event_id];
    entry.about.id == id || said.into_iter().flatten().any(|said| said == id)
}
