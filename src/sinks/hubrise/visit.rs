//! One message's visit to an order: decide, ask for a request, hold the order while it is under way, learn.
//!
//! The order of effects is what keeps an update from being lost, wherever the process is killed: the record says what is
//! about to be sent before it is sent, and what was answered before anything else is decided; and only then does the
//! message go. What a dead replica was sending is in its lease, and doubted once that has run out.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::core::answer::{Answer, Rejection};
use super::core::carrier::Carrier;
use super::core::decide::{self, Case, Obstacle, Run, Step, Trouble, admit, decide};
use super::core::desk::{Note, PauseReason, Why};
use super::core::learn::{Lesson, learn};
use super::core::record::{Last, Lease, Record};
use super::core::request::{Class, Request};
use super::core::rule::OrderId;
use super::keys;
use super::links::{Known, Link};
use super::office::{Noted, Pass};
use super::settings::Connection;
use super::{Hubrise, patience};
use crate::domain::verdict::ParkReason;
use crate::ports::CellsError;
use crate::ports::chance::random;
use crate::sinks::update::Update;
use crate::sinks::{Message, Outcome, Reason, Verdict, cells};

/// A visit has no use for more: look, POST, look again, POST without what was refused, and the order's own status.
const MOST_REQUESTS: usize = 8;
/// The longest wait between two looks at a HubRise that is away, or a connection that is paused.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// The longest wait for a limit: what the broker's delays hold, with room for the spread.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How long another replica's request takes at the most usual.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// One visit.
pub(super) struct Visit<'a> {
    sink: &'a Hubrise,
    connection: &'a Connection,
    order: &'a OrderId,
    update: &'a Update,
    message: &'a Message,
    carrier: Carrier,
    key: String,
    /// Names this visit's leases.
    token: String,
    run: Run,
    /// What HubRise refused of what was sent.
    rejection: Option<Rejection>,
}

