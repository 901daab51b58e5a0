//! Looks at what the ledger remembers, for an operator. Changes nothing, and walks the keys in small steps, so that a
//! look during an incident does not become part of it.

use std::collections::BTreeMap;

use deadpool_redis::redis::{FromRedisValue, RedisResult, cmd, pipe};
use sha2::{Digest, Sha256};

use super::connection::RedisConnection;
use super::ledger::WAITING;
use super::record::{Record, State};
use crate::domain::state::DeliveryState;
use crate::ports::LedgerError;

/// Keys that one step of a walk looks at, and values that one round trip reads.
const STEP: usize = 1000;

/// Whose delivery, read from a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryName {
    /// The provider.
    pub provider: String,
    /// The account.
    pub account: String,
    /// The provider's id of the delivery.
    pub delivery_id: String,
}

/// An event whose copy waits for its retry.
#[derive(Debug, Clone)]
pub struct WaitingEvent {
    /// Its delivery.
    pub delivery: DeliveryName,
    /// What is remembered of it.
    pub record: Record,
}

/// An event, and what is remembered of it.
#[derive(Debug, Clone)]
pub struct RememberedEvent {
    /// Its key.
    pub key: String,
    /// Its value.
    pub record: Record,
}

/// A delivery, and what is remembered of it.
#[derive(Debug, Clone)]
pub struct RememberedDelivery {
    /// Which.
    pub name: DeliveryName,
    /// The last sequence number given.
    pub sequence: Option<u64>,
    /// Where it stands; with several couriers, each leg of it by the ledger's name.
    pub legs: BTreeMap<String, DeliveryState>,
    /// Its events, oldest first.
    pub events: Vec<RememberedEvent>,
}

impl DeliveryName {
    /// From any of a delivery's keys: what is in its braces.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let (tag, _) = key.strip_prefix("mp:{")?.rsplit_once('}')?;
        let mut parts = tag.splitn(3, ':').map(str::to_owned);
        Some(Self { provider: parts.next()?, account: parts.next()?, delivery_id: parts.next()? })
    }

    fn tag(&self) -> String {
        let Self { provider, account, delivery_id } = self;
        format!("mp:{{{provider}:{account}:{delivery_id}}}")
    }
}

/// Looks.
pub struct Inspector {
    connection: RedisConnection,
}

impl Inspector {
    /// Looks at what is behind `connection`.
    #[must_use]
    pub const fn new(connection: RedisConnection) -> Self {
        Self { connection }
    }

    /// Every event whose copy waits for a retry, the next to come back first.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn waiting(&self) -> Result<Vec<WaitingEvent>, LedgerError> {
        let keys: Vec<String> = self.ask(cmd("ZRANGE").arg(WAITING).arg(0).arg(-1)).await?;
        let mut waiting = Vec::new();
        for event in self.events(keys).await? {
            let Some(delivery) = DeliveryName::of_key(&event.key) else { continue };
            // The index is a hint: what is not retrying any more has come back.
            if event.record.state == State::Retrying {
                waiting.push(WaitingEvent { delivery, record: event.record });
            }
        }
        waiting.sort_by_key(|event| event.record.deadline);
        Ok(waiting)
    }

    /// The deliveries that `id` names: by their own id, or by the provider's id of one of their events.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn deliveries(&self, id: &str) -> Result<Vec<DeliveryName>, LedgerError> {
        let event_id = hex::encode(Sha256::digest(id));
        let mut names = Vec::new();
        for pattern in [format!("mp:{{*:{}}}:s", escaped(id)), format!("mp:{{*}}:i:{event_id}")] {
            names.extend(self.keys(&pattern).await?.iter().filter_map(|key| DeliveryName::of_key(key)));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What is remembered of a delivery.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn delivery(&self, name: &DeliveryName) -> Result<RememberedDelivery, LedgerError> {
        let tag = name.tag();
        let state: BTreeMap<String, String> = self.ask(cmd("HGETALL").arg(format!("{tag}:s"))).await?;
        let legs = state.iter().filter_map(|(field, value)| {
            let leg = field.strip_prefix("s:")?;
            Some((leg.to_owned(), value.parse().ok()?))
        });
        let legs = legs.collect();
        let sequence = state.get("n").and_then(|number| number.parse().ok());
        let mut events = self.events(self.keys(&format!("{}:e:*", escaped(&tag))).await?).await?;
        events.sort_by_key(|event| (event.record.received_at, event.record.sequence));
        Ok(RememberedDelivery { name: name.clone(), sequence, legs, events })
    }

    async fn events(&self, keys: Vec<String>) -> Result<Vec<RememberedEvent>, LedgerError> {
        let mut events = Vec::new();
        for keys in keys.chunks(STEP) {
            let mut reads = pipe();
            for key in keys {
                reads.get(key);
            }
            let mut lease = self.connection.get().await?;
            let values: RedisResult<Vec<Option<String>>> = reads.query_async(&mut lease.connection).await;
            let values = values.map_err(|error| self.connection.failed(&lease, &error))?;
            events.extend(keys.iter().zip(values).filter_map(|(key, value)| {
                Some(RememberedEvent { key: key.clone(), record: Record::parse(&value?)? })
            }));
        }
        Ok(events)
    }

    async fn keys(&self, pattern: &str) -> Result<Vec<String>, LedgerError> {
        let (mut keys, mut cursor) = (Vec::new(), 0_u64);
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
            let (next, found): (u64, Vec<String>) = self.ask(&scan).await?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        // A walk may show a key twice.
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    async fn ask<T: FromRedisValue>(&self, command: &deadpool_redis::redis::Cmd) -> Result<T, LedgerError> {
        let mut lease = self.connection.get().await?;
        let reply = command.query_async(&mut lease.connection).await;
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }
}

/// `text` as a pattern that matches nothing else.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
