//! A machine's clock that is off, from the process to the metric. By one Redis: what lies between changes its answers.

use milepost::adapters::clock::SystemClock;
use milepost::ports::Clock as _;
use serde_json::Value;
use uuid::Uuid;

use crate::support::eventually;
use crate::support::other_clock::OtherClock;
use crate::support::process::{Process, Program};
use crate::support::servers::{Vhost, client};

/// Waits until a process says that its machine's clock is so many seconds ahead.
async fn says_that_it_is_ahead(process: &Process, seconds: f64) {
    eventually(&format!("it is {seconds} s ahead"), || async {
        let said = process.metric("milepost_clock_skew_seconds", &[]).await;
        ((said - seconds).abs() < 5.0).then_some(())
    })
    .await;
}

/// How many seconds a receiver's receipts are ahead of this machine's clock. A request without a credential has one, too.
async fn receipts_are_ahead(receiver: &Process) -> i64 {
    let url = format!("http://{}/webhooks/telyport", receiver.webhooks().await);
    let answer = client().post(url).body("{}").send().await.expect("an answer");
    let receipt = answer.headers()["milepost-receipt"].to_str().expect("text");
    let (seconds, _) =
        receipt.parse::<Uuid>().expect("a UUID").get_timestamp().expect("of its time").to_unix();
    i64::try_from(seconds).expect("in range") - SystemClock.now().as_second()
}

#[tokio::test]
async fn a_receiver_goes_by_redis_and_says_once_that_its_machine_is_off() {
    let (vhost, redis) = (Vhost::new().await, OtherClock::ahead_by(120).await);
    let receiver = Program::receiver(&vhost.amqp_url).env("MILEPOST_REDIS_URL", &redis.url).spawn();
    says_that_it_is_ahead(&receiver, -120.0).await;
    assert!((115..=125).contains(&receipts_are_ahead(&receiver).await));
    // It asks again after ten seconds, and is as far off as before.
    redis.set(-120);
    says_that_it_is_ahead(&receiver, 120.0).await;
    assert!((-125..=-115).contains(&receipts_are_ahead(&receiver).await));
    let said = receiver.stderr.all();
    let said: Vec<Value> = said
        .iter()
        .filter(|line| line.contains("this machine's clock is off"))
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let [warning] = &said[..] else { panic!("one line: {said:?}") };
    let seconds = warning["seconds"].as_f64().expect("a number");
    assert!(warning["level"] == "WARN" && (seconds + 120.0).abs() < 5.0, "{warning}");
}
