//! Looks at what the ledger remembers, for an operator. Changes nothing, and walks the keys in small steps, so that a
//! look during an incident does not become part of it.

use std::collections::{BTreeMap, HashMap};

use deadpool_redis::redis::{FromRedisValue, Pipeline, Value, cmd, pipe};

use super::connection::RedisConnection;
use super::delivery_key::PREFIX;
use super::ledger::WAITING;
use super::record::{EventRecord, EventState};
use crate::domain::event_name::EventName;
use crate::domain::identity::ReceiptId;
use crate::domain::state::DeliveryState;
use crate::ports::LedgerError;

/// Keys that one step of a walk looks at, and values that one round trip reads.
const STEP: usize = 1000;
const DIGITS_OF_A_RECEIPT: usize = 32;
/// The last digits of a repeat's receipt are in its field's name.
const REPEAT_END: usize = 2;

/// Whose delivery, read from a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryName {
    pub provider: String,
    pub account: String,
    /// The provider's id of the delivery.
    pub delivery_id: String,
}

/// An event whose copy waits for its retry.
#[derive(Debug, Clone)]
pub struct WaitingEvent {
    pub delivery: DeliveryName,
    /// What is remembered of it.
    pub record: EventRecord,
}

#[derive(Debug, Clone)]
pub struct RememberedDelivery {
    pub name: DeliveryName,
    /// The last sequence number given.
    pub sequence: Option<u64>,
    /// Its state; with several couriers, each leg of it by the ledger's name.
    pub legs: BTreeMap<String, DeliveryState>,
    /// Its events, in the order claimed.
    pub events: Vec<EventRecord>,
    /// Later receipts of its events, each with the receipt that began its event. Of each event the last few are kept.
    pub repeats: Vec<Repeat>,
}

/// A receipt that began no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repeat {
    pub receipt: ReceiptId,
    /// The first receipt of the event that it repeats.
    pub of: ReceiptId,
}

impl DeliveryName {
    /// From a delivery's key: what is in its braces.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let tag = key.strip_prefix(PREFIX)?.strip_suffix('}')?;
        let mut parts = tag.splitn(3, ':').map(str::to_owned);
        Some(Self { provider: parts.next()?, account: parts.next()?, delivery_id: parts.next()? })
    }

    fn key(&self) -> String {
        let Self { provider, account, delivery_id } = self;
        format!("{PREFIX}{provider}:{account}:{delivery_id}}}")
    }
}

pub struct LedgerReader {
    connection: RedisConnection,
}

impl LedgerReader {
    /// Looks at what is behind `connection`.
    #[must_use]
    pub const fn new(connection: RedisConnection) -> Self {
        Self { connection }
    }

