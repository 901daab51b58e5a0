//! Values that tests start from.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use milepost::domain::envelope::{Envelope, TraceContext};
use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::history::History;
use milepost::domain::identity::{Account, DeliveryKey, Identity, Origin, ReceiptId};
use milepost::domain::provider::ProviderId;
use milepost::domain::verdict::RetryReason;
use milepost::ports::{ClaimRequest, Settlement, Token};
use uuid::Uuid;

pub const TELYPORT: ProviderId = ProviderId::new("telyport");
pub const EXPRESS: ProviderId = ProviderId::new("247express");

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("in range")
}

thread_local! {
    /// An account of each test's own: the shared Redis remembers every test's events.
    static ACCOUNT: Account = format!("t-{}", Uuid::new_v4().simple()).parse().expect("an account");
}

pub fn account() -> Account {
    ACCOUNT.with(Account::clone)
}

pub fn envelope(provider: ProviderId, body: impl Into<Bytes>) -> Envelope {
    Envelope {
        receipt: ReceiptId(Uuid::now_v7()),
        provider,
        account: account(),
        received_at: at(1_739_365_639_201),
        content_type: Some("application/json".to_owned()),
        attempt: 0,
        crashes: 0,
        replay: None,
        reason: None,
        history: History::default(),
        trace: TraceContext::default(),
        body: body.into(),
    }
}

/// A claim on an event with an id, of a delivery nobody else has.
pub fn claim() -> ClaimRequest {
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
        origin: Origin {
            receipt: ReceiptId(Uuid::now_v7()),
            received_at: at(1_739_365_639_201),
            traceparent: None,
        },
        attempt: 0,
        crashes: 0,
        replay: None,
        token: Token::fresh(),
        lease: Duration::from_secs(60),
        ttl: Duration::from_secs(600),
        horizon: Duration::from_secs(60),
        leg: None,
        state_ttl: Duration::from_secs(600),
        event_time: None,
    }
}

/// A retry with this attempt number is scheduled.
pub const fn retrying(attempt: u32) -> Settlement {
    Settlement::Retrying { attempt, due: Duration::from_secs(60), reason: RetryReason::PublishRefused }
}

/// Another copy of the same event: a resend by the provider, with a receipt of its own.
pub fn resend(first: &ClaimRequest) -> ClaimRequest {
    let mut copy = first.clone();
    copy.token = Token::fresh();
    copy.origin.receipt = ReceiptId(Uuid::now_v7());
    copy
}

/// The same copy once more, as the broker redelivers it.
pub fn redelivery(first: &ClaimRequest) -> ClaimRequest {
    ClaimRequest { token: Token::fresh(), ..first.clone() }
}
