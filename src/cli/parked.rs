//! `milepost parked`: messages that need an operator. Looking takes nothing off a queue and changes no order.

pub mod discard;
pub mod entry;
pub mod filter;
pub mod list;
pub mod mask;
pub mod ramp;
pub mod replay;
pub mod show;
pub mod summary;
pub mod transfer;

use std::io::{self, Write};
use std::panic::PanicHookInfo;

use anyhow::bail;
use clap::Subcommand;

use self::entry::Entry;
use self::filter::Filter;
use super::config::load_with;
use super::{Exit, Global, is_broken_pipe};
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::{ParkedError, ParkedMessage, ParkedQueue};
use crate::app::backends::rabbit_settings;
use crate::app::life::Signals;
use crate::config::ConfigError;
use crate::domain::provider::ProviderId;

/// What `milepost parked` is asked.
#[derive(Subcommand)]
pub enum Command {
    /// Count them by provider, account, reason and failure fingerprint
    Summary(summary::Args),
    /// One line each, oldest first
    List(list::Args),
    /// Everything about one, personal data masked
    Show(show::Args),
    /// Give them to the workers once more
    Replay(replay::Args),
    /// Write them to a file and take them off the queue for good
    Discard(discard::Args),
    /// Write them to a file, one JSON object a line; they stay parked
    Export(transfer::ExportArgs),
    /// Park again what `export` or `discard` wrote
    Import(transfer::ImportArgs),
}

/// Where the messages are.
#[derive(Debug, Clone, clap::Args)]
pub struct Broker {
    /// Use this RabbitMQ [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
}

/// Runs one of them.
///
/// # Errors
/// When the configuration or the broker cannot be used, or a file or the output cannot be written.
pub async fn run(command: Command, global: Global) -> anyhow::Result<Exit> {
    // Messages are decoded to find their deliveries, and one that made a worker panic will do so here.
    std::panic::set_hook(Box::new(say_where));
    let ended = match command {
        Command::Summary(args) => summary::run(&args, global).await,
        Command::List(args) => list::run(&args, global).await,
        Command::Show(args) => show::run(&args, global).await,
        Command::Replay(args) => replay::run(args, global).await,
        Command::Discard(args) => discard::run(&args, global).await,
        Command::Export(args) => transfer::export(&args, global).await,
        Command::Import(args) => transfer::import(&args, global).await,
    };
    match ended {
        // The reader of the output has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Done),
        ended => ended,
    }
}

/// A panic's message may quote a webhook (invariant 9), so it is not shown.
fn say_where(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    eprintln!("milepost: a panic at {place}");
}

impl Broker {
    /// How to reach it.
    fn settings(&self, global: Global) -> Result<RabbitSettings, ConfigError> {
        let config = load_with(global, &[("--amqp", &self.amqp)])?.config;
        Ok(rabbit_settings(&config, "operator"))
    }
}

/// The parked queues that a filter is about. Providers that this installation never ran have none; that is an error
/// only for one asked for by name, or when there is none at all.
struct Queues<'a> {
    settings: &'a RabbitSettings,
    left: std::vec::IntoIter<ProviderId>,
    by_name: bool,
    found: bool,
}

impl<'a> Queues<'a> {
    fn new(settings: &'a RabbitSettings, filter: &Filter) -> Self {
        let (by_name, left) = (!filter.provider.is_empty(), filter.providers().into_iter());
        Self { settings, left, by_name, found: false }
    }

    /// The next one, locked.
    async fn next(&mut self) -> Result<Option<ParkedQueue>, ParkedError> {
        while let Some(provider) = self.left.next() {
            let last = self.left.len() == 0;
            match ParkedQueue::open(self.settings, provider).await {
                Err(ParkedError::NoQueue(_)) if !self.by_name && (self.found || !last) => {}
                Err(error) => return Err(error),
                Ok(queue) => {
                    self.found = true;
                    return Ok(Some(queue));
                }
            }
        }
        Ok(None)
    }
}

/// Looks at everything that passes the filter, in order, and gives it back.
pub(super) async fn look(
    settings: &RabbitSettings,
    filter: &Filter,
    mut each: impl FnMut(Entry, &ParkedMessage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let mut queues = Queues::new(settings, filter);
    while let Some(mut queue) = queues.next().await? {
        loop {
            let next = tokio::select! {
                biased;
                () = signals.next() => {
                    queue.close().await?;
                    bail!("interrupted");
                }
                next = queue.next() => next?,
            };
            let Some(message) = next else { break };
            let entry = Entry::read(&message);
            if filter.accepts(&entry) {
                each(entry, &message)?;
            }
        }
        queue.close().await?;
    }
    Ok(())
}

/// Standard output: plain, unless it is a terminal.
fn out() -> impl Write {
    io::BufWriter::new(anstream::stdout())
}
