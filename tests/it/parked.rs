//! `milepost parked`: the operator's commands as processes of their own, on a real RabbitMQ and Redis.

mod looking;
mod replaying;
mod stopping;
mod transfer;

use futures_util::future::join_all;
use milepost::domain::envelope::Envelope;
use milepost::domain::history::{Failure, History};
use milepost::domain::verdict::ParkReason;
use milepost::ports::Outbound;
use serde_json::Value;

use crate::support::fixtures::{TELYPORT, at, envelope};
use crate::support::fleet::{Real, telyport_body};
use crate::support::process::Program;

/// Command lines' arguments are split at blanks.
fn parked(real: &Real, words: &str) -> Program {
    Program::milepost(&format!("parked {words}")).env("MILEPOST_AMQP_URL", &real.amqp_url)
}

/// Runs a command to its end: its exit code, and the lines of its standard output and error.
async fn ask(real: &Real, words: &str) -> (Option<i32>, Vec<String>, Vec<String>) {
    parked(real, words).output().await
}

/// The JSON lines of a command that ends well.
async fn json(real: &Real, words: &str) -> Vec<Value> {
    let (code, lines, errors) = ask(real, words).await;
    assert_eq!(code, Some(0), "{words}: {errors:?}");
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The ids that `list` shows, in its order.
async fn listed(real: &Real, filter: &str) -> Vec<String> {
    let entries = json(real, &format!("list --json {filter}")).await;
    entries.iter().map(|entry| entry["id"].as_str().expect("an id").to_owned()).collect()
}

/// A webhook that a worker parked after its sixth try.
fn exhausted(number: usize) -> Envelope {
    let (reason, detail) = ("retries_exhausted".to_owned(), Some("publish_refused".to_owned()));
    let time = at(1_790_000_000_000 + i64::try_from(number).expect("small"));
    let history = History::default().with(Failure { at: time, attempt: 5, reason, detail });
    let body = telyport_body(&format!("D{number}"), &format!("e{number}"), "STARTED");
    Envelope { attempt: 5, crashes: 1, history, ..envelope(TELYPORT, body) }
}

/// Parks webhooks as a worker does, in this order. Their ids.
async fn park(real: &Real, webhooks: Vec<Envelope>) -> Vec<String> {
    let ids = webhooks.iter().map(|webhook| webhook.receipt.to_string()).collect();
    for some in webhooks.chunks(500) {
        let parking = some.iter().map(|webhook| {
            let (reason, detail) = (ParkReason::RetriesExhausted, "publish_refused");
            real.backends.publisher.publish(Outbound::Parked(webhook.clone(), reason, detail.into()))
        });
        for result in join_all(parking).await {
            result.expect("confirmed");
        }
    }
    ids
}

/// The receipts on the parked queue, in order. Takes them off.
async fn drained(real: &Real) -> Vec<String> {
    let parked = real.parked(TELYPORT).await;
    let id = |properties: &lapin::BasicProperties| properties.message_id().as_ref().map(ToString::to_string);
    parked.iter().filter_map(|(properties, _)| id(properties)).collect()
}
