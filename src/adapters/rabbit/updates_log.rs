//! Reads `milepost.updates.log`, the stream that keeps every published update.
//!
//! A stream is read without taking anything out of it, from any point of it, by any number of readers, so a reader
//! needs no queue of its own. The reader here reconnects after an outage and goes on behind the last
//! offset it handed out: nothing is missed and nothing comes twice.

mod session;

use std::time::Duration;

use jiff::Timestamp;
use lapin::ErrorKind;
use lapin::message::Delivery;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::AMQPUri;
use serde::Deserialize;
use thiserror::Error;
use tokio::time::{sleep, timeout};

use self::session::{LogPosition, LogSession, offset_of};
use super::connection::ConnectError;
use super::places::uris;
use super::topology::{AUDIT, UPDATES_LOG};
use crate::domain::retry::reconnect_delay;

/// A connection that takes longer to make is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// In the broker's words for a user that it does not know, or another password.
const LOGIN: &str = "Login was refused";

/// Where in the log to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest update kept.
    First,
    /// With the next one published.
    Next,
    /// With the first one published at this time. A stream finds a time by chunks of messages that were written
    /// together, so a few just before it may come too. (Their own timestamps are no help: those say when
    /// something happened to a delivery, which may be long before its update is published.)
    At(Timestamp),
}

/// An update as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedUpdate {
    /// What it was published with.
    pub routing_key: String,
    pub body: Vec<u8>,
    /// Its place in the log: the first one ever has 0.
    pub offset: u64,
}

impl LoggedUpdate {
    /// When its event was first claimed, by Redis's clock: it was published then or later. `None` when it is no update of
    /// Milepost's.
    #[must_use]
    pub fn claimed_at(&self) -> Option<Timestamp> {
        #[derive(Deserialize)]
        struct SequencedUpdate {
            data: SequencedData,
        }
        #[derive(Deserialize)]
        struct SequencedData {
            sequence: i64,
        }
        let SequencedUpdate { data } = serde_json::from_slice(&self.body).ok()?;
        Timestamp::from_millisecond(data.sequence).ok()
    }
}

/// Why nothing can come now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogOutage {
    /// It was not declared yet, or was deleted.
    #[error("there is no stream {0} yet")]
    NoLog(&'static str),
    /// There was a subscription, and it is over: the broker or the stream went away.
    #[error("the subscription to updates ended")]
    Ended,
    /// There is no connection to the broker, or none that lets us in.
    #[error("{0}")]
    NoBroker(String),
    /// The broker is there and does not let us read.
    #[error("the broker says: {0}")]
    Denied(String),
}

/// What [`UpdatesLog::next`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// What is published from here on.
    Attached,
    /// Nothing can come, for this reason; the reader keeps trying. Said once, not at each try.
    Waiting(LogOutage),
    Update(LoggedUpdate),
}

#[derive(Debug, Error)]
pub enum LogError {
    /// The URL cannot be read. It is not repeated here, as it may hold a password.
    #[error("not an AMQP URL; expected amqp[s]://user:password@host[:port][,host…]/vhost")]
    Url,
    /// The broker answered, before the log was ever read, that we may not.
    #[error("{0}")]
    Refused(String),
    /// A queue of that name is no stream, so reading it would take its messages away.
    #[error("the queue {0} is not a stream")]
    NotAStream(&'static str),
}

pub struct UpdatesLog {
    stream: &'static str,
    uris: Vec<AMQPUri>,
    position: LogPosition,
    /// When the reader was made, in seconds since 1970.
    made_at: u64,
    session: Option<LogSession>,
    /// Sessions tried since the last update.
    tries: u32,
    was_attached: bool,
    told: Option<LogOutage>,
}

impl UpdatesLog {
    /// A reader from `start` on. It connects when it is asked for the first event.
    ///
    /// # Errors
    /// When `url` is no AMQP URL.
    pub fn new(url: &str, start: Start, now: Timestamp) -> Result<Self, LogError> {
        Self::of(UPDATES_LOG, url, start, now)
    }

    /// The same of the audit log, whose entries are no updates.
    ///
    /// # Errors
    /// When `url` is no AMQP URL.
    pub fn audit(url: &str, start: Start, now: Timestamp) -> Result<Self, LogError> {
        Self::of(AUDIT, url, start, now)
    }

