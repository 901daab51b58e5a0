//! Every hostile webhook gets its documented answer, and becomes what is documented.

#[path = "../support/hostile/mod.rs"]
mod cases;
mod properties;
mod readers;
mod statuses;

#[path = "../support/decoding.rs"]
mod decoding;

use milepost::domain::answer::{Rejection, RejectionKind};
use milepost::domain::provider::Decoded;
use milepost::domain::samples::SampleSource;
use milepost::domain::verdict::ParkReason;
use serde_json::{Value, json};

use self::cases::{Case, Expected, Refusal, SECRET, SHAPES, answer};
pub use self::decoding::respelled;
use self::decoding::{RECEIPTS, event};
use crate::support::{Pairs, assert_parked, open, update};

/// What becomes of a case: the kind of its refusal, or what its stored body is.
fn outcome(provider: &dyn SampleSource, case: &Case) -> Result<Expected, RejectionKind> {
    // The HTTP port does not hand these on.
    match case.expected {
        Expected::Refused(Refusal::TooLarge) => return Err(Rejection::TooLarge.kind()),
        Expected::Refused(Refusal::Encoded) => return Err(Rejection::UnsupportedEncoding.kind()),
        _ => {}
    }
    let webhook = case.webhook(provider, "D1");
    let stored = open(provider, case.scheme, &Pairs(&webhook.headers), webhook.body, &[SECRET])
        .map_err(Rejection::kind)?;
    Ok(match provider.decode(&stored) {
        Ok(Decoded::Update(decoded)) => Expected::Published(
            // What serde cannot read back is no update that is expected.
            serde_json::to_value(&decoded.update).unwrap_or_else(|error| error.to_string().into()),
            decoded.unreadable_fields,
        ),
        Ok(Decoded::Ignored) => Expected::Ignored,
        Err(poison) => Expected::Parked(poison.reason, poison.detail),
    })
}

#[test]
fn each_hostile_webhook_becomes_what_is_documented() {
    let mut failures = Vec::new();
    for shape in &SHAPES {
        let provider = shape.provider;
        for case in cases::cases(shape) {
            let what = format!("{}, {}", provider.id(), case.name);
            let outcome = outcome(provider, &case);
            let told = provider.answer(Some(case.scheme), outcome.as_ref().map(|_| ()).map_err(|kind| *kind));
            let documented = answer(provider.id().as_str(), case.scheme, &case.expected);
            assert_eq!((told.code, told.body.as_ref()), documented, "{what}");
            let expected = match (&case.expected, case.update("D1")) {
                (Expected::Refused(_), _) => continue,
                (Expected::Published(_, unreadable), Some(update)) => {
                    Expected::Published(update, *unreadable)
                }
                (expected, _) => expected.clone(),
            };
            if outcome.as_ref() != Ok(&expected) {
                failures.push(format!("{what}:\n    {outcome:?}\n    is not {expected:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

/// What lies in the future says nothing of when it happened.
#[test]
fn an_event_that_is_told_to_be_of_2099_has_the_time_of_its_receipt() {
    for shape in SHAPES.iter().filter(|shape| shape.time.1 == "/event_time") {
        let case = cases::cases(shape).into_iter().find(|case| case.name == "time 4070908800");
        let body = case.expect("it is one of them").webhook(shape.provider, "D1").body;
        let decoded = update(shape.provider, std::str::from_utf8(&body).expect("text"));
        let event = event(shape.provider, &decoded, RECEIPTS[0]);
        let event: Value = serde_json::from_slice(&event.body).expect("JSON");
        assert_eq!(event["time"], "2023-06-30T03:34:18.518Z", "{}", shape.provider.id());
        let sent = json!({"utc": "2099-01-01T00:00:00Z", "original": "4070908800"});
        assert_eq!(event["data"]["event_time"], sent, "{}", shape.provider.id());
    }
}

/// A name tells a failure, so none is used twice.
#[test]
fn every_provider_has_its_shape_and_every_case_its_name() {
    let shapes: Vec<_> = SHAPES.iter().map(|shape| shape.provider.id()).collect();
    let providers: Vec<_> = milepost::providers::ALL.iter().map(|provider| provider.id()).collect();
    assert_eq!(shapes, providers);
    for shape in &SHAPES {
        let names: Vec<_> = cases::cases(shape).into_iter().map(|case| case.name).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{}", shape.provider.id());
    }
}

/// No beginning of a body is taken for the whole.
#[test]
fn a_body_cut_short_anywhere_is_parked() {
    for provider in milepost::providers::SAMPLE_SOURCES {
        let sample = provider.samples()[0].body.trim_end();
        for cut in 0..sample.len() {
            let body = &sample.as_bytes()[..cut];
            assert_parked(*provider, body, ParkReason::Malformed, "not one JSON object");
        }
    }
}
