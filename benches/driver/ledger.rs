//! What the ledger costs Redis and its client, and what is in the way of less: the CPU time of an event as Milepost claims
//! and marks it, beside its commands with nothing decided, and beside what a worker without a ledger would send.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, Cmd, Pipeline, Script, cmd};
use futures_util::future::try_join_all;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::redis::{RedisConnection, RedisLedger, RedisSettings};
use milepost::domain::claim::{Claim, ClaimRequest, CopyInHand, EventRef, Mark, Token};
use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::identity::{DeliveryKey, Identity, ReceiptId};
use milepost::domain::order::{Moment, StatusOrder, TimeKind};
use milepost::domain::provider::Provider as _;
use milepost::domain::state::DeliveryState;
use milepost::domain::status::Status;
use milepost::domain::update::DeliveryUpdate;
use milepost::ports::{Clock as _, Ledger as _};
use milepost::providers::TELYPORT;
use uuid::Uuid;

use crate::costs::lower_quartile;
use crate::figures::as_f64;
use crate::process::cpu;
use crate::servers::{Generation, Servers};
use crate::{redis, table};

/// Deliveries in a request, and the steps of each.
const TOGETHER: usize = 32;
const STEPS: [Status; 6] = [
    Status::Created,
    Status::Assigned,
    Status::PickupArrived,
    Status::PickedUp,
    Status::DropoffArrived,
    Status::Delivered,
];
const GROUPS: usize = 25;
const TTL: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// What Redis does after its last answer, its journal for one, belongs to the round.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// How an event is remembered.
#[derive(Clone, Copy)]
enum Way {
    Ledger,
    Scripts,
    Commands,
    TwoKeys,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Ledger, "claim, mark and the index of open deliveries, as they are"),
    (Way::Scripts, "the same commands from two scripts that decide nothing"),
    (Way::Commands, "the same commands alone"),
    (Way::TwoKeys, "`SET NX` and `SET` of a key an event, as the Node worker does"),
];

/// Measures on each generation and returns a table of each: of every way what an event takes.
pub async fn run(generations: &[Generation], rounds: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    for &generation in generations {
        let servers = Servers::start(generation)?;
        let mut bench = Bench::connect(&servers).await?;
        let mut costs = WAYS.map(|_| [const { Vec::new() }; 3]);
        for round in 0..=rounds {
            for ((way, _), costs) in WAYS.into_iter().zip(&mut costs) {
                let cost = bench.cost(way).await?;
                // The first warms up, and loads the scripts.
                if round > 0 {
                    costs.iter_mut().zip(cost).for_each(|(costs, cost)| costs.push(cost));
                }
            }
        }
        let mut lines = vec![["", "Redis's µs", "bytes", "the client's µs"].map(str::to_owned).to_vec()];
        for ((_, name), costs) in WAYS.into_iter().zip(&costs) {
            let [used, grown, ours] = costs.each_ref().map(|values| lower_quartile(values));
            lines.push(vec![
                name.to_owned(),
                format!("{used:.1}"),
                format!("{grown:.0}"),
                format!("{ours:.1}"),
            ]);
        }
        let version = redis::version(&servers.redis_url).await?;
        text += &format!("\n### {version}\n\n{}", table::aligned(&lines));
    }
    Ok(text)
}

struct Bench {
    url: String,
    server: u32,
    ledger: RedisLedger,
    connection: MultiplexedConnection,
    claiming: Script,
    marking: Script,
    order: StatusOrder,
}

impl Bench {
    async fn connect(servers: &Servers) -> anyhow::Result<Self> {
        let url = servers.redis_url.clone();
        let settings = RedisSettings { url: url.as_str().into(), response_timeout: Duration::from_secs(10) };
        let connection = Client::open(url.as_str())?.get_multiplexed_async_connection().await?;
        Ok(Self {
            url,
            server: servers.redis,
            ledger: RedisLedger::new(RedisConnection::new(&settings)?),
            connection,
            claiming: Script::new(
                "redis.call('TIME') redis.call('HMGET', KEYS[1], unpack(ARGV, 1, 8))
                 redis.call('HSET', KEYS[1], unpack(ARGV, 9)) return ARGV[10]",
            ),
            marking: Script::new(
                "redis.call('TIME') redis.call('HMGET', KEYS[1], ARGV[1], ARGV[2])
                 redis.call('HSET', KEYS[1], unpack(ARGV, 3)) return 1",
            ),
            order: StatusOrder::new(TELYPORT.transitions()),
        })
    }

    /// An event's microseconds of Redis, its bytes there, and its microseconds here, over whole deliveries that are new.
    async fn cost(&mut self, way: Way) -> anyhow::Result<[f64; 3]> {
        redis::forget(&self.url).await?;
        if matches!(way, Way::Scripts) {
            for script in [&self.claiming, &self.marking] {
                script.load_async(&mut self.connection).await?;
            }
        }
        let (here, bytes) = (std::process::id(), redis::used_memory(&self.url).await?);
        let before = [cpu(self.server)?, cpu(here)?];
        for _ in 0..GROUPS {
            let deliveries: Vec<_> = (0..TOGETHER).map(|_| Uuid::now_v7().to_string()).collect();
            for step in 0..STEPS.len() {
                match way {
                    Way::Ledger => self.remember(&deliveries, step).await?,
                    Way::Scripts => self.send(&deliveries, step, true).await?,
                    Way::Commands => self.send(&deliveries, step, false).await?,
                    Way::TwoKeys => self.two_keys(&deliveries, step).await?,
                }
            }
        }
        tokio::time::sleep(AFTERWARDS).await;
        let events = as_f64(GROUPS * TOGETHER * STEPS.len());
        let micros = |used: Duration| used.as_secs_f64() * 1e6 / events;
        let [server, client] = [micros(cpu(self.server)? - before[0]), micros(cpu(here)? - before[1])];
        Ok([server, (redis::used_memory(&self.url).await? - bytes) / events, client])
    }

