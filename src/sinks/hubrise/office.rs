//! Requests of all connections: admitted at the connection's desk, sent, and their answers noted there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::api::Api;
use super::core::answer::{self, ApiAnswer};
use super::core::desk::{Admission, Budget, Desk, Note, PauseReason, Why};
use super::core::request::{Class, Request};
use super::core::rule::OrderId;
use super::keys;
use super::settings::Connection;
use crate::ports::{Cells, CellsError};
use crate::sinks::cells;
use crate::sinks::lanes::Turns;
use crate::telemetry::metrics as m;

/// A desk is remembered a little longer than its longest window.
const DESK_TTL: Duration = Duration::from_hours(48);
/// How long a connection without a token waits before it is looked at again.
const NO_TOKEN_WAIT_MS: i64 = 30_000;

pub(super) struct Office {
    store: Arc<dyn Cells>,
    api: Arc<dyn Api>,
    /// Requests of one connection ask for admission one after another: so they do not get into each other's way in Redis.
    queues: Turns,
}

/// A request that may be sent.
pub(super) struct Pass {
    token: String,
    /// Whether the desk has nothing that an answer could change for the better.
    clean: bool,
    /// Why the connection is paused, if this request looks whether it still is.
    pub(super) probe: Option<PauseReason>,
}

/// What a desk says after an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DeskNote {
    /// Whether HubRise had answered any request before this failed.
    pub(super) alone: bool,
    /// Whether the token may be for another location.
    pub(super) suspicious: bool,
    /// How long nothing is sent, in milliseconds.
    pub(super) wait_ms: i64,
}

impl Office {
    /// Each of `connections` has its counters from now on, so that the first of a kind is seen to increase one.
    pub(super) fn new(store: Arc<dyn Cells>, api: Arc<dyn Api>, connections: &[Connection]) -> Self {
        for Connection { name, .. } in connections {
            for result in RESULTS {
                count(name, result, 0);
            }
        }
        Self { store, api, queues: Turns::default() }
    }

    /// Shows every connection's desk in the metrics, also those that this replica sends nothing on.
    pub(super) async fn report(&self, connections: &[Connection]) -> Result<(), CellsError> {
        for Connection { name, budget, .. } in connections {
            let (desk, now_ms) = cells::read::<Desk>(self.store.as_ref(), &keys::desk(name)).await?;
            report(name, &desk, budget, now_ms);
            if self.api.token(name).is_none() {
                paused(name, Some(PauseReason::NoToken));
            }
        }
        Ok(())
    }

    /// Asks for a request to be sent.
    pub(super) async fn admit(
        &self,
        connection: &Connection,
        class: Class,
    ) -> Result<Result<Pass, (i64, Why)>, CellsError> {
        let name = connection.name.as_str();
        let Some(token) = self.api.token(name) else {
            paused(name, Some(PauseReason::NoToken));
            return Ok(Err((NO_TOKEN_WAIT_MS, Why::Paused(PauseReason::NoToken))));
        };
        let _queue = self.queues.enter(name).await;
        let admit = |desk: &mut Desk, now_ms| {
            let admission = desk.admit(&connection.budget, class, &token, now_ms);
            (admission, is_clean(desk), desk.clone(), now_ms)
        };
        let (admission, clean, desk, now_ms) = self.at_desk(name, admit).await?;
        report(name, &desk, &connection.budget, now_ms);
        Ok(match admission {
            Admission::Go { probe } => Ok(Pass { token, clean, probe }),
            Admission::Wait { ms, why } => Err((ms, why)),
        })
    }

    pub(super) async fn send(
        &self,
        connection: &Connection,
        order: &OrderId,
        request: &Request,
    ) -> ApiAnswer {
        let began = Instant::now();
        let sent = self.api.send(&connection.name, order, request).await;
        let answer = match sent {
            Ok(raw) => answer::read(request, &raw),
            Err(why) => ApiAnswer::Away(why),
        };
        count(&connection.name, result(&answer), 1);
        metrics::histogram!(m::HUBRISE_REQUEST_DURATION, "request" => request.as_str())
            .record(began.elapsed().as_secs_f64());
        if let ApiAnswer::Away(why) = answer {
            tracing::warn!(
                connection = connection.name,
                request = request.as_str(),
                why,
                "hubrise: no answer"
            );
        }
        answer
    }

