//! The two consumers of `docs/examples`, as processes of their own, fed by the real pipeline.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{publish, subscribed};
use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::{Vhost, depth};

/// What is personal in the sample that is sent below.
const IN_SAMPLE: [&str; 2] = ["John Doe", "12345678990"];
/// The members of an update that may hold personal data; so may the text and the comments of its reason.
const PERSONAL: [&str; 11] = [
    "courier",
    "destination",
    "extra",
    "extra_as_text",
    "origin",
    "position",
    "proof",
    "recipient",
    "recipient_name",
    "sender",
    "tracking_url",
];

/// Debian's Python, as only that has the library: a Python of the user's own is left alone.
fn python(vhost: &Vhost, words: &str) -> Program {
    let library = Path::new("/usr/lib/python3/dist-packages/pika");
    assert!(library.exists(), "run `deploy/local/servers install python3-pika` first");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/consumer.py");
    Program::at("/usr/bin/python3").arg(script).args(words).env("AMQP_URL", &vhost.amqp_url)
}

/// Cargo builds examples with the tests, and has no variable for their place.
fn rust(vhost: &Vhost, words: &str) -> Program {
    let mut path: PathBuf = std::env::current_exe().expect("this test's path");
    path.pop();
    path.set_file_name("examples/consumer");
    assert!(path.exists(), "run `cargo build --examples` first");
    Program::at(path.to_str().expect("UTF-8")).args(words).env("AMQP_URL", &vhost.amqp_url)
}

type Consumer = fn(&Vhost, &str) -> Program;
const CONSUMERS: [(&str, Consumer); 2] = [("python", python), ("rust", rust)];

/// A printed line: its label and its event.
fn printed(line: &str) -> (String, Value) {
    let (label, event) = line.split_once(' ').expect("a label");
    (label.to_owned(), serde_json::from_str(event).expect("JSON"))
}

/// Lets it print until a line says `last`, and ends it as a supervisor does; its lines.
async fn run_until(program: Program, last: &str) -> (Vec<(String, Value)>, Vec<String>) {
    let mut process: Process = program.spawn();
    process.stderr.with("consuming from").await;
    process.stdout.with(last).await;
    process.signal("TERM");
    let code = process.exit().await;
    assert_eq!(code, Some(0), "{:?}", process.stderr.all());
    (process.stdout.all().iter().map(|line| printed(line)).collect(), process.stderr.all())
}

fn ids(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(_, event)| event["id"].as_str().expect("an id")).collect()
}

