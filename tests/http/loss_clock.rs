//! Since when a provider's webhooks cannot be taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use milepost::adapters::http::webhooks::WebhookPort;
use milepost::domain::answer::Answer;
use milepost::ports::{Clock, PublishError};

use crate::support::{FakePublisher, FakeSpool, Server, Setup, metric, signed, start_port};

/// Says a time of our choosing, in whole seconds since 1970.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).expect("in range")
    }
}

struct Receiver {
    provider: &'static str,
    server: Server,
    publisher: Arc<FakePublisher>,
    port: Arc<WebhookPort>,
    clock: Arc<SetClock>,
}

impl Receiver {
    /// As patient as HubRise asks: every refusal but the first is a 503.
    async fn of(provider: &'static str) -> Self {
        Self::with_spool(provider, None).await
    }

    async fn with_spool(provider: &'static str, spool: Option<Arc<FakeSpool>>) -> Self {
        let clock = Arc::new(SetClock(AtomicI64::new(0)));
        let answers = |_, outcome: Result<(), _>| outcome.map_or(Answer::empty(503), |()| Answer::empty(200));
        let setup = Setup { provider, answers, spool, clock: clock.clone(), ..Setup::default() };
        let (server, publisher, port) = start_port(setup).await;
        Self { provider, server, publisher, port, clock }
    }

    /// The broker is seen to take messages, or not to, at `second`.
    fn broker(&self, second: i64, takes_messages: bool) {
        self.clock.0.store(second, Ordering::Relaxed);
        self.port.broker(takes_messages);
    }

    /// Sends a webhook at `second` to `account`; the answer's code.
    async fn sent(&self, second: i64, account: &str, broker: Result<(), PublishError>) -> u16 {
        self.clock.0.store(second, Ordering::Relaxed);
        self.publisher.reply(broker);
        let path = format!("/webhooks/{}/{account}", self.provider);
        self.server.exchange(signed(&path, "", b"{}")).await.code
    }

    fn refusing_since(&self) -> Option<u64> {
        self.time("refusing_since")
    }

    fn time(&self, what: &str) -> Option<u64> {
        metric(&format!("milepost_{what}_timestamp_seconds{{provider=\"{}\"}}", self.provider))
    }
}

#[tokio::test]
async fn it_starts_with_the_first_refusal_and_one_webhook_taken_stops_it() {
    let receiver = Receiver::of("clock").await;
    for error in [PublishError::Unavailable, PublishError::Unconfirmed, PublishError::Refused] {
        assert_eq!(receiver.sent(1_000, "default", Err(error)).await, 503);
        assert_eq!(receiver.refusing_since(), Some(1_000), "{error}");
        assert_eq!(receiver.sent(1_060, "shop-1", Err(error)).await, 503);
        assert_eq!(receiver.refusing_since(), Some(1_000), "the first one counts");
        assert_eq!(receiver.sent(1_090, "default", Ok(())).await, 200);
        assert_eq!(receiver.refusing_since(), Some(0));
    }
    assert_eq!(receiver.sent(2_000, "default", Err(PublishError::Unavailable)).await, 503);
    assert_eq!(receiver.refusing_since(), Some(2_000), "it starts again");
}

#[tokio::test]
async fn it_starts_when_the_broker_goes_and_stops_when_it_is_back_unless_a_webhook_was_refused() {
    let receiver = Receiver::of("disconnected").await;
    receiver.broker(990, true);
    receiver.broker(1_000, false);
    assert_eq!(receiver.refusing_since(), Some(1_000));
    receiver.broker(1_001, false);
    assert_eq!(receiver.refusing_since(), Some(1_000), "when it went counts");
    receiver.broker(1_002, true);
    assert_eq!(receiver.refusing_since(), Some(0));

    receiver.broker(2_000, false);
    assert_eq!(receiver.sent(2_030, "default", Err(PublishError::Unavailable)).await, 503);
    assert_eq!(receiver.refusing_since(), Some(2_000));
    receiver.broker(2_060, true);
    assert_eq!(receiver.refusing_since(), Some(2_000), "what was refused did not come again yet");
    assert_eq!(receiver.sent(2_090, "default", Ok(())).await, 200);
    assert_eq!(receiver.refusing_since(), Some(0));
}

#[tokio::test]
async fn it_does_not_start_while_webhooks_can_be_spooled() {
    let receiver = Receiver::with_spool("spooled-clock", Some(Arc::new(FakeSpool::new(false)))).await;
    // With the first one it is known that the spool takes any.
    assert_eq!(receiver.sent(990, "default", Err(PublishError::Unavailable)).await, 200);
    receiver.broker(1_000, false);
    assert_eq!(receiver.refusing_since().unwrap_or_default(), 0);
    assert_eq!(receiver.sent(1_010, "default", Err(PublishError::Unavailable)).await, 200);
    receiver.broker(1_020, false);
    assert_eq!(receiver.refusing_since().unwrap_or_default(), 0);
}

/// Several receivers share one clock: whether the last webhook anywhere was accepted.
#[tokio::test]
async fn the_last_accepted_and_the_last_refused_are_measured() {
    let receiver = Receiver::of("last").await;
    let times = || (receiver.time("last_accepted"), receiver.time("last_refused"));
    receiver.sent(1_000, "default", Err(PublishError::Unavailable)).await;
    assert_eq!(times(), (None, Some(1_000)));
    receiver.sent(1_060, "default", Err(PublishError::Refused)).await;
    receiver.sent(1_090, "default", Ok(())).await;
    receiver.sent(1_095, "shop-1", Ok(())).await;
    assert_eq!(times(), (Some(1_095), Some(1_060)));
    receiver.sent(1_020, "default", Ok(())).await;
    assert_eq!(times(), (Some(1_095), Some(1_060)), "an answer that took long");
    receiver.sent(2_000, "no-such-account", Ok(())).await;
    assert_eq!(times(), (Some(1_095), Some(1_060)));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_checked_for_want_of_our_secret_starts_it() {
    let receiver = Receiver::of("secretless").await;
    assert_eq!(receiver.sent(1_000, "lost", Ok(())).await, 503);
    assert_eq!(receiver.refusing_since(), Some(1_000));
}

#[tokio::test]
async fn what_anybody_may_send_neither_starts_nor_stops_it() {
    let receiver = Receiver::of("anybody").await;
    let anything = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\n{{}}");
    let post_anything = async || {
        for path in ["/webhooks/anybody", "/webhooks/anybody/no-such-account", "/webhooks/no-such-provider"] {
            let code = receiver.server.exchange(anything(path)).await.code;
            assert!([404, 503].contains(&code), "{path}: {code}");
        }
    };
    post_anything().await;
    assert_eq!(receiver.refusing_since(), None, "not even created here");
    receiver.sent(1_000, "default", Err(PublishError::Unavailable)).await;
    post_anything().await;
    assert_eq!(receiver.refusing_since(), Some(1_000));
}