    async fn remember(&self, deliveries: &[String], step: usize) -> anyhow::Result<()> {
        let requests: Vec<_> = deliveries.iter().map(|delivery| self.request(delivery, step)).collect();
        let claims = try_join_all(requests.iter().map(|request| self.ledger.claim(request))).await?;
        let marks = claims.iter().zip(&requests).map(|(claim, request)| async move {
            let Claim::Granted(grant) = claim else { anyhow::bail!("not granted: {claim:?}") };
            let EventRef { delivery, status, .. } = &grant.event;
            let update = DeliveryUpdate::new(delivery.delivery_id.clone(), *status, String::new());
            let (_, after) = DeliveryState::advance(
                grant.before.as_ref(),
                grant.place,
                &update,
                request.moment,
                TELYPORT.transitions(),
                request.precedence,
            );
            ensure!(self.ledger.mark(&grant.event, Mark::Published(after)).await?, "not marked");
            Ok(())
        });
        try_join_all(marks).await?;
        Ok(())
    }

    fn request(&self, delivery: &str, step: usize) -> ClaimRequest {
        let now = SystemClock.now();
        let receipt = ReceiptId::new(now, &rand::random());
        let status = STEPS[step];
        ClaimRequest {
            delivery: DeliveryKey {
                provider: TELYPORT.id(),
                account: "default".parse().expect("an account"),
                delivery_id: delivery.to_owned(),
            },
            identity: Identity {
                provider_event_id: Some(format!("{delivery}-{step}")),
                fingerprint: Fingerprint(rand::random()),
            },
            copy: CopyInHand {
                receipt,
                attempt: 0,
                crashes: 0,
                replay: None,
                token: Token(rand::random()),
                lease: Duration::from_secs(15),
            },
            traceparent: None,
            moment: Moment::new(status, Some((now, TimeKind::Change)), receipt.received_at()),
            precedence: self.order.of(status),
            leg: None,
            address: None,
            horizon: Duration::from_secs(7200),
            ttl: TTL,
        }
    }

    /// The commands of a claim and of a mark, with names and values as long as the ledger's.
    async fn send(&mut self, deliveries: &[String], step: usize, scripted: bool) -> anyhow::Result<()> {
        let name = &Uuid::new_v4().simple().to_string()[..18];
        let (event, progress, marker) = (format!("e{name}"), format!("p{name}"), format!("i{}", &name[..8]));
        let value = |length: usize| "x".repeat(length);
        let read = ["n", "s", "c", "h", &marker, &event, &progress, "w"];
        let written = [
            ("h", value(53)),
            ("c", value(33)),
            ("n", value(13)),
            (&*event, value(49)),
            ("b", value(60)),
            (&*marker, value(10)),
        ];
        let marked = [(&*event, value(63)), ("h", String::new()), ("s", value(60))];
        let (mut claims, mut marks) = (Pipeline::new(), Pipeline::new());
        for delivery in deliveries {
            let key = format!("mp:{{telyport:default:{delivery}}}");
            if scripted {
                let hash = self.claiming.get_hash();
                let call = cmd("EVALSHA").arg(hash).arg(1).arg(&key).arg(&read).arg(&written).to_owned();
                claims.add_command(call);
                let call = cmd("EVALSHA").arg(self.marking.get_hash()).arg(1).arg(&key).to_owned();
                marks.add_command(with(call, &["h", "s"], &marked));
            } else {
                claims.add_command(cmd("HMGET").arg(&key).arg(&read).to_owned());
                claims.add_command(cmd("HSET").arg(&key).arg(&written).to_owned());
                marks.add_command(cmd("HMGET").arg(&key).arg("h").arg("s").to_owned());
                marks.add_command(with(cmd("HSET").arg(&key).to_owned(), &[], &marked));
            }
            let index = "mp:open:{telyport:default}";
            let command = if step + 1 < STEPS.len() {
                cmd("ZADD").arg(index).arg(step).arg(delivery).to_owned()
            } else {
                cmd("ZREM").arg(index).arg(delivery).to_owned()
            };
            marks.add_command(command);
            if step == 0 {
                claims.add_command(cmd("PEXPIRE").arg(&key).arg(TTL.as_millis().to_string()).to_owned());
            }
        }
        claims.exec_async(&mut self.connection).await.context("claims")?;
        marks.exec_async(&mut self.connection).await.context("marks")
    }

    async fn two_keys(&mut self, deliveries: &[String], step: usize) -> anyhow::Result<()> {
        let (mut before, mut after) = (Pipeline::new(), Pipeline::new());
        for delivery in deliveries {
            let key = format!("seen:{delivery}-{step}");
            let seconds = TTL.as_secs();
            before.add_command(cmd("SET").arg(&key).arg("1").arg("NX").arg("EX").arg(seconds).to_owned());
            after.add_command(cmd("SET").arg(&key).arg("done").arg("EX").arg(seconds).to_owned());
        }
        before.exec_async(&mut self.connection).await?;
        Ok(after.exec_async(&mut self.connection).await?)
    }
}

fn with(mut command: Cmd, read: &[&str], written: &[(&str, String)]) -> Cmd {
    command.arg(read).arg(written);
    command
}
