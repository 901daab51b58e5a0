//! The ledger on Redis: each step is one script, one round trip, shared by the steps that are taken at once.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, Value, cmd};
use jiff::Timestamp;

use super::calls::{CallError, Calls};
use super::connection::RedisConnection;
use super::script::{HashedScript, Text, TextOrNothing};
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
    calls: Arc<Calls>,
    claim: HashedScript,
    settle: HashedScript,
    wait: HashedScript,
}

impl RedisLedger {
    /// A ledger that keeps its events behind `connection`.
    #[must_use]
    pub fn new(connection: RedisConnection) -> Self {
        Self {
            calls: Arc::new(Calls::new(connection)),
            claim: HashedScript::new(concat!(include_str!("age.lua"), include_str!("claim.lua"))),
            settle: HashedScript::new(concat!(include_str!("age.lua"), include_str!("settle.lua"))),
            wait: HashedScript::new(include_str!("wait.lua")),
        }
    }

    /// Waits until Redis answers, and logs an error if it is set to forget keys when its memory is full.
    pub async fn check_policy(&self) {
        policy::check(self.calls.connection()).await;
    }

    /// Follows the URL of Redis for ever; see [`RedisConnection::follow`].
    pub async fn follow(&self) {
        self.calls.connection().follow().await;
    }

    /// Notes that an event is about to wait, so that `milepost waiting` need not look through all events. The note is
    /// only a hint, in a slot of its own: what the event's own value says counts.
    async fn index_waiting(&self, event: &EventRef, due: Duration) -> Result<(), LedgerError> {
        let mut call = self.wait.call(&[WAITING], 3, event.key.len() + 20);
        call.arg(&event.key).arg(millis(due)).arg(WAITING_GRACE_MILLIS);
        self.run("wait", &self.wait, call).await.map(drop)
    }

    /// The call that asks for an event, and the state of its delivery.
    fn claim_call(&self, request: &ClaimRequest) -> (Cmd, StateRef) {
        let keys = LedgerKeys::new(&request.delivery, &request.identity);
        let state =
            StateRef { key: keys.state, leg: leg_name(request.leg.as_deref()), ttl: request.state_ttl };
        let mut call = self.claim.call(&[&keys.event, &keys.companion, &state.key], 16, 320);
        call.arg(u8::from(keys.by_id))
            .arg(keys.content.as_str())
            .arg(Text(request.origin.receipt))
            .arg(request.origin.received_at.as_millisecond())
            .arg(request.origin.traceparent.as_deref().unwrap_or_default())
            .arg(request.attempt)
            .arg(request.crashes)
            .arg(TextOrNothing(request.replay.map(Replayed)))
            .arg(Text(request.token.0.simple()))
            .arg(millis(request.lease))
            .arg(millis(request.ttl))
            .arg(millis(request.horizon))
            .arg(&state.leg)
            .arg(millis(state.ttl))
            .arg(TextOrNothing(request.event_time.map(Timestamp::as_microsecond)))
            .arg(MOST_LEGS);
        (call, state)
    }

    async fn run(&self, op: &'static str, script: &HashedScript, call: Cmd) -> Result<Value, LedgerError> {
        let began = Instant::now();
        let reply = match self.calls.call(call).await {
            Ok(reply) => Ok(reply),
            Err(CallError::UnknownScript(call)) => self.load_and_call(script, call).await,
            // No round trip: alerts tell a Redis that cannot be reached by that none is counted.
            Err(CallError::Unsent(error)) => return Err(error),
            Err(CallError::Failed(error)) => Err(error),
        };
        metrics::histogram!(m::REDIS_OP_DURATION, "op" => op).record(began.elapsed().as_secs_f64());
        reply
    }

    async fn load_and_call(&self, script: &HashedScript, call: Cmd) -> Result<Value, LedgerError> {
        let connection = self.calls.connection();
        let mut lease = connection.get().await?;
        let reply = script.load_and_call(call, &mut lease.connection).await;
        reply.map_err(|error| connection.failed(&lease, &error))
    }
}

#[async_trait]
impl Ledger for RedisLedger {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        let (call, state) = self.claim_call(request);
        let reply = self.run("claim", &self.claim, call).await?;
        answer::read(reply, request, state)
            .ok_or_else(|| LedgerError("its claim script gave an answer of another shape".to_owned()))
    }

    async fn settle(&self, event: &EventRef, settlement: Settlement) -> Result<bool, LedgerError> {
        let Written { what, attempt, after, due, reason } = settlement.into();
        if !due.is_zero() {
            self.index_waiting(event, due).await?;
        }
        let mut call = self.settle.call(&[&event.key, &event.state.key], 10, 200);
        call.arg(Text(event.token.0.simple()))
            .arg(what)
            .arg(attempt)
            .arg(millis(event.ttl))
            .arg(&event.state.leg)
            .arg(TextOrNothing(after))
            .arg(millis(event.state.ttl))
            .arg(MOST_LEGS)
            .arg(millis(due))
            .arg(reason);
        let reply = self.run("settle", &self.settle, call).await?;
        Ok(reply == Value::Int(1))
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        let connection = self.calls.connection();
        let mut lease = connection.get().await?;
        // A write: a Redis that is full, or was demoted, still answers PING.
        let write = cmd("SET").arg(PROBE).arg(1).arg("PX").arg(PROBE_TTL_MILLIS).to_owned();
        let reply = write.query_async::<()>(&mut lease.connection).await;
        reply.map_err(|error| connection.failed(&lease, &error))
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

/// A replay in the words of `claim.lua`.
struct Replayed(Replay);

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Replay::Normal => f.write_str("normal"),
            Replay::Force(id) => write!(f, "force:{id}"),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