    /// Every event whose copy waits for a retry, the next one due first.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn waiting(&self) -> Result<Vec<WaitingEvent>, LedgerError> {
        let members: Vec<String> = self.ask(cmd("ZRANGE").arg(WAITING).arg(0).arg(-1)).await?;
        // An event's name has no space; a delivery's id may.
        let events: Vec<_> = members.iter().filter_map(|member| member.rsplit_once(' ')).collect();
        let mut waiting = Vec::new();
        for events in events.chunks(STEP) {
            let mut reads = pipe();
            for (key, name) in events {
                reads.cmd("HMGET").arg(*key).arg(format!("e{name}")).arg(format!("p{name}"));
            }
            let values: Vec<(Option<String>, Option<String>)> = self.ask_all(&reads).await?;
            waiting.extend(events.iter().zip(values).filter_map(|((key, _), (event, progress))| {
                let record = EventRecord::parse(&event?, progress)?;
                // The index is a hint: what is not retrying any more was delivered.
                let waits = record.state == EventState::Retrying;
                Some(WaitingEvent { delivery: DeliveryName::of_key(key)?, record }).filter(|_| waits)
            }));
        }
        waiting.sort_by_key(|event| event.record.deadline);
        Ok(waiting)
    }

    /// The deliveries that `id` names: by their own id, by the provider's id of one of their events, or by the receipt of
    /// a repeat.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn deliveries(&self, id: &str) -> Result<Vec<DeliveryName>, LedgerError> {
        let mut found = self.keys(&format!("{PREFIX}*:{}}}", escaped(id))).await?;
        let marker = format!("i{}", EventName::id_part(id));
        let receipt: Option<ReceiptId> = id.parse().ok();
        let digits = receipt.map(|receipt| receipt.digits().to_string()).unwrap_or_default();
        let (beginning, end) = digits.split_at(digits.len().saturating_sub(REPEAT_END));
        for keys in self.keys(&format!("{PREFIX}*")).await?.chunks(STEP) {
            let mut reads = pipe();
            for key in keys {
                reads.cmd("HMGET").arg(key).arg(&marker).arg(format!("r{end}"));
            }
            let values: Vec<(Option<String>, Option<String>)> = self.ask_all(&reads).await?;
            let is_named = |(known, repeat): &(Option<String>, Option<String>)| {
                known.is_some()
                    || (receipt.is_some()
                        && repeat.as_ref().is_some_and(|repeat| repeat.starts_with(beginning)))
            };
            let named = keys.iter().zip(values).filter(|(_, values)| is_named(values));
            found.extend(named.map(|(key, _)| key.clone()));
        }
        let mut names: Vec<_> = found.iter().filter_map(|key| DeliveryName::of_key(key)).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What is remembered of a delivery: one read.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn delivery(&self, name: &DeliveryName) -> Result<RememberedDelivery, LedgerError> {
        let fields: HashMap<String, String> = self.ask(cmd("HGETALL").arg(name.key())).await?;
        let legs = fields
            .iter()
            .filter_map(|(field, value)| Some((field.strip_prefix('s')?.to_owned(), value.parse().ok()?)));
        let in_hand = fields.get("h").and_then(|claim| claim.split_once(','));
        let events = fields.iter().filter_map(|(field, value)| {
            let name = field.strip_prefix('e')?;
            let claim = in_hand.filter(|(held, _)| *held == name).map(|(_, claim)| format!("P,{claim}"));
            EventRecord::parse(value, claim.or_else(|| fields.get(&format!("p{name}")).cloned()))
        });
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|event| event.sequence);
        let mut repeats: Vec<_> =
            fields.iter().filter_map(|(field, value)| repeat(field, value, &fields)).collect();
        repeats.sort();
        let sequence = fields.get("n").and_then(|number| number.parse().ok());
        Ok(RememberedDelivery { name: name.clone(), sequence, legs: legs.collect(), events, repeats })
    }

    async fn keys(&self, pattern: &str) -> Result<Vec<String>, LedgerError> {
        let mut lease = self.connection.get().await?;
        let nodes = lease.connection.nodes().await.map_err(|error| self.connection.failed(&lease, &error))?;
        let mut keys = Vec::new();
        for node in nodes {
            self.keys_at(node.as_deref(), pattern, &mut keys).await?;
        }
        // A walk may show a key twice.
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    async fn keys_at(
        &self,
        node: Option<&str>,
        pattern: &str,
        keys: &mut Vec<String>,
    ) -> Result<(), LedgerError> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
            let mut lease = self.connection.get().await?;
            let reply = lease.connection.ask(node, scan).await;
            let read = reply.and_then(|reply| Ok(<(u64, Vec<String>)>::from_redis_value(reply)?));
            let (next, found) = read.map_err(|error| self.connection.failed(&lease, &error))?;
            keys.extend(found);
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<Vec<T>, LedgerError> {
        let mut lease = self.connection.get().await?;
        let reply = lease.connection.ask_all(commands).await;
        let read = |value: Value| Ok(T::from_redis_value(value.extract_error()?)?);
        let read = reply.and_then(|reply| reply.into_iter().map(read).collect());
        read.map_err(|error| self.connection.failed(&lease, &error))
    }

    async fn ask<T: FromRedisValue>(&self, command: &deadpool_redis::redis::Cmd) -> Result<T, LedgerError> {
        let mut lease = self.connection.get().await?;
        let reply = command.query_async(&mut lease.connection).await;
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }
}

/// What a field says of a later receipt of an event, if that is what it is about and the event is still known.
fn repeat(field: &str, value: &str, fields: &HashMap<String, String>) -> Option<Repeat> {
    let end = field.strip_prefix('r')?;
    let (beginning, name) = value.split_at_checked(DIGITS_OF_A_RECEIPT - REPEAT_END)?;
    let first = fields.get(&format!("e{name}"))?.split(',').next()?;
    Some(Repeat { receipt: format!("{beginning}{end}").parse().ok()?, of: first.parse().ok()? })
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