    fn of(stream: &'static str, url: &str, start: Start, now: Timestamp) -> Result<Self, LogError> {
        let uris = uris(url).ok_or(LogError::Url)?;
        let position = match start {
            Start::First => LogPosition::First,
            Start::Next => LogPosition::Next,
            Start::At(time) => LogPosition::At(epoch_seconds(time)),
        };
        let made_at = epoch_seconds(now);
        let (session, tries, was_attached, told) = (None, 0, false, None);
        Ok(Self { stream, uris, position, made_at, session, tries, was_attached, told })
    }

    /// The next thing to know, waited for however long it takes. Cancel safe.
    ///
    /// # Errors
    /// See [`LogError`].
    pub async fn next(&mut self) -> Result<LogEvent, LogError> {
        loop {
            let event = match &mut self.session {
                None => self.attach().await?,
                Some(session) => {
                    let delivery = session.next().await;
                    self.take(delivery)?
                }
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Takes leave of the broker.
    pub async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }

    async fn attach(&mut self) -> Result<Option<LogEvent>, LogError> {
        if let Some(failures) = self.tries.checked_sub(1) {
            sleep(reconnect_delay(failures, rand::random())).await;
        }
        self.tries = self.tries.saturating_add(1);
        let position = self.position;
        if let LogPosition::Next = position {
            // Should this session end before its first update, "next" would skip what is published until the
            // following session, so that one starts from a time.
            self.position = LogPosition::At(self.made_at);
        }
        match timeout(CONNECT_TIMEOUT, LogSession::open(&self.uris, self.stream, position)).await {
            Ok(Ok(session)) => {
                self.session = Some(session);
                self.was_attached = true;
                self.told = None;
                Ok(Some(LogEvent::Attached))
            }
            Ok(Err(ConnectError::Refused(error))) => {
                let outage = self.outage(&error)?;
                if let (LogOutage::NoLog(_), LogPosition::Offset(_)) = (&outage, self.position) {
                    // The offset was of a log that is gone; the next one counts from 0, and all of it is new.
                    self.position = LogPosition::First;
                }
                Ok(self.tell(outage))
            }
            Ok(Err(error)) => Ok(self.tell(self.no_broker(error))),
            Err(_) => Ok(self.tell(self.no_broker(ConnectError::TimedOut(CONNECT_TIMEOUT)))),
        }
    }

    /// A refusal ends the reader only at first: a broker that is being restarted refuses for reasons of its own.
    fn outage(&self, error: &lapin::Error) -> Result<LogOutage, LogError> {
        let why = || ConnectError::to(&self.uris, error.clone().into()).to_string();
        let ErrorKind::ProtocolError(protocol) = error.kind() else {
            return Ok(LogOutage::NoBroker(why()));
        };
        let message = protocol.get_message().to_string();
        match protocol.kind() {
            // A queue that exists but has lost its node is "not found" too, in other words.
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) if message.starts_with("NOT_FOUND - no queue") => {
                Ok(LogOutage::NoLog(self.stream))
            }
            // The same code as for a wrong password, from a broker that let us in.
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                if !message.contains(LOGIN) && !self.was_attached =>
            {
                Err(LogError::Refused(format!("the broker says: {message}")))
            }
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
                if !self.was_attached =>
            {
                Err(LogError::Refused(why()))
            }
            _ => Ok(LogOutage::Denied(message)),
        }
    }

    fn no_broker(&self, error: ConnectError) -> LogOutage {
        LogOutage::NoBroker(ConnectError::to(&self.uris, error).to_string())
    }

    fn tell(&mut self, outage: LogOutage) -> Option<LogEvent> {
        let news = self.told.as_ref() != Some(&outage);
        self.told = Some(outage.clone());
        news.then_some(LogEvent::Waiting(outage))
    }

    /// What a session's next message means; `None` is its end.
    fn take(&mut self, delivery: Option<Delivery>) -> Result<Option<LogEvent>, LogError> {
        let Some(delivery) = delivery else {
            self.session = None;
            return Ok(self.tell(LogOutage::Ended));
        };
        let offset = offset_of(&delivery).ok_or(LogError::NotAStream(self.stream))?;
        if matches!(self.position, LogPosition::Offset(expected) if offset < expected) {
            return Ok(None);
        }
        self.position = LogPosition::Offset(offset + 1);
        self.tries = 0;
        let update =
            LoggedUpdate { routing_key: delivery.routing_key.to_string(), body: delivery.data, offset };
        Ok(Some(LogEvent::Update(update)))
    }
}

fn epoch_seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}
