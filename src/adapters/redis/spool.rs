//! A provider's spool in Redis: a stream of webhooks, the bytes of them, and a lease, all in one slot.
//!
//! An emptied stream stays as a key, so that its ids keep growing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, FromRedisValue as _, RedisError, Script, Value, cmd};

use super::connection::{RedisConnection, RedisSettings, RedisUnusable};
use super::spool_commits::Commits;
use super::{inspect, spool_entry};
use crate::domain::envelope::Envelope;
use crate::domain::provider::ProviderId;
use crate::ports::{
    LedgerError, Next, Spool, SpoolError, SpoolLimits, SpoolState, Spooled, chance, spooled_bytes,
};

const APPEND: &str = include_str!("spool_append.lua");

pub struct RedisSpool {
    provider: ProviderId,
    limits: SpoolLimits,
    keys: Keys,
    /// Appends block their connection; all else has another.
    commits: Arc<Commits>,
    connection: RedisConnection,
    append: Script,
    next: Script,
    look: Script,
    drainer: u64,
}

struct Keys {
    entries: String,
    bytes: String,
    drainer: String,
}

impl Keys {
    /// Not below the prefix of the ledger's deliveries, which are walked.
    fn of(provider: ProviderId) -> Self {
        let key = |name| format!("mp:spool:{{{provider}}}:{name}");
        Self { entries: key("entries"), bytes: key("bytes"), drainer: key("drainer") }
    }
}

impl RedisSpool {
    /// The spool of `provider` in the Redis of `settings`; `timeout` is how long an append may take, proof included.
    ///
    /// # Errors
    /// When the URL is not one of Redis's.
    pub fn new(
        settings: &RedisSettings,
        provider: ProviderId,
        limits: SpoolLimits,
        timeout: Duration,
    ) -> Result<Self, RedisUnusable> {
        // A proof is not late before the append is.
        let bounded =
            RedisSettings { response_timeout: timeout + settings.response_timeout, ..settings.clone() };
        Ok(Self {
            provider,
            limits,
            keys: Keys::of(provider),
            commits: Arc::new(Commits::new(RedisConnection::new(&bounded)?, APPEND, timeout)),
            connection: RedisConnection::new(settings)?,
            append: Script::new(APPEND),
            next: Script::new(include_str!("spool_next.lua")),
            look: Script::new(include_str!("spool_look.lua")),
            drainer: chance::random(),
        })
    }

    /// Follows the URL of Redis for ever; see [`RedisConnection::follow`].
    pub async fn follow(&self) {
        // Boxed: each has a connection being made in it.
        tokio::join!(Box::pin(self.commits.connection().follow()), Box::pin(self.connection.follow()));
    }

    fn appending(&self, webhook: &Envelope) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(self.append.get_hash()).arg(2).arg(&self.keys.entries).arg(&self.keys.bytes);
        call.arg(self.limits.max_entries).arg(self.limits.max_bytes).arg(spooled_bytes(webhook));
        spool_entry::write(webhook, &mut call);
        call
    }

    /// `lease` 0 gives it back.
    async fn step(&self, lease: u64, confirmed: Option<&Spooled>) -> Result<Vec<Value>, SpoolError> {
        let mut held = self.connection.get().await.map_err(unavailable)?;
        let Keys { entries, bytes, drainer } = &self.keys;
        let mut call = self.next.prepare_invoke();
        call.key(entries).key(bytes).key(drainer);
        match confirmed {
            Some(Spooled { id, webhook }) => call.arg(id).arg(webhook.receipt.digits().to_string()),
            None => call.arg("").arg(""),
        };
        call.arg(format!("{:016x}", self.drainer)).arg(lease);
        let reply = call.invoke_async(&mut held.connection).await;
        reply.map_err(|error| unavailable(self.connection.failed(&held, &error)))
    }

    fn read(&self, id: Value, fields: Value) -> Option<Spooled> {
        let id = String::from_redis_value(id).ok()?;
        let fields = Vec::<Vec<u8>>::from_redis_value(fields).ok()?;
        Some(Spooled { id, webhook: spool_entry::read(self.provider, fields)? })
    }
}

#[async_trait]
impl Spool for RedisSpool {
    async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError> {
        self.commits.append(self.appending(webhook), spooled_bytes(webhook)).await
    }

    async fn next(&self, lease: Duration, confirmed: Option<&Spooled>) -> Result<Next, SpoolError> {
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut reply = self.step(lease, confirmed).await?.into_iter();
        match (reply.next(), reply.next(), reply.next()) {
            (Some(Value::Int(0)), _, _) => Ok(Next::Busy),
            (Some(_), None, _) => Ok(Next::Empty),
            (Some(_), Some(id), Some(fields)) => match self.read(id, fields) {
                Some(spooled) => Ok(Next::Entry(Box::new(spooled))),
                // A newer receiver wrote it. It stays until one that can read it drains it.
                None => Err(SpoolError::Unavailable("its oldest entry cannot be read".to_owned())),
            },
            _ => Err(SpoolError::Unavailable("an answer of another shape".to_owned())),
        }
    }

    async fn release(&self, confirmed: Option<&Spooled>) -> Result<(), SpoolError> {
        self.step(0, confirmed).await.map(drop)
    }

    async fn look(&self) -> Result<SpoolState, SpoolError> {
        let mut held = self.connection.get().await.map_err(unavailable)?;
        let mut call = self.look.prepare_invoke();
        call.key(&self.keys.entries).key(&self.keys.bytes);
        let reply: Result<(u64, u64, u64), RedisError> = call.invoke_async(&mut held.connection).await;
        let (entries, bytes, age_ms) =
            reply.map_err(|error| unavailable(self.connection.failed(&held, &error)))?;
        let oldest = (entries > 0).then(|| Duration::from_millis(age_ms));
        Ok(SpoolState { entries, bytes, oldest, proof: self.commits.prove().await? })
    }
}

/// How many webhooks wait in a provider's spool, for roles that drain nothing; `None` if this user may not see it.
///
/// # Errors
/// When Redis does not answer.
pub async fn spooled(connection: &RedisConnection, provider: ProviderId) -> Result<Option<u64>, LedgerError> {
    inspect::ask(connection, None, &["XLEN", &Keys::of(provider).entries]).await
}

#[allow(clippy::needless_pass_by_value)] // For `map_err`.
fn unavailable(error: LedgerError) -> SpoolError {
    SpoolError::Unavailable(error.0)
}
