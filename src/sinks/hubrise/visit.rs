//! One message's visit to an order: decide, ask for a request, hold the order while it is under way, learn.
//!
//! The order of effects is what keeps an update from being lost, wherever the process is killed: the record says what is
//! about to be sent before it is sent, and what was answered before anything else is decided; and only then does the
//! message go. What a dead replica was sending is in its lease, and doubted once that has run out.

use std::time::Duration;

use tokio::time::Instant;

use super::core::answer::ApiAnswer;
use super::core::carrier::Carrier;
use super::core::decide::{self, Case, Obstacle, RetryCause, Run, Step, admit, decide};
use super::core::desk::{Note, PauseReason, Why};
use super::core::learn::{Lesson, learn};
use super::core::record::{Last, OrderLease, OrderRecord};
use super::core::request::{Class, Request};
use super::core::rule::OrderId;
use super::keys;
use super::links::{KnownDelivery, Link};
use super::office::{DeskNote, Pass};
use super::settings::Connection;
use super::{Hubrise, patience};
use crate::domain::verdict::ParkReason;
use crate::ports::CellsError;
use crate::ports::chance::random;
use crate::sinks::update::Update;
use crate::sinks::{SinkMessage, SinkOutcome, Verdict, WaitReason, cells};

/// A visit has no use for more: look, POST, look again, POST without what was refused, and the order's own status.
const MOST_REQUESTS: usize = 8;
/// The longest wait between two looks at a HubRise that is away, or a connection that is paused.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// The longest wait for a limit: what the broker's delays hold, with room for the spread.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How long another replica's request takes at the most usual.
const BUSY_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Visit<'a> {
    sink: &'a Hubrise,
    connection: &'a Connection,
    order: &'a OrderId,
    update: &'a Update,
    message: &'a SinkMessage,
    carrier: Carrier,
    key: String,
    token: String,
    run: Run,
}

