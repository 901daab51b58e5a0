//! A broker that neither answers nor ends a connection: a partition, a node that hangs, a link that drops everything.

mod addresses;
mod declaring;
mod memory;
mod receiver;
mod stalled;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost::adapters::rabbit::topology::{Topology, TopologyMode, work_queue};
use milepost::adapters::rabbit::{DelayLevels, Pace, RabbitPublisher, RabbitSettings};
use milepost::ports::{Outbound, PublishError, Publisher as _};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, depth, rabbit_settings, topology_settings};

const UNIT: Duration = Duration::from_millis(100);

/// A publisher that keeps itself connected until it is dropped.
struct Connected {
    publisher: Arc<RabbitPublisher>,
    _running: DropGuard,
}

impl Connected {
    fn with(settings: RabbitSettings) -> Self {
        let topology = Topology::new(&topology_settings(UNIT), &[TELYPORT]);
        let (mode, delays) = (TopologyMode::Apply, DelayLevels::new(UNIT));
        let publisher = RabbitPublisher::new(settings, topology, mode, delays, Pace::Each);
        let shutdown = CancellationToken::new();
        tokio::spawn(Arc::clone(&publisher).run(shutdown.clone()));
        Self { publisher, _running: shutdown.drop_guard() }
    }

    async fn publish(&self) -> Result<(), PublishError> {
        self.publisher.publish(Outbound::Raw(envelope(TELYPORT, "{}"))).await
    }

    async fn is_ready(&self, yes: bool) {
        eventually("ready or not", || async { (self.publisher.ready() == yes).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_confirmed_is_given_up_and_made_anew() {
    const CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let connected =
        Connected::with(RabbitSettings { confirm_timeout: CONFIRM_TIMEOUT, ..rabbit_settings(&proxy.url()) });
    connected.is_ready(true).await;
    assert_eq!(connected.publish().await, Ok(()));

    proxy.silence();
    let began = Instant::now();
    assert_eq!(connected.publish().await, Err(PublishError::Unconfirmed));
    // Nothing more is sent on it: the answer comes at once, and no event is published again and again.
    assert!(!connected.publisher.ready());
    let asked = Instant::now();
    assert_eq!(connected.publish().await, Err(PublishError::Unavailable));
    assert!(asked.elapsed() < CONFIRM_TIMEOUT / 2, "{:?}", asked.elapsed());

    connected.is_ready(true).await;
    assert!(began.elapsed() >= 2 * CONFIRM_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(connected.publish().await, Ok(()));
    let channel = vhost.channel().await;
    eventually("both are stored", || async {
        (depth(&channel, &work_queue(TELYPORT)).await == 2).then_some(())
    })
    .await;
}