/// What is in the stream once `count` messages are.
async fn logged(vhost: &Vhost, count: usize) -> Vec<Value> {
    let tail = format!("tail --since all --json --count {count} --amqp");
    let (code, stdout, stderr) = Program::milepost(&tail).arg(&vhost.amqp_url).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    stdout.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn send(receiver: &Process, count: usize, seed: u32) {
    let send = format!(
        "send telyport --sample started --count {count} --seed {seed} --to http://{} --account {}",
        receiver.webhooks().await,
        account()
    );
    let (code, _, stderr) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
}

#[tokio::test]
async fn each_prints_every_event_once_without_personal_data_and_reads_history() {
    let vhost = Vhost::new().await;
    let receiver = Program::receiver(&vhost.amqp_url).spawn();
    let worker = Program::worker(TELYPORT, &vhost.amqp_url).spawn();
    receiver.ready().await;
    worker.ready().await;
    for (name, _) in CONSUMERS {
        subscribed(&vhost, &format!("{name} telyport.#")).await;
    }
    send(&receiver, 3, 7).await;
    let first = logged(&vhost, 3).await.swap_remove(0);
    let key = format!("telyport.{}.pickup.assigned", account());
    // A crash of the worker at the wrong moment would publish it again so.
    publish(&vhost, &[(&key, first.to_string().as_bytes())]).await;
    send(&receiver, 1, 8).await;
    let events = logged(&vhost, 5).await;
    let sent: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert_eq!(sent.len(), 4);
    let last = events[4]["id"].as_str().expect("an id");
    for personal in IN_SAMPLE {
        assert!(
            events.iter().all(|event| event.to_string().contains(personal)),
            "{personal} is not in the sample"
        );
    }

    for (name, consumer) in CONSUMERS {
        let (printed, _) = run_until(consumer(&vhost, name), last).await;
        assert_eq!(printed.len(), 4, "{name}");
        assert_eq!(ids(&printed).into_iter().collect::<BTreeSet<_>>(), sent, "{name}");
        for (label, event) in &printed {
            assert_eq!(label, "news", "{name}");
            assert_eq!(event["data"]["status"], "assigned", "{name}");
            assert!(
                IN_SAMPLE.iter().all(|personal| !event.to_string().contains(personal)),
                "{name}: {event}"
            );
        }
        assert_eq!(depth(&vhost.channel().await, name).await, 0, "{name} acknowledged everything");

        let (printed, _) = run_until(consumer(&vhost, "--from 0"), last).await;
        assert_eq!(ids(&printed).into_iter().collect::<BTreeSet<_>>(), sent, "{name}");
        assert_eq!(printed.len(), 4, "{name}");
        let (printed, says) = run_until(consumer(&vhost, "--from 4"), last).await;
        assert_eq!(ids(&printed), [last], "{name}");
        assert_eq!(says.last().expect("something"), "next offset: 5", "{name}");
    }
}

/// An event of one delivery, with something personal wherever an update may have it.
fn event(id: &str, order: &str, sequence: u32) -> String {
    let mut data = json!({
        "delivery_id": "delivery", "status": "assigned", "order": order, "sequence": sequence,
        "reason": { "code": "kept", "text": "personal", "comments": "personal" },
    });
    for member in PERSONAL {
        data[member] = json!({ "name": "personal" });
    }
    json!({ "id": id, "source": "/milepost/telyport/default", "subject": "delivery", "data": data })
        .to_string()
}

/// The schema decides what is personal; the page and the consumers follow it.
#[test]
fn what_is_stripped_is_what_the_schema_marks_and_the_page_names() {
    let page = include_str!("../../../docs/subscribe.md");
    let schema = include_str!("../../../docs/contract/v1/delivery-update.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let properties = schema["properties"].as_object().expect("an object");
    let marked = properties.iter().filter(|(_, property)| property["x-personal"] == true);
    assert_eq!(marked.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), PERSONAL);
    for member in PERSONAL.iter().chain(&["reason.text", "reason.comments"]) {
        assert!(page.contains(&format!("`{member}`")), "{member}");
    }
}

#[tokio::test]
async fn each_applies_only_what_is_newer_and_parks_what_it_cannot_read() {
    let vhost = Vhost::new().await;
    vhost.declare(Duration::from_secs(1), &[TELYPORT]).await;
    for (name, _) in CONSUMERS {
        subscribed(&vhost, &format!("{name} # --park")).await;
    }
    let bodies = [
        event("a", "in_order", 5),
        event("b", "in_order", 4),
        event("c", "late", 6),
        "no event".to_owned(),
        "[1]".to_owned(),
        r#"{"id":"x","data":1}"#.to_owned(),
        event("d", "unexpected", 8),
    ];
    let key = "telyport.default.pickup.assigned";
    publish(&vhost, &bodies.each_ref().map(|body| (key, body.as_bytes()))).await;
    for (name, consumer) in CONSUMERS {
        let (printed, _) = run_until(consumer(&vhost, name), r#""d""#).await;
        let labels: Vec<_> = printed.iter().map(|(label, _)| label.as_str()).zip(ids(&printed)).collect();
        assert_eq!(labels, [("news", "a"), ("record", "b"), ("record", "c"), ("news", "d")], "{name}");
        for (_, event) in &printed {
            assert!(!event.to_string().contains("personal"), "{name}: {event}");
            assert_eq!(event["data"]["reason"], json!({ "code": "kept" }), "{name}");
        }
        let channel = vhost.channel().await;
        eventually("what it cannot read is parked", || async {
            (depth(&channel, &format!("{name}.parked")).await == 3).then_some(())
        })
        .await;
    }
}

/// As Milepost publishes none any more, and the stream may still have.
#[tokio::test]
async fn nothing_in_extra_costs_an_update() {
    let vhost = Vhost::new().await;
    vhost.declare(Duration::from_secs(1), &[TELYPORT]).await;
    for (name, _) in CONSUMERS {
        subscribed(&vhost, &format!("{name} # --park")).await;
    }
    let digits = "7".repeat(5_000);
    let odd = [
        &digits,
        "1e999",
        "[-1e999, 1.5e3]",
        r#""\ud800""#,
        r#"{"\udc00": "\ud83d"}"#,
        r#"{"a": 1, "a": 2}"#,
        &format!("{}1{}", "[".repeat(60), "]".repeat(60)),
        "{}",
    ];
    let bodies: Vec<_> = (0..)
        .zip(odd)
        .map(|(at, odd)| {
            let plain = event(&format!("event-{at}"), "in_order", at);
            let with_odd = plain.replacen(r#""extra":{"#, &format!(r#""extra":{{"odd":{odd},"#), 1);
            assert_ne!(plain, with_odd);
            with_odd
        })
        .collect();
    let key = "telyport.default.pickup.assigned";
    publish(&vhost, &bodies.iter().map(|body| (key, body.as_bytes())).collect::<Vec<_>>()).await;
    for (name, consumer) in CONSUMERS {
        let (printed, _) = run_until(consumer(&vhost, name), &format!("event-{}", odd.len() - 1)).await;
        let expected: Vec<_> = (0..odd.len()).map(|at| format!("event-{at}")).collect();
        assert_eq!(ids(&printed), expected, "{name}");
        assert!(printed.iter().all(|(label, _)| label == "news"), "{name}: {printed:?}");
        assert_eq!(depth(&vhost.channel().await, &format!("{name}.parked")).await, 0, "{name}");
    }
}