/// What a visit does next.
enum Next {
    Step(Step),
    /// Somebody else is sending something about the order.
    Busy,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        sink: &'a Hubrise,
        connection: &'a Connection,
        order: &'a OrderId,
        update: &'a Update,
        message: &'a Message,
    ) -> Self {
        Self {
            sink,
            connection,
            order,
            update,
            message,
            carrier: Carrier::of(&update.delivery.provider),
            key: keys::order(&connection.name, order),
            token: Uuid::new_v4().simple().to_string(),
            run: Run::default(),
            rejection: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<Verdict, CellsError> {
        // What it says is taken in at once, so that whoever sends something about the order sends that too.
        match self.take_in().await? {
            Next::Step(Step::Send(_)) | Next::Busy => {}
            Next::Step(step) => return Ok(self.end(step)),
        }
        let _lane = self.sink.lanes.enter(&self.key).await;
        for _ in 0..MOST_REQUESTS {
            let request = match self.look().await? {
                Next::Busy => return Ok(later(BUSY_WAIT.mul_f64(0.5 + random::<f64>() / 2.0), Reason::Busy)),
                Next::Step(Step::Send(request)) => request,
                Next::Step(step) => return Ok(self.end(step)),
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
        Ok(self.away(Noted { alone: true, ..Noted::default() }))
    }

    fn case(&self, now_ms: i64) -> Case<'_> {
        let Self { update, carrier, connection, .. } = self;
        let interval_ms = i64::try_from(connection.interval.as_millis()).unwrap_or(i64::MAX);
        Case { update, carrier, style: &connection.style, interval_ms, now_ms }
    }

    /// Takes the update into the record.
    async fn take_in(&self) -> Result<Next, CellsError> {
        let (next, is_new) = self
            .change(|record, now_ms| {
                let is_new = record.owner.is_none();
                settle_lease(record, now_ms);
                if self.message.replayed {
                    // Whoever replays it has seen to what HubRise refused.
                    record.refused.clear();
                }
                let case = self.case(now_ms);
                match admit(record, &case) {
                    Ok(()) => (self.next(record, now_ms), is_new),
                    Err(step) => (Next::Step(step), false),
                }
            })
            .await?;
        if is_new {
            let OrderId { location, order } = self.order.clone();
            let link = Link { connection: self.connection.name.clone(), location, order };
            let (store, key) = (self.sink.store.as_ref(), keys::delivery(&self.update.delivery));
            let put = |known: &mut Known, _| known.shown_at = Some(link.clone());
            cells::update(store, &key, self.sink.settings.memory, put).await?;
        }
        Ok(next)
    }

    /// What is next, as things are now.
    async fn look(&self) -> Result<Next, CellsError> {
        let (mut record, now_ms) = cells::read::<Record>(self.sink.store.as_ref(), &self.key).await?;
        settle_lease(&mut record, now_ms);
        // The record may be gone, or the order another delivery's, since the update was taken in.
        Ok(match admit(&mut record, &self.case(now_ms)) {
            Ok(()) => self.next(&record, now_ms),
            Err(step) => Next::Step(step),
        })
    }

    /// What is next by this record. What somebody is sending may change what HubRise shows at any moment, and so counts
    /// as not shown.
    fn next(&self, record: &Record, now_ms: i64) -> Next {
        let mut doubted = record.clone();
        let busy = record.lease.as_ref().is_some_and(|lease| lease.token != self.token);
        if let Some(lease) = &record.lease {
            doubted.doubt(&lease.sending);
        }
        match decide(&doubted, &self.case(now_ms), &self.run) {
            Step::Send(_) | Step::Wait(_) if busy => Next::Busy,
            step => Next::Step(step),
        }
    }

    /// Holds the order for the request that is next by now; nothing if there is none any more.
    async fn hold(&self) -> Result<Option<Request>, CellsError> {
        let lease_ms = i64::try_from(self.sink.settings.lease.as_millis()).unwrap_or(i64::MAX);
        self.change(|record, now_ms| {
            settle_lease(record, now_ms);
            admit(record, &self.case(now_ms)).ok()?;
            let Next::Step(Step::Send(request)) = self.next(record, now_ms) else { return None };
            let (token, sending) = (self.token.clone(), request.sending());
            record.lease = Some(Lease { token, until_ms: now_ms.saturating_add(lease_ms), sending });
            Some(request)
        })
        .await
    }

    /// Takes in the answer, and lets go of the order.
    async fn learn(&mut self, request: &Request, answer: Answer) -> Result<Lesson, CellsError> {
        let result = summary(&answer);
        let (run, lesson) = self
            .change(|record, now_ms| {
                let mut run = self.run.clone();
                if record.lease.as_ref().is_none_or(|lease| lease.token != self.token) {
                    // The lease ran out and somebody else went on: which of the two requests came last is not known.
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

    async fn change<R>(&self, change: impl FnMut(&mut Record, i64) -> R) -> Result<R, CellsError> {
        cells::update(self.sink.store.as_ref(), &self.key, self.sink.settings.memory, change).await
    }

    /// What a lesson makes of the visit; nothing if it goes on.
    fn conclude(&mut self, lesson: Lesson, noted: Noted) -> Option<Verdict> {
        match lesson {
            Lesson::GoOn => None,
            Lesson::End(step) => Some(self.end(step)),
            Lesson::Refused(rejection) => {
                tracing::warn!(
                    connection = self.connection.name,
                    event.id = self.update.event_id,
                    says = rejection.text,
                    "hubrise: refused"
                );
                self.rejection = Some(rejection);
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

    fn end(&self, step: Step) -> Verdict {
        match (step, &self.rejection) {
            (Step::Done(decide::Outcome::Shown), Some(Rejection { text, .. })) => {
                Verdict::Park(ParkReason::SinkRefused, text.clone())
            }
            (Step::Done(outcome), _) => Verdict::Done(match outcome {
                decide::Outcome::Shown => Outcome::Shown,
                decide::Outcome::Late => Outcome::Late,
                decide::Outcome::NoStatus | decide::Outcome::Former => Outcome::Ignored,
            }),
            (Step::Wait(ms), _) => later(millis(ms), Reason::Interval),
            (Step::Retry(Trouble::NoOrder), _) => Verdict::Retry(Reason::Absent),
            (Step::Retry(Trouble::OtherDelivery), _) => Verdict::Retry(Reason::Occupied),
            (Step::Park(obstacle), _) => {
                let reason = match obstacle {
                    Obstacle::NotADelivery => ParkReason::SinkRefused,
                    Obstacle::Foreign | Obstacle::Second => ParkReason::ForeignDelivery,
                };
                Verdict::Park(reason, obstacle.as_str().to_owned())
            }
            // `run` sends it, and does not come here with it.
            (Step::Send(_), _) => later(BUSY_WAIT, Reason::Busy),
        }
    }

    fn wait(&self, ms: i64, why: Why) -> Verdict {
        match why {
            Why::Paused(_) => self.paused(),
            Why::Away => self.away(Noted { wait_ms: ms, ..Noted::default() }),
            // Those that wait for a limit do not all come back when it has room for one.
            Why::Spent(_) | Why::Limited => {
                let wait = millis(ms);
                let spread = wait.min(Duration::from_mins(1)).mul_f64(random());
                later((wait + spread).min(LONGEST_WAIT), Reason::Limited)
            }
        }
    }

    fn paused(&self) -> Verdict {
        later(patience(self.update, self.message, LONGEST_BACKOFF), Reason::Paused)
    }

    /// An outage spends no attempt. That HubRise answers others and never this update is the update's own failure.
    fn away(&self, noted: Noted) -> Verdict {
        if noted.alone && self.message.waited_for(Reason::Away) {
            return Verdict::Retry(Reason::Away);
        }
        let wait = patience(self.update, self.message, LONGEST_BACKOFF);
        later(wait.max(millis(noted.wait_ms)), Reason::Away)
    }

    /// Whether the token is for a location of this connection's, after so many orders were missing that it may not be.
    async fn is_right_location(&self, pass: &Pass) -> Result<bool, CellsError> {
        let mut wrong = false;
        for request in [Request::GetLocation, Request::GetThatLocation] {
            if self.sink.office.admit(self.connection, Class::Status).await?.is_err() {
                return Ok(true);
            }
            match self.sink.office.send(self.connection, self.order, &request).await {
                Answer::Location(Some(id)) if request == Request::GetLocation => {
                    wrong = !self.connection.locations.contains(&id);
                    break;
                }
                Answer::Location(_) => {
                    wrong = false;
                    break;
                }
                // A token of an account has no location of its own.
                Answer::NotFound | Answer::NoSuchPath | Answer::Denied { code: 403, .. } => wrong = true,
                // That is told by the requests that matter.
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
fn settle_lease(record: &mut Record, now_ms: i64) {
    if let Some(lease) = record.lease.take_if(|lease| lease.until_ms <= now_ms) {
        record.doubt(&lease.sending);
    }
}

/// What an answer says of the connection.
fn note(request: &Request, answer: &Answer) -> Note {
    match answer {
        Answer::Order(_) | Answer::Delivery(_) => Note::Found,
        Answer::Done if !matches!(request, Request::GetLocation | Request::GetThatLocation) => Note::Found,
        Answer::NotFound if *request == Request::GetOrder => Note::Absent,
        Answer::NoSuchPath => Note::Wrong(PauseReason::NoSuchPath),
        Answer::Denied { code: 401, .. } => Note::Wrong(PauseReason::Unauthorized),
        Answer::Denied { .. } => Note::Wrong(PauseReason::Forbidden),
        Answer::Limited { retry_after } => Note::Limited(*retry_after),
        Answer::Away(_) => Note::Away,
        Answer::Done | Answer::NotFound | Answer::Location(_) | Answer::Rejected(_) => Note::Answered,
    }
}

/// For `milepost why`.
fn summary(answer: &Answer) -> String {
    match answer {
        Answer::Done | Answer::Order(_) | Answer::Delivery(_) | Answer::Location(_) => "ok".to_owned(),
        Answer::NotFound => "not found".to_owned(),
        Answer::NoSuchPath => "no such path".to_owned(),
        Answer::Rejected(rejection) => format!("rejected: {}", rejection.text),
        Answer::Denied { code, .. } => format!("denied ({code})"),
        Answer::Limited { .. } => "too many requests".to_owned(),
        Answer::Away(why) => format!("no answer: {why}"),
    }
}

fn later(delay: Duration, why: Reason) -> Verdict {
    Verdict::Later { delay, why }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
