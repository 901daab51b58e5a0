//! Every hostile webhook of every provider, posted to the whole fleet on a real RabbitMQ and Redis, and accounted for
//! by its receipt: refused, published, parked, or ignored, as documented, and nothing else.

#[path = "../support/hostile/mod.rs"]
mod cases;

use std::collections::{BTreeMap, BTreeSet};

use lapin::Channel;
use lapin::options::BasicGetOptions;
use milepost::adapters::rabbit::topology::parked_queue;
use milepost::domain::authentication::AuthScheme;
use milepost::domain::provider::Provider;
use milepost::domain::samples::SampleSource;
use milepost::providers::ALL;
use reqwest::Client;
use serde_json::Value;

use self::cases::{Case, Expected, Refusal, SECRET, SHAPES, answer};
use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::fleet::header;
use crate::support::process::{Process, Program};
use crate::support::servers::{Vhost, channel, client, redis_url};

/// A webhook that was posted.
struct Posted {
    what: String,
    case: Case,
    delivery: String,
    receipt: String,
}

/// The account of this run that proves itself by `scheme`.
fn account_of(scheme: AuthScheme) -> String {
    format!("{}-{}", scheme.as_str(), account())
}

/// The whole fleet in one process on real servers.
fn fleet(vhost: &Vhost) -> Process {
    let run = Program::milepost("run --json --http 127.0.0.1:0 --admin 127.0.0.1:0 --amqp")
        .arg(&vhost.amqp_url)
        .arg("--redis")
        .arg(&redis_url())
        .env("MILEPOST__LOG__FORMAT", "json")
        .env("MILEPOST__LOG__FILTER", "warn,milepost=debug");
    let schemes = ALL
        .iter()
        .flat_map(|provider| provider.authentication().iter().map(|how| (provider.id(), how.scheme())));
    schemes
        .fold(run, |run, (provider, scheme)| {
            let account = format!("MILEPOST__PROVIDERS__{provider}__ACCOUNTS__{}", account_of(scheme));
            run.env(&format!("{account}__AUTH"), scheme.as_str())
                .env(&format!("{account}__SECRETS"), &format!(r#"["{SECRET}"]"#))
        })
        .spawn()
}

/// Posts a case about a delivery of its own, and checks the answer to its sender.
async fn post(client: &Client, to: &str, provider: &dyn SampleSource, number: usize, case: Case) -> Posted {
    let what = format!("{}, {}", provider.id(), case.name);
    let delivery = format!("D{number}");
    let webhook = case.webhook(provider, &delivery);
    let url = format!("http://{to}/webhooks/{}/{}", provider.id(), account_of(case.scheme));
    let request = webhook
        .headers
        .into_iter()
        .fold(client.post(url), |request, (name, value)| request.header(name, value));
    let reply = request.body(webhook.body).send().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let code = reply.status().as_u16();
    let receipt = reply.headers()["milepost-receipt"].to_str().expect("ASCII").to_owned();
    let told = reply.text().await.expect("a body");
    let documented = answer(provider.id().as_str(), case.scheme, &case.expected);
    assert_eq!((code, told.as_str()), documented, "{what}");
    Posted { what, case, delivery, receipt }
}

/// What is parked: reason and body by receipt. Takes them off the queue.
async fn parked(channel: &Channel, provider: &dyn Provider) -> BTreeMap<String, (String, Vec<u8>)> {
    let mut parked = BTreeMap::new();
    let queue = parked_queue(provider.id());
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) =
        channel.basic_get(queue.as_str().into(), options).await.expect("the queue is there")
    {
        let receipt = message.properties.message_id().as_ref().expect("a receipt").to_string();
        let reason = header(&message.properties, "mp-reason").expect("a reason");
        let before = parked.insert(receipt, (reason, message.delivery.data));
        assert!(before.is_none(), "parked twice");
    }
    parked
}

/// Waits until the fleet has published so many events. Returns them by their receipts.
async fn published(fleet: &Process, count: usize) -> BTreeMap<String, Value> {
    let lines = eventually(&format!("{count} events are published"), || async {
        let lines = fleet.stdout.all();
        (lines.len() >= count).then_some(lines)
    })
    .await;
    let by_receipt = lines.iter().map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        (event["data"]["receipt_id"].as_str().expect("a receipt").to_owned(), event)
    });
    let events: BTreeMap<_, _> = by_receipt.collect();
    assert_eq!((lines.len(), events.len()), (count, count), "published twice, or what should not be");
    events
}

