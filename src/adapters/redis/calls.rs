//! Calls that are made together, sent as one request.
//!
//! A worker's messages move in step: what the broker hands out at once is claimed at once, and what it confirms at once
//! is settled at once. One request for them all is one write, one timer and one wake. No call waits for others: a task of
//! its own sends what there is as soon as the task that called has nothing more to do, so a lone call goes at once.
//!
//! In a Cluster a request is of one slot, and so of one delivery: there each call is a request of its own, all at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_redis::redis::aio::ConnectionLike as _;
use deadpool_redis::redis::{Cmd, Pipeline, RedisError, Value};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::connection::{Checkout, RedisConnection};
use crate::ports::LedgerError;

/// Sends calls over one connection.
pub(super) struct Calls {
    connection: RedisConnection,
    /// What was called since the last request. The caller that puts the first one in has it sent.
    waiting: Mutex<Vec<Call>>,
}

struct Call {
    command: Cmd,
    /// Missing if nobody waits for the answer.
    reply: Option<oneshot::Sender<Reply>>,
}

type Reply = Result<Value, CallError>;

/// Why a call has no answer.
#[derive(Clone)]
pub(super) enum CallError {
    /// Redis does not know the script that was to be called by its hash: it forgets them all when it starts. This was the
    /// call.
    UnknownScript(Cmd),
    /// There is no connection to send it on.
    Unsent(LedgerError),
    /// Redis did not answer, or refused.
    Failed(LedgerError),
}

impl Calls {
    pub(super) fn new(connection: RedisConnection) -> Self {
        Self { connection, waiting: Mutex::default() }
    }

    /// The connection, for what is asked by itself.
    pub(super) fn connection(&self) -> &RedisConnection {
        &self.connection
    }

    /// Calls, and waits for the answer.
    ///
    /// # Errors
    /// When Redis cannot be reached, does not answer in time, or refuses.
    pub(super) async fn call(self: &Arc<Self>, command: Cmd) -> Reply {
        let (reply, answer) = oneshot::channel();
        self.add(Call { command, reply: Some(reply) });
        answer.await.unwrap_or_else(|_| Err(CallError::Failed(LedgerError("its answer got lost".to_owned()))))
    }

    /// Calls, and does not wait for the answer. What is called next goes in the same request, behind it.
    pub(super) fn tell(self: &Arc<Self>, command: Cmd) {
        self.add(Call { command, reply: None });
    }

    fn add(self: &Arc<Self>, call: Call) {
        let first = {
            let mut waiting = self.waiting();
            waiting.push(call);
            waiting.len() == 1
        };
        if first {
            tokio::spawn(Arc::clone(self).send());
        }
    }

    /// Sends all that waits, and hands out the answers.
    async fn send(self: Arc<Self>) {
        let calls = std::mem::take(&mut *self.waiting());
        match self.connection.get().await {
            Ok(lease) if lease.connection.is_cluster() => {
                join_all(calls.into_iter().map(|call| self.send_alone(&lease, call))).await;
            }
            Ok(lease) => self.send_together(lease, calls).await,
            Err(error) => {
                for Call { reply, .. } in calls {
                    answer(reply, Err(CallError::Unsent(error.clone())));
                }
            }
        }
    }

    async fn send_alone(&self, lease: &Checkout, Call { command, reply }: Call) {
        let mut connection = lease.connection.clone();
        let said = match connection.req_packed_command(&command).await {
            Ok(said) => said.extract_error().map_err(|error| self.refused(lease, &error, &command)),
            Err(error) => Err(CallError::Failed(self.connection.failed(lease, &error))),
        };
        answer(reply, said);
    }

    async fn send_together(&self, mut lease: Checkout, calls: Vec<Call>) {
        let mut request = Pipeline::with_capacity(calls.len());
        let mut replies = Vec::with_capacity(calls.len());
        for Call { command, reply } in calls {
            request.add_command(command);
            replies.push(reply);
        }
        match lease.connection.req_packed_commands(&request, 0, request.len()).await {
            Ok(said) => {
                for ((reply, said), command) in replies.into_iter().zip(said).zip(request.cmd_iter()) {
                    let said = said.extract_error().map_err(|error| self.refused(&lease, &error, command));
                    answer(reply, said);
                }
            }
            Err(error) => {
                let error = CallError::Failed(self.connection.failed(&lease, &error));
                for reply in replies {
                    answer(reply, Err(error.clone()));
                }
            }
        }
    }

    fn refused(&self, lease: &Checkout, error: &RedisError, command: &Cmd) -> CallError {
        match error.code() {
            Some("NOSCRIPT") => CallError::UnknownScript(command.clone()),
            _ => CallError::Failed(self.connection.failed(lease, error)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Call>> {
        // A panic elsewhere cannot leave a vector half-written.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a call. No caller waits any more for one whose message was given back meanwhile.
fn answer(reply: Option<oneshot::Sender<Reply>>, said: Reply) {
    if let Some(reply) = reply {
        let _ = reply.send(said);
    }
}
