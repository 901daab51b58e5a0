//! Appends that are made together, proved by one fsync.
//!
//! `WAITAOF` blocks its connection until the fsync, with `appendfsync everysec` for up to a second. So this connection is for
//! appends alone, and while one request waits for its proof, what is appended meanwhile gathers for the next: an append
//! waits for two fsyncs at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::ConnectionLike as _;
use deadpool_redis::redis::{Cmd, FromRedisValue as _, Pipeline, Value, cmd};
use tokio::sync::oneshot;

use super::connection::{Checkout, RedisConnection};
use super::proof;
use crate::ports::{DurabilityProof, LedgerError, SpoolError};

/// What one request appends at most, in bytes of its entries, but for the last one.
const REQUEST_BYTES: u64 = 4 * 1024 * 1024;

struct Append {
    command: Cmd,
    bytes: u64,
    reply: oneshot::Sender<Result<(), SpoolError>>,
}

#[derive(Default)]
struct WaitingAppends {
    appends: Vec<Append>,
    sending: bool,
}

/// Appends to one provider's spool.
pub(super) struct Commits {
    connection: RedisConnection,
    /// The script, which each request loads: Redis forgets it when it starts.
    script: &'static str,
    timeout: Duration,
    waiting: Mutex<WaitingAppends>,
    /// What proved a write lately; unknown after any failure.
    proof: Mutex<Option<DurabilityProof>>,
}

impl Commits {
    /// `connection` must wait for a reply for longer than `timeout`, which is how long a proof may take.
    pub(super) fn new(connection: RedisConnection, script: &'static str, timeout: Duration) -> Self {
        Self { connection, script, timeout, waiting: Mutex::default(), proof: Mutex::default() }
    }

    pub(super) fn connection(&self) -> &RedisConnection {
        &self.connection
    }

    /// Appends an entry of `bytes` by `command`, and waits for its proof.
    pub(super) async fn append(self: &Arc<Self>, command: Cmd, bytes: u64) -> Result<(), SpoolError> {
        let (reply, answer) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting();
            waiting.appends.push(Append { command, bytes, reply });
            !std::mem::replace(&mut waiting.sending, true)
        };
        if first {
            tokio::spawn(Arc::clone(self).send());
        }
        let answer = tokio::time::timeout(self.timeout, answer).await;
        let unproven = |why: &str| Err(SpoolError::Unavailable(why.to_owned()));
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => unproven("its answer got lost"),
            Err(_) => unproven("nothing was proved in time"),
        }
    }

    /// Looks what proves a write now.
    pub(super) async fn prove(&self) -> Result<Result<DurabilityProof, &'static str>, SpoolError> {
        let proof = proof::prove(&self.connection).await.map_err(unavailable)?;
        *self.proof() = proof.ok();
        Ok(proof)
    }

    /// Sends what waits, request after request, until nothing does.
    async fn send(self: Arc<Self>) {
        while let Some(appends) = self.take() {
            let result = self.commit(&appends).await;
            if result.is_err() {
                *self.proof() = None;
            }
            let answers = match result {
                Ok(answers) => answers,
                Err(error) => vec![Err(error); appends.len()],
            };
            for (Append { reply, .. }, answer) in appends.into_iter().zip(answers) {
                // Its request may have been dropped meanwhile.
                let _ = reply.send(answer);
            }
        }
    }

    /// What goes into the next request.
    fn take(&self) -> Option<Vec<Append>> {
        let mut waiting = self.waiting();
        // Who waited too long was told that it is not stored.
        waiting.appends.retain(|append| !append.reply.is_closed());
        let mut bytes = 0;
        let fits = |append: &Append| {
            let fits = bytes < REQUEST_BYTES;
            bytes += append.bytes;
            fits
        };
        let count = waiting.appends.iter().map(fits).take_while(|fits| *fits).count();
        waiting.sending = count > 0;
        (count > 0).then(|| waiting.appends.drain(..count).collect())
    }

    /// Appends all in one request, with the proof at its end: an answer for each.
    async fn commit(&self, appends: &[Append]) -> Result<Vec<Result<(), SpoolError>>, SpoolError> {
        let known = *self.proof();
        let proof = match known {
            Some(proof) => proof,
            None => self.prove().await?.map_err(SpoolError::NotDurable)?,
        };
        let mut request = Pipeline::with_capacity(appends.len() + 2);
        request.cmd("SCRIPT").arg("LOAD").arg(self.script);
        for append in appends {
            request.add_command(append.command.clone());
        }
        request.add_command(proving(proof, self.timeout));
        let mut lease = self.connection.get().await.map_err(unavailable)?;
        let sent = lease.connection.req_packed_commands(&request, 0, request.len()).await;
        let mut answers = sent.map_err(|error| unavailable(self.connection.failed(&lease, &error)))?;
        let shown = answers.pop().ok_or_else(|| SpoolError::Unavailable("no answer".to_owned()))?;
        if !proves(proof, self.value(&lease, shown)?) {
            return Err(SpoolError::Unavailable("nothing was proved in time".to_owned()));
        }
        let answers = answers.into_iter().skip(1).map(|answer| match self.value(&lease, answer)? {
            Value::Int(1) => Ok(()),
            Value::Int(_) => Err(SpoolError::Full),
            _ => Err(SpoolError::Unavailable("an answer of another shape".to_owned())),
        });
        Ok(answers.collect())
    }

    fn value(&self, lease: &Checkout, answer: Value) -> Result<Value, SpoolError> {
        answer.extract_error().map_err(|error| unavailable(self.connection.failed(lease, &error)))
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingAppends> {
        // A panic elsewhere cannot leave it half-written.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proof(&self) -> MutexGuard<'_, Option<DurabilityProof>> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command whose answer shows that the writes before it, on the same connection, are on disk.
fn proving(proof: DurabilityProof, timeout: Duration) -> Cmd {
    match proof {
        DurabilityProof::EveryAnswer => {
            let mut settings = cmd("CONFIG");
            settings.arg("GET").arg("append*");
            settings
        }
        DurabilityProof::EachWrite => {
            let mut wait = cmd("WAITAOF");
            wait.arg(1).arg(0).arg(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
            wait
        }
    }
}

/// Whether the answer shows that: the settings may have changed since they were looked at.
fn proves(proof: DurabilityProof, answer: Value) -> bool {
    match proof {
        DurabilityProof::EveryAnswer => {
            let settings = HashMap::<String, String>::from_redis_value(answer).unwrap_or_default();
            let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
            is("appendonly", "yes") && is("appendfsync", "always")
        }
        DurabilityProof::EachWrite => Vec::<i64>::from_redis_value(answer)
            .is_ok_and(|fsynced| fsynced.first().is_some_and(|local| *local >= 1)),
    }
}

#[allow(clippy::needless_pass_by_value)] // For `map_err`.
fn unavailable(error: LedgerError) -> SpoolError {
    SpoolError::Unavailable(error.0)
}
