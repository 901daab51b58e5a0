//! Two machines whose clocks differ: Redis's decides.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lapin::types::FieldTable;
use metrics_exporter_prometheus::PrometheusBuilder;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::redis::{RedisClock, RedisConnection, RedisSettings};
use milepost::app::backends::Backends;
use milepost::domain::claim::{Claim, Mark};
use milepost::domain::envelope::Envelope;
use milepost::ports::{Clock, Ledger as _};

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, claim, envelope, receipt_at, received_at, resend};
use crate::support::fleet::{Real, Subscriber, run, telyport, telyport_body};
use crate::support::process::sum;
use crate::support::servers::{Vhost, redis_ledger, redis_url};

/// A clock that is off.
struct Off(SignedDuration);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

fn connection(url: &str) -> RedisConnection {
    let settings = RedisSettings { url: url.into(), response_timeout: Duration::from_secs(5) };
    RedisConnection::new(&settings).expect("a URL")
}

#[tokio::test]
async fn two_receivers_with_different_clocks_take_a_resend_for_what_it_is() {
    let right = RedisClock::new(Arc::new(Off(SignedDuration::ZERO)));
    let ahead = RedisClock::new(Arc::new(Off(SignedDuration::from_mins(2))));
    let (one, other) = (Arc::clone(&right), Arc::clone(&ahead));
    tokio::spawn(async move { one.follow(connection(&redis_url())).await });
    tokio::spawn(async move { other.follow(connection(&redis_url())).await });
    let apart = || ahead.now().duration_since(right.now()).abs();
    assert!(apart() > SignedDuration::from_secs(100));
    eventually("they agree", || async { (apart() < SignedDuration::from_secs(1)).then_some(()) }).await;

    // Deliverect's: no id, no time, a horizon of a minute.
    let mut first = received_at(claim(), right.now().as_millisecond());
    first.identity.provider_event_id = None;
    let again = received_at(resend(&first), ahead.now().as_millisecond());
    let ledger = redis_ledger();
    let Claim::Granted(grant) = ledger.claim(&first).await.unwrap() else { panic!("not granted") };
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    assert_eq!(ledger.claim(&again).await.unwrap(), Claim::Done);
}

#[tokio::test]
async fn without_redis_a_clock_goes_on_as_it_is() {
    let clock = RedisClock::new(Arc::new(Off(SignedDuration::ZERO)));
    let following = Arc::clone(&clock);
    let nowhere = async move { following.follow(connection("redis://127.0.0.1:1/")).await };
    assert!(tokio::time::timeout(Duration::from_millis(300), nowhere).await.is_err(), "it never ends");
    assert!(clock.now().duration_since(SystemClock.now()).abs() < SignedDuration::from_secs(1));
}

#[tokio::test]
async fn a_worker_whose_clock_is_behind_reports_how_long_an_update_took() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // This test runs on one thread, so its worker counts here.
    let _measured = metrics::set_default_local_recorder(&recorder);
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let clock = RedisClock::new(Arc::new(Off(SignedDuration::from_mins(-2))));
    let following = Arc::clone(&clock);
    tokio::spawn(async move { following.follow(connection(&redis_url())).await });
    let off = || clock.now().duration_since(SystemClock.now()).abs();
    eventually("it is corrected", || async { (off() < SignedDuration::from_secs(1)).then_some(()) }).await;

    let worker = run(telyport(&Backends { clock: clock.clone(), ..real.backends.clone() }));
    let receipt = receipt_at(SystemClock.now() - SignedDuration::from_secs(5));
    real.publish(Envelope { receipt, ..envelope(TELYPORT, telyport_body("D", "e", "NEW")) }).await;
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    worker.stop().await;
    let rendered = recorder.handle().render();
    assert_eq!(sum(&rendered, "milepost_end_to_end_seconds_count", &[]), 1.0, "{rendered}");
    let seconds = sum(&rendered, "milepost_end_to_end_seconds_sum", &[]);
    assert!((4.0..30.0).contains(&seconds), "{seconds} s since the receipt, which is 5 s old");
}
