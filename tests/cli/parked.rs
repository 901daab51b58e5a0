//! `milepost parked`: its options, what it masks, and how a replay gathers speed.

use clap::Parser as _;
use milepost::adapters::rabbit::parked::ReplayOutcome;
use milepost::cli::parked::{self, replay};
use milepost::cli::{self, Cli};
use milepost::domain::history::History;
use milepost::domain::parked::Parked;
use milepost::domain::provider::ProviderId;
use milepost::operator::parked::entry::{BodyFacts, Entry};
use milepost::operator::parked::filter::Filter;
use milepost::operator::parked::groups::Group;
use milepost::operator::parked::mask::mask;
use milepost::operator::parked::ramp::{Batch, Ramp, TooManyFailures};
use milepost::operator::parked::replay::results::ReplayResults;
use serde_json::{Value, json};

fn command(words: &str) -> Result<parked::Command, clap::Error> {
    match Cli::try_parse_from(format!("milepost parked {words}").split_whitespace())?.command {
        cli::Command::Parked(command) => Ok(command),
        _ => unreachable!("asked for parked"),
    }
}

fn filter(words: &str) -> Filter {
    match command(&format!("list {words}")) {
        Ok(parked::Command::List(args)) => args.filter,
        Ok(_) => unreachable!("asked for list"),
        Err(error) => panic!("{words}: {error}"),
    }
}

fn replay(words: &str) -> Option<replay::Args> {
    match command(&format!("replay {words}")) {
        Ok(parked::Command::Replay(args)) => Some(args),
        _ => None,
    }
}

fn entry() -> Entry {
    let about = Parked {
        id: "0192f0c1-2345-7abc-8def-001122334455".to_owned(),
        provider: ProviderId::new("telyport"),
        account: Some("shop-1".parse().unwrap()),
        reason: "retries_exhausted".to_owned(),
        detail: Some("publish_refused".to_owned()),
        parked_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        received_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        attempt: 12,
        crashes: 0,
        history: History::default(),
    };
    let content = BodyFacts {
        delivery_id: Some("D1".to_owned()),
        provider_event_id: Some("theirs".to_owned()),
        event_id: Some("ours".to_owned()),
        raw_status: Some("NEW".to_owned()),
        references: Vec::new(),
    };
    Entry { about, defect: None, content, bytes: 100 }
}

#[test]
fn a_filter_lets_through_what_all_of_it_says() {
    for passes in [
        "",
        "--provider telyport --account shop-1 --reason retries_exhausted --delivery D1 --event ours --error REFUSED",
        "--provider dash --provider telyport",
        "--event theirs",
        "--event another --event theirs",
        "--since 2026-01-02T03:04:05Z --until 2026-01-02T03:04:06Z",
        "--until 0s",
        "--error exhausted",
    ] {
        assert!(filter(passes).accepts(&entry()), "{passes}");
    }
    for refuses in [
        "--provider dash",
        "--account shop-2",
        "--reason malformed",
        "--fingerprint 00000000",
        "--delivery D",
        "--event D1",
        "--since 2026-01-02T03:04:06Z",
        "--until 2026-01-02T03:04:05Z",
        "--since 1s",
        "--error D1",
        "--provider telyport --reason malformed",
    ] {
        assert!(!filter(refuses).accepts(&entry()), "{refuses}");
    }
}

#[test]
fn what_is_not_known_passes_no_filter_that_asks_for_it() {
    let mut unknown = entry();
    unknown.content = BodyFacts::default();
    (unknown.about.account, unknown.about.parked_at, unknown.about.received_at) = (None, None, None);
    assert!(filter("--provider telyport").accepts(&unknown));
    for refuses in ["--account shop-1", "--delivery D1", "--event theirs", "--since 1s", "--until 0s"] {
        assert!(!filter(refuses).accepts(&unknown), "{refuses}");
    }
}

