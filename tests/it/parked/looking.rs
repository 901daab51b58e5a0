//! Looking: what is shown, and that it changes nothing.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use lapin::options::{BasicNackOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use milepost::adapters::rabbit::RabbitSettings;
use milepost::adapters::rabbit::parked::ParkedQueue;
use milepost::adapters::rabbit::topology::{parked_queue, work_queue};
use milepost::domain::envelope::Envelope;
use milepost::domain::verdict::ParkReason;
use milepost::ports::Outbound;

use super::{ask, drained, exhausted, json, listed, park, parked};
use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT, account, at, envelope, receipt_at};
use crate::support::fleet::{Real, telyport_body};
use crate::support::servers::{Vhost, depth};

#[tokio::test]
async fn looking_twenty_times_loses_and_reorders_nothing() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, (0..50).map(exhausted).collect()).await;
    for round in 0..7 {
        assert_eq!(listed(&real, "").await, ids, "round {round}");
        assert_eq!(json(&real, "summary --json").await[0]["count"], 50, "round {round}");
        let (code, _, errors) = ask(&real, &format!("show {}", ids[30])).await;
        assert_eq!(code, Some(0), "round {round}: {errors:?}");
    }
    assert_eq!(drained(&real).await, ids);
}

/// Several windows' worth, with the filter applied to all of it.
#[tokio::test]
async fn ten_thousand_are_listed_in_order_and_stay_in_order() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, (0..10_000).map(exhausted).collect()).await;
    assert_eq!(listed(&real, "").await, ids);
    assert_eq!(listed(&real, "--delivery D7777").await, ids[7777..7778]);
    assert_eq!(listed(&real, "").await, ids);
    for (signal, in_order) in [("INT", true), ("KILL", false)] {
        let mut look = parked(&real, "list --json").spawn();
        look.stdout.with("\"D3000\"").await;
        look.signal(signal);
        look.exit().await;
        let channel = &real.channel;
        eventually("all is back", || async {
            (depth(channel, &parked_queue(TELYPORT)).await == 10_000).then_some(())
        })
        .await;
        let mut listed = listed(&real, "").await;
        if !in_order {
            // The broker puts what it takes back behind what it took back before.
            listed.sort_unstable();
        }
        assert_eq!(listed, ids, "{signal}");
    }
}

#[tokio::test]
async fn a_summary_counts_by_kind_of_failure() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    park(&real, (0..3).map(exhausted).collect()).await;
    let poison =
        Outbound::Parked(envelope(EXPRESS, "no JSON"), ParkReason::Malformed, "not one JSON object".into());
    real.backends.publisher.publish(poison).await.expect("confirmed");
    let groups = json(&real, "summary --json").await;
    let found: BTreeSet<_> = groups
        .iter()
        .map(|group| (group["provider"].as_str(), group["reason"].as_str(), group["count"].as_u64()))
        .collect();
    let expected = [
        (Some("247express"), Some("malformed"), Some(1)),
        (Some("telyport"), Some("retries_exhausted"), Some(3)),
    ];
    assert_eq!(found, BTreeSet::from(expected));
    let telyport = groups.iter().find(|group| group["provider"] == "telyport").expect("it is there");
    assert_eq!(telyport["account"], account().as_str());
    assert_eq!(telyport["oldest"], "2026-09-21T14:13:20Z");
    assert_eq!(telyport["newest"], "2026-09-21T14:13:20.002Z");
    let fingerprint = telyport["fingerprint"].as_str().expect("one");
    assert_eq!(listed(&real, &format!("--fingerprint {fingerprint}")).await.len(), 3);

    let (code, lines, _) = ask(&real, "summary --provider telyport").await;
    assert_eq!(code, Some(0));
    assert!(lines[0].starts_with("PROVIDER  ACCOUNT"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("telyport") && line.contains("  3  ")), "{lines:?}");
    assert!(lines.last().expect("a total").starts_with("3 parked, the oldest since 2026-09-21T14:13:20Z"));
}

