//! Where RabbitMQ is: each address of each host that its URL names, and which of them answers.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_compat::CompatExt as _;
use lapin::runtime::default_runtime;
use lapin::tcp::TLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use rand::seq::SliceRandom as _;
use tokio::net::TcpStream;

use super::connection::{ConnectError, within};
use crate::domain::hosts::each_host;

/// A broker that is silent for two of these is gone. A URL may say another number.
const HEARTBEAT_SECONDS: u16 = 10;
/// The largest frame. lapin keeps two buffers of 32 frames a connection: with RabbitMQ's 128 KiB these are 8 MiB, most of
/// what a process holds. Webhooks have some KiB, and larger ones come in pieces.
const FRAME_BYTES: u32 = 32 * 1024;
/// However many addresses a broker has, each is given so long.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// One address of a host.
#[derive(Debug, Clone)]
pub struct Place {
    /// It has the host by its name, which the certificate is for.
    uri: AMQPUri,
    address: SocketAddr,
}

impl Place {
    /// The host that `uri` names, at `address`.
    #[must_use]
    pub const fn new(uri: AMQPUri, address: SocketAddr) -> Self {
        Self { uri, address }
    }

    async fn connect(self, name: &str) -> lapin::Result<(Connection, Link)> {
        let Self { uri, address } = self;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let link = Unproven(Some(Link { address, socket: stream.as_fd().try_clone_to_owned()?.into() }));
        let stream = Mutex::new(Some(stream));
        let connect = async move |uri: AMQPUri, _| {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
            let stream = AsyncTcpStream::Plain(stream.compat());
            Ok(match uri.scheme {
                AMQPScheme::AMQP => stream,
                AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, TLSConfig::default()).await?,
            })
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        // It is large, and in everything that connects.
        let connecting = Box::pin(Connection::connector(uri, default_runtime()?, connect, properties));
        Ok((connecting.await?, link.proven()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// The socket of a connection.
///
/// lapin's thread lives, with all that is still to be sent, until the broker answers its close or a heartbeat is missed, for
/// which it looks neither before the handshake nor after the close: with a broker that is silent, for ever.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    socket: std::net::TcpStream,
}

impl Link {
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the connection for certain, and lapin's thread with it.
    pub(super) fn cut(self) {
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// The link of a connection that is being made: cut if it is dropped before that.
struct Unproven(Option<Link>);

impl Unproven {
    fn proven(mut self) -> Link {
        // Unwrap safety: it is taken here and in `drop`, and `self` is gone after either.
        self.0.take().expect("taken once")
    }
}

impl Drop for Unproven {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.cut();
        }
    }
}

/// What a URL says for each of the hosts that it names; nothing if it is no AMQP URL.
pub(super) fn uris(url: &str) -> Option<Vec<AMQPUri>> {
    let each = each_host(url).into_iter().map(|url| {
        let mut uri: AMQPUri = url.parse().ok()?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        Some(uri)
    });
    each.collect()
}

/// Each address of each host's name, in any order, so that a dead one costs its share of the time and connections spread.
/// The `avoided` one is the last.
///
/// # Errors
/// When no name has an address.
pub(super) async fn places(
    uris: &[AMQPUri],
    avoided: Option<SocketAddr>,
) -> Result<Vec<Place>, ConnectError> {
    let mut found = Vec::new();
    for uri in uris {
        let name = (uri.authority.host.as_str(), uri.authority.port);
        let addresses = tokio::net::lookup_host(name).await.into_iter().flatten();
        found.extend(addresses.map(|address| Place::new(uri.clone(), address)));
    }
    found.shuffle(&mut rand::rng());
    found.sort_by_key(|place| Some(place.address) == avoided);
    if found.is_empty() { Err(ConnectError::NoAddress) } else { Ok(found) }
}

/// Connects to the first of these that answers. Each has its share of the time, so that a dead one does
/// not take it all.
///
/// # Errors
/// The last one's.
pub async fn connect_to_first(
    places: Vec<Place>,
    name: &str,
    limit: Duration,
) -> Result<(Connection, Link), ConnectError> {
    let mut tried = Err(ConnectError::NoAddress);
    let each = (limit / u32::try_from(places.len().max(1)).unwrap_or(1)).max(LEAST_TIME);
    for place in places {
        tried = within(each, async { Ok(place.connect(name).await?) }).await;
        if tried.is_ok() {
            break;
        }
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_ten_seconds_unless_the_url_says_otherwise_for_each_of_its_hosts() {
        let heartbeats = |url: &str| -> Vec<_> {
            uris(url).expect("a URL").iter().map(|uri| uri.query.heartbeat).collect()
        };
        assert_eq!(heartbeats("amqp://one/%2f"), [Some(10)]);
        assert_eq!(heartbeats("amqps://one,two:5673/%2f"), [Some(10), Some(10)]);
        assert_eq!(heartbeats("amqp://one,two:5673/%2f?heartbeat=20"), [Some(20), Some(20)]);
    }

    #[tokio::test]
    async fn a_name_is_resolved_with_and_without_tls_and_kept_for_the_certificate() {
        for scheme in ["amqp", "amqps"] {
            let uris = uris(&format!("{scheme}://localhost:5670/%2f")).expect("a URL");
            let places = places(&uris, None).await.expect("it has an address");
            for place in places {
                assert!(place.address.ip().is_loopback() && place.address.port() == 5670, "{place}");
                assert_eq!(place.uri.authority.host, "localhost");
            }
        }
    }
}
