//! `milepost why` and `milepost waiting`: what is known of an event, wherever it is, on real servers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::FieldTable;
use milepost::adapters::redis::{EventState, LedgerReader, RedisConnection, RedisSettings};
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark, Token};
use milepost::domain::envelope::Envelope;
use milepost::domain::retry::RetrySchedule;
use milepost::domain::status::Status;
use milepost::domain::verdict::ParkReason;
use milepost::ports::{Ledger as _, Outbound};
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account, claim, envelope, retrying};
use crate::support::fleet::{Real, Subscriber, drained, rejecting, run, telyport, telyport_body, worker};
use crate::support::process::Program;
use crate::support::servers::{Vhost, depth, redis_ledger, redis_url};

fn inspector() -> LedgerReader {
    let settings =
        RedisSettings { url: redis_url().as_str().into(), response_timeout: Duration::from_secs(5) };
    LedgerReader::new(RedisConnection::new(&settings).expect("a URL"))
}

async fn granted(request: &ClaimRequest) -> EventRef {
    match redis_ledger().claim(request).await.expect("answered") {
        Claim::Granted(grant) => grant.event,
        other => panic!("not granted: {other:?}"),
    }
}

async fn waiting() -> Vec<String> {
    let waiting = inspector().waiting().await.expect("answered");
    let ours = waiting.into_iter().filter(|event| event.delivery.account == account().as_str());
    ours.map(|event| event.delivery.delivery_id).collect()
}

#[tokio::test]
async fn waiting_lists_what_the_ledger_has_as_retrying() {
    let (first, second) = (claim(), claim());
    let [one, two] = [granted(&first).await, granted(&second).await];
    let ledger = redis_ledger();
    for (event, due) in [(&one, 600), (&two, 60)] {
        let Mark::Retrying { attempt, reason, .. } = retrying(1) else { unreachable!() };
        let mark = Mark::Retrying { attempt, reason, due: Duration::from_secs(due) };
        assert!(ledger.mark(event, mark).await.expect("answered"));
    }
    let both = [&second.delivery.delivery_id, &first.delivery.delivery_id];
    assert_eq!(waiting().await.iter().collect::<Vec<_>>(), both, "the next retry is first");
    let known = inspector().waiting().await.expect("answered");
    let known = known.iter().find(|event| event.delivery.delivery_id == *both[1]).expect("it waits");
    let due = known.record.deadline.expect("a time").duration_since(Timestamp::now());
    assert!((1..=600).contains(&due.as_secs()), "{due:?}");
    assert_eq!((known.record.attempt, known.record.reason.as_deref()), (1, Some("publish_refused")));
    // Its copy is back, and being worked on: it waits no more.
    let mut copy = second.clone();
    (copy.copy.attempt, copy.copy.token) = (1, Token(rand::random()));
    granted(&copy).await;
    assert_eq!(waiting().await, [first.delivery.delivery_id]);
}

#[tokio::test]
async fn a_record_says_why_and_since_when() {
    let request = claim();
    let event = granted(&request).await;
    let parked = Mark::Parked(ParkReason::RetriesExhausted);
    assert!(redis_ledger().mark(&event, parked).await.expect("answered"));
    let delivery = {
        let names = inspector().deliveries(&request.delivery.delivery_id).await.expect("answered");
        let [name] = &names[..] else { panic!("{names:?}") };
        inspector().delivery(name).await.expect("answered")
    };
    let [record] = &delivery.events[..] else { panic!("{delivery:?}") };
    assert_eq!((record.state, record.reason.as_deref()), (EventState::Parked, Some("retries_exhausted")));
    assert_eq!((record.receipt, record.status), (request.copy.receipt, Some(Status::Assigned)));
    assert_eq!(Some(record.sequence), delivery.sequence);
    let age = Timestamp::now().duration_since(record.claimed_at().expect("a time")).as_secs();
    assert!((0..60).contains(&age), "{age}");
}

