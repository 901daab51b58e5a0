//! What operators did, on a stream of its own: who, what, which messages, how many.
//!
//! An act is written down before it begins, and again when it has ended. What cannot be written down is not done.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

use super::parked::filter::{Filter, Selection};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::audit::AuditWriter;
use crate::adapters::rabbit::updates_log::{LogEvent, LogOutage, LoggedUpdate, Start, UpdatesLog};
use crate::ports::Clock as _;

/// So many ids are written down; of more, how many there are.
const MOST_IDS: usize = 100;
/// A stream that sends nothing for so long has been read to its end: AMQP tells no other way where that is.
const IDLE: Duration = Duration::from_secs(2);
/// Its first chunk may take longer to come.
const FIRST: Duration = Duration::from_secs(6);
/// The reader gives a connection up before that.
const CONNECTING: Duration = Duration::from_secs(20);

/// From where an act was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    Command,
    /// A page of the console.
    Console,
}

impl Surface {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Console => "console",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Parked messages were given to the workers once more.
    Replay,
    /// One was, with another body.
    EditAndReplay,
    /// Parked messages were taken off the queue for good.
    Discard,
    /// Parked messages were written to a file.
    Export,
    /// Parked messages were put back from a file.
    Import,
    /// The personal data of a parked message was shown.
    Reveal,
    /// A queue was bound to updates, or no longer.
    Subscribe,
    /// A delivery was linked to an order of HubRise.
    Link,
    /// Exchanges, queues and bindings were declared.
    ApplyTopology,
}

impl Act {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::EditAndReplay => "edit-and-replay",
            Self::Discard => "discard",
            Self::Export => "export",
            Self::Import => "import",
            Self::Reveal => "reveal",
            Self::Subscribe => "subscribe",
            Self::Link => "link",
            Self::ApplyTopology => "apply-topology",
        }
    }
}

/// How far an act is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActPhase {
    /// It is about to be done.
    Begun,
    /// It is over; `result` says how.
    Ended,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, by the clock of the process that did it.
    pub at: Timestamp,
    pub who: String,
    pub by: Surface,
    pub act: Act,
    pub phase: ActPhase,
    /// Which messages or things were meant, as the command line would say it.
    pub which: String,
    /// Their ids, where these were chosen; at most a hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// How many it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl AuditEntry {
    /// One that is about to be done.
    #[must_use]
    pub fn begun(who: &str, by: Surface, act: Act, which: String, ids: &[String]) -> Self {
        let ids = ids.iter().take(MOST_IDS).cloned().collect();
        let (at, who) = (SystemClock.now(), who.to_owned());
        Self { at, who, by, act, phase: ActPhase::Begun, which, ids, count: None, result: None }
    }

    #[must_use]
    pub fn ended(&self, count: u64, result: String) -> Self {
        let (at, count, result) = (SystemClock.now(), Some(count), Some(result));
        Self { at, phase: ActPhase::Ended, count, result, ..self.clone() }
    }
}

pub struct AuditLog(AuditWriter);

impl AuditLog {
    /// On this broker; it connects when there is something to write.
    #[must_use]
    pub const fn new(settings: RabbitSettings) -> Self {
        Self(AuditWriter::new(settings))
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When it is not known to be written.
    pub async fn write(&mut self, entry: &AuditEntry) -> anyhow::Result<()> {
        let line = serde_json::to_vec(entry)?;
        self.0.write(&line).await.context("cannot write to the audit log")
    }

    /// Does `act` between its two entries. It is not done when the first cannot be written. `told` says what it came to.
    ///
    /// # Errors
    /// The act's own, or that it could not be written down.
    pub fn done<T>(
        self,
        entry: &AuditEntry,
        act: impl Future<Output = anyhow::Result<T>>,
        told: impl FnOnce(&T) -> (u64, String),
    ) -> impl Future<Output = anyhow::Result<T>> {
        // Boxed: an act may hold whole connections.
        self.record(entry, Box::pin(act), told)
    }

    async fn record<T>(
        mut self,
        entry: &AuditEntry,
        act: Pin<Box<impl Future<Output = anyhow::Result<T>>>>,
        told: impl FnOnce(&T) -> (u64, String),
    ) -> anyhow::Result<T> {
        self.write(entry).await?;
        let done = act.await;
        let (count, result) = match &done {
            Ok(done) => told(done),
            Err(error) => (0, format!("failed: {error:#}")),
        };
        let written = self.write(&entry.ended(count, result)).await;
        self.0.close().await;
        let done = done?;
        written.map(|()| done)
    }
}

/// Reads the log from `start` to its end, oldest first. What is no entry is left out.
///
/// # Errors
/// When the broker cannot be asked. A log that is not there yet is empty.
pub async fn read(url: &str, start: Start) -> anyhow::Result<Vec<AuditEntry>> {
    let mut log = UpdatesLog::audit(url, start, SystemClock.now())?;
    let read = to_end(&mut log).await;
    log.close().await;
    read
}

async fn to_end(log: &mut UpdatesLog) -> anyhow::Result<Vec<AuditEntry>> {
    let (mut entries, mut patience) = (Vec::new(), CONNECTING);
    loop {
        let Ok(event) = timeout(patience, log.next()).await else { return Ok(entries) };
        match event? {
            LogEvent::Attached => patience = FIRST,
            LogEvent::Waiting(LogOutage::NoLog(_)) => return Ok(entries),
            LogEvent::Waiting(outage) => return Err(outage.into()),
            LogEvent::Update(logged) => {
                patience = IDLE;
                entries.extend(entry(&logged));
            }
        }
    }
}

/// What was read from the stream, if it is an entry.
#[must_use]
pub fn entry(logged: &LoggedUpdate) -> Option<AuditEntry> {
    serde_json::from_slice(&logged.body).ok()
}

/// A selection as the command line would say it.
#[must_use]
pub fn words(selection: &Selection) -> String {
    let Selection { ids, all, filter } = selection;
    let mut words = Vec::new();
    if *all {
        words.push("--all".to_owned());
    }
    if !ids.is_empty() {
        words.push(format!("{} by id", ids.len()));
    }
    let of_filter = filter_words(filter);
    words.extend(Some(of_filter).filter(|words| !words.is_empty()));
    words.join(" ")
}

/// A filter as the command line would say it.
#[must_use]
pub fn filter_words(filter: &Filter) -> String {
    let Filter { provider, account, reason, fingerprint, delivery, event, since, until, error } = filter;
    let mut words = Vec::new();
    let mut say = |name: &str, value: &dyn std::fmt::Display| words.push(format!("--{name} {value}"));
    for value in provider {
        say("provider", value);
    }
    for value in account {
        say("account", &value.as_str());
    }
    for (name, values) in
        [("reason", reason), ("fingerprint", fingerprint), ("delivery", delivery), ("event", event)]
    {
        for value in values {
            say(name, value);
        }
    }
    if let Some(value) = since {
        say("since", value);
    }
    if let Some(value) = until {
        say("until", value);
    }
    if let Some(value) = error {
        say("error", value);
    }
    words.join(" ")
}
