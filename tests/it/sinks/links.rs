//! Deliveries whose order no rule tells: links by command and by message, and what is never linked.

use milepost::providers::TELYPORT;
use serde_json::json;

use super::stand_in::{QUEUE, StandIn, parked, publish, publish_to, quiet, ready, sink, update, variable};
use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::process::Program;
use crate::support::servers::{Vhost, depth};

/// With a rule that no reference of these tests fits.
fn connected(hubrise: &StandIn, program: Program) -> Program {
    hubrise.connected(program, "shop", &TELYPORT).env(&variable("shop", "PATTERN"), "hr-{order}")
}

/// The operator's command, with the sink's own configuration.
fn operator(hubrise: &StandIn, vhost: &Vhost, words: &str) -> Program {
    let program = Program::milepost(words).env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    connected(hubrise, program.env("MILEPOST_REDIS_URL", &crate::support::servers::redis_url()))
}

#[tokio::test]
async fn updates_wait_for_a_link_and_then_arrive() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let sink = ready(connected(&hubrise, sink(&vhost))).await;
    for delivery in ["D1", "D2"] {
        publish(&vhost, &update(delivery, "unknown-1", 1, "created")).await;
        publish(&vhost, &update(delivery, "unknown-1", 2, "delivered")).await;
    }
    eventually("the updates wait", || async {
        let waits = sink.metric("milepost_sink_deferrals_total", &["reason=\"unlinked\""]).await;
        (waits >= 4.0).then_some(())
    })
    .await;
    assert!(hubrise.writes().is_empty());

    let link = format!("hubrise link telyport {} D1 5dpm9", account());
    let (code, _, stderr) = operator(&hubrise, &vhost, &link).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    let announced = json!({
        "provider": "telyport", "account": account().as_str(), "delivery_id": "D2", "order": "3r4s3-1/7kq2m",
    });
    publish_to(&vhost, "milepost.links", &announced).await;
    hubrise.shows("5dpm9", "delivered").await;
    hubrise.shows("7kq2m", "delivered").await;
    quiet(&vhost).await;
    assert_eq!(parked(&vhost).await, 0);
}

#[tokio::test]
async fn an_update_that_is_never_linked_is_dropped_and_why_says_so() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let program = connected(&hubrise, sink(&vhost)).env("MILEPOST__SINKS__HUBRISE__UNLINKED_SECONDS", "1");
    let sink = ready(program).await;
    publish(&vhost, &update("D1", "unknown-1", 1, "created")).await;
    sink.measures("milepost_messages_settled_total{provider=\"sink-hubrise\",outcome=\"unlinked\"} 1").await;
    quiet(&vhost).await;
    let (_, said, stderr) = operator(&hubrise, &vhost, "why D1").output().await;
    let said = said.join("\n");
    assert!(said.contains("updates dropped without an order: 1"), "{said} {stderr:?}");
}

#[tokio::test]
async fn no_more_wait_for_a_link_than_may() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let program = connected(&hubrise, sink(&vhost)).env("MILEPOST__SINKS__HUBRISE__UNLINKED_MOST", "2");
    let sink = ready(program).await;
    for number in 0..5 {
        let mut event = update(&format!("D{number}"), "unknown-1", 1, "created");
        event["data"]["received_at"] = json!(jiff::Timestamp::now());
        publish(&vhost, &event).await;
    }
    sink.measures("milepost_messages_settled_total{provider=\"sink-hubrise\",outcome=\"unlinked\"} 3").await;
}

#[tokio::test]
async fn an_announcement_that_is_no_link_is_parked_and_hinders_none() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let _sink = ready(connected(&hubrise, sink(&vhost))).await;
    publish_to(&vhost, "milepost.links", &json!({ "order": 5 })).await;
    let stranger =
        json!({ "provider": "telyport", "account": "stranger", "delivery_id": "D1", "order": "5dpm9" });
    publish_to(&vhost, "milepost.links", &stranger).await;
    let channel = vhost.channel().await;
    eventually("both are parked", || async {
        (depth(&channel, "milepost.parked.links-hubrise").await == 2).then_some(())
    })
    .await;
    assert_eq!(depth(&channel, "milepost.links.hubrise").await, 0);
    assert_eq!(depth(&channel, QUEUE).await, 0);
}
