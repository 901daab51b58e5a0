//! What would lose messages: subscribers that refuse, messages without a binding, policies.

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use milepost::adapters::rabbit::topology::{UNROUTED, UPDATES, WEBHOOKS, work_queue};
use serde_json::json;

use super::{Servers, bind, declare, text};
use crate::support::eventually;
use crate::support::fixtures::TELYPORT;
use crate::support::servers::Vhost;

#[tokio::test]
async fn a_subscriber_that_would_refuse_updates_fails() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = vhost.channel().await;
    let bound = AMQPValue::LongInt(1000);
    declare(&channel, "drops", &[("x-overflow", text("drop-head")), ("x-max-length", bound)]).await;
    declare(&channel, "refuses", &[("x-overflow", text("reject-publish"))]).await;
    declare(&channel, "elsewhere", &[("x-overflow", text("reject-publish"))]).await;
    // Behind an exchange of their own, as some subscribers have it.
    let options = ExchangeDeclareOptions::default();
    let table = FieldTable::default;
    channel
        .exchange_declare("theirs".into(), ExchangeKind::Fanout, options, table())
        .await
        .expect("declared");
    let options = ExchangeBindOptions::default();
    channel
        .exchange_bind("theirs".into(), UPDATES.into(), "#".into(), options, table())
        .await
        .expect("bound");
    bind(&channel, "drops", UPDATES).await;
    servers.check().await.is_sound();

    // Nothing bounds it and nothing consumes it.
    declare(&channel, "grows", &[]).await;
    bind(&channel, "grows", UPDATES).await;
    // Consumers are counted every few seconds.
    let said = eventually("it is seen", || async {
        let said = servers.check().await;
        (!said.at("warn").is_empty()).then_some(said)
    })
    .await;
    assert_eq!((said.at("warn"), said.code), (vec![("subscribers", "queue grows")], Some(0)));

    bind(&channel, "refuses", "theirs").await;
    let said = servers.check().await;
    assert_eq!(said.at("fail"), [("subscribers", "queue refuses")]);
    assert_eq!(said.code, Some(1));
}

#[tokio::test]
async fn a_message_that_nothing_was_bound_for_is_a_warning() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = vhost.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish = channel.basic_publish(WEBHOOKS.into(), "unbound".into(), options, b"lost?", properties);
    assert!(publish.await.expect("sent").await.expect("answered").is_ack());
    for servers in [servers.clone(), servers.without_management()] {
        let said = servers.check().await;
        assert_eq!((said.at("warn"), said.code), (vec![("unrouted", "milepost.unrouted")], Some(0)));
        let says = said.on("milepost.unrouted")["says"].as_str().expect("text");
        assert!(says.starts_with("holds 1 messages"), "{says}");
        let (code, ..) = servers.program("topology check --strict").output().await;
        assert_eq!(code, Some(1));
    }
}

#[tokio::test]
async fn a_policy_that_costs_messages_fails_and_a_bound_does_not() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let (work, unrouted) = (work_queue(TELYPORT), UNROUTED.to_owned());
    let bound = json!({ "max-length": 1_000_000 });
    vhost.set_policy("mine", r"^milepost\.webhooks\.", bound.clone()).await;
    let subject = format!("queue {work}");
    // The broker says so with its next statistics.
    let said = eventually("the policy is seen", || async {
        let said = servers.check().await;
        said.findings.iter().any(|finding| finding["subject"] == subject).then_some(said)
    })
    .await;
    said.is_sound();
    assert_eq!(said.on(&subject)["says"], "policy mine: max-length 1000000");

    for (queue, definition, says) in [
        (&work, json!({ "overflow": "drop-head" }), "overflow is not reject-publish"),
        (&work, json!({ "message-ttl": 60_000 }), "message-ttl takes messages out"),
        (&work, json!({ "delivery-limit": 3 }), "delivery-limit takes a message out"),
        (&work, json!({ "expires": 3_600_000 }), "expires deletes the queue"),
        (&unrouted, bound, "a bound without overflow reject-publish"),
    ] {
        vhost.set_policy("mine", &format!("^{queue}$"), definition).await;
        let subject = format!("queue {queue}");
        let said = eventually(says, || async {
            let said = servers.check().await;
            let alone = said.at("fail") == [("policies", &*subject)];
            (alone && said.on(&subject)["says"].as_str()?.contains(says)).then_some(said)
        })
        .await;
        assert_eq!(said.code, Some(1));
    }
}
