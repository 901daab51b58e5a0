//! The fleet behind the front, rolled out as the manifests in `deploy/` have a cluster do it: one receiver after
//! another, and a worker's successor before its predecessor ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use milepost::domain::provider::ProviderId;
use milepost::providers::ALL;

use crate::support::eventually;
use crate::support::front::{Front, Place};
use crate::support::process::{Process, Program, RECEIVER};
use crate::support::servers::{Vhost, depth};

/// How long a receiver serves on after SIGTERM. The front needs a fifth of a second to notice; the rest is
/// for a busy machine.
const SHUTDOWN_DELAY: (&str, &str) = ("MILEPOST__HTTP__SHUTDOWN_DELAY_MS", "2500");

/// A version of Milepost.
pub struct Version {
    binaries: PathBuf,
    /// Whether its receivers serve on for a while after SIGTERM.
    pub takes_leave: bool,
}

impl Version {
    pub fn under_test() -> Self {
        Self::in_directory(Path::new(RECEIVER).parent().expect("a directory"))
    }

    pub fn old() -> Self {
        std::env::var("MILEPOST_OLD_BIN_DIR").map_or_else(|_| Self::under_test(), Self::in_directory)
    }

    /// A version that does not know a key ends with an error.
    fn in_directory(binaries: impl AsRef<Path>) -> Self {
        let binaries = binaries.as_ref().to_owned();
        let mut check = Command::new(binaries.join("milepost"));
        check.args(["config", "check"]).env_clear().env(SHUTDOWN_DELAY.0, SHUTDOWN_DELAY.1);
        let status = check.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the binary starts");
        Self { binaries, takes_leave: status.success() }
    }

    fn path(&self, role: &str) -> String {
        self.binaries.join(format!("milepost-{role}")).to_str().expect("text").to_owned()
    }

    fn receiver(&self, amqp_url: &str, place: Place) -> Process {
        let addr = |port| format!("127.0.0.1:{port}");
        let program = Program::role(&self.path("receiver"), amqp_url)
            .env("MILEPOST_HTTP_ADDR", &addr(place.webhooks))
            .env("MILEPOST_ADMIN_ADDR", &addr(place.admin));
        if self.takes_leave { program.env(SHUTDOWN_DELAY.0, SHUTDOWN_DELAY.1) } else { program }.spawn()
    }

    fn worker(&self, amqp_url: &str, provider: ProviderId) -> Process {
        Program::worker_at(&self.path(&format!("worker-{provider}")), amqp_url).spawn()
    }
}

/// Everything that runs.
pub struct Fleet {
    vhost: Vhost,
    pub front: Front,
    receivers: Vec<(Place, Process)>,
    workers: Vec<Deployment>,
}

/// A provider's workers.
struct Deployment {
    provider: ProviderId,
    amqp_url: String,
    replicas: Vec<Process>,
}

impl Fleet {
    /// Two receivers, two workers each of two providers and one of the others, all of `version`, and the front.
    pub async fn start(version: &Version) -> Self {
        let vhost = Vhost::new().await;
        let places = [Place::free(), Place::free()];
        let receivers = places.map(|place| (place, version.receiver(&vhost.amqp_url, place))).into();
        let workers = ALL.iter().map(|provider| {
            let provider = provider.id();
            let count = if ["telyport", "dash"].contains(&provider.as_str()) { 2 } else { 1 };
            let amqp_url = vhost.amqp_url.clone();
            let replicas = (0..count).map(|_| version.worker(&amqp_url, provider)).collect();
            Deployment { provider, amqp_url, replicas }
        });
        let workers: Vec<_> = workers.collect();
        let fleet = Self { front: Front::start(&places).await, vhost, receivers, workers };
        for worker in fleet.workers.iter().flat_map(|deployment| &deployment.replicas) {
            worker.ready().await;
        }
        for number in 0..fleet.receivers.len() {
            fleet.receivers[number].1.ready().await;
            fleet.front.sends_to(number).await;
        }
        fleet
    }

