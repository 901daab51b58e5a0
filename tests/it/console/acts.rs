//! What is done on the pages: replays, edits, discards, and what the audit log says of them.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use futures_util::StreamExt as _;
use lapin::types::FieldTable;
use milepost::adapters::rabbit::topology::work_queue;
use milepost::domain::envelope::Envelope;
use milepost::domain::history::{Failure, History};
use milepost::domain::verdict::ParkReason;
use milepost::ports::Outbound;
use serde_json::Value;

use super::{Browser, Served, location, three_users, token};
use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, at, envelope};
use crate::support::fleet::{Real, Subscriber, header, run, telyport, telyport_body};
use crate::support::process::Program;
use crate::support::servers::Vhost;

/// A webhook that a worker parked.
pub(super) fn parked(number: usize, body: Vec<u8>) -> Envelope {
    let time = at(1_790_000_000_000 + i64::try_from(number).expect("small"));
    let failure = Failure::new(time, 5, "retries_exhausted", Some("publish_refused"));
    Envelope { attempt: 5, history: History::default().with(failure), ..envelope(TELYPORT, body) }
}

pub(super) async fn park(real: &Real, webhook: &Envelope) -> String {
    let outbound = Outbound::Parked(webhook.clone(), ParkReason::RetriesExhausted, "publish_refused".into());
    real.backends.publisher.publish(outbound).await.expect("confirmed");
    webhook.receipt.to_string()
}

async fn park_many(real: &Real, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let body = telyport_body(&format!("D{number}"), &format!("e{number}"), "STARTED");
        ids.push(park(real, &parked(number, body)).await);
    }
    ids
}

