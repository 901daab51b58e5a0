//! What a worker does whose broker is silent.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::FieldTable;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::rabbit::{RabbitInbox, RabbitSettings};
use milepost::ports::Publisher as _;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;

use super::Connected;
use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account, envelope};
use crate::support::fleet::{self, Real, Subscriber, telyport_body};
use crate::support::process::Program;
use crate::support::proxy::Proxy;
use crate::support::sender::post;
use crate::support::servers::{Vhost, client, rabbit_settings};

/// Nothing is sent on an idle consuming connection but heartbeats.
#[tokio::test]
async fn an_idle_worker_whose_connections_fall_silent_subscribes_anew() {
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let worker = Program::worker(TELYPORT, &format!("{}?heartbeat=1", proxy.url())).spawn();
    worker.ready().await;
    proxy.silence();
    worker.measures(r#"milepost_broker_reconnects_total{role="consume"} 1"#).await;
    worker.measures(r#"milepost_broker_reconnects_total{role="publish"} 1"#).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "subscriber", FieldTable::default()).await;
    let receiver = Program::receiver(&vhost.amqp_url).spawn();
    receiver.ready().await;
    let body = telyport_body("SILENT", "event-1", "NEW");
    let answer = post(&client(), &receiver.webhooks().await, &TELYPORT_PROVIDER, &account(), body).await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 200);
    subscriber.take_until(|subscriber| subscriber.order.len() == 1).await;
}

/// The broker stores each publish, and its confirms are lost.
#[tokio::test]
async fn an_event_is_published_once_at_most_on_each_connection() {
    const WEBHOOKS: usize = 20;
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let mut real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "subscriber", FieldTable::default()).await;
    for number in 0..WEBHOOKS {
        let body = telyport_body(&format!("MUTE-{number}"), &format!("event-{number}"), "NEW");
        real.publish(envelope(TELYPORT, body)).await;
    }
    let confirm_timeout = Duration::from_secs(1);
    let by_proxy = RabbitSettings { confirm_timeout, ..rabbit_settings(&proxy.url()) };
    let connected = Connected::with(by_proxy);
    connected.is_ready(true).await;
    real.backends.publisher = Arc::clone(&connected.publisher) as _;
    // The webhooks come in by a way that answers.
    real.backends.inbox = Arc::new(RabbitInbox::new(vhost.settings(), Arc::new(SystemClock)));
    proxy.mute();
    let worker = fleet::run(fleet::telyport(&real.backends));
    eventually("nothing is confirmed", || async { (!connected.publisher.ready()).then_some(()) }).await;
    connected.is_ready(true).await;
    fleet::drained(&real).await;
    worker.stop().await;
    let published = usize::try_from(subscriber.unread().await).expect("few");
    subscriber.take_until(|subscriber| subscriber.order.len() == published).await;
    assert_eq!((subscriber.events.len(), proxy.connections()), (WEBHOOKS, 2));
    let most = subscriber.events.values().map(Vec::len).max();
    assert_eq!(most, Some(2), "once on the mute connection, once on the next");
    subscriber.assert_repeats_are_identical();
}
