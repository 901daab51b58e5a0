//! The ledger on Redis: each step is one script, one round trip.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{RedisResult, Script, ScriptInvocation, Value, cmd};

use super::connection::RedisConnection;
use super::{answer, policy};
use crate::adapters::ledger_key::{LedgerKeys, leg_name};
use crate::domain::envelope::Replay;
use crate::domain::state::DeliveryState;
use crate::ports::{Claim, ClaimRequest, EventRef, Ledger, LedgerError, MOST_LEGS, Settlement, StateRef};
use crate::telemetry::metrics as m;

/// What a ping writes.
const PROBE: &str = "mp:probe";
const PROBE_TTL_MILLIS: u64 = 60_000;

/// The index of events that wait for a retry.
pub(super) const WAITING: &str = "mp:waiting";
/// A copy that is this late is not waiting any more, or never will come.
const WAITING_GRACE_MILLIS: u64 = 60 * 60 * 1000;

/// The ledger on Redis.
pub struct RedisLedger {
    connection: RedisConnection,
    claim: Script,
    settle: Script,
    wait: Script,
}

impl RedisLedger {
    /// A ledger that keeps its events behind `connection`.
    #[must_use]
    pub fn new(connection: RedisConnection) -> Self {
        Self {
            connection,
            claim: Script::new(concat!(include_str!("age.lua"), include_str!("claim.lua"))),
            settle: Script::new(concat!(include_str!("age.lua"), include_str!("settle.lua"))),
            wait: Script::new(include_str!("wait.lua")),
        }
    }

    /// Waits until Redis answers, and logs an error if it is set to forget keys when its memory is full.
    pub async fn check_policy(&self) {
        policy::check(&self.connection).await;
    }

    /// Follows the URL of Redis for ever; see [`RedisConnection::follow`].
    pub async fn follow(&self) {
        self.connection.follow().await;
    }

    /// Notes that an event is about to wait, so that `milepost waiting` need not look through all events. The note is
    /// only a hint, in a slot of its own: what the event's own value says counts.
    async fn index_waiting(&self, event: &EventRef, due: Duration) -> Result<(), LedgerError> {
        let mut script = self.wait.key(WAITING);
        script.arg(&event.key).arg(millis(due)).arg(WAITING_GRACE_MILLIS);
        self.run("wait", &script).await.map(drop)
    }

    async fn run(&self, op: &'static str, script: &ScriptInvocation<'_>) -> Result<Value, LedgerError> {
        let mut lease = self.connection.get().await?;
        let began = Instant::now();
        let reply: RedisResult<Value> = script.invoke_async(&mut lease.connection).await;
        metrics::histogram!(m::REDIS_OP_DURATION, "op" => op).record(began.elapsed().as_secs_f64());
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        let keys = LedgerKeys::new(&request.delivery, &request.identity);
        let state =
            StateRef { key: keys.state, leg: leg_name(request.leg.as_deref()), ttl: request.state_ttl };
        let event_time = request.event_time.map(|time| time.as_microsecond().to_string()).unwrap_or_default();
        let mut script = self.claim.key(&keys.event);
        script
            .key(&keys.companion)
            .key(&state.key)
            .arg(u8::from(keys.by_id))
            .arg(hex::encode(request.identity.fingerprint.0))
            .arg(request.origin.receipt.to_string())
            .arg(request.origin.received_at.as_millisecond())
            .arg(request.origin.traceparent.as_deref().unwrap_or_default())
            .arg(request.attempt)
            .arg(request.crashes)
            .arg(replay_argument(request.replay))
            .arg(request.token.0.simple().to_string())
            .arg(millis(request.lease))
            .arg(millis(request.ttl))
            .arg(millis(request.horizon))
            .arg(&state.leg)
            .arg(millis(state.ttl))
            .arg(event_time)
            .arg(MOST_LEGS);
        let reply = self.run("claim", &script).await?;
        answer::read(reply, request, state)
            .ok_or_else(|| LedgerError("its claim script gave an answer of another shape".to_owned()))
    }

    async fn settle(&self, event: &EventRef, settlement: Settlement) -> Result<bool, LedgerError> {
        let Written { what, attempt, after, due, reason } = settlement.into();
        if !due.is_zero() {
            self.index_waiting(event, due).await?;
        }
        let mut script = self.settle.key(&event.key);
        script
            .key(&event.state.key)
            .arg(event.token.0.simple().to_string())
            .arg(what)
            .arg(attempt)
            .arg(millis(event.ttl))
            .arg(&event.state.leg)
            .arg(after.map_or_else(String::new, |after| after.to_string()))
            .arg(millis(event.state.ttl))
            .arg(MOST_LEGS)
            .arg(millis(due))
            .arg(reason);
        let reply = self.run("settle", &script).await?;
        Ok(reply == Value::Int(1))
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        let mut lease = self.connection.get().await?;
        // A write: a Redis that is full, or was demoted, still answers PING.
        let write = cmd("SET").arg(PROBE).arg(1).arg("PX").arg(PROBE_TTL_MILLIS).to_owned();
        let reply = write.query_async::<()>(&mut lease.connection).await;
        reply.map_err(|error| self.connection.failed(&lease, &error))
    }
}

/// A settlement in the words of `settle.lua`.
#[derive(Default)]
struct Written {
    what: &'static str,
    attempt: u32,
    after: Option<DeliveryState>,
    due: Duration,
    reason: &'static str,
}

impl From<Settlement> for Written {
    fn from(settlement: Settlement) -> Self {
        match settlement {
            Settlement::Done(after) => Self { what: "D", after, ..Self::default() },
            Settlement::Retrying { attempt, due, reason } => {
                Self { what: "R", attempt, due, reason: reason.as_str(), ..Self::default() }
            }
            Settlement::Parked(reason) => Self { what: "K", reason: reason.as_str(), ..Self::default() },
            Settlement::Released => Self { what: "released", ..Self::default() },
        }
    }
}

fn replay_argument(replay: Option<Replay>) -> String {
    match replay {
        None => String::new(),
        Some(Replay::Normal) => "normal".to_owned(),
        Some(Replay::Force(id)) => format!("force:{id}"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