/// The audit log, as the command reads it.
async fn audit(vhost: &Vhost) -> Vec<Value> {
    let program = Program::milepost("audit --json").env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let (code, lines, errors) = program.output().await;
    assert_eq!(code, Some(0), "{errors:?}");
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Follows an act to its end, and returns its page.
async fn ended(browser: &Browser, act: &str) -> String {
    eventually("the act ends", || async {
        let page = browser.page(act).await;
        (page.contains(">done<") || page.contains(">not all done<")).then_some(page)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_replayed_and_the_log_says_so() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let ids = park_many(&real, 8).await;
    let worker = run(telyport(&real.backends));
    let served = Served::with(&vhost, &three_users("replay").await, &[]).await;
    let alice = served.user("alice").await;
    let groups = alice.sees("/parked", "<strong>8</strong> parked").await;
    assert!(groups.contains("retries_exhausted") && groups.contains("publish_refused"));

    // A selection first, then the rest of the group by its filter.
    let fields = [("provider", "telyport"), ("id", &ids[3]), ("id", &ids[5]), ("max_failures", "0")];
    let answer = alice.submit("/parked/replay", &fields).await;
    let page = ended(&alice, location(&answer)).await;
    assert!(page.contains("replayed 2: 2 seen published"), "{page}");
    alice.sees("/parked", "<strong>6</strong> parked").await;
    let answer =
        alice.submit("/parked/replay", &[("provider", "telyport"), ("reason", "retries_exhausted")]).await;
    let page = ended(&alice, location(&answer)).await;
    assert!(page.contains("replayed 6: 6 seen published"), "{page}");
    alice.sees("/parked", "<strong>0</strong> parked").await;
    subscriber.take_until(|seen| seen.events.len() == 8).await;

    let log = audit(&vhost).await;
    let said: Vec<_> = log
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (text("who"), text("by"), text("act"), text("phase"), entry["count"].as_u64())
        })
        .collect();
    let line = |phase: &str, count| {
        ("alice".to_owned(), "console".to_owned(), "replay".to_owned(), phase.to_owned(), count)
    };
    assert_eq!(
        said,
        [line("begun", None), line("ended", Some(2)), line("begun", None), line("ended", Some(6))]
    );
    assert_eq!(log[0]["ids"], serde_json::json!([ids[3], ids[5]]));
    assert_eq!(log[2]["which"], "--provider telyport --reason retries_exhausted");
    alice.sees("/audit", "--provider telyport --reason retries_exhausted").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_replay_without_a_worker_says_so_and_leaves_all() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    park_many(&real, 2).await;
    let served = Served::with(&vhost, &three_users("no-worker").await, &[]).await;
    let alice = served.user("alice").await;
    alice.sees("/parked", "<strong>2</strong> parked").await;
    let answer = alice.submit("/parked/replay", &[("provider", "telyport"), ("all", "1")]).await;
    let page = ended(&alice, location(&answer)).await;
    assert!(page.contains("no worker takes the replays"), "{page}");
    alice.sees("/parked", "<strong>2</strong> parked").await;
    // All of a queue is never meant by mistake.
    assert_eq!(alice.submit("/parked/replay", &[("provider", "telyport")]).await.status(), 400);
    assert_eq!(alice.submit("/parked/replay", &[("all", "1")]).await.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_body_is_replayed_and_says_that_it_was_edited() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let sound = String::from_utf8(telyport_body("D1", "e1", "STARTED")).expect("text");
    let broken = sound.replace("STARTED", "A WORD OF TOMORROW");
    let id = park(&real, &parked(1, broken.clone().into_bytes())).await;
    let served = Served::with(&vhost, &three_users("edit").await, &[]).await;
    let alice = served.user("alice").await;
    let (message, reveal, edit) = (
        format!("/parked/telyport/{id}"),
        format!("/parked/telyport/{id}/reveal"),
        format!("/parked/telyport/{id}/edit"),
    );
    let page = alice.sees(&message, "retries_exhausted").await;
    assert!(!page.contains("<textarea"), "nothing to edit while it is masked");
    assert!(alice.submit(&reveal, &[]).await.text().await.expect("text").contains("<textarea"));
    // What no worker could read is not sent.
    let answer = alice.submit(&edit, &[("body", "{\"a\": ")]).await;
    assert_eq!(answer.status(), 422);
    let worker = run(telyport(&real.backends));
    let answer = alice.submit(&edit, &[("body", &sound)]).await;
    let page = ended(&alice, location(&answer)).await;
    assert!(page.contains("replayed 1: 1 seen published"), "{page}");
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    let log = audit(&vhost).await;
    let acts: Vec<_> = log.iter().map(|entry| entry["act"].as_str().expect("an act")).collect();
    assert_eq!(acts, ["reveal", "reveal", "edit-and-replay", "edit-and-replay"]);
    worker.stop().await;

    // What a worker takes says that it was edited, and whose words it had before.
    let id = park(&real, &parked(2, broken.into_bytes())).await;
    let (queue, nothing) = (work_queue(TELYPORT), FieldTable::default());
    let consuming = real.channel.basic_consume(queue.as_str().into(), "".into(), Default::default(), nothing);
    let mut taken = consuming.await.expect("a consumer");
    alice.sees(&format!("/parked/telyport/{id}"), "retries_exhausted").await;
    let body = sound.replace("e1", "e2");
    let answer = alice.submit(&format!("/parked/telyport/{id}/edit"), &[("body", &body)]).await;
    assert_eq!(answer.status(), 303);
    let message = taken.next().await.expect("it is replayed").expect("a message");
    let history = header(&message.properties, "mp-history").expect("a history");
    assert!(history.contains("publish_refused") && history.contains("\"reason\":\"edited\""), "{history}");
    assert_eq!(message.data, body.as_bytes());
    message.acker.ack(Default::default()).await.expect("acknowledged");
}

#[tokio::test]
async fn a_discard_is_written_down_first() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park_many(&real, 3).await;
    let exports = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("exports-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&exports).expect("a writable directory");
    let directory = ("MILEPOST__CONSOLE__EXPORTS_DIR", exports.to_str().expect("text"));
    let served = Served::with(&vhost, &three_users("discard").await, &[directory]).await;
    let alice = served.user("alice").await;
    alice.sees("/parked", "<strong>3</strong> parked").await;
    let fields = [("provider", "telyport"), ("id", ids[1].as_str())];
    assert_eq!(alice.submit("/parked/discard", &fields).await.status(), 400, "it was not confirmed");
    let answer = alice.submit("/parked/discard", &[&fields[..], &[("yes", "1")]].concat()).await;
    let page = ended(&alice, location(&answer)).await;
    assert!(page.contains("discarded 1, written to milepost-discarded-"), "{page}");
    alice.sees("/parked", "<strong>2</strong> parked").await;
    let file = page.split("href=\"/exports/").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let record: Value =
        serde_json::from_str(&alice.page(&format!("/exports/{file}")).await).expect("a record");
    assert_eq!(record["id"], ids[1].as_str());
    for name in ["..%2Fconsole-discard.toml", "milepost-discarded-..%2f..%2fx.jsonl", "other.jsonl"] {
        assert_eq!(alice.get(&format!("/exports/{name}")).await.status(), 404, "{name}");
    }

    // Without a directory nothing is discarded.
    let bare = Served::with(&vhost, &three_users("discard-bare").await, &[]).await;
    let bare = bare.user("alice").await;
    assert_eq!(
        bare.submit("/parked/discard", &[("provider", "telyport"), ("all", "1"), ("yes", "1")])
            .await
            .status(),
        400
    );
}

/// An export may be larger than the memory that the console is given, which is 512 MiB.
#[tokio::test]
async fn an_export_is_sent_without_being_held_in_memory() {
    const LENGTH: u64 = 300 * 1024 * 1024;
    let vhost = Vhost::new().await;
    let exports = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("exports-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&exports).expect("a writable directory");
    // What lies between its first bytes and its last takes no room on the disk.
    let mut file = File::create(exports.join("milepost-discarded-large.jsonl")).expect("a new file");
    file.write_all(b"the first").expect("written");
    file.set_len(LENGTH - 8).expect("a sparse file");
    file.seek(SeekFrom::End(0)).expect("a file");
    file.write_all(b"the last").expect("written");
    let directory = ("MILEPOST__CONSOLE__EXPORTS_DIR", exports.to_str().expect("text"));
    let served = Served::with(&vhost, &three_users("large").await, &[directory]).await;
    let alice = served.user("alice").await;
    let before = served.process.peak_memory_kib();
    let path = "/exports/milepost-discarded-large.jsonl";
    let mut answer = alice.get(path).await;
    assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(LENGTH)));
    let (mut length, mut head, mut tail) = (0, Vec::new(), Vec::new());
    while let Some(piece) = answer.chunk().await.expect("the whole of it") {
        length += piece.len() as u64;
        head.extend(piece.iter().take(9_usize.saturating_sub(head.len())));
        tail.extend_from_slice(&piece[piece.len().saturating_sub(8)..]);
        tail.drain(..tail.len().saturating_sub(8));
    }
    assert_eq!((length, &head[..], &tail[..]), (LENGTH, &b"the first"[..], &b"the last"[..]));
    let more = served.process.peak_memory_kib() - before;
    assert!(more < 32 * 1024, "{more} KiB more");

    // One that becomes shorter while it is sent does not look whole.
    let mut answer = alice.get(path).await;
    file.set_len(0).expect("a writable file");
    let end = loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err());
    std::fs::remove_dir_all(&exports).expect("ours");
}

