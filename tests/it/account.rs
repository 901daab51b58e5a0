//! `milepost account` on real servers: what receivers noted, what surely came again, and what is not known.

use jiff::Timestamp;
use milepost::domain::gap::{ContentDigest, Gap, Witness};
use milepost::domain::provider::{Provider as _, ProviderId};
use milepost::ports::Gaps as _;
use milepost::providers::{DASH, DELIVERECT, TELYPORT as TELYPORT_PROVIDER};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account, at};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::{OwnServers, redis_gaps_at};

/// Nothing listens there.
const UNREACHABLE: &str = "amqp://guest:guest@127.0.0.1:1/%2f";
/// 2026-03-02T10:00:00Z.
const TEN: i64 = 1_772_445_600_000;

/// What the command says: on standard output and on standard error.
async fn says(words: &str, amqp_url: &str, redis_url: &str) -> (Vec<String>, Vec<String>) {
    let command = Program::milepost("account").args(words);
    let command = command.env("MILEPOST_AMQP_URL", amqp_url).env("MILEPOST_REDIS_URL", redis_url);
    let (code, said, stderr) = command.output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    (said, stderr)
}

async fn account_of(provider: ProviderId, servers: &OwnServers) -> Value {
    let words = format!("--since 1h --provider {provider} --json");
    let (said, _) = says(&words, &servers.amqp_url, &servers.redis_url).await;
    serde_json::from_str(&said[0]).expect("JSON")
}

fn gap(witness: Witness, from_second: i64, until_second: i64, refused: u64) -> Gap {
    let [from, until] = [from_second, until_second].map(|second| at(TEN + second * 1000));
    Gap { witness, account: None, from, until, refused }
}

#[tokio::test]
async fn gaps_that_overlap_are_told_as_one_with_what_may_be_lost() {
    let redis = OwnServers::start_with("account-gaps", &["--without-rabbit"]);
    let gaps = redis_gaps_at(&redis.redis_url);
    for (name, gap) in [
        ("a-1", gap(Witness::Receiver, 0, 300, 100)),
        ("b-1", gap(Witness::Receiver, 10, 380, 114)),
        ("absence-1", gap(Witness::Absence, 380, 380, 0)),
        ("a-2", gap(Witness::Receiver, 1000, 1060, 5)),
    ] {
        gaps.note(DASH.id(), name, &gap).await.expect("noted");
    }
    gaps.note(DELIVERECT.id(), "a-1", &gap(Witness::Receiver, 0, 300, 7)).await.expect("noted");
    gaps.note(TELYPORT_PROVIDER.id(), "operator-1", &gap(Witness::Operator, 0, 300, 0)).await.expect("noted");
    // Three were refused in the first gap; one came again, and one was refused once more after it had come.
    let contents = [1, 2, 3].map(|body| ContentDigest::of(&account(), &[body]));
    let refused = contents.map(|digest| (digest, at(TEN + 20_000)));
    gaps.refused(DASH.id(), &refused).await.expect("noted");
    let accepted = [(contents[0], at(TEN + 400_000)), (contents[1], at(TEN + 15_000))];
    gaps.accepted(DASH.id(), &accepted).await.expect("noted");

    let window = "--since 2026-03-02T10:00:00Z --until 2026-03-02T11:00:00Z";
    let (said, stderr) = says(window, UNREACHABLE, &redis.redis_url).await;
    let first = "  2026-03-02T10:00:00Z to 2026-03-02T10:06:20Z (380 s): refused 214 requests, and for a time no receiver ran; \
                 of 3 different webhooks among them 1 surely came again; it sends again for 120 s: what was refused in the first \
                 260 s may be lost";
    let second = "  2026-03-02T10:16:40Z to 2026-03-02T10:17:40Z (60 s): refused 5 requests; it sends again for 120 s: all came \
                  again, if it did so";
    let dash = said.iter().position(|line| line == "dash").unwrap_or_else(|| panic!("{said:#?}"));
    assert_eq!(said[dash + 1..dash + 3], [first, second]);
    let text = said.join("\n");
    assert!(
        text.contains("(300 s): refused 7 requests; each of them may be lost: it is not known to send again"),
        "{text}"
    );
    assert!(text.contains("it cannot be asked for deliveries"), "{text}");
    assert!(text.contains("(300 s): an operator says that webhooks were missed"), "{text}");
    assert!(text.contains("it could be asked, and no credential is configured"), "{text}");
    assert!(text.contains("hubrise: no refusal is known"), "{text}");
    assert!(stderr.join("\n").contains("what was recovered is not known: "), "{stderr:?}");

    let words = format!("{window} --provider dash --json");
    let (said, _) = says(&words, UNREACHABLE, &redis.redis_url).await;
    let known: Value = serde_json::from_str(&said[0]).expect("JSON");
    let expected = json!({
        "from": "2026-03-02T10:00:00Z", "until": "2026-03-02T10:06:20Z", "refused": 214, "webhooks": 3, "came_again": 1,
        "witnesses": ["receiver", "absence"], "may_be_lost": true,
    });
    assert_eq!(known["gaps"][0], expected);
    assert_eq!(known["recovered_updates"], Value::Null);
}