#[tokio::test]
async fn a_list_is_filtered() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let other = Envelope { account: "other".parse().expect("a name"), ..exhausted(2) };
    let ids = park(&real, vec![exhausted(0), exhausted(1), other]).await;
    let poison = Envelope { receipt: receipt_at(at(1_700_000_000_000)), ..envelope(TELYPORT, "no JSON") };
    let poison_id = poison.receipt.to_string();
    let parking = Outbound::Parked(poison, ParkReason::Malformed, "not one JSON object".into());
    real.backends.publisher.publish(parking).await.expect("confirmed");
    for (filter, expected) in [
        ("--reason malformed", vec![&poison_id]),
        ("--error ONE", vec![&poison_id]),
        ("--account other", vec![&ids[2]]),
        ("--delivery D1", vec![&ids[1]]),
        ("--event e0", vec![&ids[0]]),
        ("--since 2026-09-21T14:13:20.001Z", vec![&ids[1], &ids[2]]),
        ("--until 2026-09-21T14:13:20.001Z --reason retries_exhausted", vec![&ids[0]]),
        ("--provider 247express", vec![]),
    ] {
        assert_eq!(listed(&real, filter).await.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    let event =
        json(&real, "list --json --delivery D0").await[0]["event_id"].as_str().expect("one").to_owned();
    assert_eq!(listed(&real, &format!("--event {event}")).await, [ids[0].clone()]);
}

#[tokio::test]
async fn a_message_is_shown_with_its_history_and_without_personal_data() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut webhook = exhausted(1);
    let body = String::from_utf8(telyport_body("D1", "e1", "STARTED")).expect("text");
    let person = r#""agentName":"Jane Roe","agentPhone":5550100,"token":"hunter2","#;
    webhook.body = body.replace("\"status\"", &format!("{person}\"status\"")).into();
    let ids = park(&real, vec![webhook]).await;
    let (code, lines, _) = ask(&real, &format!("show {}", ids[0])).await;
    assert_eq!(code, Some(0));
    let shown = lines.join("\n");
    for part in
        [&ids[0], "retries_exhausted", "try 6 failed", "\"status\": \"STARTED\"", "\"orderID\": \"D1\""]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    for secret in ["Jane", "5550100", "hunter2"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let shown = ask(&real, &format!("show --reveal {}", ids[0])).await.1.join("\n");
    assert!(shown.contains("Jane Roe") && shown.contains("5550100"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown = json(&real, &format!("show --json {}", ids[0])).await;
    assert_eq!(shown[0]["body"]["data"]["agentName"], "***");
    assert_eq!(shown[0]["history"][0]["attempt"], 5);
    assert_eq!(ask(&real, "show 00000000-0000-0000-0000-000000000000").await.0, Some(1));
}

#[tokio::test]
async fn what_is_no_envelope_is_shown_too_and_stays_parked() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let publish = real.channel.basic_publish(
        "milepost.parked".into(),
        "telyport".into(),
        BasicPublishOptions::default(),
        b"\x1b[2Jwhat is this?",
        BasicProperties::default(),
    );
    publish.await.expect("sent");
    eventually("it is parked", || async {
        (depth(&real.channel, &parked_queue(TELYPORT)).await == 1).then_some(())
    })
    .await;
    let ids = listed(&real, "--reason unknown").await;
    assert_eq!(ids, ["body-c868dd9ac850e071"]);
    let shown = ask(&real, &format!("show {}", ids[0])).await.1.join("\n");
    assert!(shown.contains("no receipt id") && !shown.contains("what is this"), "{shown}");
    let shown = ask(&real, &format!("show --reveal {}", ids[0])).await.1.join("\n");
    assert!(shown.contains(r"\x1b[2Jwhat is this?"), "{shown}");
    let (code, _, errors) = ask(&real, "replay --all --no-ramp").await;
    assert_eq!(code, Some(0));
    assert!(errors.join("").contains("1 left, as they are no webhooks"), "{errors:?}");
    assert_eq!(listed(&real, "").await, ids);
    assert_eq!(real.waiting(TELYPORT).await, 0);
}

#[tokio::test]
async fn what_the_broker_parked_has_its_reason() {
    use futures_util::StreamExt as _;
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let webhook = envelope(TELYPORT, telyport_body("D1", "e1", "NEW"));
    real.publish(webhook.clone()).await;
    // The queue itself has no limit; an operator's policy may.
    vhost.set_policy("limit", r"^milepost\.webhooks\.", serde_json::json!({ "delivery-limit": 3 })).await;
    let channel = vhost.channel().await;
    let (options, none) = (Default::default(), FieldTable::default());
    let consuming = channel.basic_consume(work_queue(TELYPORT).into(), "".into(), options, none);
    let mut consumer = consuming.await.expect("consumes");
    while depth(&real.channel, &parked_queue(TELYPORT)).await == 0 {
        if let Ok(Some(message)) =
            tokio::time::timeout(std::time::Duration::from_millis(100), consumer.next()).await
        {
            let message = message.expect("no error");
            message
                .acker
                .nack(BasicNackOptions { requeue: true, ..Default::default() })
                .await
                .expect("nacks");
        }
    }
    let entries = json(&real, "list --json").await;
    assert_eq!(entries[0]["id"], webhook.receipt.to_string());
    assert_eq!(entries[0]["reason"], "delivery_limit");
    assert!(entries[0]["parked_at"].is_string(), "{entries:?}");
}

#[tokio::test]
async fn a_second_operator_gets_an_error_that_names_the_first() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, vec![exhausted(0)]).await;
    let bob = RabbitSettings { name: "milepost operator bob".to_owned(), ..vhost.settings() };
    let first = ParkedQueue::open(&bob, TELYPORT).await.expect("locked");
    let (code, lines, errors) = ask(&real, "list --json").await;
    assert_eq!((code, lines.len()), (Some(1), 0));
    assert!(errors.join("").contains("another operator is looking"), "{errors:?}");
    assert!(!errors.join("").contains("it is "), "{errors:?}");
    // Who that is the management API knows, some time later.
    eventually("the other operator is named", || async {
        let asking = parked(&real, "list --json").env("MILEPOST_AMQP_MANAGEMENT_URL", &vhost.management);
        let (code, _, errors) = asking.output().await;
        assert_eq!(code, Some(1));
        errors.join("").contains(": it is milepost operator bob").then_some(())
    })
    .await;
    first.close().await.expect("closed");
    assert_eq!(listed(&real, "").await, ids);
}

#[tokio::test]
async fn a_provider_that_was_never_set_up_is_an_error_only_by_name() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let (code, _, errors) = ask(&real, "list --provider dash").await;
    assert_eq!(code, Some(1));
    assert!(errors.join("").contains("there is no queue milepost.parked.dash"), "{errors:?}");
    assert_eq!(listed(&real, "").await, Vec::<String>::new());
}
