//! The index of open deliveries in Redis: a sorted set for each account.
//!
//! A member is a delivery's id. Its score is the time of its last update in ms, beyond a span of scores for each phase: so
//! one set answers both how many are in a phase and how many of these are silent, each with a search.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, FromRedisValue, Pipeline, cmd, pipe};
use jiff::Timestamp;

use super::ledger::RedisLedger;
use crate::domain::claim::EventRef;
use crate::domain::identity::{Account, DeliveryKey};
use crate::domain::provider::ProviderId;
use crate::domain::silence::{Cutoffs, OPEN_PHASES};
use crate::domain::state::DeliveryState;
use crate::domain::status::Phase;
use crate::ports::{LedgerError, OpenCount, OpenDeliveries, OpenDelivery, TRIMMED_AT_ONCE};

/// More than the time is in ms until the year 3084; six of them are exact in the double that a score is.
const SPAN: i64 = 1 << 45;
/// An account's name is written down again after this, should Redis have lost it.
const NAMED_EVERY: Duration = Duration::from_mins(10);

fn key(provider: ProviderId, account: &Account) -> String {
    format!("mp:open:{{{provider}:{account}}}")
}

fn accounts_key(provider: ProviderId) -> String {
    format!("mp:open:{provider}")
}

fn base(phase: Phase) -> Option<i64> {
    let at = OPEN_PHASES.iter().position(|open| *open == phase)?;
    Some(SPAN * i64::try_from(at).ok()?)
}

/// What a delivery is asked for by, of those that are not asked for by their ids.
fn addresses_key(provider: ProviderId, account: &Account) -> String {
    format!("{}:addresses", key(provider, account))
}

/// The commands that note a delivery's phase: one, unless it has an address.
pub(super) fn notes(event: &EventRef, after: &DeliveryState) -> (Cmd, Option<Cmd>) {
    let DeliveryKey { provider, account, delivery_id } = &event.delivery;
    let (key, addresses) = (key(*provider, account), addresses_key(*provider, account));
    match base(after.status().phase()).filter(|_| !after.is_terminal()) {
        Some(base) => {
            let score = base + after.moment().received_at.as_millisecond().clamp(0, SPAN - 1);
            let address = |address| cmd("HSET").arg(addresses).arg(delivery_id).arg(address).to_owned();
            let address = event.address.as_ref().map(address);
            (cmd("ZADD").arg(key).arg(score).arg(delivery_id).to_owned(), address)
        }
        None => {
            let address = |_| cmd("HDEL").arg(addresses).arg(delivery_id).to_owned();
            let address = event.address.as_ref().map(address);
            (cmd("ZREM").arg(key).arg(delivery_id).to_owned(), address)
        }
    }
}

/// The accounts whose names this process wrote down lately.
#[derive(Default)]
pub(super) struct Named(Mutex<HashMap<(ProviderId, Account), Instant>>);

impl Named {
    /// The command that writes an account's name down, if that was not done lately.
    pub(super) fn unless_lately(&self, delivery: &DeliveryKey) -> Option<Cmd> {
        // A panic elsewhere cannot leave it half-written.
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account = (delivery.provider, delivery.account.clone());
        let now = Instant::now();
        if named.get(&account).is_some_and(|at| now.duration_since(*at) < NAMED_EVERY) {
            return None;
        }
        named.insert(account, now);
        let key = accounts_key(delivery.provider);
        Some(cmd("ZADD").arg(key).arg(0).arg(delivery.account.as_str()).to_owned())
    }
}

impl RedisLedger {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LedgerError> {
        let connection = self.calls().connection();
        let mut lease = connection.get().await?;
        let reply = command.query_async(&mut lease.connection).await;
        reply.map_err(|error| connection.failed(&lease, &error))
    }

    async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LedgerError> {
        let connection = self.calls().connection();
        let mut lease = connection.get().await?;
        let reply = commands.query_async(&mut lease.connection).await;
        reply.map_err(|error| connection.failed(&lease, &error))
    }
}

impl RedisLedger {
    async fn forget_these(
        &self,
        provider: ProviderId,
        account: &Account,
        open: &[OpenDelivery],
    ) -> Result<(), LedgerError> {
        let ids: Vec<_> = open.iter().map(|open| open.delivery.delivery_id.as_str()).collect();
        if ids.is_empty() { Ok(()) } else { self.forget_all(provider, account, &ids).await }
    }

    async fn forget_all(
        &self,
        provider: ProviderId,
        account: &Account,
        ids: &[&str],
    ) -> Result<(), LedgerError> {
        let mut forgetting = pipe();
        forgetting.cmd("ZREM").arg(key(provider, account)).arg(ids).ignore();
        forgetting.cmd("HDEL").arg(addresses_key(provider, account)).arg(ids).ignore();
        self.ask_all(&forgetting).await
    }
}