/// What is asked by a pattern must not match more than is asked.
#[tokio::test]
async fn an_id_with_wildcards_names_itself_alone() {
    let tag = Uuid::new_v4();
    let (mut star, mut other) = (claim(), claim());
    star.delivery.delivery_id = format!("{tag}[*]\\?");
    other.delivery.delivery_id = format!("{tag}[other]\\?");
    granted(&star).await;
    granted(&other).await;
    let names = inspector().deliveries(&star.delivery.delivery_id).await.expect("answered");
    let ids: Vec<_> = names.iter().map(|name| &name.delivery_id).collect();
    assert_eq!(ids, [&star.delivery.delivery_id]);
    let events = inspector().delivery(&names[0]).await.expect("answered").events;
    assert_eq!(events.len(), 1);
}

async fn why(vhost: &Vhost, id: &str) -> (Option<i32>, Value) {
    why_between(vhost, id, "").await
}

async fn why_between(vhost: &Vhost, id: &str, words: &str) -> (Option<i32>, Value) {
    let program = Program::milepost("why --json").arg(id).args(words);
    let program = program.env("MILEPOST_AMQP_URL", &vhost.amqp_url).env("MILEPOST_REDIS_URL", &redis_url());
    let (code, stdout, stderr) = program.output().await;
    assert_eq!(stderr, [""; 0]);
    (code, serde_json::from_str(&stdout.join("\n")).expect("JSON"))
}

/// What `milepost why` prints.
async fn told(vhost: &Vhost, id: &str, words: &str) -> String {
    let program = Program::milepost("why").arg(id).args(words);
    let program = program.env("MILEPOST_AMQP_URL", &vhost.amqp_url).env("MILEPOST_REDIS_URL", &redis_url());
    program.output().await.1.join("\n")
}

fn webhook(delivery: &str, event: &str, status: &str) -> Envelope {
    envelope(TELYPORT, telyport_body(delivery, event, status))
}

