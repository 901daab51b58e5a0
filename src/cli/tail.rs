//! `milepost tail`: shows updates as they are published.
//!
//! It reads the stream that keeps every update, so it misses none and needs no queue of its own.

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, BufWriter};
use tokio::time::timeout;

use super::pattern::{RoutingPattern, of_updates};
use super::{Exit, Global, is_broken_pipe, line};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::updates_log::{LogEvent, LoggedUpdate, Start, UpdatesLog};
use crate::app::life::Signals;
use crate::operator::when::{duration, when};
use crate::ports::Clock as _;

/// When a signal ends the command, its last output waits this long for a reader.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// A log that sends nothing for so long has been read to its end: AMQP tells no other way where that is.
const READ_TO_THE_END: Duration = Duration::from_secs(3);

/// What `milepost tail` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Show updates whose routing key, <provider>.<account>.<phase>.<status>, matches this topic pattern:
    /// `*` is one word, `#` any number of them
    #[arg(default_value = "#", value_parser = of_updates)]
    pub pattern: RoutingPattern,
    /// Show the updates of this delivery alone: the provider's id of it
    #[arg(long, value_name = "ID")]
    pub delivery: Option<String>,
    /// Begin with what was published then: so long ago, such as 1h or 2d, at a time such as 10:00 or 2026-01-02T03:04:05Z
    /// (UTC), or with `all` that is kept [default: only new]
    #[arg(long, visible_alias = "from", value_name = "WHEN", value_parser = since)]
    pub since: Option<Since>,
    /// End with what was published then; at the latest when that time has come and all is read
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// End after so many updates shown
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End when no update at all has come for so long; the time without a broker does not count
    #[arg(long, value_name = "SPAN", value_parser = duration)]
    pub until_idle: Option<Duration>,
    /// Show the events themselves, one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Read from this RabbitMQ [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
}

/// How far back to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    All,
    /// With what was published then.
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    if text == "all" { Ok(Since::All) } else { when(text).map(Since::At) }
}

/// Shows updates until a signal, `--count`, `--until` or `--until-idle` ends it.
///
/// # Errors
/// When the configuration or the broker cannot be used at all, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let now = SystemClock.now();
    let config = super::config::load_with(global, &[("--amqp", &args.amqp)])?.config;
    let mut log = UpdatesLog::new(config.amqp.url.expose(), start(args.since), now)?;
    let mut out = BufWriter::new(tokio::io::stdout());
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let ended = tokio::select! {
        ended = follow(&args, &mut log, &mut out) => ended,
        () = signals.next() => {
            let _ = timeout(LAST_WRITE_TIMEOUT, out.flush()).await;
            Ok(())
        }
    };
    log.close().await;
    match ended {
        // The reader of the output has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Done),
        ended => ended.map(|()| Exit::Done),
    }
}

fn start(since: Option<Since>) -> Start {
    match since {
        None => Start::Next,
        Some(Since::All) => Start::First,
        Some(Since::At(time)) => Start::At(time),
    }
}

async fn follow(
    args: &Args,
    log: &mut UpdatesLog,
    out: &mut (impl AsyncWrite + Unpin),
) -> anyhow::Result<()> {
    let mut left = args.count;
    let mut attached = false;
    while left != Some(0) {
        let Some(event) = next(log, out, args.patience().filter(|_| attached)).await? else {
            if args.is_over() {
                break;
            }
            continue;
        };
        match event {
            LogEvent::Attached => eprintln!("milepost: reading updates"),
            LogEvent::Waiting(ref outage) => eprintln!("milepost: {outage}; waiting"),
            LogEvent::Update(ref update)
                if args.until.is_some_and(|until| update.claimed_at() > Some(until)) =>
            {
                break;
            }
            LogEvent::Update(ref update) if args.shows(update) => {
                show(&update.body, args.json, out).await?;
                left = left.map(|left| left - 1);
            }
            LogEvent::Update(_) => {}
        }
        attached = matches!(event, LogEvent::Attached | LogEvent::Update(_));
    }
    Ok(out.flush().await?)
}

impl Args {
    /// How long to wait for an update before asking [`Args::is_over`].
    fn patience(&self) -> Option<Duration> {
        let left = self.until.map(|until| {
            let left = until.duration_since(SystemClock.now());
            // The log may have more, although its time is over.
            Duration::try_from(left).unwrap_or_default().max(READ_TO_THE_END)
        });
        self.until_idle.into_iter().chain(left).min()
    }

    /// Whether it ends, now that no update came for as long as it would wait.
    fn is_over(&self) -> bool {
        self.until_idle.is_some() || self.until.is_none_or(|until| until <= SystemClock.now())
    }

    fn shows(&self, update: &LoggedUpdate) -> bool {
        let of_delivery = self.delivery.as_ref().is_none_or(|id| {
            serde_json::from_slice::<TailedEvent>(&update.body).is_ok_and(|event| event.subject == *id)
        });
        of_delivery && self.pattern.matches(&update.routing_key)
    }
}

/// As much of an update as tells whose it is.
#[derive(Deserialize)]
struct TailedEvent {
    subject: String,
}

/// The next event; `None` when none came for `idle`. Whenever it has to wait, what was shown is written first, so
/// that many updates are one write and none is held back.
async fn next(
    log: &mut UpdatesLog,
    out: &mut (impl AsyncWrite + Unpin),
    idle: Option<Duration>,
) -> anyhow::Result<Option<LogEvent>> {
    let mut next = std::pin::pin!(log.next());
    if let Some(event) = futures_util::future::poll_immediate(&mut next).await {
        return Ok(Some(event?));
    }
    out.flush().await?;
    match idle {
        None => Ok(Some(next.await?)),
        Some(idle) => Ok(timeout(idle, next).await.ok().transpose()?),
    }
}

async fn show(event: &[u8], json: bool, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    if json {
        out.write_all(event).await?;
    } else {
        out.write_all(line::human(event).as_bytes()).await?;
    }
    out.write_all(b"\n").await
}