/// What a visit does next.
enum NextStep {
    Step(Step),
    /// Another replica is sending something about the order.
    Busy,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        sink: &'a Hubrise,
        connection: &'a Connection,
        order: &'a OrderId,
        update: &'a Update,
        message: &'a SinkMessage,
    ) -> Self {
        Self {
            sink,
            connection,
            order,
            update,
            message,
            carrier: Carrier::of(&update.delivery.provider),
            key: keys::order(&connection.name, order),
            token: format!("{:032x}", random::<u128>()),
            run: Run::default(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Verdict, CellsError> {
        // What it says is taken in at once, so that the next request about the order sends it, too.
        match self.take_in().await? {
            NextStep::Step(Step::Send(_)) | NextStep::Busy => {}
            NextStep::Step(step) => return Ok(Self::end(step)),
        }
        let _lane = self.sink.lanes.enter(&self.key).await;
        for _ in 0..MOST_REQUESTS {
            let request = match self.look().await? {
                NextStep::Busy => {
                    return Ok(later(BUSY_WAIT.mul_f64(0.5 + random::<f64>() / 2.0), WaitReason::Busy));
                }
                NextStep::Step(Step::Send(request)) => request,
                NextStep::Step(step) => return Ok(Self::end(step)),
            };
            let pass = match self.sink.office.admit(self.connection, request.class()).await? {
                Ok(pass) => pass,
                Err((ms, why)) => return Ok(self.wait(ms, why)),
            };
            if pass.probe == Some(PauseReason::WrongLocation) && !self.is_right_location(&pass).await? {
                return Ok(self.paused());
            }
            let began = Instant::now();
            let Some(request) = self.hold().await? else { continue };
            if began.elapsed() > self.sink.settings.lease / 2 {
                continue;
            }
            let answer = self.sink.office.send(self.connection, self.order, &request).await;
            let note = note(&request, &answer);
            let lesson = self.learn(&request, answer).await?;
            let noted = self.sink.office.note(self.connection, &pass, note).await?;
            if noted.suspicious && !self.is_right_location(&pass).await? {
                return Ok(self.paused());
            }
            if let Some(verdict) = self.conclude(lesson, noted) {
                return Ok(verdict);
            }
        }
        // HubRise says now this and now that.
        Ok(self.away(DeskNote { alone: true, ..DeskNote::default() }))
    }

    fn case(&self, now_ms: i64) -> Case<'_> {
        let Self { update, carrier, connection, .. } = self;
        let interval_ms = i64::try_from(connection.interval.as_millis()).unwrap_or(i64::MAX);
        Case { update, carrier, style: &connection.style, interval_ms, now_ms }
    }

    /// Takes the update into the record.
    async fn take_in(&self) -> Result<NextStep, CellsError> {
        let (next, is_new) = self
            .change(|record, now_ms| {
                let is_new = record.owner.is_none();
                settle_lease(record, now_ms);
                if self.message.replayed {
                    // The operator who replays it has fixed what HubRise refused.
                    record.forgive();
                }
                let case = self.case(now_ms);
                match admit(record, &case) {
                    Ok(()) => (self.next(record, now_ms), is_new),
                    Err(step) => (NextStep::Step(step), false),
                }
            })
            .await?;
        if is_new {
            let OrderId { location, order } = self.order.clone();
            let link = Link { connection: self.connection.name.clone(), location, order };
            let (store, key) = (self.sink.store.as_ref(), keys::delivery(&self.update.delivery));
            let put = |known: &mut KnownDelivery, _| known.shown_at = Some(link.clone());
            cells::update(store, &key, self.sink.settings.memory, put).await?;
        }
        Ok(next)
    }

    /// What is next, as things are now.
    async fn look(&self) -> Result<NextStep, CellsError> {
        let (mut record, now_ms) = cells::read::<OrderRecord>(self.sink.store.as_ref(), &self.key).await?;
        settle_lease(&mut record, now_ms);
        // The record may be gone, or the order another delivery's, since the update was taken in.
        Ok(match admit(&mut record, &self.case(now_ms)) {
            Ok(()) => self.next(&record, now_ms),
            Err(step) => NextStep::Step(step),
        })
    }

    /// What is next by this record. What somebody is sending may change what HubRise shows at any moment, and so counts
    /// as not shown.
    fn next(&self, record: &OrderRecord, now_ms: i64) -> NextStep {
        let mut doubted = record.clone();
        let busy = record.lease.as_ref().is_some_and(|lease| lease.token != self.token);
        if let Some(lease) = &record.lease {
            doubted.doubt(&lease.sending);
        }
        match decide(&doubted, &self.case(now_ms), &self.run) {
            Step::Send(_) | Step::Wait(_) if busy => NextStep::Busy,
            step => NextStep::Step(step),
        }
    }

    /// Holds the order for the request that is next by now; nothing if there is none any more.
    async fn hold(&self) -> Result<Option<Request>, CellsError> {
        let lease_ms = i64::try_from(self.sink.settings.lease.as_millis()).unwrap_or(i64::MAX);
        self.change(|record, now_ms| {
            settle_lease(record, now_ms);
            admit(record, &self.case(now_ms)).ok()?;
            let NextStep::Step(Step::Send(request)) = self.next(record, now_ms) else { return None };
            let (token, sending) = (self.token.clone(), request.sending());
            record.lease = Some(OrderLease { token, until_ms: now_ms.saturating_add(lease_ms), sending });
            Some(request)
        })
        .await
    }

    /// Takes in the answer, and lets go of the order.
    async fn learn(&mut self, request: &Request, answer: ApiAnswer) -> Result<Lesson, CellsError> {
        let result = summary(&answer);
        let (run, lesson) = self
            .change(|record, now_ms| {
                let mut run = self.run.clone();
                if record.lease.as_ref().is_none_or(|lease| lease.token != self.token) {
                    // The lease ran out and another replica went on: which of the two requests came last is not known.
                    record.doubt(&request.sending());
                    return (run, Lesson::GoOn);
                }
                record.lease = None;
                let lesson = learn(record, &self.case(now_ms), &mut run, request, answer.clone());
                record.last = Some(Last {
                    at_ms: now_ms,
                    request: request.as_str().to_owned(),
                    result: result.clone(),
                });
                (run, lesson)
            })
            .await?;
        self.run = run;
        Ok(lesson)
    }

    async fn change<R>(&self, change: impl FnMut(&mut OrderRecord, i64) -> R) -> Result<R, CellsError> {
        cells::update(self.sink.store.as_ref(), &self.key, self.sink.settings.memory, change).await
    }

    /// What a lesson makes of the visit; nothing if it goes on.
    fn conclude(&self, lesson: Lesson, noted: DeskNote) -> Option<Verdict> {
        match lesson {
            Lesson::GoOn => None,
            Lesson::End(step) => Some(Self::end(step)),
            Lesson::Refused(rejection) => {
                tracing::warn!(
                    connection = self.connection.name,
                    event.id = self.update.event_id,
                    says = rejection.text,
                    "hubrise: refused"
                );
                None
            }
            Lesson::Denied { code, message } => {
                tracing::error!(connection = self.connection.name, code, message, "hubrise: denied");
                Some(self.paused())
            }
            Lesson::NoSuchPath => Some(self.paused()),
            Lesson::Limited { .. } => Some(self.wait(noted.wait_ms, Why::Limited)),
            Lesson::Away(_) => Some(self.away(noted)),
        }
    }

    fn end(step: Step) -> Verdict {
        match step {
            Step::Done(outcome) => Verdict::Done(match outcome {
                decide::OrderOutcome::Shown => SinkOutcome::Shown,
                decide::OrderOutcome::Late => SinkOutcome::Late,
                decide::OrderOutcome::NoStatus | decide::OrderOutcome::Former => SinkOutcome::Ignored,
            }),
            Step::Wait(ms) => later(millis(ms), WaitReason::Interval),
            Step::Retry(RetryCause::NoOrder) => Verdict::Retry(WaitReason::Absent),
            Step::Retry(RetryCause::OtherDelivery) => Verdict::Retry(WaitReason::Occupied),
            Step::Refused(why) => Verdict::Park(ParkReason::SinkRefused, why),
            Step::Park(obstacle) => {
                let reason = match obstacle {
                    Obstacle::NotADelivery => ParkReason::SinkRefused,
                    Obstacle::Foreign | Obstacle::Second => ParkReason::ForeignDelivery,
                };
                Verdict::Park(reason, obstacle.as_str().to_owned())
            }
            // `run` sends it, and does not come here with it.
            Step::Send(_) => later(BUSY_WAIT, WaitReason::Busy),
        }
    }

    fn wait(&self, ms: i64, why: Why) -> Verdict {
        match why {
            Why::Paused(_) => self.paused(),
            Why::Away => self.away(DeskNote { wait_ms: ms, ..DeskNote::default() }),
            // Those that wait for a limit do not all come back when it has room for one.
            Why::Spent(_) | Why::Limited => {
                let wait = millis(ms);
                let spread = wait.min(Duration::from_mins(1)).mul_f64(random());
                later((wait + spread).min(LONGEST_WAIT), WaitReason::Limited)
            }
        }
    }

    fn paused(&self) -> Verdict {
        later(patience(self.update, self.message, LONGEST_BACKOFF), WaitReason::Paused)
    }

    /// An outage spends no attempt. That HubRise answers others and never this update is the update's own failure.
    fn away(&self, noted: DeskNote) -> Verdict {
        if noted.alone && self.message.waited_for(WaitReason::Away) {
            return Verdict::Retry(WaitReason::Away);
        }
        let wait = patience(self.update, self.message, LONGEST_BACKOFF);
        later(wait.max(millis(noted.wait_ms)), WaitReason::Away)
    }

    /// Whether the token is for a location of this connection's, after so many orders were missing that it may not be.
    async fn is_right_location(&self, pass: &Pass) -> Result<bool, CellsError> {
        let mut wrong = false;
        for request in [Request::GetLocation, Request::GetThatLocation] {
            if self.sink.office.admit(self.connection, Class::Status).await?.is_err() {
                return Ok(true);
            }
            match self.sink.office.send(self.connection, self.order, &request).await {
                ApiAnswer::Location(Some(id)) if request == Request::GetLocation => {
                    wrong = !self.connection.locations.contains(&id);
                    break;
                }
                ApiAnswer::Location(_) => {
                    wrong = false;
                    break;
                }
                // A token of an account has no location of its own.
                ApiAnswer::NotFound | ApiAnswer::NoSuchPath | ApiAnswer::Denied { code: 403, .. } => {
                    wrong = true;
                }
                // The requests that matter show that.
                _ => return Ok(true),
            }
        }
        if wrong {
            tracing::error!(
                connection = self.connection.name,
                location = self.order.location,
                "hubrise: the token is for another location"
            );
            let note = Note::Wrong(PauseReason::WrongLocation);
            self.sink.office.note(self.connection, pass, note).await?;
        } else {
            self.sink.office.clear_suspicion(self.connection).await?;
        }
        Ok(!wrong)
    }
}

/// A lease that has run out: its holder is gone, and whether what it was sending had its effect is not known.
fn settle_lease(record: &mut OrderRecord, now_ms: i64) {
    if let Some(lease) = record.lease.take_if(|lease| lease.until_ms <= now_ms) {
        record.doubt(&lease.sending);
    }
}

/// What an answer says of the connection.
fn note(request: &Request, answer: &ApiAnswer) -> Note {
    match answer {
        ApiAnswer::Order(_) | ApiAnswer::Delivery(_) => Note::Found,
        ApiAnswer::Done if !matches!(request, Request::GetLocation | Request::GetThatLocation) => Note::Found,
        ApiAnswer::NotFound if *request == Request::GetOrder => Note::Absent,
        ApiAnswer::NoSuchPath => Note::Wrong(PauseReason::NoSuchPath),
        ApiAnswer::Denied { code: 401, .. } => Note::Wrong(PauseReason::Unauthorized),
        ApiAnswer::Denied { .. } => Note::Wrong(PauseReason::Forbidden),
        ApiAnswer::Limited { retry_after } => Note::Limited(*retry_after),
        ApiAnswer::Away(_) => Note::Away,
        ApiAnswer::Done | ApiAnswer::NotFound | ApiAnswer::Location(_) | ApiAnswer::Rejected(_) => {
            Note::Answered
        }
    }
}

/// For `milepost why`.
fn summary(answer: &ApiAnswer) -> String {
    match answer {
        ApiAnswer::Done | ApiAnswer::Order(_) | ApiAnswer::Delivery(_) | ApiAnswer::Location(_) => {
            "ok".to_owned()
        }
        ApiAnswer::NotFound => "not found".to_owned(),
        ApiAnswer::NoSuchPath => "no such path".to_owned(),
        ApiAnswer::Rejected(rejection) => format!("rejected: {}", rejection.text),
        ApiAnswer::Denied { code, .. } => format!("denied ({code})"),
        ApiAnswer::Limited { .. } => "too many requests".to_owned(),
        ApiAnswer::Away(why) => format!("no answer: {why}"),
    }
}

fn later(delay: Duration, why: WaitReason) -> Verdict {
    Verdict::Later { delay, why }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