/// One delivery with a published event, a resent one, one that waits for a retry and one that is parked: each is
/// found by each of its names.
#[tokio::test]
async fn an_event_is_found_by_each_of_its_names_wherever_it_is() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let delivery = Uuid::new_v4().to_string();
    let [published, refused, broken] = ["1", "2", "3"].map(|number| format!("{delivery}-{number}"));
    let first = webhook(&delivery, &published, "NEW");
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let mut worker = run(telyport(&real.backends));
    real.publish(first.clone()).await;
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    let resent = webhook(&delivery, &published, "NEW");
    real.publish(resent.clone()).await;
    let malformed = envelope(TELYPORT, "{\"webhookEventID\": \"x\",}");
    real.publish(malformed.clone()).await;
    let contradiction = format!(
        r#"{{"webhookEventID":"{broken}","orderID":"other","status":"NEW","data":{{"orderID":"{delivery}","status":"NEW"}}}}"#
    );
    let contradiction = envelope(TELYPORT, contradiction);
    real.publish(contradiction.clone()).await;
    // Taken in this order: once the last of them is parked, the resend before it is dealt with.
    let parked = async || (depth(&real.channel, "milepost.parked.telyport").await == 2).then_some(());
    eventually("both are parked", parked).await;
    worker.stop().await;

    // From here on a subscriber refuses, for longer than this test takes.
    let full = Subscriber::bind(&real.amqp_url, "test.full", rejecting(1)).await;
    let long = Duration::from_secs(3600);
    let schedule = RetrySchedule::try_new(long, 2.0, long, 0.0).expect("valid");
    worker = run(crate::support::fleet::worker(&real.backends, &TELYPORT_PROVIDER, schedule));
    let mut fillers = 0;
    while waiting().await.is_empty() {
        fillers += 1;
        real.publish(webhook(&format!("{delivery}-filler-{fillers}"), "e", "NEW")).await;
        drained(&real).await;
    }
    let second = webhook(&delivery, &refused, "STARTED");
    real.publish(second.clone()).await;
    let retried = async || waiting().await.contains(&delivery).then_some(());
    eventually("it waits for its retry", retried).await;
    worker.stop().await;
    drop(full);

    let (code, of_delivery) = why(&vhost, &delivery).await;
    assert_eq!(code, Some(0));
    assert_eq!(of_delivery["deliveries"][0]["stands_at"], json!([{"leg": "", "status": "created"}]));
    let receipts: Vec<_> = events(&of_delivery).iter().map(|event| event["receipt"].clone()).collect();
    assert_eq!(receipts, [json!(first.receipt.to_string()), json!(second.receipt.to_string())]);

    let (_, by_receipt) = why(&vhost, &first.receipt.to_string()).await;
    let [event] = events(&by_receipt) else { panic!("{by_receipt}") };
    assert_eq!((&event["ledger"]["state"], &event["ledger"]["attempt"]), (&json!("done"), &json!(0)));
    assert_eq!(event["published"][0]["status"], "created");
    assert_eq!(event["published"].as_array().map(Vec::len), Some(1));
    let event_id = event["event_id"].as_str().expect("an id").to_owned();
    for name in [&event_id, &published] {
        let (_, found) = why(&vhost, name).await;
        let [again] = events(&found) else { panic!("{name}: {found}") };
        assert_eq!(again["receipt"], event["receipt"], "{name}");
    }

    // A repeat leads to the event that it repeats.
    let (code, repeat) = why(&vhost, &resent.receipt.to_string()).await;
    let [again] = events(&repeat) else { panic!("{repeat}") };
    assert_eq!((code, &repeat["repeats"]), (Some(0), &event["receipt"]));
    assert_eq!((&again["receipt"], &again["published"]), (&event["receipt"], &event["published"]));
    assert_eq!(again["repeats"], json!([{ "receipt": resent.receipt.to_string(), "way": "push" }]));
    let said = told(&vhost, &resent.receipt.to_string(), "").await;
    let says = format!("receipt {}, of ", resent.receipt);
    assert!(said.starts_with(&says) && said.contains(&format!("repeats {}", first.receipt)), "{said}");

    // What was not searched is not denied.
    let (_, unseen) = why_between(&vhost, &delivery, "--since 0s").await;
    let [done, retrying] = events(&unseen) else { panic!("{unseen}") };
    assert_eq!((&done["published"], &done["is_published"]), (&json!([]), &json!(true)));
    assert_eq!(retrying["is_published"], Value::Null);
    let said = told(&vhost, &delivery, "--since 0s").await;
    assert!(said.contains("yes: not searched so far"), "{said}");
    // One subscriber refused it; the log has it.
    let (_, seen) = why(&vhost, &delivery).await;
    assert_eq!(events(&seen)[1]["is_published"], true);

    // What happened to the delivery between.
    let (code, earlier) = why_between(&vhost, &delivery, "--from 2h --until 1h").await;
    assert_eq!((code, events(&earlier).len(), &earlier["left_out"]), (Some(0), 0, &json!(2)));
    let (_, lately) = why_between(&vhost, &delivery, "--from 1h").await;
    assert_eq!((events(&lately).len(), &lately["left_out"]), (2, &json!(0)));
    assert_eq!(events(&lately)[0]["published"][0]["status"], "created");
    let on = &vhost;
    let tail = |words: String| async move {
        let program = Program::milepost("tail --json").args(&words);
        let (code, stdout, stderr) = program.env("MILEPOST_AMQP_URL", &on.amqp_url).output().await;
        assert_eq!(code, Some(0), "{stderr:?}");
        stdout
    };
    let lines = tail(format!("--delivery {delivery} --from 1h --until 0s")).await;
    let [line, _refused_by_one] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.contains(&first.receipt.to_string()), "{line}");
    assert_eq!(tail(format!("--delivery {delivery} --from 2h --until 1h")).await, [""; 0]);

    let (_, retrying) = why(&vhost, &second.receipt.to_string()).await;
    let [event] = events(&retrying) else { panic!("{retrying}") };
    let ledger = &event["ledger"];
    assert_eq!((&ledger["state"], &ledger["reason"]), (&json!("retrying"), &json!("publish_refused")));
    assert_eq!(ledger["attempt"], 1);
    assert!((1.0..=3600.0).contains(&ledger["deadline_in_seconds"].as_f64().expect("a number")), "{ledger}");

    for (parked, reason) in [(&malformed, "malformed"), (&contradiction, "contradiction")] {
        let (code, found) = why(&vhost, &parked.receipt.to_string()).await;
        let [event] = events(&found) else { panic!("{found}") };
        assert_eq!((code, &event["parked"][0]["reason"]), (Some(0), &json!(reason)));
        assert_eq!((&event["ledger"], &event["published"]), (&Value::Null, &json!([])));
    }
    let said = told(&vhost, &malformed.receipt.to_string(), "").await;
    assert!(said.contains("never entered") && !said.contains("forgotten"), "{said}");
    let (code, nothing) = why(&vhost, &Uuid::new_v4().to_string()).await;
    assert_eq!((code, &nothing["events"]), (Some(1), &json!([])));
    assert_eq!(depth(&real.channel, "milepost.parked.telyport").await, 2, "looking took nothing");
}