async fn ready(servers: &OwnServers) -> (Process, String) {
    let receiver = Program::receiver(&servers.amqp_url).env("MILEPOST_REDIS_URL", &servers.redis_url).spawn();
    receiver.ready().await;
    let to = receiver.webhooks().await;
    (receiver, to)
}

/// Sends Telyport's webhooks of one seed: the same bytes whenever the same is asked.
async fn send(to: &str, count: u32) -> Option<i32> {
    let words = format!(
        "send telyport --seed 7 --count {count} --account {} --give-up 1s --to http://{to}",
        account()
    );
    Program::milepost(&words).env("MILEPOST_SEND_SECRET", SECRET).output().await.0
}

#[tokio::test]
async fn what_one_receiver_refused_and_another_took_surely_came_again() {
    let own = OwnServers::start("account-again");
    let (refuses, takes) = (ready(&own).await, ready(&own).await);
    own.run(&["kill-rabbit"]);
    assert_eq!(send(&refuses.1, 3).await, Some(1), "refused");
    let gaps = redis_gaps_at(&own.redis_url);
    eventually("what was refused is noted", || async {
        let contents = gaps.contents(TELYPORT, Timestamp::UNIX_EPOCH).await.ok()?;
        (contents.len() == 3).then_some(())
    })
    .await;
    let known = account_of(TELYPORT, &own).await;
    assert_eq!((&known["gaps"][0]["webhooks"], &known["gaps"][0]["came_again"]), (&json!(3), &json!(0)));
    assert!(known["gaps"][0]["refused"].as_u64() >= Some(3), "{known}");

    own.run(&["start-rabbit"]);
    eventually("the receiver has its broker back", || async {
        (takes.0.metric("milepost_broker_connected", &[]).await >= 1.0).then_some(())
    })
    .await;
    // The provider sends two of them again, to the other receiver; more than once, as that one learns within seconds which.
    let known = eventually("two are known to have come again", || async {
        assert_eq!(send(&takes.1, 2).await, Some(0), "accepted");
        let known = account_of(TELYPORT, &own).await;
        (known["gaps"][0]["came_again"] == 2).then_some(known)
    })
    .await;
    assert_eq!(known["gaps"][0]["webhooks"], 3);
    assert_eq!((&known["gaps"][0]["may_be_lost"], &known["is_asked"]), (&json!(false), &json!(false)));
    let (said, _) = says("--since 1h --provider telyport", &own.amqp_url, &own.redis_url).await;
    assert!(said[1].contains("of 3 different webhooks among them 2 surely came again"), "{said:?}");
}
