//! `milepost parked`: messages that need an operator, as text and JSON lines.

pub mod discard;
pub mod list;
pub mod replay;
pub mod show;
pub mod summary;
pub mod transfer;

use std::io::{self, Write};
use std::panic::PanicHookInfo;

use anyhow::anyhow;
use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use super::config::load_with;
use super::{Exit, Global, is_broken_pipe};
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::management::Management;
use crate::adapters::rabbit::parked::ParkedError;
use crate::app::backends::rabbit_settings;
use crate::app::life::Signals;
use crate::config::Config;
use crate::operator::audit::AuditLog;

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

#[derive(Debug, Clone, clap::Args)]
pub struct BrokerArgs {
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
    let broker = match &command {
        Command::Summary(args) => &args.broker,
        Command::List(args) => &args.broker,
        Command::Show(args) => &args.broker,
        Command::Replay(args) => &args.broker,
        Command::Discard(args) => &args.broker,
        Command::Export(args) => &args.broker,
        Command::Import(args) => &args.broker,
    };
    let who = global.who();
    let config = load_with(global, &[("--amqp", &broker.amqp)])?.config;
    let settings = Site { rabbit: rabbit_settings(&config, &format!("operator {who}")), who };
    let ended = match command {
        Command::Summary(args) => summary::run(&args, &settings).await,
        Command::List(args) => list::run(&args, &settings).await,
        Command::Show(args) => show::run(&args, &settings).await,
        Command::Replay(args) => replay::run(args, &settings).await,
        Command::Discard(args) => discard::run(&args, &settings).await,
        Command::Export(args) => transfer::export(&args, &settings).await,
        Command::Import(args) => transfer::import(&args, &settings).await,
    };
    match ended {
        // The reader of the output has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Done),
        Err(error) => Err(with_holder(error, &config).await),
        ended => ended,
    }
}

/// A panic's message may quote a webhook (invariant 9), so it is not shown.
fn say_where(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    eprintln!("milepost: a panic at {place}");
}

/// Where a command works, and for whom.
struct Site {
    rabbit: RabbitSettings,
    who: String,
}

impl Site {
    fn audit(&self) -> AuditLog {
        AuditLog::new(self.rabbit.clone())
    }
}

/// Of a queue that another operator looks at, who that is, where the management API can be asked.
async fn with_holder(error: anyhow::Error, config: &Config) -> anyhow::Error {
    let Some(ParkedError::Busy(provider)) = error.downcast_ref::<ParkedError>() else { return error };
    let Some(url) = &config.amqp.management_url else { return error };
    let Ok(management) = Management::new(url.expose(), config.amqp.url.expose()) else { return error };
    match management.looks_at_parked(*provider).await {
        Ok(Some(holder)) => anyhow!("{error}: it is {holder}"),
        _ => error,
    }
}

/// A token that the first SIGTERM or SIGINT cancels.
///
/// # Errors
/// When the system does not let us listen for them.
pub(super) fn until_signalled() -> io::Result<CancellationToken> {
    let (stop, mut signals) = (CancellationToken::new(), Signals::new()?);
    let signalled = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        signalled.cancel();
    });
    Ok(stop)
}

/// Standard output: plain, unless it is a terminal.
fn out() -> impl Write {
    io::BufWriter::new(anstream::stdout())
}