/// A webhook that says a reference of the merchant's.
fn referring(delivery: &str, event: &str, status: &str, reference: &str) -> Envelope {
    let body = String::from_utf8(telyport_body(delivery, event, status)).expect("text");
    envelope(TELYPORT, body.replace(r##""#1""##, &format!(r#""{reference}""#)))
}

async fn parked(real: &Real, webhook: &Envelope) {
    let outbound = Outbound::Parked(webhook.clone(), ParkReason::RetriesExhausted, "publish_refused".into());
    real.backends.publisher.publish(outbound).await.expect("confirmed");
}

fn reference_of(answer: &Value) -> Vec<&str> {
    let ids = answer["reference_of"].as_array().expect("a list");
    ids.iter().map(|name| name["delivery_id"].as_str().expect("an id")).collect()
}

/// One delivery is published and one is parked: both are found, with those of their events that do not say the reference.
#[tokio::test]
async fn a_reference_of_the_merchants_finds_its_deliveries_with_all_their_events() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let reference = format!("#{}", Uuid::new_v4());
    let [published, stuck, other] =
        ["published", "stuck", "other"].map(|name| format!("{name}-{reference}-1"));
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let worker = run(telyport(&real.backends));
    let webhooks = [
        referring(&published, "e1", "NEW", &reference),
        referring(&published, "e2", "STARTED", ""),
        referring(&other, "e3", "NEW", &format!("{reference}0")),
    ];
    for webhook in &webhooks {
        real.publish(webhook.clone()).await;
    }
    subscriber.take_until(|seen| seen.events.len() == 3).await;
    worker.stop().await;
    let [says_it, silent] =
        [referring(&stuck, "e4", "NEW", &reference), referring(&stuck, "e5", "STARTED", "")];
    parked(&real, &says_it).await;
    parked(&real, &silent).await;

    // Written with a # or without.
    for asked in [&reference, &reference[1..]] {
        let (code, found) = why(&vhost, asked).await;
        assert_eq!((code, reference_of(&found)), (Some(0), vec![&*stuck, &*published]), "{found}");
        let receipts: Vec<_> = events(&found).iter().map(|event| event["receipt"].clone()).collect();
        let expected = [&webhooks[0], &webhooks[1], &says_it, &silent];
        let expected: Vec<_> = expected.iter().map(|webhook| json!(webhook.receipt.to_string())).collect();
        assert_eq!(receipts, expected);
        let of: Vec<_> = events(&found).iter().map(|event| event["delivery_id"].clone()).collect();
        assert_eq!(of, [&published, &published, &stuck, &stuck].map(|id| json!(id)));
        let are: Vec<_> = events(&found).iter().map(|event| event["is_published"].clone()).collect();
        assert_eq!(are, [json!(true), json!(true), json!(false), json!(false)]);
    }
    let said = told(&vhost, &reference, "").await;
    assert!(said.contains(&format!("{reference} is a reference of ")), "{said}");
    // A part of it is none.
    assert_eq!(why(&vhost, &reference[1..9]).await.0, Some(1));
}

/// Merchants begin to count again: what a number means is shown up to a bound, and how much more there is.
#[tokio::test]
async fn a_reference_of_many_deliveries_is_shown_up_to_a_bound() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let reference = Uuid::new_v4().to_string();
    for number in 0..23 {
        parked(&real, &referring(&format!("D{number}-{reference}"), "e", "NEW", &reference)).await;
    }
    let (_, found) = why(&vhost, &reference).await;
    assert_eq!((reference_of(&found).len(), &found["reference_of_more"]), (20, &json!(3)));
    assert_eq!(reference_of(&found)[0], format!("D22-{reference}"), "the last of them are shown");
    assert_eq!(events(&found).len(), 20);
}

