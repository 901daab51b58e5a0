//! The ledger on Redis: each step is one script, one round trip, shared by the steps that are taken at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, Value, cmd};

use super::calls::{CallError, Calls};
use super::connection::RedisConnection;
use super::delivery_key::DeliveryKeyText;
use super::open_deliveries::{self, Named};
use super::script::{HashedScript, Text, TextOrNothing};
use super::{answer, policy};
use crate::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use crate::domain::event_name::{EventName, leg_name};
use crate::ports::{Ledger, LedgerError};
use crate::telemetry::metrics as m;

const PROBE: &str = "mp:probe";
const PROBE_TTL_MILLIS: u64 = 60_000;

/// The index of events that wait for a retry.
pub(super) const WAITING: &str = "mp:waiting";
/// A copy that is this late is not waiting any more, or never will be delivered.
const WAITING_GRACE_MILLIS: u64 = 60 * 60 * 1000;

pub struct RedisLedger {
    calls: Arc<Calls>,
    claim: HashedScript,
    mark: HashedScript,
    wait: HashedScript,
    named: Named,
}

impl RedisLedger {
    /// A ledger that keeps its events behind `connection`.
    #[must_use]
    pub fn new(connection: RedisConnection) -> Self {
        Self {
            calls: Arc::new(Calls::new(connection)),
            claim: HashedScript::new(concat!(include_str!("order.lua"), include_str!("claim.lua"))),
            mark: HashedScript::new(concat!(include_str!("order.lua"), include_str!("mark.lua"))),
            wait: HashedScript::new(include_str!("wait.lua")),
            named: Named::default(),
        }
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Waits until Redis answers, and logs an error if it is set to forget keys when its memory is full.
    pub async fn check_policy(&self) {
        policy::check(self.calls.connection()).await;
    }

    /// Follows the URL of Redis for ever; see [`RedisConnection::follow`].
    pub async fn follow(&self) {
        self.calls.connection().follow().await;
    }

    /// Notes that an event is about to wait, so that `milepost waiting` need not look through all deliveries. The note is
    /// only a hint, in a slot of its own: what the delivery's own record says counts.
    async fn index_waiting(&self, event: &EventRef, due: Duration) -> Result<(), LedgerError> {
        let member = format!("{} {}", DeliveryKeyText(&event.delivery), event.name);
        let mut call = self.wait.call(WAITING, 3, member.len() + 20);
        call.arg(member).arg(millis(due)).arg(WAITING_GRACE_MILLIS);
        self.run("wait", &self.wait, call).await.map(drop)
    }

    /// Notes the delivery's phase in the index of those that are open. It goes in the same request as the mark, before
    /// it: a mark that is made again notes it again. In a slot of its own, it is a hint; see [`crate::ports::OpenDeliveries`].
    fn index_open(&self, event: &EventRef, mark: Mark) {
        let Mark::Published(Some(after)) = mark else { return };
        let (note, address) = open_deliveries::notes(event, &after);
        let named = self.named.unless_lately(&event.delivery);
        for command in [Some(note), address, named].into_iter().flatten() {
            self.calls.tell(command);
        }
    }

    fn claim_call(&self, request: &ClaimRequest, leg: &str) -> Cmd {
        let (marker, content) = match EventName::new(&request.identity) {
            EventName::ById { id, content } => (format!("i{id}"), content),
            EventName::ByContent { content } => (format!("o{content}"), content),
        };
        let (copy, moment) = (&request.copy, &request.moment);
        let mut call = self.claim.call(DeliveryKeyText(&request.delivery), 18, 320);
        call.arg(marker)
            .arg(content)
            .arg(EventName::forced(copy.replay))
            .arg(Text(copy.receipt.digits()))
            .arg(request.traceparent.as_deref().unwrap_or_default())
            .arg(copy.attempt)
            .arg(copy.crashes)
            .arg(u8::from(copy.replay.is_some()))
            .arg(Text(format_args!("{:016x}", copy.token.0)))
            .arg(millis(copy.lease))
            .arg(millis(request.ttl))
            .arg(millis(request.horizon))
            .arg(leg)
            .arg(TextOrNothing(moment.event_time.map(|time| time.at.as_microsecond())))
            .arg(moment.kind_code())
            .arg(moment.received_at.as_millisecond())
            .arg(Text(moment.status.code()))
            .arg(request.precedence.as_str());
        call
    }

    fn mark_call(&self, event: &EventRef, mark: Mark) -> Cmd {
        let mut call = self.mark.call(DeliveryKeyText(&event.delivery), 8, 260);
        call.arg(&event.name).arg(Text(format_args!("{:016x}", event.token.0)));
        match mark {
            Mark::Published(after) => {
                let EventRef { first_receipt, sequence, status, .. } = event;
                call.arg("D")
                    .arg(Text(format_args!("{},{sequence},{}", first_receipt.digits(), status.code())))
                    .arg(&event.leg)
                    .arg(TextOrNothing(after))
                    .arg(event.precedence.as_str())
                    .arg(millis(event.ttl));
            }
            Mark::Retrying { attempt, due, reason } => {
                call.arg("R").arg(attempt).arg(millis(due)).arg(reason.as_str());
            }
            Mark::Parked(reason) => {
                call.arg("K").arg(reason.as_str()).arg(Text(event.receipt.digits()));
            }
            Mark::Released => {
                call.arg("P");
            }
        }
        call
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
        let leg = leg_name(request.leg.as_deref());
        let reply = self.run("claim", &self.claim, self.claim_call(request, &leg)).await?;
        answer::read(&reply, request, leg)
            .ok_or_else(|| LedgerError("its claim script gave an answer of another shape".to_owned()))
    }

    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError> {
        if let Mark::Retrying { due, .. } = mark {
            self.index_waiting(event, due).await?;
        }
        self.index_open(event, mark);
        let reply = self.run("mark", &self.mark, self.mark_call(event, mark)).await?;
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
