//! A message's history, and how its failure is named.

use jiff::Timestamp;
use milepost::domain::history::{Failure, History};
use milepost::domain::parked::Parked;
use milepost::domain::provider::ProviderId;

fn failure(attempt: u32) -> Failure {
    let at = Timestamp::from_millisecond(1_700_000_000_000 + i64::from(attempt)).unwrap();
    Failure { at, attempt, reason: "publish_refused".to_owned(), detail: None }
}

#[test]
fn it_travels_as_text() {
    assert_eq!(History::default().to_text(), None);
    let parked = Failure {
        reason: "malformed".to_owned(),
        detail: Some("not one JSON object".to_owned()),
        ..failure(2)
    };
    let history = History::default().with(failure(1)).with(parked);
    let text = history.to_text().unwrap();
    assert_eq!(
        text,
        r#"[{"at":1700000000001,"attempt":1,"reason":"publish_refused"},{"at":1700000000002,"attempt":2,"reason":"malformed","detail":"not one JSON object"}]"#
    );
    assert_eq!(History::from_text(&text), history);
    assert_eq!(history.latest(), Some(failure(2).at));
}

#[test]
fn the_latest_twenty_are_kept() {
    let history = (0..50).map(failure).fold(History::default(), History::with);
    let attempts: Vec<_> = history.failures().iter().map(|failure| failure.attempt).collect();
    assert_eq!(attempts, (30..50).collect::<Vec<_>>());
}

#[test]
fn a_header_that_somebody_broke_is_no_history() {
    for broken in ["", "no JSON", "{}", "[1]", r#"[{"at":99999999999999999,"attempt":0,"reason":""}]"#] {
        assert_eq!(History::from_text(broken), History::default(), "{broken}");
    }
    let long = format!(r#"[{{"at":0,"attempt":0,"reason":"{}"}}]"#, "x".repeat(10_000));
    assert_eq!(History::from_text(&long).failures()[0].reason.len(), 200);
    let many = format!("[{}]", vec![r#"{"at":0,"attempt":0,"reason":""}"#; 10_000].join(","));
    assert_eq!(History::from_text(&many).failures().len(), 20);
}

fn parked() -> Parked {
    Parked {
        id: "one".to_owned(),
        provider: ProviderId::new("telyport"),
        account: None,
        reason: "malformed".to_owned(),
        detail: Some("not JSON".to_owned()),
        parked_at: None,
        received_at: None,
        attempt: 0,
        crashes: 0,
        history: History::default(),
    }
}

#[test]
fn a_fingerprint_names_the_kind_of_failure() {
    let other_message = Parked { id: "two".to_owned(), attempt: 3, ..parked() };
    assert_eq!(parked().fingerprint(), other_message.fingerprint());
    assert_eq!(parked().fingerprint().len(), 8);
    for other in [
        Parked { provider: ProviderId::new("dash"), ..parked() },
        Parked { reason: "missing_field".to_owned(), ..parked() },
        Parked { detail: None, ..parked() },
        Parked { reason: "malformednot".to_owned(), detail: Some(" JSON".to_owned()), ..parked() },
    ] {
        assert_ne!(parked().fingerprint(), other.fingerprint(), "{other:?}");
    }
}

/// A replay cut short and started again is the same replay; one of a message that failed once more is another.
#[test]
fn a_replay_id_lasts_until_the_message_is_parked_again() {
    assert_eq!(parked().replay_id(), parked().replay_id());
    let again = Parked { history: History::default().with(failure(0)), ..parked() };
    let later = Parked { parked_at: Some(failure(1).at), ..parked() };
    let other = Parked { id: "two".to_owned(), ..parked() };
    for other in [again, later, other] {
        assert_ne!(parked().replay_id(), other.replay_id());
    }
}
