//! The subscriber's side: the operator's `subscribe`, and the consumers that `docs/subscribe.md` shows.

mod command;
mod consumers;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};

use crate::support::process::Program;
use crate::support::servers::Vhost;

/// `milepost subscribe` on the broker of `vhost`.
fn subscribe(vhost: &Vhost, words: &str) -> Program {
    Program::milepost("subscribe --amqp").arg(&vhost.amqp_url).args(words)
}

/// It must end well; what it says.
async fn subscribed(vhost: &Vhost, words: &str) -> Vec<String> {
    let (code, stdout, stderr) = subscribe(vhost, words).output().await;
    assert_eq!(code, Some(0), "{words}: {stderr:?}");
    stdout
}

/// Publishes to `milepost.updates` and waits for the broker's confirms.
async fn publish(vhost: &Vhost, events: &[(&str, &[u8])]) {
    let channel = vhost.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    for (key, body) in events {
        let publish = channel.basic_publish(
            "milepost.updates".into(),
            (*key).into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default().with_delivery_mode(2),
        );
        let confirmed = publish.await.expect("published").await.expect("answered");
        assert!(matches!(confirmed, Confirmation::Ack(_)), "{confirmed:?}");
    }
}
