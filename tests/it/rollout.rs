//! Rollouts under load: what the deploy manifests let a cluster do is done to real processes, and every webhook is
//! accounted for.
//!
//! `MILEPOST_OLD_BIN_DIR` names a directory with the binaries of another version to roll out from and back to. Without
//! it both versions are this one, which shows the rollouts but not that two versions get on with each other.

mod books;
mod fleet;
mod load;

use std::time::Instant;

use books::Books;
use fleet::{Fleet, Version};
use load::{Load, Seen};

use crate::support::fixtures::TELYPORT;

#[tokio::test]
async fn rollouts_under_load_lose_nothing() {
    let begun = Instant::now();
    let (old, new) = (Version::old(), Version::under_test());
    let mut fleet = Fleet::start(&old).await;
    let load = Load::start(&fleet.front.url);

    // The upgrade, in order; back again, with workers that get no time to drain; and more and fewer of one worker.
    fleet.roll(&new, "TERM").await;
    fleet.roll(&old, "KILL").await;
    fleet.scale(TELYPORT, 1, &new).await;
    fleet.scale(TELYPORT, 4, &new).await;
    fleet.scale(TELYPORT, 1, &new).await;
    let planned = load.stop().await;
    let (front, seen) = (fleet.front.counts().await, Seen::of(&planned));
    println!("Planned restarts\n{seen}{front}");
    assert_eq!(front.accepted, seen.accepted);
    if old.takes_leave {
        let bad = (seen.failed, front.answered_5xx, front.retried, front.broken);
        assert_eq!(bad, (0, 0, 0, 0), "a receiver was gone before the front knew");
    }

    // Receivers that crash. Senders see that, and send again.
    let load = Load::start(&fleet.front.url);
    for _ in 0..2 {
        fleet.crash_receivers(&new).await;
    }
    let crashed = load.stop().await;
    let (front, seen) = (fleet.front.counts().await.since(&front), Seen::of(&crashed));
    println!("Crashes of receivers\n{seen}{front}");
    assert_eq!(front.accepted, seen.accepted);

    let vhost = fleet.finish().await;
    let books = Books::read(&vhost).await;
    println!("Altogether, in {:.0} s\n{books}", begun.elapsed().as_secs_f64());
    let sent = [planned, crashed].concat();
    books.balance(&sent);
    books.tell_the_course(&sent);
}
