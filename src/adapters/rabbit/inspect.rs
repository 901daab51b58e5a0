//! What can be learnt of a broker over AMQP alone, without changing it.
//!
//! A passive declare says whether something is there; a declare of something that is there compares its arguments
//! and changes nothing. Bindings cannot be read.

use futures_util::future::join_all;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind};

use super::compare::{Compared, ObjectKind, ObjectState, binding_name};
use super::connection::{ConnectError, RabbitSettings, close, connect, host, within};
use super::places::{connect_to_first, places, uris};
use super::topology::Topology;

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
/// Checking everything may take this many times what connecting may.
const PATIENCE: u32 = 3;

/// A place where the URL says that the broker is, and what came of connecting to it.
pub struct Host {
    pub address: String,
    /// Why there is no connection to be had.
    pub answer: Result<(), ConnectError>,
}

/// Connects to each place that the URL names, all at once: [`connect`] passes over those that do not answer.
pub async fn each_host(settings: &RabbitSettings) -> Vec<Host> {
    let mut found = Vec::new();
    for uri in uris(&settings.url.now()).unwrap_or_default() {
        match places(std::slice::from_ref(&uri), None).await {
            Ok(places) => found.extend(places.into_iter().map(|place| (place.to_string(), Ok(place)))),
            Err(error) => found.push((host(&uri), Err(error))),
        }
    }
    let each = found.into_iter().map(|(address, place)| async move {
        let connecting = async {
            let (connection, _) =
                connect_to_first(vec![place?], "milepost check", settings.connect_timeout).await?;
            close(&connection).await;
            Ok(())
        };
        let answer = connecting.await.map_err(|error| ConnectError::at(address.clone(), error));
        Host { address, answer }
    });
    join_all(each).await
}

pub struct Inspector {
    connection: Connection,
    settings: RabbitSettings,
}

impl Inspector {
    /// Connects.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(settings: RabbitSettings) -> Result<Self, ConnectError> {
        let connection = connect(&settings, "check").await?;
        Ok(Self { connection, settings })
    }

    /// The state of everything that `topology` needs.
    ///
    /// # Errors
    /// When the connection is lost, or the broker does not answer in time.
    pub async fn compare(&self, topology: &Topology) -> Result<Vec<Compared>, ConnectError> {
        within(PATIENCE * self.settings.connect_timeout, self.look(topology)).await
    }

    async fn look(&self, topology: &Topology) -> Result<Vec<Compared>, ConnectError> {
        let mut compared = Vec::new();
        let mut channel = self.connection.create_channel().await?;
        for exchange in &topology.exchanges {
            let mut state = state(exchange.declare(&channel, true).await, false)?;
            if state == ObjectState::There {
                state = self::state(exchange.declare(&channel, false).await, true)?;
            }
            channel = self.usable(channel).await?;
            compared.push(Compared { kind: ObjectKind::Exchange, name: exchange.name.clone(), state });
        }
        for queue in &topology.queues {
            let mut state = state(queue.declare(&channel, true).await, false)?;
            if state == ObjectState::There {
                state = self::state(queue.declare(&channel, false).await, true)?;
            }
            channel = self.usable(channel).await?;
            compared.push(Compared { kind: ObjectKind::Queue, name: queue.name.clone(), state });
        }
        compared.extend(topology.bindings.iter().map(|binding| Compared {
            kind: ObjectKind::Binding,
            name: binding_name(&binding.source, &binding.destination, &binding.key),
            state: ObjectState::Unknown("bindings cannot be read over AMQP".to_owned()),
        }));
        Ok(compared)
    }

    /// The broker closes a channel with each refusal.
    async fn usable(&self, channel: Channel) -> Result<Channel, lapin::Error> {
        if channel.status().connected() { Ok(channel) } else { self.connection.create_channel().await }
    }

    /// How many messages wait in a queue; `None` if there is no such queue.
    ///
    /// # Errors
    /// When the connection is lost, or the broker does not answer in time.
    pub async fn waiting(&self, queue: &str) -> Result<Option<u32>, ConnectError> {
        let looking = async {
            let channel = self.connection.create_channel().await?;
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            match channel.queue_declare(queue.into(), options, FieldTable::default()).await {
                Ok(queue) => Ok(Some(queue.message_count())),
                Err(error) if code(&error) == Some(NOT_FOUND) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        within(self.settings.connect_timeout, looking).await
    }

    /// Ends the connection, in an orderly way if the broker answers in time.
    pub async fn close(self) {
        let closing = async { Ok(self.connection.close(200, "bye".into()).await?) };
        let _ = within(self.settings.connect_timeout, closing).await;
    }
}

/// What an answer to a declare says. A refusal of the right to do so says nothing of the thing itself.
fn state(answer: Result<(), lapin::Error>, exists: bool) -> Result<ObjectState, lapin::Error> {
    let Err(error) = answer else { return Ok(ObjectState::There) };
    match code(&error) {
        Some(NOT_FOUND) => Ok(ObjectState::Missing),
        Some(PRECONDITION_FAILED) => Ok(ObjectState::Differs(error.to_string())),
        Some(ACCESS_REFUSED) if exists => Ok(ObjectState::Unknown(
            "it is there, but without the right to configure it cannot be compared".into(),
        )),
        Some(ACCESS_REFUSED) => Ok(ObjectState::Unknown("this user may not see it".to_owned())),
        _ => Err(error),
    }
}

fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}