/// Waits until the fleet has settled all that was accepted, each by its outcome and by no other.
async fn settled(fleet: &Process, provider: &dyn Provider, all: &[Posted]) {
    let count = |kind: fn(&Expected) -> bool| all.iter().filter(|posted| kind(&posted.case.expected)).count();
    for (outcome, expected) in [
        ("published", count(|expected| matches!(expected, Expected::Published(..)))),
        ("parked", count(|expected| matches!(expected, Expected::Parked(..)))),
        ("ignored", count(|expected| *expected == Expected::Ignored)),
        ("duplicate", 0),
        ("deferred", 0),
        ("retried", 0),
    ] {
        let id = provider.id();
        fleet
            .measures(&format!(
                r#"milepost_messages_settled_total{{provider="{id}",outcome="{outcome}"}} {expected}"#
            ))
            .await;
    }
}

/// What the log says of a webhook in the end: how it was settled, or why it was refused.
const fn words(expected: &Expected) -> &'static [&'static str] {
    match expected {
        Expected::Published(..) => &["published"],
        Expected::Ignored => &["ignored"],
        Expected::Parked(..) => &["parked"],
        Expected::Refused(Refusal::NotAuthentic) => {
            &["missing_credential", "wrong_credential", "ambiguous_credential"]
        }
        Expected::Refused(Refusal::NotAnObject) => &["not_an_object"],
        Expected::Refused(Refusal::TooLarge) => &["too_large"],
        Expected::Refused(Refusal::Encoded) => &["unsupported_encoding"],
    }
}

/// Waits until the log says of every receipt what became of it.
async fn logged(fleet: &Process, all: &[&Posted]) {
    let said = || -> BTreeSet<(String, String)> {
        let said = |line: &String| {
            let line: Value = serde_json::from_str(line).ok()?;
            let word = line.get("outcome").or(line.get("reason"))?.as_str()?.to_owned();
            Some((line["receipt.id"].as_str()?.to_owned(), word))
        };
        fleet.stderr.all().iter().filter_map(said).collect()
    };
    let mut known = said();
    for posted in all {
        eventually(&format!("the log accounts for {}", posted.what), || {
            let named = |word: &&str| known.contains(&(posted.receipt.clone(), (*word).to_owned()));
            let accounted = words(&posted.case.expected).iter().any(named).then_some(());
            if accounted.is_none() {
                known = said();
            }
            async move { accounted }
        })
        .await;
    }
}

/// Asserts that the published event says all that is expected.
fn assert_says(posted: &Posted, event: &Value) {
    let update = posted.case.update(&posted.delivery).expect("an update");
    for (name, value) in update.as_object().expect("an object") {
        assert_eq!(event["data"][name], *value, "{}: {name}", posted.what);
    }
    assert_eq!(event["subject"], update["delivery_id"], "{}", posted.what);
}

#[tokio::test]
async fn every_hostile_webhook_is_accounted_for_by_its_receipt() {
    let vhost = Vhost::new().await;
    let fleet = fleet(&vhost);
    let to = fleet.webhooks().await;
    fleet.ready().await;
    let client = client();
    let mut posted: Vec<(&dyn SampleSource, Vec<Posted>)> = Vec::new();
    for shape in &SHAPES {
        let mut all = Vec::new();
        for (number, case) in cases::cases(shape).into_iter().enumerate() {
            all.push(post(&client, &to, shape.provider, number, case).await);
        }
        posted.push((shape.provider, all));
    }

    for (provider, all) in &posted {
        settled(&fleet, *provider, all).await;
    }
    logged(&fleet, &posted.iter().flat_map(|(_, all)| all).collect::<Vec<_>>()).await;
    let updates = posted.iter().flat_map(|(_, all)| all).filter_map(|posted| posted.case.update("")).count();
    let mut events = published(&fleet, updates).await;
    let channel = channel(&vhost.amqp_url).await;
    for (provider, all) in &posted {
        let mut parked = parked(&channel, *provider).await;
        for posted in all {
            let what = &posted.what;
            let found = (events.remove(&posted.receipt), parked.remove(&posted.receipt));
            match (&posted.case.expected, found) {
                (Expected::Published(..), (Some(event), None)) => assert_says(posted, &event),
                (Expected::Parked(reason, _), (None, Some((said, body)))) => {
                    assert_eq!(said, reason.as_str(), "{what}");
                    let sent = posted.case.webhook(*provider, &posted.delivery).body;
                    // Whole, but for 247Express's key.
                    let stored = String::from_utf8_lossy(&sent).replace(SECRET, "");
                    assert_eq!(String::from_utf8_lossy(&body), stored, "{what}");
                }
                (Expected::Ignored | Expected::Refused(_), (None, None)) => {}
                (expected, found) => panic!("{what}: {expected:?}, but {found:?}"),
            }
        }
        assert_eq!(parked, BTreeMap::new(), "something else of {} is parked", provider.id());
    }
    assert_eq!(events, BTreeMap::new(), "something else is published");
    // Invariant 9.
    let said = [fleet.stdout.all(), fleet.stderr.all()].concat();
    assert!(!said.iter().any(|line| line.contains(SECRET)), "a secret is published, or in the log");
}