    /// Notes at the desk what an answer says of the connection.
    pub(super) async fn note(
        &self,
        connection: &Connection,
        pass: &Pass,
        note: Note,
    ) -> Result<DeskNote, CellsError> {
        if pass.clean && matches!(note, Note::Answered | Note::Found) {
            return Ok(DeskNote::default());
        }
        let name = connection.name.as_str();
        let (noted, before, desk, now_ms) = self
            .at_desk(name, |desk: &mut Desk, now_ms| {
                let before = desk.clone();
                desk.note(note, &pass.token, now_ms);
                let wait_ms = (desk.away_until_ms.max(desk.limited_until_ms) - now_ms).max(0);
                let (alone, suspicious) = (before.failures == 0, desk.is_suspicious());
                (DeskNote { alone, suspicious, wait_ms }, before, desk.clone(), now_ms)
            })
            .await?;
        told(name, &before, &desk);
        report(name, &desk, &connection.budget, now_ms);
        Ok(noted)
    }

    /// The location turned out to be the right one.
    pub(super) async fn clear_suspicion(&self, connection: &Connection) -> Result<(), CellsError> {
        self.at_desk(&connection.name, |desk: &mut Desk, _| desk.clear_suspicion()).await
    }

    async fn at_desk<R>(&self, name: &str, change: impl FnMut(&mut Desk, i64) -> R) -> Result<R, CellsError> {
        cells::update(self.store.as_ref(), &keys::desk(name), DESK_TTL, change).await
    }
}

fn is_clean(desk: &Desk) -> bool {
    desk.failures == 0 && desk.limited == 0 && desk.absences == 0 && desk.pause.is_none()
}

fn count(connection: &str, result: &'static str, requests: u64) {
    let connection = connection.to_owned();
    metrics::counter!(m::HUBRISE_REQUESTS, "connection" => connection, "result" => result)
        .increment(requests);
}

const RESULTS: [&str; 7] = ["ok", "not_found", "no_such_path", "rejected", "denied", "limited", "no_answer"];

/// The metric label: one of [`RESULTS`].
const fn result(answer: &ApiAnswer) -> &'static str {
    match answer {
        ApiAnswer::Done | ApiAnswer::Order(_) | ApiAnswer::Delivery(_) | ApiAnswer::Location(_) => "ok",
        ApiAnswer::NotFound => "not_found",
        ApiAnswer::NoSuchPath => "no_such_path",
        ApiAnswer::Rejected(_) => "rejected",
        ApiAnswer::Denied { .. } => "denied",
        ApiAnswer::Limited { .. } => "limited",
        ApiAnswer::Away(_) => "no_answer",
    }
}

fn report(connection: &str, desk: &Desk, budget: &Budget, now_ms: i64) {
    for left in desk.left(budget, now_ms) {
        let labels = [("connection", connection.to_owned()), ("window", left.limit.to_owned())];
        metrics::gauge!(m::HUBRISE_REQUESTS_LEFT, &labels).set(f64::from(left.requests));
    }
    paused(connection, desk.pause.as_ref().map(|pause| pause.reason));
}

fn paused(connection: &str, now: Option<PauseReason>) {
    for reason in PauseReason::ALL {
        let labels = [("connection", connection.to_owned()), ("reason", reason.as_str().to_owned())];
        metrics::gauge!(m::HUBRISE_PAUSED, &labels).set(if now == Some(reason) { 1.0 } else { 0.0 });
    }
}

/// Says once what has changed.
fn told(connection: &str, before: &Desk, after: &Desk) {
    match (&before.pause, &after.pause) {
        (None, Some(pause)) => tracing::error!(connection, reason = pause.reason.as_str(), "hubrise: paused"),
        (Some(_), None) => tracing::info!(connection, "hubrise: resumed"),
        _ => {}
    }
    match (before.is_away(), after.is_away()) {
        (false, true) => tracing::warn!(connection, "hubrise: away"),
        (true, false) => tracing::info!(connection, "hubrise: back"),
        _ => {}
    }
    if after.limited > before.limited {
        tracing::warn!(connection, "hubrise: says that too many requests were made");
    }
}
