//! Connecting to RabbitMQ.
//!
//! lapin's own recovery gives up after 16 tries and resumes consumers silently, so it is off: the owner of a
//! connection makes a new one, with new channels, when it is lost.

use std::net::SocketAddr;
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ErrorKind};
use thiserror::Error;

use super::places::{Link, connect_to_first, places, uris};
use super::topology::TopologyError;
use crate::adapters::live_url::LiveUrl;
use crate::domain::retry::reconnect_delay;

/// Closing is bounded: a broker that does not answer is disconnected.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How to reach RabbitMQ, and who we say we are.
#[derive(Clone)]
pub struct RabbitSettings {
    /// `amqp://` or `amqps://`, credentials included.
    pub url: LiveUrl,
    /// Shown in RabbitMQ's management pages.
    pub name: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a publish waits for its confirm.
    pub confirm_timeout: Duration,
}

/// No connection could be made, or it could not be set up.
///
/// Each says all there is to say, and has no source: an error that repeats its source is printed twice.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL cannot be read.
    #[error("not an AMQP URL")]
    Url,
    #[error("cannot reach RabbitMQ at {address}: {why}")]
    Unreachable {
        /// Host and port, of each host.
        address: String,
        /// In the system's words.
        why: String,
    },
    /// Nothing there says a word: neither an answer nor a refusal.
    #[error("RabbitMQ at {address} does not answer within {limit:?}")]
    Silent {
        /// Host and port, of each host.
        address: String,
        limit: Duration,
    },
    /// It answers, and does not know the user, or the password is another.
    #[error("RabbitMQ at {0} refuses the user or the password")]
    Credentials(String),
    /// It knows the user, and does not let it into the virtual host.
    #[error("RabbitMQ at {address} does not let this user in: {why}")]
    NotAllowed {
        address: String,
        /// In the broker's words.
        why: String,
    },
    /// The connection was made, and then the broker, or the way there, said no.
    #[error("{}", words(.0))]
    Refused(lapin::Error),
    /// The broker does not have, or will not take, what we need.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The broker's name has no address.
    #[error("the broker's name has no address")]
    NoAddress,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl From<lapin::Error> for ConnectError {
    fn from(error: lapin::Error) -> Self {
        Self::Refused(error)
    }
}

impl ConnectError {
    /// What an operator can do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Credentials(_) => "correct the user or the password in amqp.url",
            Self::NotAllowed { .. } => {
                "look at the virtual host in amqp.url, and at this user's rights in it"
            }
            Self::Silent { .. } => {
                "look for a node that hangs, there or behind a proxy there, and for a firewall that drops packets"
            }
            _ => "look at amqp.url, and whether RabbitMQ runs",
        }
    }

    pub(super) const fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// The user may not configure what was to be declared.
    pub(super) fn is_no_right(&self) -> bool {
        matches!(self, Self::Topology(error) if error.is_no_right())
    }

    /// Why no connection to any of `uris` could be made.
    pub(super) fn to(uris: &[AMQPUri], error: Self) -> Self {
        Self::at(uris.iter().map(host).collect::<Vec<_>>().join(", "), error)
    }

    /// Why no connection to `address` could be made.
    pub(super) fn at(address: String, error: Self) -> Self {
        match error {
            Self::Refused(error) => match refusal(&error) {
                Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => Self::Credentials(address),
                Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)) => {
                    Self::NotAllowed { address, why: words(&error) }
                }
                _ => Self::Unreachable { address, why: words(&error) },
            },
            Self::TimedOut(limit) => Self::Silent { address, limit },
            Self::NoAddress => Self::Unreachable { address, why: error.to_string() },
            other => other,
        }
    }
}

/// The host that a URL names, with its port.
pub(super) fn host(uri: &AMQPUri) -> String {
    format!("{}:{}", uri.authority.host, uri.authority.port)
}

fn refusal(error: &lapin::Error) -> Option<&AMQPErrorKind> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.kind()),
        _ => None,
    }
}

/// An error in the words of the system or the broker, said once.
fn words(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// Opens a connection for `purpose`, which is shown beside the name.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(settings: &RabbitSettings, purpose: &str) -> Result<Connection, ConnectError> {
    connect_avoiding(None, settings, purpose).await.map(|(connection, _)| connection)
}

/// The same, to the `avoided` address only if no other one answers.
pub(super) async fn connect_avoiding(
    avoided: Option<SocketAddr>,
    settings: &RabbitSettings,
    purpose: &str,
) -> Result<(Connection, Link), ConnectError> {
    let name = format!("{} {purpose}", settings.name);
    let uris = uris(&settings.url.now()).ok_or(ConnectError::Url)?;
    let limit = settings.connect_timeout;
    let connecting = async { connect_to_first(places(&uris, avoided).await?, &name, limit).await };
    within(limit, connecting).await.map_err(|error| ConnectError::to(&uris, error))
}

/// Waits until the URL is another than `used`, then until `open` succeeds with it. A caller that waits goes on with the
/// connection of before: a password that was changed ends no connection, and a wrong new one must not either.
pub(super) async fn successor<T, F>(url: &LiveUrl, used: &str, mut open: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, ConnectError>>,
{
    url.other_than(used).await;
    let mut tries = 0;
    loop {
        match open().await {
            Ok(opened) => return opened,
            Err(error) => {
                tracing::warn!(%error, "cannot connect with the new URL yet: the old connection stays");
            }
        }
        tokio::time::sleep(reconnect_delay(tries, rand::random())).await;
        tries += 1;
    }
}

/// Takes leave of the broker. Best effort and bounded: a connection that is lost, or blocked, does not answer.
pub(super) async fn close(connection: &Connection) {
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "bye".into())).await;
}

/// Bounds a step of connecting.
pub(super) async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    tokio::time::timeout(limit, step).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
}

/// A channel whose publishes the broker confirms, made within `limit`.
pub(super) async fn confirming(connection: &Connection, limit: Duration) -> Result<Channel, ConnectError> {
    let setting_up = async {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    };
    within(limit, setting_up).await
}
