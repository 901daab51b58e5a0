//! `milepost subscribe`: a service's own queue of updates. `docs/subscribe.md` says how to consume from it.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use lapin::Channel;

use super::pattern::{Pattern, of_updates};
use super::{Exit, Global, line, misuse};
use crate::adapters::rabbit::connect;
use crate::adapters::rabbit::management::Management;
use crate::adapters::rabbit::subscriptions::{self, Limits, QueueName, RemoveError, Subscription};
use crate::app::backends::rabbit_settings;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  milepost subscribe orders '*.*.closed.*' '*.*.*.picked_up'   declare the queue and bind it; again changes nothing
  milepost subscribe orders --remove '*.*.*.picked_up'         take one binding away
  milepost subscribe orders --remove                           delete the queue
  milepost subscribe --list                                    who takes what

docs/subscribe.md shows a service how to consume.";

/// What `milepost subscribe` is asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of the command line.
pub struct Args {
    /// The queue; names that begin with `milepost.` are Milepost's own
    #[arg(required_unless_present = "list")]
    pub name: Option<QueueName>,
    /// Events to take: topic patterns for routing keys, which are <provider>.<account>.<phase>.<status>; `*` is one
    /// word, `#` any number of them. Patterns that the queue is bound by already stay
    #[arg(value_name = "PATTERN", required_unless_present_any = ["list", "remove"], value_parser = of_updates)]
    pub patterns: Vec<Pattern>,
    /// What bounds the queue.
    #[command(flatten)]
    pub bounds: Bounds,
    /// Unbind these patterns; without any, delete the queue, if it holds no message and has no consumer
    #[arg(long, conflicts_with_all = ["Bounds", "list"])]
    pub remove: bool,
    /// Delete the queue whatever it holds
    #[arg(long, requires = "remove", conflicts_with = "patterns")]
    pub force: bool,
    /// Show the queues that are bound to updates, and by what; asks the management API
    #[arg(long, conflicts_with_all = ["name", "Bounds"])]
    pub list: bool,
    /// Show one JSON object a line
    #[arg(long, requires = "list")]
    pub json: bool,
    /// Use this RabbitMQ [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// Ask this management API, such as http://127.0.0.1:15672 [default: the configured one]
    #[arg(long, value_name = "URL", requires = "list")]
    pub management: Option<String>,
}

/// What bounds the queue; fixed once it is declared.
#[derive(clap::Args)]
pub struct Bounds {
    /// Keep so many events at most; beyond it the oldest go
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_length: Option<u32>,
    /// Keep so many bytes of events at most; beyond it the oldest go
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_bytes: Option<u64>,
    /// Keep what the service rejects in the queue NAME.parked, instead of dropping it
    #[arg(long)]
    pub park: bool,
    /// Park an event too that was delivered so often and never acknowledged, as one that kills its consumer
    #[arg(long, value_name = "N", requires = "park", value_parser = clap::value_parser!(u32).range(1..))]
    pub delivery_limit: Option<u32>,
}

/// Subscribes, or removes or lists subscriptions.
///
/// # Errors
/// When the broker or its management API cannot be reached or refuses, in their words; and when a queue that is to be
/// removed is in use.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let flags = [("--amqp", &args.amqp), ("--management", &args.management)];
    let config = super::config::load_with(global, &flags)?.config;
    let Some(name) = &args.name else { return list(&config, args.json).await };
    let connection = connect(&rabbit_settings(&config, "subscribe"), "subscribe").await?;
    let channel = connection.create_channel().await?;
    println!("{}", change(&channel, name, &args).await?);
    connection.close(200, "bye".into()).await?;
    Ok(Exit::Done)
}

/// Does what was asked of one queue; returns what to say of it.
async fn change(channel: &Channel, name: &QueueName, args: &Args) -> anyhow::Result<String> {
    let patterns: Vec<String> = args.patterns.iter().map(Pattern::to_string).collect();
    if !args.remove {
        subscriptions::subscribe(channel, name, &patterns, &args.bounds.limits()).await?;
        return Ok(format!("queue {name} is bound to updates by {}", patterns.join(" ")));
    }
    if !patterns.is_empty() {
        subscriptions::unbind(channel, name, &patterns).await?;
        return Ok(format!("queue {name} is not bound by {} any more", patterns.join(" ")));
    }
    match subscriptions::remove(channel, name, args.force).await {
        Ok(messages) => Ok(format!("queue {name} is deleted, and {messages} messages in it")),
        Err(error @ RemoveError::InUse { .. }) => bail!("{error}; --force deletes it all the same"),
        Err(error) => Err(error.into()),
    }
}

async fn list(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let management = config.amqp.management_url.as_ref().ok_or_else(|| {
        misuse("where is the management API? Give --management, MILEPOST_AMQP_MANAGEMENT_URL or amqp.management_url")
    })?;
    let asked = Management::new(management.expose(), config.amqp.url.expose())?;
    let found = subscriptions::list(&asked).await.with_context(|| format!("cannot ask {management}"))?;
    let mut out = io::stdout().lock();
    for subscription in &found {
        if json {
            writeln!(out, "{}", serde_json::to_string(subscription)?)?;
        } else {
            writeln!(out, "{}", human(subscription))?;
        }
    }
    Ok(Exit::Done)
}

fn human(subscription: &Subscription) -> String {
    let Subscription { queue, patterns, messages, consumers } = subscription;
    let count =
        |number: &Option<u64>| number.map_or("not counted yet".to_owned(), |number| number.to_string());
    let (messages, consumers) = (count(messages), count(consumers));
    line::printable(&format!("{queue}  {}  messages: {messages}, consumers: {consumers}", patterns.join(" ")))
}

impl Bounds {
    fn limits(&self) -> Limits {
        let Self { max_length, max_bytes, park, delivery_limit } = *self;
        Limits { max_length, max_bytes, park, delivery_limit }
    }
}
