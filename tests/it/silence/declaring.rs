//! Declaring takes each node of a cluster, so that one that hangs would keep every role from being ready.

use milepost::adapters::rabbit::topology::work_queue;

use super::Connected;
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