/// Two operators at once, one on the command line: each says who the other is, or both get what they want.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_is_not_in_the_way() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park_many(&real, 5).await;
    let served = Served::with(&vhost, &three_users("both").await, &[]).await;
    let alice = served.user("alice").await;
    alice.sees("/parked", "<strong>5</strong> parked").await;
    let discard = format!(
        "parked discard --yes --file {}/{}.jsonl {}",
        env!("CARGO_TARGET_TMPDIR"),
        uuid::Uuid::new_v4(),
        ids[2]
    );
    let program =
        Program::milepost(&discard).env("MILEPOST_AMQP_URL", &vhost.amqp_url).env("MILEPOST_OPERATOR", "bob");
    let (code, _, errors) = program.output().await;
    assert_eq!(code, Some(0), "the console's index holds no lock: {errors:?}");
    // The page notices by the count, and what is parked meanwhile by hearing of it.
    park(&real, &parked(9, telyport_body("D9", "e9", "STARTED"))).await;
    alice.sees("/parked?view=messages", "D9").await;
    alice.sees("/parked", "<strong>5</strong> parked").await;
    eventually("the discarded one is gone", || async {
        (!alice.page("/parked?view=messages").await.contains(&ids[2])).then_some(())
    })
    .await;
    let log = audit(&vhost).await;
    assert_eq!(
        (&log[0]["who"], &log[0]["by"], &log[0]["act"]),
        (&"bob".into(), &"command".into(), &"discard".into())
    );
    alice.sees("/audit", "bob").await;
    assert!(!token(&alice.page("/acts").await).is_empty());
}
