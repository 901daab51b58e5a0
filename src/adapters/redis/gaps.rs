//! Gaps in Redis: a sorted set of each provider's, by when they ended, and a hash of what they say.

use std::collections::HashMap;

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, FromRedisValue, Pipeline, cmd, pipe};
use jiff::Timestamp;

use super::connection::RedisConnection;
use crate::domain::gap::{ContentDigest, Gap, RefusedContent};
use crate::domain::provider::ProviderId;
use crate::ports::{Gaps, LedgerError, MOST_CONTENTS, MOST_GAPS};

/// Of a receiver that runs, or of the last one that did.
const ALIVE: &str = "mp:receivers:alive";

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

    async fn keep(&self, key: &str, contents: &[(ContentDigest, Timestamp)]) -> Result<(), LedgerError> {
        if contents.is_empty() {
            return Ok(());
        }
        let mut noting = pipe();
        let adding = noting.cmd("ZADD").arg(key).arg("GT");
        for (digest, at) in contents {
            adding.arg(at.as_millisecond()).arg(digest.to_string());
        }
        noting.ignore().cmd("ZRANGE").arg(key).arg(0).arg(surplus(MOST_CONTENTS));
        let (surplus,): (Vec<String>,) = self.ask_all(&noting).await?;
        if !surplus.is_empty() {
            self.ask::<()>(cmd("ZREM").arg(key).arg(&surplus)).await?;
        }
        Ok(())
    }

    async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LedgerError> {
        let mut lease = self.connection.get().await?;
        let reply = commands.query_async(&mut lease.connection).await;
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }
}

/// Digests of refused webhooks, by when they were last refused, or accepted. In the slot of the gaps.
fn content_key(provider: ProviderId, what: &str) -> String {
    format!("mp:gaps:{{{provider}}}:{what}")
}

/// All but this many of the newest are surplus.
fn surplus(most: usize) -> i64 {
    -1 - i64::try_from(most).unwrap_or(i64::MAX - 1)
}

/// Both keys of a provider share a slot.
fn keys(provider: ProviderId) -> (String, String) {
    (format!("mp:gaps:{{{provider}}}:ends"), format!("mp:gaps:{{{provider}}}:said"))
}

/// A score, which is a number of milliseconds.
#[allow(clippy::cast_possible_truncation)] // Out of range is no time, and a fraction nothing.
fn time(score: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(score as i64).ok()
}

#[async_trait]
impl Gaps for RedisGaps {
    async fn note(&self, provider: ProviderId, name: &str, gap: &Gap) -> Result<(), LedgerError> {
        let (ends, said) = keys(provider);
        let mut noting = pipe();
        noting.cmd("HSET").arg(&said).arg(name).arg(gap.to_string()).ignore();
        noting.cmd("ZADD").arg(&ends).arg(gap.until.as_millisecond()).arg(name).ignore();
        noting.cmd("ZRANGE").arg(&ends).arg(0).arg(surplus(MOST_GAPS));
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

    async fn refused(
        &self,
        provider: ProviderId,
        contents: &[(ContentDigest, Timestamp)],
    ) -> Result<(), LedgerError> {
        self.keep(&content_key(provider, "refused"), contents).await
    }

    async fn accepted(
        &self,
        provider: ProviderId,
        contents: &[(ContentDigest, Timestamp)],
    ) -> Result<(), LedgerError> {
        self.keep(&content_key(provider, "accepted"), contents).await
    }

    async fn contents(
        &self,
        provider: ProviderId,
        since: Timestamp,
    ) -> Result<Vec<RefusedContent>, LedgerError> {
        let mut listing = pipe();
        for what in ["refused", "accepted"] {
            let command = listing.cmd("ZRANGE").arg(content_key(provider, what));
            command.arg(since.as_millisecond()).arg("+inf").arg("BYSCORE").arg("WITHSCORES");
        }
        let (refused, accepted): (Vec<(String, f64)>, Vec<(String, f64)>) = self.ask_all(&listing).await?;
        let accepted: HashMap<String, f64> = accepted.into_iter().collect();
        let contents = refused.into_iter().filter_map(|(digest, at)| {
            let accepted_at = accepted.get(&digest).and_then(|at| time(*at));
            Some(RefusedContent { digest: digest.parse().ok()?, refused_at: time(at)?, accepted_at })
        });
        Ok(contents.collect())
    }

    async fn alive(&self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        let mut saying = cmd("SET");
        saying.arg(ALIVE).arg(now.as_millisecond()).arg("GET");
        let before: Option<i64> = self.ask(&saying).await?;
        Ok(before.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
    }
}