/// What needs an operator is not hidden by what is well, and neither is a parked message that does not say the reference.
#[tokio::test]
async fn parked_deliveries_of_a_reference_are_shown_first() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let reference = Uuid::new_v4().to_string();
    let [stuck, half] = ["stuck", "half"].map(|name| format!("{name}-{reference}"));
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    parked(&real, &referring(&stuck, "e1", "NEW", &reference)).await;
    parked(&real, &referring(&half, "e2", "STARTED", "")).await;
    let worker = run(telyport(&real.backends));
    real.publish(referring(&half, "e1", "NEW", &reference)).await;
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    for number in 0..22 {
        real.publish(referring(&format!("D{number}-{reference}"), "e1", "NEW", &reference)).await;
    }
    subscriber.take_until(|seen| seen.events.len() == 23).await;
    worker.stop().await;
    let (_, found) = why(&vhost, &reference).await;
    let shown = reference_of(&found);
    assert_eq!(
        (&shown[..2], shown.len(), &found["reference_of_more"]),
        (&[&*half, &*stuck][..], 20, &json!(4))
    );
    let is_parked = |event: &&Value| event["parked"].as_array().is_some_and(|parked| !parked.is_empty());
    let of = events(&found).iter().filter(is_parked).map(|event| event["delivery_id"].as_str());
    assert_eq!(of.collect::<BTreeSet<_>>(), BTreeSet::from([Some(&*half), Some(&*stuck)]));
    assert_eq!(events(&found).len(), 21, "of one delivery two");
}

/// A fleet does not stop publishing while it is asked.
#[tokio::test]
async fn a_search_ends_where_it_began_though_more_is_published_all_the_time() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let published = AtomicU64::new(0);
    let publishing = async {
        loop {
            let publish = real.channel.basic_publish(
                "milepost.updates".into(),
                "a.b.c.d".into(),
                BasicPublishOptions::default(),
                b"{}",
                BasicProperties::default(),
            );
            publish.await.expect("sent");
            published.fetch_add(1, Ordering::Relaxed);
            // Well below the pause by which the end of a stream is recognised.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let asking = async {
        let (code, answer) = why(&vhost, "no-such-delivery").await;
        (code, answer["searched"].is_object())
    };
    let answered = tokio::select! {
        answered = asking => answered,
        () = publishing => unreachable!("it does not end"),
    };
    assert_eq!(answered, (Some(1), true));
    assert!(published.load(Ordering::Relaxed) > 0, "it was published to all the time");
}

fn events(answer: &Value) -> &[Value] {
    answer["events"].as_array().expect("a list")
}

/// A refusal is not stored anywhere: the answer says where to look.
#[tokio::test]
async fn an_unknown_receipt_gets_a_list_of_causes() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let stranger = webhook(&Uuid::new_v4().to_string(), "e", "NEW");
    let said = told(&vhost, &stranger.receipt.to_string(), "").await;
    for says in [
        format!("{} was not found", stranger.receipt),
        "it was refused, and so never stored: the receiver's log has the reason under this receipt.id"
            .to_owned(),
        "it is about no delivery and was ignored: the worker's log says so".to_owned(),
        "it still waits to be taken up, though none is seen to wait now".to_owned(),
    ] {
        assert!(said.contains(&says), "{said}");
    }
    real.publish(stranger.clone()).await;
    let said = told(&vhost, &stranger.receipt.to_string(), "").await;
    assert!(said.contains("it still waits to be taken up, 1 in milepost.webhooks.telyport"), "{said}");
    assert_eq!(told(&vhost, "x", "").await, "x was not found");
}

