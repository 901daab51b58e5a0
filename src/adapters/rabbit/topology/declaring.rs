//! How a topology is declared, or checked to be there.

use lapin::Channel;
use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use thiserror::Error;

use super::{Binding, Exchange, Queue, Topology};

/// The broker does not have, or will not take, what Milepost needs.
#[derive(Debug, Error)]
#[error("{thing} {name}: {broker_says}")]
pub struct TopologyError {
    thing: &'static str,
    name: String,
    /// The broker's words name the argument and both its values.
    broker_says: String,
}

impl TopologyError {
    /// The argument in which what is there differs from what was to be declared.
    #[must_use]
    pub fn differs_in(&self) -> Option<&str> {
        let (_, argument) = self.broker_says.split_once("inequivalent arg '")?;
        argument.split('\'').next()
    }

    /// Whether the user lacks a right.
    #[must_use]
    pub fn is_no_right(&self) -> bool {
        self.broker_says.contains("ACCESS_REFUSED")
    }
}

impl Exchange {
    /// Declares it; passively, only asks for it.
    pub(in crate::adapters::rabbit) async fn declare(
        &self,
        channel: &Channel,
        passive: bool,
    ) -> lapin::Result<()> {
        let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
        channel
            .exchange_declare(self.name.as_str().into(), self.kind.clone(), options, self.arguments())
            .await
    }
}

impl Queue {
    /// Declares it; passively, only asks for it.
    pub(in crate::adapters::rabbit) async fn declare(
        &self,
        channel: &Channel,
        passive: bool,
    ) -> lapin::Result<()> {
        let options = QueueDeclareOptions { passive, durable: true, ..Default::default() };
        channel.queue_declare(self.name.as_str().into(), options, self.arguments.clone()).await.map(drop)
    }
}

impl Topology {
    /// Declares everything, idempotently.
    ///
    /// # Errors
    /// What the broker says of the first thing that it has with other arguments. The channel is closed then.
    pub async fn apply(&self, channel: &Channel) -> Result<(), TopologyError> {
        self.declare(channel, false).await?;
        for binding in &self.bindings {
            self.declare_binding(channel, binding).await?;
        }
        Ok(())
    }

    /// Checks that every exchange and queue is there. Arguments and bindings cannot be read over AMQP.
    ///
    /// # Errors
    /// What the broker says of the first thing that is missing. The channel is closed then.
    pub async fn verify(&self, channel: &Channel) -> Result<(), TopologyError> {
        self.declare(channel, true).await
    }

    async fn declare(&self, channel: &Channel, passive: bool) -> Result<(), TopologyError> {
        for exchange in &self.exchanges {
            let declared = exchange.declare(channel, passive).await;
            declared.map_err(|error| failed("exchange", &exchange.name, &error))?;
        }
        for queue in &self.queues {
            let declared = queue.declare(channel, passive).await;
            declared.map_err(|error| failed("queue", &queue.name, &error))?;
        }
        Ok(())
    }

    async fn declare_binding(&self, channel: &Channel, binding: &Binding) -> Result<(), TopologyError> {
        let Binding { source, destination, to_exchange, key } = binding;
        let (source, target, key) =
            (source.as_str().into(), destination.as_str().into(), key.as_str().into());
        let bound = if *to_exchange {
            let options = ExchangeBindOptions::default();
            channel.exchange_bind(target, source, key, options, FieldTable::default()).await
        } else {
            let options = QueueBindOptions::default();
            channel.queue_bind(target, source, key, options, FieldTable::default()).await
        };
        bound.map_err(|error| failed("binding to", destination, &error))
    }
}

pub(in crate::adapters::rabbit) fn failed(
    thing: &'static str,
    name: &str,
    error: &lapin::Error,
) -> TopologyError {
    TopologyError { thing, name: name.to_owned(), broker_says: error.to_string() }
}
