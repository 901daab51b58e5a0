//! What becomes of a webhook that the broker does not confirm, where there is a second store.

use std::sync::Arc;

use milepost::domain::envelope::Envelope;
use milepost::domain::identity::Way;
use milepost::ports::{PublishError, SpoolError};

use crate::support::{FakePublisher, FakeSpool, Server, Setup, metric, signed, start};

const BODY: &[u8] = br#"{"id":1}"#;

async fn server(provider: &'static str, held: bool) -> (Server, Arc<FakePublisher>, Arc<FakeSpool>) {
    let spool = Arc::new(FakeSpool::new(held));
    let (server, publisher) = start(Setup { provider, spool: Some(spool.clone()), ..Setup::default() }).await;
    (server, publisher, spool)
}

fn appends(provider: &str, result: &str) -> Option<u64> {
    metric(&format!(r#"milepost_spool_appends_total{{provider="{provider}",result="{result}"}}"#))
}

#[tokio::test]
async fn invariant_1_a_webhook_is_accepted_only_after_the_spool_proved_it() {
    let (server, publisher, spool) = server("proved", true).await;
    let errors = [PublishError::Unavailable, PublishError::Unconfirmed, PublishError::Refused];
    for (number, error) in errors.into_iter().enumerate() {
        publisher.reply(Err(error));
        let mut client = server.connect().await;
        client.send(signed("/webhooks/proved", "", BODY)).await;
        spool.has_taken(number + 1).await;
        client.hears_nothing().await;
        spool.release(1);
        let reply = client.reply().await;
        assert_eq!(reply.code, 200, "{error}");
        let (spooled, published) = (&spool.taken()[number], &publisher.taken()[number]);
        // What the broker may have as well must not look like another webhook.
        let way = if error == PublishError::Unavailable { Way::Spool } else { Way::Push };
        assert_eq!((published.receipt.way(), spooled.receipt.way()), (Way::Push, way), "{error}");
        let receipt = if way == Way::Spool { published.receipt.spooled() } else { published.receipt };
        assert_eq!(*spooled, Envelope { receipt, ..published.clone() }, "the receipt alone says it");
        assert_eq!(spooled.receipt.to_string(), reply.receipt().to_string());
    }
    assert_eq!(appends("proved", "stored"), Some(3));
}

#[tokio::test]
async fn what_neither_store_took_is_answered_503_with_the_brokers_reason() {
    let (server, publisher, spool) = server("neither", false).await;
    publisher.reply(Err(PublishError::Unconfirmed));
    let away = || SpoolError::Unavailable("away".to_owned());
    for (error, result) in
        [(SpoolError::Full, "full"), (SpoolError::NotDurable("why"), "not_durable"), (away(), "unavailable")]
    {
        spool.reply(Err(error));
        let reply = server.exchange(signed("/webhooks/neither", "", BODY)).await;
        assert_eq!((reply.code, reply.header("retry-after")), (503, Some("7")));
        assert_eq!(appends("neither", result), Some(1));
    }
    let reason = r#"milepost_webhooks_rejected_total{provider="neither",reason="unconfirmed"}"#;
    assert_eq!(metric(reason), Some(3));
}

#[tokio::test]
async fn confirmed_and_forged_webhooks_are_not_spooled() {
    let (server, publisher, spool) = server("unspooled", false).await;
    assert_eq!(server.exchange(signed("/webhooks/unspooled", "", BODY)).await.code, 200);
    publisher.reply(Err(PublishError::Unavailable));
    let forged =
        "POST /webhooks/unspooled HTTP/1.1\r\nhost: m\r\nx-signature: 00\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(server.exchange(forged).await.code, 401);
    assert_eq!(spool.taken(), []);
}
