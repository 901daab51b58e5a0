//! `milepost subscribe`: a service's own queue of updates. `docs/subscribe.md` says how to consume from it.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use lapin::Connection;

use super::pattern::{RoutingPattern, of_updates};
use super::{Exit, Global, misuse};
use crate::adapters::rabbit::connect;
use crate::adapters::rabbit::management::Management;
use crate::adapters::rabbit::subscriptions::{self, BoundQueue, Limits, QueueName, RemoveError, Subscribed};
use crate::app::backends::rabbit_settings;
use crate::config::Config;
use crate::operator::audit::{Act, AuditEntry, AuditLog, Surface};
use crate::operator::printable::printable;

const EXAMPLES: &str = "\
Examples:
  milepost subscribe orders '*.*.closed.*' '*.*.*.picked_up'   declare the queue and bind it; again changes nothing,
                                                               and other patterns are added
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
    pub patterns: Vec<RoutingPattern>,
    #[command(flatten)]
    pub bounds: Bounds,
    /// Unbind these patterns; without any, delete the queue, if it holds no message and has no consumer
    #[arg(long, conflicts_with_all = ["Bounds", "list"])]
    pub remove: bool,
    /// Delete the queue even with messages in it
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
    #[arg(long, value_name = "URL")]
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
    let who = global.who();
    let flags = [("--amqp", &args.amqp), ("--management", &args.management)];
    let config = super::config::load_with(global, &flags)?.config;
    let Some(name) = &args.name else { return list(&config, args.json).await };
    let connection = connect(&rabbit_settings(&config, "subscribe"), "subscribe").await?;
    let entry = AuditEntry::begun(&who, Surface::Command, Act::Subscribe, args.words(name), &[]);
    let audit = AuditLog::new(rabbit_settings(&config, &format!("operator {who}")));
    let said = audit.done(&entry, change(&connection, &config, name, &args), |said| (1, said.clone())).await;
    // Fails when a channel is closing at the same time; what was asked is done by then.
    let _ = connection.close(200, "bye".into()).await;
    println!("{}", said?);
    Ok(Exit::Done)
}

/// Does what was asked of one queue; returns what to say of it.
async fn change(
    connection: &Connection,
    config: &Config,
    name: &QueueName,
    args: &Args,
) -> anyhow::Result<String> {
    let patterns: Vec<String> = args.patterns.iter().map(RoutingPattern::to_string).collect();
    if !args.remove {
        let limits = args.bounds.limits();
        let subscribed = match subscriptions::subscribe(connection, name, &patterns, &limits).await {
            Err(error) if error.differs_in().is_some() => bail!(
                "{error}. Bounds are fixed once a queue is declared: without any asked for, it keeps its own and is bound"
            ),
            subscribed => subscribed?,
        };
        let bounds = match subscribed {
            Subscribed::AsAsked => "",
            Subscribed::WithItsBounds => ", and keeps the bounds that it was declared with",
        };
        return Ok(format!("queue {name} is bound to updates by {}{bounds}", patterns.join(" ")));
    }
    let channel = connection.create_channel().await?;
    if !patterns.is_empty() {
        let before = bound_by(config, name).await;
        subscriptions::unbind(&channel, name, &patterns).await?;
        return unbound(name, &patterns, before.as_deref());
    }
    match subscriptions::remove(&channel, name, args.force).await {
        Ok(messages) => {
            let parked = subscriptions::left_parked(connection, name).await;
            let parked = parked.map_or_else(String::new, |(parked, messages)| {
                format!("; queue {parked} is left, with {messages} messages: `milepost subscribe {parked} --remove`")
            });
            Ok(format!("queue {name} is deleted, and {messages} messages in it{parked}"))
        }
        Err(error @ RemoveError::InUse { .. }) => bail!("{error}; --force deletes it all the same"),
        Err(error) => Err(error.into()),
    }
}

/// What a queue is bound by, where the management API can be asked: AMQP does not tell.
async fn bound_by(config: &Config, name: &QueueName) -> Option<Vec<String>> {
    let url = config.amqp.management_url.as_ref()?;
    let management = Management::new(url.expose(), config.amqp.url.expose()).ok()?;
    subscriptions::patterns(&management, name).await.ok()
}

/// What to say of patterns that were taken away. A pattern that the queue was not bound by is a mistake, if that is known.
fn unbound(name: &QueueName, patterns: &[String], before: Option<&[String]>) -> anyhow::Result<String> {
    let said = patterns.join(" ");
    let Some(before) = before else {
        return Ok(format!(
            "queue {name} is not bound by {said} now; whether it was, only the management API could say (--management)"
        ));
    };
    let strangers: Vec<_> = patterns.iter().filter(|pattern| !before.contains(pattern)).cloned().collect();
    if strangers.is_empty() {
        return Ok(format!("queue {name} is not bound by {said} any more"));
    }
    let left: Vec<_> = before.iter().filter(|pattern| !patterns.contains(pattern)).cloned().collect();
    let left = if left.is_empty() { "nothing".to_owned() } else { left.join(" ") };
    bail!("queue {name} was never bound by {}; it is bound by {left}", strangers.join(" "))
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

fn human(subscription: &BoundQueue) -> String {
    let BoundQueue { queue, patterns, messages, consumers, parked_queue, parked, .. } = subscription;
    let count =
        |number: &Option<u64>| number.map_or("not counted yet".to_owned(), |number| number.to_string());
    let (messages, consumers) = (count(messages), count(consumers));
    let parked =
        parked_queue.as_ref().map_or_else(String::new, |queue| format!(", in {queue}: {}", count(parked)));
    let grows =
        if subscription.grows() { "; it has no bound and no consumer: it grows for ever" } else { "" };
    let patterns = patterns.join(" ");
    printable(&format!("{queue}  {patterns}  messages: {messages}, consumers: {consumers}{parked}{grows}"))
}

impl Args {
    /// What is changed, for the audit log.
    fn words(&self, name: &QueueName) -> String {
        let patterns: Vec<_> = self.patterns.iter().map(RoutingPattern::to_string).collect();
        let remove = if self.remove { " --remove" } else { "" };
        format!("{name}{remove} {}", patterns.join(" ")).trim_end().to_owned()
    }
}

impl Bounds {
    fn limits(&self) -> Limits {
        let Self { max_length, max_bytes, park, delivery_limit } = *self;
        Limits { max_length, max_bytes, park, delivery_limit }
    }
}
