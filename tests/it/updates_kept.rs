//! For how long the stream of updates keeps one: `updates_max_age`, and as long again as a segment takes to fill.

use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use milepost::adapters::rabbit::topology::{Topology, TopologySettings, UPDATES, UPDATES_LOG};

use crate::support::SOON;
use crate::support::eventually;
use crate::support::servers::{Vhost, topology_settings};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
/// The smallest that the configuration takes.
const SEGMENT: u64 = 64 * 1024;

async fn declared(vhost: &Vhost, segment: u64) -> Channel {
    let settings = TopologySettings {
        updates_max_age: "1s".parse().expect("an age"),
        updates_segment_bytes: segment,
        ..topology_settings(SECOND)
    };
    let channel = vhost.channel().await;
    Topology::new(&settings, &[]).apply(&channel).await.expect("declared");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    channel
}

/// Publishes half a segment of updates.
async fn publish(channel: &Channel) {
    let body = vec![b' '; 1024];
    for _ in 0..SEGMENT / 2 / 1024 {
        let (options, properties) = (BasicPublishOptions::default(), lapin::BasicProperties::default());
        let publishing = channel.basic_publish(UPDATES.into(), "a.b.c.d".into(), options, &body, properties);
        assert!(publishing.await.expect("sent").await.expect("answered").is_ack());
    }
}

/// The offset of the oldest update that is there.
async fn oldest(vhost: &Vhost) -> i64 {
    let channel = vhost.channel().await;
    channel.basic_qos(1, BasicQosOptions::default()).await.expect("prefetch");
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
    let consuming =
        channel.basic_consume(UPDATES_LOG.into(), "".into(), BasicConsumeOptions::default(), arguments);
    let mut consumer = consuming.await.expect("consumes");
    let next = tokio::time::timeout(SOON, consumer.next()).await.expect("there is one");
    let message = next.expect("still consuming").expect("no error");
    let headers = message.properties.headers().clone().expect("headers");
    let Some(AMQPValue::LongLongInt(offset)) = headers.inner().get("x-stream-offset").cloned() else {
        panic!("no offset: {headers:?}")
    };
    channel.close(200, "bye".into()).await.expect("closed");
    offset
}

#[tokio::test]
async fn an_update_goes_once_its_segment_is_full_and_old() {
    let vhost = Vhost::new().await;
    let channel = declared(&vhost, SEGMENT).await;
    publish(&channel).await;
    assert_eq!(oldest(&vhost).await, 0);
    eventually("the first segment goes", || async {
        publish(&channel).await;
        (oldest(&vhost).await > 0).then_some(())
    })
    .await;
}

/// As it was with RabbitMQ's own segments of 500 MB: what is older than `updates_max_age` stays while they fill.
#[tokio::test]
async fn an_update_stays_while_its_segment_is_written_to() {
    let vhost = Vhost::new().await;
    let channel = declared(&vhost, 500_000_000).await;
    publish(&channel).await;
    // Three times the age that it is to be kept for; that long is what is tried.
    tokio::time::sleep(3 * SECOND).await;
    for _ in 0..8 {
        publish(&channel).await;
    }
    assert_eq!(oldest(&vhost).await, 0);
}