/// A first receipt is in the stream alone, and by its delivery in the ledger.
#[tokio::test]
async fn a_receipt_older_than_what_the_stream_keeps_is_said_to_be() {
    let vhost = Vhost::new().await;
    // Several segments, or it would keep nothing at times.
    let small = json!({ "max-length-bytes": 50_000, "stream-max-segment-size-bytes": 5_000 });
    vhost.set_policy("small", r"^milepost\.updates\.log$", small).await;
    let real = Real::on(&vhost).await;
    let worker = run(telyport(&real.backends));
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let delivery = Uuid::new_v4().to_string();
    let old = webhook(&delivery, "e", "NEW");
    real.publish(old.clone()).await;
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    let dropped = async || {
        for _ in 0..100 {
            real.publish(webhook(&Uuid::new_v4().to_string(), "e", "NEW")).await;
        }
        drained(&real).await;
        let said = told(&vhost, &old.receipt.to_string(), "").await;
        said.contains("before the oldest update that the stream still has, of ").then_some(said)
    };
    let said = eventually("the stream drops its oldest", dropped).await;
    assert!(said.contains("ask `why` with the delivery's id"), "{said}");
    worker.stop().await;
    let (code, known) = why(&vhost, &delivery).await;
    let [event] = events(&known) else { panic!("{known}") };
    assert_eq!((code, &event["receipt"]), (Some(0), &json!(old.receipt.to_string())));
    assert_eq!(event["ledger"]["state"], "done");
}

/// At three in the morning one of the servers is down: the others are asked all the same.
#[tokio::test]
async fn an_unreachable_server_is_named_and_the_others_are_asked() {
    let request = claim();
    granted(&request).await;
    let unreachable = "amqp://127.0.0.1:1/%2f";
    let program = Program::milepost("why").arg(&request.delivery.delivery_id);
    let program = program.env("MILEPOST_AMQP_URL", unreachable).env("MILEPOST_REDIS_URL", &redis_url());
    let (code, stdout, _) = program.output().await;
    let said = stdout.join("\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: nothing is known of the updates published: "), "{said}");
    assert!(said.contains("warning: nothing is known of the messages parked: "), "{said}");
    assert!(said.contains("claimed, lease over ") && said.contains("Z, in "), "{said}");

    let vhost = Vhost::new().await;
    let _real = Real::on(&vhost).await;
    let program = Program::milepost("why").arg(&request.delivery.delivery_id);
    let program = program.env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let program = program.env("MILEPOST_REDIS_URL", "redis://127.0.0.1:1/0");
    let (code, stdout, _) = program.output().await;
    let said = stdout.join("\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("warning: nothing is known of the ledger: "), "{said}");
}

#[tokio::test]
async fn waiting_is_shown_for_a_person_and_for_a_program() {
    let request = claim();
    let event = granted(&request).await;
    assert!(redis_ledger().mark(&event, retrying(1)).await.expect("answered"));
    let shown = |words: &'static str| async move {
        let program = Program::milepost(words).arg("--redis").arg(&redis_url());
        let (code, stdout, stderr) = program.output().await;
        assert_eq!(code, Some(0), "{stderr:?}");
        stdout
    };
    let lines = shown("waiting --json --provider telyport").await;
    let ours: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ours = ours.iter().find(|event| event["delivery_id"] == request.delivery.delivery_id.as_str());
    let ours = ours.expect("it waits");
    assert_eq!((&ours["reason"], &ours["attempt"]), (&json!("publish_refused"), &json!(1)));
    assert_eq!(ours["receipt"], request.copy.receipt.to_string());
    let lines = shown("waiting --provider dash").await;
    assert_eq!(lines, ["nothing waits for a retry"]);
    let lines = shown("waiting").await;
    assert!(lines[0].starts_with("PROVIDER"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("telyport") && line.contains("publish_refused")));
}

#[tokio::test]
async fn a_subscriber_bound_to_everything_is_left_alone() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let worker = run(worker(&real.backends, &TELYPORT_PROVIDER, RetrySchedule::default()));
    let webhook = webhook(&Uuid::new_v4().to_string(), "e", "NEW");
    real.publish(webhook.clone()).await;
    eventually("it is published", async || (subscriber.unread().await == 1).then_some(())).await;
    worker.stop().await;
    let (code, _) = why(&vhost, &webhook.receipt.to_string()).await;
    assert_eq!((code, subscriber.unread().await), (Some(0), 1));
}
