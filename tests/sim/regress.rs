//! What the simulation found: the seeds, which mean another schedule once the plan has changed, and the smallest story of
//! each, which does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use milepost::adapters::memory::{MemoryCells, MemoryLedger};
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::{Account, ReceiptId};
use milepost::domain::order::StatusOrder;
use milepost::domain::provider::Provider as _;
use milepost::domain::retry::RetrySchedule;
use milepost::domain::verdict::Outcome;
use milepost::pipeline::lease::Lease;
use milepost::pipeline::message::{ProcessSettings, Processor};
use milepost::pipeline::parking::Parker;
use milepost::pipeline::session::Session;
use milepost::ports::{Clock, Ledger, LedgerError, Outbound, PublishError, Publisher};
use milepost::providers::DELIVERECT;
use tokio::time::{Instant, sleep};

use crate::plan::EPOCH;
use crate::process::lock;

#[test]
fn seeds_that_failed_once() {
    for seed in [LATE_REPLY, 1_579, 66, 893, 5_058_349, 479_786_471_666, 30_030_607, 30_125_891, 31_001_882] {
        crate::check(seed);
    }
}

/// A clock that is set.
struct Set(Mutex<Timestamp>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        *lock(&self.0)
    }
}

struct Elapsed(Instant);

impl Clock for Elapsed {
    fn now(&self) -> Timestamp {
        EPOCH + jiff::SignedDuration::try_from(self.0.elapsed()).unwrap_or_default()
    }
}

/// Keeps every update, and confirms none while it is away.
#[derive(Default)]
struct Kept {
    updates: Mutex<Vec<Bytes>>,
    away: AtomicBool,
}

#[async_trait]
impl Publisher for Kept {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        if let Outbound::Update(event) = outbound {
            lock(&self.updates).push(event.body);
        }
        if self.ready() { Ok(()) } else { Err(PublishError::Unconfirmed) }
    }

    fn ready(&self) -> bool {
        !self.away.load(Ordering::Relaxed)
    }
}

/// A ledger whose first reply is held up.
struct Late {
    ledger: Arc<dyn Ledger>,
    held_up: AtomicBool,
}

#[async_trait]
impl Ledger for Late {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        let claim = self.ledger.claim(request).await;
        if !self.held_up.swap(true, Ordering::Relaxed) {
            sleep(Duration::from_secs(20)).await;
        }
        claim
    }

    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError> {
        self.ledger.mark(event, mark).await
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.ledger.ping().await
    }
}

fn processor(publisher: &Arc<Kept>, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Processor {
    Processor {
        provider: &DELIVERECT,
        publisher: Arc::clone(publisher) as _,
        ledger,
        clock,
        settings: ProcessSettings {
            processing_deadline: Duration::from_secs(10),
            lease: Duration::from_secs(15),
            ttl: Duration::from_hours(1),
            resend_horizon: Duration::from_mins(1),
            schedule: RetrySchedule::default(),
        },
        status_order: StatusOrder::new(DELIVERECT.transitions()),
        parker: Parker::default(),
    }
}

/// A webhook about the courier's position, received at this second.
fn moved(longitude: u32, second: i64) -> Envelope {
    let body = format!(r#"{{"orderId":"D1","status":87,"coordinates":[{longitude},51]}}"#);
    let at = EPOCH + jiff::SignedDuration::from_secs(second);
    let receipt = ReceiptId::new(at, &[u8::try_from(second).unwrap_or(0); 10]);
    Envelope::new(receipt, DELIVERECT.id(), Account::default_account(), body.into())
}

async fn process(processor: &Processor, session: &Session, webhook: Envelope) -> Option<Outcome> {
    processor.process(&processor.read(webhook, None), session).await
}

/// Seed 1579: a repeat was judged by the receipt of the copy in hand, and said `late` where the first said `in_order`.
#[tokio::test(start_paused = true)]
async fn a_repeat_by_another_copy_of_the_webhook_says_what_the_first_said() {
    let clock: Arc<dyn Clock> = Arc::new(Elapsed(Instant::now()));
    let publisher = Arc::new(Kept::default());
    let processor = processor(&publisher, Arc::new(MemoryLedger::new(Arc::clone(&clock))), clock);
    let session = Session::new(DELIVERECT.id(), Duration::ZERO);
    assert_eq!(process(&processor, &session, moved(4, 22)).await, Some(Outcome::Published));
    publisher.away.store(true, Ordering::Relaxed);
    let impatient = Session::new(DELIVERECT.id(), Duration::ZERO);
    impatient.close();
    assert_eq!(process(&processor, &impatient, moved(5, 38)).await, None, "it is not confirmed");
    publisher.away.store(false, Ordering::Relaxed);
    // The same content, received before and taken later.
    assert_eq!(process(&processor, &session, moved(5, 20)).await, Some(Outcome::Published));
    let updates = lock(&publisher.updates);
    assert_eq!(updates.len(), 3);
    assert_eq!(updates[1], updates[2]);
}

/// Seed 479786471666: a lease that its store's clock had put ten minutes ahead was believed, and no replica took it over.
#[tokio::test(start_paused = true)]
async fn a_lease_that_the_clock_of_its_store_put_ahead_is_over() {
    let clock = Arc::new(Set(Mutex::new(EPOCH)));
    let cells = Arc::new(MemoryCells::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let lease = |holder: &str| Lease::new(cells.clone(), "test", holder.to_owned(), Duration::from_secs(15));
    let (one, other) = (lease("one"), lease("other"));
    assert!(one.renew().await.expect("it is there").is_some());
    assert!(other.renew().await.expect("it is there").is_none());
    *lock(&clock.0) = EPOCH - jiff::SignedDuration::from_mins(10);
    assert!(other.renew().await.expect("it is there").is_some());
    assert!(one.renew().await.expect("it is there").is_none());
}

/// See the last story.
const LATE_REPLY: u64 = 9_566;

/// A worker that was stopped while the reply to its claim was on its way published an update that another worker had
/// published, and marked done, meanwhile.
#[tokio::test(start_paused = true)]
async fn a_claim_whose_reply_took_too_long_is_asked_for_again() {
    let clock: Arc<dyn Clock> = Arc::new(Elapsed(Instant::now()));
    let publisher = Arc::new(Kept::default());
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::new(Arc::clone(&clock)));
    let late = Late { ledger: Arc::clone(&ledger), held_up: AtomicBool::new(false) };
    let stopped = processor(&publisher, Arc::new(late), Arc::clone(&clock));
    let other = processor(&publisher, ledger, clock);
    let session = Session::new(DELIVERECT.id(), Duration::ZERO);
    let meanwhile = async {
        sleep(Duration::from_secs(16)).await;
        process(&other, &session, moved(5, 1)).await
    };
    let outcomes = tokio::join!(process(&stopped, &session, moved(5, 0)), meanwhile);
    assert_eq!(outcomes, (Some(Outcome::Duplicate), Some(Outcome::Published)));
    assert_eq!(lock(&publisher.updates).len(), 1);
}
