//! Declaring takes each node of a cluster, so that one that hangs would keep every role from being ready.

use lapin::types::FieldTable;
use milepost::adapters::rabbit::topology::{WEBHOOKS, work_queue};

use super::{Connected, UNIT};
use crate::support::eventually;
use crate::support::fixtures::TELYPORT;
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, depth, rabbit_settings};

#[tokio::test]
async fn a_reconnect_declares_only_what_is_missing() {
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let connected = Connected::with(rabbit_settings(&proxy.url()));
    connected.is_ready(true).await;

    // The broker refuses every declaration from here on, be it of what is there.
    vhost.let_configure("^$").await;
    proxy.cut();
    connected.is_ready(false).await;
    proxy.open();
    connected.is_ready(true).await;

    proxy.cut();
    connected.is_ready(false).await;
    let queue = || work_queue(TELYPORT);
    vhost.let_configure(".*").await;
    vhost.channel().await.queue_delete(queue().into(), Default::default()).await.expect("deleted");
    proxy.open();
    connected.is_ready(true).await;
    assert_eq!(depth(&vhost.channel().await, &queue()).await, 0, "it is there again");
}

#[tokio::test]
async fn a_start_takes_what_is_there_when_it_cannot_be_declared() {
    let vhost = Vhost::new().await;
    vhost.declare(UNIT, &[TELYPORT]).await;
    vhost.let_configure("^$").await;
    let connected = Connected::with(rabbit_settings(&vhost.amqp_url));
    connected.is_ready(true).await;
    assert_eq!(connected.publish().await, Ok(()));
}

/// A look sees neither arguments nor bindings, so a start declares what it can.
#[tokio::test]
async fn a_start_binds_again_what_was_unbound() {
    let vhost = Vhost::new().await;
    vhost.declare(UNIT, &[TELYPORT]).await;
    let (channel, queue) = (vhost.channel().await, work_queue(TELYPORT));
    let (name, key) = (queue.as_str().into(), TELYPORT.as_str().into());
    channel.queue_unbind(name, WEBHOOKS.into(), key, FieldTable::default()).await.expect("unbound");
    let connected = Connected::with(rabbit_settings(&vhost.amqp_url));
    connected.is_ready(true).await;
    assert_eq!(connected.publish().await, Ok(()));
    eventually("it is in its queue", || async { (depth(&channel, &queue).await == 1).then_some(()) }).await;
}
