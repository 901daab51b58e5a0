//! `milepost why`: all that is known of an event, a delivery or a receipt, put together from the ledger, the stream of
//! updates and the parked queues. What cannot be asked is said, and the rest is shown all the same.

mod answer;
mod hubrise;
mod publications;

use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use self::answer::Answer;
use super::config::load_with;
use super::parked::{Broker, entry::Entry, filter::Filter, look};
use super::{Exit, Global, duration};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::updates_log::Start;
use crate::adapters::redis::{DeliveryName, Inspector, RedisCells};
use crate::app::backends::{rabbit_settings, redis_connection};
use crate::config::Config;
use crate::domain::identity::ReceiptId;
use crate::ports::{Clock as _, LedgerError};

/// A receipt's id says when it was given, by a clock that may differ this much from the broker's.
const CLOCK_SKEW: Duration = Duration::from_mins(10);

/// What `milepost why` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// A delivery's id, an event's id (the published one or the provider's own), or a receipt's (`Milepost-Receipt`)
    pub id: String,
    /// Search the updates published since so long ago, such as 1h or 2d [default: since the receipt, or all that are
    /// kept]
    #[arg(long, value_name = "SPAN", value_parser = duration)]
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
    let mut answer = Answer::new(args.id.clone());
    let published = publications::of(config.amqp.url.expose(), start(args, now)?, now, &args.id);
    match published.await {
        Ok(found) => answer.published(found),
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
    match remembered(&Inspector::new(redis_connection(config)?), &args.id, &mut answer).await {
        Ok(()) => {}
        Err(error) => answer.unknown("the ledger", &error),
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

/// Asks the ledger for every delivery that is in question by now.
async fn remembered(inspector: &Inspector, id: &str, answer: &mut Answer) -> Result<(), LedgerError> {
    let mut names: Vec<DeliveryName> = inspector.deliveries(id).await?;
    names.extend(answer.deliveries());
    names.sort();
    names.dedup();
    let mut deliveries = Vec::new();
    for name in names {
        deliveries.push(inspector.delivery(&name).await?);
    }
    answer.remembered(deliveries);
    Ok(())
}

fn start(args: &Args, now: Timestamp) -> anyhow::Result<Start> {
    if let Some(since) = args.since {
        return Ok(Start::At(now.checked_sub(since)?));
    }
    let given = ReceiptId::given_at(&args.id).and_then(|given| given.checked_sub(CLOCK_SKEW).ok());
    Ok(given.map_or(Start::First, Start::At))
}

fn is_about(entry: &Entry, id: &str) -> bool {
    let content = &entry.content;
    let said = [&content.delivery_id, &content.provider_event_id, &content.event_id];
    entry.about.id == id || said.into_iter().flatten().any(|said| said == id)
}