    /// Every role is replaced by `version`, all at once as far as one rollout does not wait for another. Workers end
    /// with `signal`, receivers always in order.
    pub async fn roll(&mut self, version: &Version, signal: &str) {
        let workers = join_all(self.workers.iter_mut().map(|deployment| deployment.roll(version, signal)));
        let receivers = async {
            for (number, receiver) in self.receivers.iter_mut().enumerate() {
                replace(receiver, "TERM", version, &self.vhost.amqp_url).await;
                self.front.sends_to(number).await;
                works(&receiver.1, "milepost_http_requests_total").await;
            }
        };
        tokio::join!(workers, receivers);
    }

    /// Makes it so many workers of `provider`; further ones are of `version`. Of those that are too many, every other
    /// one is killed.
    pub async fn scale(&mut self, provider: ProviderId, count: usize, version: &Version) {
        let of_it = |deployment: &&mut Deployment| deployment.provider == provider;
        let deployment = self.workers.iter_mut().find(of_it).expect("a provider");
        deployment.scale(count, version).await;
    }

    /// Kills one receiver after another, each in the middle of its work, and starts it again.
    pub async fn crash_receivers(&mut self, version: &Version) {
        for (number, receiver) in self.receivers.iter_mut().enumerate() {
            works(&receiver.1, "milepost_http_requests_total").await;
            replace(receiver, "KILL", version, &self.vhost.amqp_url).await;
            self.front.sends_to(number).await;
            works(&receiver.1, "milepost_http_requests_total").await;
        }
    }

    /// Waits until there is nothing left to do, ends every process, and looks whether anything is left in a queue, but
    /// for what is parked and what is published.
    pub async fn finish(mut self) -> Vhost {
        let channel = self.vhost.channel().await;
        let queues = self.vhost.list("queues").await;
        let names = queues.as_array().expect("a list").iter().filter_map(|queue| queue["name"].as_str());
        let keeps = |name: &&str| name.starts_with("milepost.parked.") || *name == "milepost.updates.log";
        let queues: Vec<_> = names.filter(|name| !keeps(name)).collect();
        assert!(queues.len() > ALL.len(), "{queues:?}");
        let left = async || {
            let mut left = Vec::new();
            for queue in &queues {
                let messages = depth(&channel, queue).await;
                left.extend((messages > 0).then(|| format!("{queue}: {messages}")));
            }
            left
        };
        // An unsettled message returns to its queue when its worker ends; so this is checked again.
        eventually("the queues are empty", || async { left().await.is_empty().then_some(()) }).await;
        for worker in self.workers.iter_mut().flat_map(|deployment| &mut deployment.replicas) {
            end(worker, "TERM").await;
        }
        for (_, receiver) in &mut self.receivers {
            end(receiver, "TERM").await;
        }
        assert_eq!(left().await, Vec::<String>::new());
        self.vhost
    }
}

impl Deployment {
    /// Each worker's successor takes its share before it ends.
    async fn roll(&mut self, version: &Version, signal: &str) {
        for replica in &mut self.replicas {
            let successor = version.worker(&self.amqp_url, self.provider);
            successor.ready().await;
            works(&successor, "milepost_messages_settled_total").await;
            end(replica, signal).await;
            *replica = successor;
        }
    }

    async fn scale(&mut self, count: usize, version: &Version) {
        let too_many = self.replicas.len().saturating_sub(count);
        for (mut leaving, signal) in self.replicas.drain(..too_many).zip(["KILL", "TERM"].into_iter().cycle())
        {
            end(&mut leaving, signal).await;
        }
        let more = count - self.replicas.len();
        self.replicas.extend((0..more).map(|_| version.worker(&self.amqp_url, self.provider)));
        for replica in &self.replicas {
            replica.ready().await;
            works(replica, "milepost_messages_settled_total").await;
        }
    }
}

/// Another receiver in the place of one that is ended.
async fn replace((place, receiver): &mut (Place, Process), signal: &str, version: &Version, amqp_url: &str) {
    end(receiver, signal).await;
    *receiver = version.receiver(amqp_url, *place);
    receiver.ready().await;
}

/// Waits until the process has had its share of the load.
async fn works(process: &Process, metric: &str) {
    eventually("the process has a share of the load", || async {
        (process.metric(metric, &[]).await >= 30.0).then_some(())
    })
    .await;
}

async fn end(process: &mut Process, signal: &str) {
    process.signal(signal);
    let code = process.exit().await;
    assert_eq!(code, (signal == "TERM").then_some(0), "{:?}", process.stderr.all().last());
}