/// The score below which a phase's deliveries had their last update before `time`, as an exclusive bound.
fn before(base: i64, time: Timestamp) -> String {
    format!("({}", base + time.as_millisecond().clamp(0, SPAN - 1))
}

#[async_trait]
impl OpenDeliveries for RedisLedger {
    async fn accounts(&self, provider: ProviderId) -> Result<Vec<Account>, LedgerError> {
        let names: Vec<String> = self.ask(cmd("ZRANGE").arg(accounts_key(provider)).arg(0).arg(-1)).await?;
        // Of one score: they come in the order of their names.
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn count(
        &self,
        provider: ProviderId,
        account: &Account,
        cutoffs: &Cutoffs,
    ) -> Result<Vec<OpenCount>, LedgerError> {
        let key = key(provider, account);
        let mut counting = pipe();
        for (phase, time) in cutoffs.iter() {
            let Some(base) = base(phase) else { continue };
            counting.cmd("ZCOUNT").arg(&key).arg(base).arg(base + SPAN - 1);
            counting.cmd("ZCOUNT").arg(&key).arg(base).arg(before(base, time));
        }
        let counts: Vec<u64> = self.ask_all(&counting).await?;
        let counted = OPEN_PHASES.into_iter().zip(counts.chunks_exact(2));
        Ok(counted.map(|(phase, counts)| OpenCount { phase, open: counts[0], silent: counts[1] }).collect())
    }

    async fn silent(
        &self,
        provider: ProviderId,
        account: &Account,
        cutoffs: &Cutoffs,
        most: usize,
    ) -> Result<Vec<OpenDelivery>, LedgerError> {
        let key = key(provider, account);
        let mut listing = pipe();
        for (phase, time) in cutoffs.iter() {
            let Some(base) = base(phase) else { continue };
            let listed = listing.cmd("ZRANGE").arg(&key).arg(base).arg(before(base, time)).arg("BYSCORE");
            listed.arg("LIMIT").arg(0).arg(most).arg("WITHSCORES");
        }
        let listed: Vec<Vec<(String, f64)>> = self.ask_all(&listing).await?;
        let mut silent: Vec<OpenDelivery> = Vec::new();
        for (phase, members) in OPEN_PHASES.into_iter().zip(listed) {
            for (delivery_id, score) in members {
                #[allow(clippy::cast_possible_truncation)] // A score is a whole number below 2^53.
                let millis = score as i64 % SPAN;
                let Ok(updated_at) = Timestamp::from_millisecond(millis) else { continue };
                let delivery = DeliveryKey { provider, account: account.clone(), delivery_id };
                silent.push(OpenDelivery { delivery, address: None, phase, updated_at });
            }
        }
        silent.sort_by_key(|open| open.updated_at);
        silent.truncate(most);
        if silent.is_empty() {
            return Ok(silent);
        }
        let mut reading = cmd("HMGET");
        reading.arg(addresses_key(provider, account));
        reading.arg(silent.iter().map(|open| open.delivery.delivery_id.as_str()).collect::<Vec<_>>());
        let addresses: Vec<Option<String>> = self.ask(&reading).await?;
        for (open, address) in silent.iter_mut().zip(addresses) {
            open.address = address;
        }
        Ok(silent)
    }

    async fn forget(&self, delivery: &DeliveryKey) -> Result<(), LedgerError> {
        self.forget_all(delivery.provider, &delivery.account, &[delivery.delivery_id.as_str()]).await
    }

    async fn trim(
        &self,
        provider: ProviderId,
        account: &Account,
        oldest: Timestamp,
        most: u64,
    ) -> Result<(), LedgerError> {
        let old = self.silent(provider, account, &Cutoffs::at(oldest), TRIMMED_AT_ONCE).await?;
        self.forget_these(provider, account, &old).await?;
        let mut counting = cmd("ZCOUNT");
        let open: u64 = self.ask(counting.arg(key(provider, account)).arg("-inf").arg("+inf")).await?;
        let surplus = usize::try_from(open.saturating_sub(most)).unwrap_or(usize::MAX).min(TRIMMED_AT_ONCE);
        if surplus > 0 {
            let surplus = self.silent(provider, account, &Cutoffs::at(Timestamp::MAX), surplus).await?;
            self.forget_these(provider, account, &surplus).await?;
        }
        if open == 0 {
            // Its next open delivery writes its name down again.
            self.ask::<()>(cmd("ZREM").arg(accounts_key(provider)).arg(account.as_str())).await?;
        }
        Ok(())
    }
}
