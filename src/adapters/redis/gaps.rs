//! Gaps in Redis: a sorted set of each provider's, by when they ended, and a hash of what they say.

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, FromRedisValue, Pipeline, cmd, pipe};
use jiff::Timestamp;

use super::connection::RedisConnection;
use crate::domain::gap::Gap;
use crate::domain::provider::ProviderId;
use crate::ports::{Gaps, LedgerError, MOST_GAPS};

/// Of a receiver that runs, or of the last one that did.
const ALIVE: &str = "mp:receivers:alive";

/// Gaps in Redis.
pub struct RedisGaps {
    connection: RedisConnection,
}

impl RedisGaps {
    /// Gaps behind `connection`.
    #[must_use]
    pub const fn new(connection: RedisConnection) -> Self {
        Self { connection }
    }

    /// Follows the URL of Redis for ever; see [`RedisConnection::follow`].
    pub async fn follow(&self) {
        self.connection.follow().await;
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LedgerError> {
        let mut lease = self.connection.get().await?;
        let reply = command.query_async(&mut lease.connection).await;
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }

    async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LedgerError> {
        let mut lease = self.connection.get().await?;
        let reply = commands.query_async(&mut lease.connection).await;
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }
}

/// Both keys of a provider share a slot.
fn keys(provider: ProviderId) -> (String, String) {
    (format!("mp:gaps:{{{provider}}}:ends"), format!("mp:gaps:{{{provider}}}:said"))
}

#[async_trait]
impl Gaps for RedisGaps {
    async fn note(&self, provider: ProviderId, name: &str, gap: &Gap) -> Result<(), LedgerError> {
        let (ends, said) = keys(provider);
        let mut noting = pipe();
        noting.cmd("HSET").arg(&said).arg(name).arg(gap.to_string()).ignore();
        noting.cmd("ZADD").arg(&ends).arg(gap.until.as_millisecond()).arg(name).ignore();
        noting.cmd("ZRANGE").arg(&ends).arg(0).arg(-1 - i64::try_from(MOST_GAPS).unwrap_or(i64::MAX - 1));
        let (surplus,): (Vec<String>,) = self.ask_all(&noting).await?;
        if !surplus.is_empty() {
            let mut trimming = pipe();
            trimming.cmd("HDEL").arg(&said).arg(&surplus).ignore();
            trimming.cmd("ZREM").arg(&ends).arg(&surplus).ignore();
            self.ask_all::<()>(&trimming).await?;
        }
        Ok(())
    }

    async fn since(&self, provider: ProviderId, since: Timestamp) -> Result<Vec<Gap>, LedgerError> {
        let (ends, said) = keys(provider);
        let mut listing = cmd("ZRANGE");
        listing.arg(ends).arg(since.as_millisecond()).arg("+inf").arg("BYSCORE");
        let names: Vec<String> = self.ask(&listing).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<Option<String>> = self.ask(cmd("HMGET").arg(said).arg(names)).await?;
        let mut gaps: Vec<Gap> = texts.into_iter().flatten().filter_map(|text| text.parse().ok()).collect();
        gaps.sort_by_key(|gap| gap.from);
        Ok(gaps)
    }

    async fn alive(&self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        let mut saying = cmd("SET");
        saying.arg(ALIVE).arg(now.as_millisecond()).arg("GET");
        let before: Option<i64> = self.ask(&saying).await?;
        Ok(before.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
    }
}
