//! A queue that delivers nothing to a consumer, with every connection sound.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use milepost::adapters::clock::SystemClock;
use milepost::adapters::rabbit::RabbitInbox;
use milepost::adapters::rabbit::topology::work_queue;
use milepost::ports::{Inbox as _, Subscription};

use crate::support::fixtures::TELYPORT;
use crate::support::servers::Vhost;

/// Two looks, ten seconds apart, and what a busy machine takes.
const NOTICED: Duration = Duration::from_secs(60);
/// Two looks would have been made.
const TWO_LOOKS: Duration = Duration::from_secs(25);

/// A work queue of which only the first consumer gets anything, and which has a message.
async fn queue_with_a_message(channel: &Channel) {
    let queue = work_queue(TELYPORT);
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.as_str().into(), options, arguments).await.expect("declared");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    channel.basic_qos(1, BasicQosOptions::default()).await.expect("one at a time");
    publish(channel).await;
}

async fn publish(channel: &Channel) {
    let (queue, options) = (work_queue(TELYPORT), BasicPublishOptions::default());
    let properties = BasicProperties::default().with_delivery_mode(2);
    let confirm = channel.basic_publish("".into(), queue.as_str().into(), options, b"{}", properties).await;
    confirm.expect("sent").await.expect("confirmed");
}

async fn subscribe(vhost: &Vhost) -> Box<dyn Subscription> {
    let inbox = RabbitInbox::new(vhost.settings(), Arc::new(SystemClock));
    inbox.subscribe(TELYPORT, 16).await.expect("subscribed")
}

#[tokio::test]
async fn a_subscription_that_its_queue_passes_over_ends() {
    let vhost = Vhost::new().await;
    let channel = vhost.channel().await;
    queue_with_a_message(&channel).await;
    let options = BasicConsumeOptions::default();
    let queue = work_queue(TELYPORT);
    let first = channel.basic_consume(queue.as_str().into(), "first".into(), options, FieldTable::default());
    let _first = first.await.expect("it is the one that gets something");
    publish(&channel).await;
    let mut subscription = subscribe(&vhost).await;
    let next = tokio::time::timeout(NOTICED, subscription.next()).await.expect("it is noticed");
    assert!(next.is_err());
    subscription.close().await;
}

/// A message in hand may keep the others back, as a trial does; and an empty queue delivers nothing.
#[tokio::test]
async fn a_subscription_with_a_message_in_hand_or_an_empty_queue_stays() {
    let vhost = Vhost::new().await;
    let channel = vhost.channel().await;
    queue_with_a_message(&channel).await;
    let mut subscription = subscribe(&vhost).await;
    let delivery = subscription.next().await.expect("the one message");
    let next = tokio::time::timeout(TWO_LOOKS, subscription.next()).await;
    assert!(next.is_err(), "nothing happens");
    subscription.acknowledge(&mut vec![delivery.tag]);
    let next = tokio::time::timeout(TWO_LOOKS, subscription.next()).await;
    assert!(next.is_err(), "nothing happens");
    publish(&channel).await;
    assert!(subscription.next().await.is_ok());
    subscription.close().await;
}
