//! Values that tests start from.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use milepost::domain::claim::{ClaimRequest, CopyInHand, Mark, Token};
use milepost::domain::envelope::Envelope;
use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::identity::{Account, DeliveryKey, Identity, ReceiptId};
use milepost::domain::order::{Moment, Precedence, StatusOrder};
use milepost::domain::provider::{Provider as _, ProviderId};
use milepost::domain::status::Status;
use milepost::domain::verdict::RetryReason;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use uuid::Uuid;

pub const TELYPORT: ProviderId = ProviderId::new("telyport");
pub const EXPRESS: ProviderId = ProviderId::new("247express");

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("in range")
}

/// A receipt of its own, given then.
pub fn receipt_at(time: Timestamp) -> ReceiptId {
    ReceiptId::new(time, &rand::random())
}

thread_local! {
    /// An account of each test's own: the shared Redis remembers every test's events.
    static ACCOUNT: Account = format!("t-{}", Uuid::new_v4().simple()).parse().expect("an account");
}

pub fn account() -> Account {
    ACCOUNT.with(Account::clone)
}

pub fn envelope(provider: ProviderId, body: impl Into<Bytes>) -> Envelope {
    // Increasing within a process.
    let receipt = Uuid::now_v7().to_string().parse().expect("a receipt");
    let content_type = Some("application/json".to_owned());
    Envelope { content_type, ..Envelope::new(receipt, provider, account(), body.into()) }
}

/// A claim on an event with an id, of a new delivery.
pub fn claim() -> ClaimRequest {
    let receipt = receipt_at(at(1_739_365_639_201));
    ClaimRequest {
        delivery: DeliveryKey {
            provider: TELYPORT,
            account: account(),
            delivery_id: Uuid::new_v4().to_string(),
        },
        identity: Identity {
            provider_event_id: Some("event-1".to_owned()),
            fingerprint: Fingerprint([7; 32]),
        },
        copy: CopyInHand {
            receipt,
            attempt: 0,
            crashes: 0,
            replay: None,
            token: Token(rand::random()),
            lease: Duration::from_secs(60),
        },
        traceparent: None,
        moment: Moment::new(Status::Assigned, None, receipt.received_at()),
        precedence: precedence(Status::Assigned),
        leg: None,
        address: None,
        horizon: Duration::from_secs(60),
        ttl: Duration::from_secs(600),
    }
}

/// How Telyport's statuses relate to `status`.
pub fn precedence(status: Status) -> Precedence {
    StatusOrder::new(TELYPORT_PROVIDER.transitions()).of(status)
}

/// The same claim, of a copy received at another time.
pub fn received_at(mut request: ClaimRequest, millis: i64) -> ClaimRequest {
    request.copy.receipt = receipt_at(at(millis));
    request.moment.received_at = at(millis);
    request
}

/// A retry with this attempt number is scheduled.
pub const fn retrying(attempt: u32) -> Mark {
    Mark::Retrying { attempt, due: Duration::from_secs(60), reason: RetryReason::PublishRefused }
}

/// Another copy of the same event: a resend by the provider, with a receipt of its own.
pub fn resend(first: &ClaimRequest) -> ClaimRequest {
    let mut copy = first.clone();
    copy.copy.token = Token(rand::random());
    copy.copy.receipt = receipt_at(first.copy.receipt.received_at());
    copy
}

/// The same copy once more, as the broker redelivers it.
pub fn redelivery(first: &ClaimRequest) -> ClaimRequest {
    let mut copy = first.clone();
    copy.copy.token = Token(rand::random());
    copy
}
