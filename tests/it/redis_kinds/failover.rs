//! A primary is lost under load: each event is accounted for, none is lost or parked, and no attempt is spent.
//!
//! The servers' own times are short here (`deploy/local/lib/group.sh`); docs/deploy.md has the figures.

use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, block_in_place};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::restart::{Flow, SUBSCRIBER};
use crate::support::eventually;
use crate::support::redis_group::{Loss, RedisGroup, ask};
use crate::support::servers::{Vhost, channel, depth};

/// Updates that show that all is well again.
const MANY: u32 = 200;

/// Watches the subscriber's queue for the longest time in which it did not grow.
struct Watch {
    task: JoinHandle<Duration>,
    stop: CancellationToken,
    amqp_url: String,
    _guard: DropGuard,
}

impl Watch {
    async fn begin(amqp_url: &str) -> Self {
        let (stop, channel) = (CancellationToken::new(), channel(amqp_url).await);
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            let (mut longest, mut since) = (Duration::ZERO, Instant::now());
            let mut seen = depth(&channel, SUBSCRIBER).await;
            while !stopping.is_cancelled() {
                let now = depth(&channel, SUBSCRIBER).await;
                if now > seen {
                    longest = longest.max(since.elapsed());
                    (seen, since) = (now, Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(10)).await; // The interval of a poll, not a wait for luck.
            }
            longest
        });
        let guard = stop.clone().drop_guard();
        Self { task, stop, amqp_url: amqp_url.to_owned(), _guard: guard }
    }

    /// The longest stall, once updates flow.
    async fn end(self) -> Duration {
        let channel = channel(&self.amqp_url).await;
        let goal = depth(&channel, SUBSCRIBER).await + MANY;
        eventually("updates flow", || async { (depth(&channel, SUBSCRIBER).await >= goal).then_some(()) })
            .await;
        self.stop.cancel();
        self.task.await.expect("no panic")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_another_primary_and_nothing_is_lost() {
    let group = block_in_place(|| RedisGroup::sentinel("sentinel"));
    for loss in [Loss::Killed, Loss::Hung, Loss::Demoted] {
        let vhost = Vhost::new().await;
        let flow = Flow::at(&vhost.amqp_url, &group.url, &format!("sentinel-{loss:?}")).await;
        let watch = Watch::begin(&vhost.amqp_url).await;
        let primaries = group.primaries().await;
        let [primary] = &primaries[..] else { panic!("one primary: {primaries:?}") };
        block_in_place(|| group.lose(primary, loss));
        if loss == Loss::Demoted {
            let (_, sentinel) = group.url.split_once("://").expect("a URL");
            let (sentinel, _) = sentinel.split_once(',').expect("several");
            let sentinel = format!("redis://{sentinel}/");
            let begins = || async { ask::<String>(&sentinel, &["SENTINEL", "FAILOVER", "mymaster"]).await };
            eventually("a Sentinel begins", begins).await;
        }
        eventually("there is another primary", || async {
            group.primaries().await.iter().any(|now| now != primary).then_some(())
        })
        .await;
        let stalled = watch.end().await;
        println!("Sentinels, the primary {loss:?}: nothing was published for {stalled:?}");
        block_in_place(|| group.have_again(primary, loss));
        group.follows(primary).await;
        flow.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_of_a_cluster_gets_another_primary_and_nothing_is_lost() {
    let group = block_in_place(|| RedisGroup::cluster("cluster"));
    for (loss, member) in [(Loss::Killed, "r1"), (Loss::Hung, "r2"), (Loss::Demoted, "r3")] {
        let vhost = Vhost::new().await;
        let flow = Flow::at(&vhost.amqp_url, &group.url, &format!("cluster-{loss:?}")).await;
        let watch = Watch::begin(&vhost.amqp_url).await;
        block_in_place(|| group.lose(member, loss));
        let replica = replica_of(&group, member).await;
        if loss == Loss::Demoted {
            group.ask::<String>(&replica, &["CLUSTER", "FAILOVER"]).await.expect("it begins");
        }
        eventually("its replica is the primary", || async {
            group.primaries().await.contains(&replica).then_some(())
        })
        .await;
        let stalled = watch.end().await;
        println!("Cluster, a primary {loss:?}: nothing was published for {stalled:?}");
        block_in_place(|| group.have_again(member, loss));
        group.follows(member).await;
        flow.end().await;
    }
}

/// The replica that `member` had when the Cluster was formed: r4 to r6, in some order.
async fn replica_of(group: &RedisGroup, member: &str) -> String {
    let port =
        |member: &str| group.servers[member].trim_end_matches('/').rsplit(':').next().map(str::to_owned);
    let port = port(member).expect("a port");
    for replica in ["r4", "r5", "r6"] {
        let info: Option<String> = group.ask(replica, &["INFO", "replication"]).await;
        if info.is_some_and(|info| info.contains(&format!("master_port:{port}\r"))) {
            return replica.to_owned();
        }
    }
    panic!("{member} has no replica")
}
