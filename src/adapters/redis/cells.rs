//! Cells in Redis: a GET with the time, and a script that swaps.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{FromRedisValue as _, RedisError, Value, pipe};

use super::connection::RedisConnection;
use super::script::HashedScript;
use crate::ports::{Cell, Cells, CellsError, Swap};
use crate::telemetry::metrics as m;

pub struct RedisCells {
    connection: RedisConnection,
    swap: HashedScript,
}

impl RedisCells {
    /// Cells behind `connection`.
    #[must_use]
    pub fn new(connection: RedisConnection) -> Self {
        Self { connection, swap: HashedScript::new(include_str!("swap.lua")) }
    }

    /// Follows the URL of Redis for ever; see [`RedisConnection::follow`].
    pub async fn follow(&self) {
        self.connection.follow().await;
    }
}

#[async_trait]
impl Cells for RedisCells {
    async fn read(&self, key: &str) -> Result<Cell, CellsError> {
        let mut lease = self.connection.get().await.map_err(unavailable)?;
        let began = Instant::now();
        let mut both = pipe();
        both.cmd("TIME").get(key);
        let reply = both.query_async(&mut lease.connection).await;
        measured("cell_read", began);
        let ((seconds, micros), value): ((i64, i64), Option<String>) =
            reply.map_err(|error| unavailable(self.connection.failed(&lease, &error)))?;
        Ok(Cell { value, now_ms: seconds * 1000 + micros / 1000 })
    }

    async fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Result<Swap, CellsError> {
        let mut lease = self.connection.get().await.map_err(unavailable)?;
        let began = Instant::now();
        let old_and_new = old.map_or(0, str::len) + new.len();
        let mut call = self.swap.call(key, 4, key.len() + old_and_new + 40);
        call.arg(u8::from(old.is_some())).arg(old.unwrap_or_default()).arg(new);
        call.arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let mut reply: Result<Value, RedisError> = call.query_async(&mut lease.connection).await;
        if reply.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT")) {
            reply = self.swap.load_and_call(call, &mut lease.connection).await;
        }
        measured("cell_swap", began);
        let reply = reply.map_err(|error| unavailable(self.connection.failed(&lease, &error)))?;
        let swapped = Vec::from_redis_value(reply).ok().and_then(|reply| swapped(&reply));
        swapped.ok_or_else(|| CellsError("its swap script gave an answer of another shape".to_owned()))
    }
}

fn swapped(reply: &[Value]) -> Option<Swap> {
    match reply {
        [Value::Int(1)] => Some(Swap::Done),
        [Value::Int(0), Value::Int(now_ms), value] => {
            let value = Option::<String>::from_redis_value(value.clone()).ok()?;
            Some(Swap::Conflict(Cell { value, now_ms: *now_ms }))
        }
        _ => None,
    }
}

fn measured(op: &'static str, began: Instant) {
    metrics::histogram!(m::REDIS_OP_DURATION, "op" => op).record(began.elapsed().as_secs_f64());
}

fn unavailable(error: impl std::fmt::Display) -> CellsError {
    CellsError(error.to_string())
}