#[test]
fn what_changes_something_says_what_of() {
    for sound in [
        "--all",
        "0192f0c1",
        "--reason malformed",
        "--since 2h",
        "--error x --rate 5 --force",
        "--all --no-ramp",
    ] {
        assert!(replay(sound).is_some(), "{sound}");
    }
    for wrong in [
        "",
        "--force",
        "--rate 5",
        "an-id --all",
        "--all --rate 0",
        "--all --max-failures 1.1",
        "--all --no-ramp --max-failures 0.5",
        "--provider no-such-provider",
        "--since yesterday",
    ] {
        assert!(replay(wrong).is_none(), "{wrong}");
    }
    assert!(command("discard --all --yes").is_ok());
    for wrong in ["discard --all", "discard --yes", "import", "show"] {
        assert!(command(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn ids_and_a_filter_must_both_hold() {
    let id = entry().about.id;
    let accepts = |words: &str| replay(words).expect(words).selection.accepts(&entry());
    assert!(accepts(&id));
    assert!(accepts(&format!("{id} --reason retries_exhausted")));
    assert!(!accepts(&format!("{id} --reason malformed")));
    assert!(!accepts("another"));
    assert!(accepts("--all"));
}

fn masked(body: Value, reveal: bool) -> Value {
    let mut body = body;
    mask(&mut body, reveal);
    body
}

#[test]
fn a_body_is_shown_without_what_is_somebodys() {
    let body = json!({
        "orderID": "D1", "status": "NEW", "updated_at": "2026-01-02T03:04:05Z", "multipleDrivers": false,
        "agentName": "Jane", "phone": 5_550_100, "reason": null, "note": "",
        "recipient": { "id": 7, "address": ["1 Lane", { "unheard_of": 1.5 }] },
        "ApiKey": "hunter2", "access_token": ["hunter2"],
    });
    let expected = json!({
        "orderID": "D1", "status": "NEW", "updated_at": "2026-01-02T03:04:05Z", "multipleDrivers": false,
        "agentName": "***", "phone": "***", "reason": null, "note": "",
        "recipient": { "id": 7, "address": ["***", { "unheard_of": "***" }] },
        "ApiKey": "***", "access_token": "***",
    });
    assert_eq!(masked(body.clone(), false), expected);
    let revealed = masked(body.clone(), true);
    assert_eq!((&revealed["agentName"], &revealed["recipient"]), (&body["agentName"], &body["recipient"]));
    assert_eq!((&revealed["ApiKey"], &revealed["access_token"]), (&json!("***"), &json!("***")));
    assert_eq!(masked(json!("Jane"), false), "***");
    assert_eq!(masked(json!({ "status": "x".repeat(65) }), false), json!({ "status": "***" }));
    assert_eq!(masked(json!({ "ApiKey": "" }), true), json!({ "ApiKey": "" }));
}

/// Of every provider's documented payloads: the names, numbers and places of people in them.
#[test]
fn no_documented_payload_shows_a_person() {
    for provider in milepost::providers::SAMPLE_SOURCES {
        for sample in provider.samples() {
            let body = masked(serde_json::from_str(sample.body).expect("JSON"), false).to_string();
            let people = [
                "Jane",
                "John",
                "Ailsa",
                "Budi",
                "Sari",
                "sari",
                "\"THANH\"",
                "0812",
                "12345678990",
                "33612345678",
                "55.79",
                "48.858",
                "-6.27",
                "Cipete",
                "support desk",
                "https://",
            ];
            for person in people {
                assert!(!body.contains(person), "{} {}: {person} in {body}", provider.id(), sample.name);
            }
        }
    }
}

#[test]
fn a_ramp_waits_after_each_of_its_first_batches() {
    let mut ramp = Ramp::new(0.2);
    for size in [1, 2, 5, 20, 100] {
        assert_eq!(ramp.batch(), Batch { size, awaited: true });
        assert_eq!(ramp.judge(u64::from(size), 0), Ok(()));
    }
    for _ in 0..3 {
        assert_eq!(ramp.batch(), Batch { size: 500, awaited: false });
        assert_eq!(ramp.judge(500, 100), Ok(()), "a fifth is not more than a fifth");
    }
    assert_eq!(ramp.judge(500, 101), Err(TooManyFailures { failed: 101, replayed: 500 }));
}

#[test]
fn a_ramp_stops_at_the_first_batch_that_fails() {
    let mut ramp = Ramp::new(0.2);
    assert_eq!(ramp.judge(1, 1), Err(TooManyFailures { failed: 1, replayed: 1 }));
    let mut ramp = Ramp::new(0.5);
    assert_eq!(ramp.judge(0, 0), Ok(()), "nothing replayed, nothing failed");
    assert_eq!(ramp.judge(2, 1), Ok(()));
    assert!(ramp.judge(0, 1).is_err(), "one of an earlier batch, late");
    let mut none = Ramp::none();
    assert!(!none.batch().awaited);
    assert_eq!(none.judge(500, 500), Ok(()));
}

#[test]
fn a_group_knows_its_first_and_last() {
    let mut group = Group::default();
    let at = |text: &str| Some(text.parse().unwrap());
    for time in [None, at("2026-01-02T00:00:00Z"), at("2026-01-01T00:00:00Z"), None] {
        group.add(time);
    }
    let (oldest, newest) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    assert_eq!(group, Group { count: 4, oldest, newest });
}

#[test]
fn each_replay_has_one_result() {
    let mut results = ReplayResults::default();
    for id in ["published", "refused", "failed", "unsent", "silent"] {
        results.expect(id);
    }
    results.forget("unsent");
    for (id, outcome) in [
        ("published", ReplayOutcome::Published),
        ("published", ReplayOutcome::Published),
        ("refused", ReplayOutcome::Published),
        ("failed", ReplayOutcome::Failed),
        ("failed", ReplayOutcome::Failed),
        ("failed", ReplayOutcome::Published),
        ("unsent", ReplayOutcome::Failed),
        ("another's", ReplayOutcome::Failed),
    ] {
        results.record(id.to_owned(), outcome);
    }
    assert_eq!((results.published(), results.failed(), results.is_complete()), (2, 1, false));
    results.record("refused".to_owned(), ReplayOutcome::Failed);
    results.give_up();
    assert_eq!((results.published(), results.failed(), results.is_complete()), (1, 2, true));
    results.record("silent".to_owned(), ReplayOutcome::Failed);
    assert_eq!((results.published(), results.failed()), (1, 3));
}
