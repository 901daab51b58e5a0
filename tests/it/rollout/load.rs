//! The senders: `milepost send` for every provider, round after round until told to stop.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use milepost::domain::journey::Journey;
use milepost::domain::samples::SampleSource;
use milepost::providers::SAMPLE_SOURCES;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::fixtures::account;
use crate::support::process::{Program, SECRET};

/// Webhooks a second of each provider.
const RATE: usize = 50;
/// Webhooks of a round, about.
const ROUND: usize = 200;

/// One run of `milepost send`, which was accepted as a whole.
#[derive(Clone)]
pub struct Round {
    pub provider: &'static dyn SampleSource,
    /// The deliveries it told; nothing if it sent what cannot be read.
    pub journey: Option<&'static Journey>,
    pub seed: u64,
    pub sent: Vec<Sent>,
}

/// A webhook as `milepost send --json` tells it.
#[derive(Clone, Deserialize)]
pub struct Sent {
    pub number: u64,
    pub step: u32,
    pub duplicate: bool,
    pub receipt: String,
    pub tries: u64,
}

/// Senders that are under way.
pub struct Load {
    stop: CancellationToken,
    senders: Vec<JoinHandle<Vec<Round>>>,
}

impl Load {
    /// Whole deliveries of every provider, a tenth of the webhooks twice; and some that cannot be read.
    pub fn start(to: &str) -> Self {
        let stop = CancellationToken::new();
        let journeys = SAMPLE_SOURCES.iter().map(|&provider| (provider, provider.journeys().first()));
        let unreadable = (SAMPLE_SOURCES[0], None);
        let senders = journeys.chain([unreadable]).map(|(provider, journey)| {
            let (to, stop) = (to.to_owned(), stop.clone());
            tokio::spawn(async move {
                let mut rounds = Vec::new();
                while !stop.is_cancelled() {
                    rounds.push(round(provider, journey, &to).await);
                }
                rounds
            })
        });
        Self { senders: senders.collect(), stop }
    }

    /// Lets the rounds that are under way end.
    pub async fn stop(self) -> Vec<Round> {
        self.stop.cancel();
        let mut rounds = Vec::new();
        for sender in self.senders {
            rounds.extend(sender.await.expect("the sender ends well"));
        }
        rounds
    }
}

async fn round(provider: &'static dyn SampleSource, journey: Option<&'static Journey>, to: &str) -> Round {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let seed = ROUNDS.fetch_add(1, Ordering::Relaxed);
    let what = match journey {
        Some(Journey { name, steps }) => {
            let count = ROUND / steps.len();
            format!("--journey {name} --count {count} --rate {RATE} --concurrency 16 --duplicates 0.1")
        }
        None => format!("--file {} --count 8 --rate 2", unreadable()),
    };
    let (id, account) = (provider.id(), account());
    let words = format!("send {id} {what} --seed {seed} --to {to} --account {account} --json");
    let (code, stdout, stderr) = Program::milepost(&words).env("MILEPOST_SEND_SECRET", SECRET).output().await;
    assert_eq!(code, Some(0), "{words}: {stderr:?}");
    let sent = stdout.iter().map(|line| serde_json::from_str(line).expect("a webhook")).collect();
    Round { provider, journey, seed, sent }
}

/// A file with what is no JSON.
fn unreadable() -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unreadable-webhook");
    fs::write(&file, "{\"this\": \"ends too ").expect("writable");
    file.to_str().expect("text").to_owned()
}

/// What the senders saw of the rounds.
#[derive(Clone, Copy)]
pub struct Seen {
    pub accepted: u64,
    /// Of these, not at the first try.
    pub again: u64,
    /// Tries that got no answer, or not the one for success.
    pub failed: u64,
}

impl Seen {
    pub fn of(rounds: &[Round]) -> Self {
        let tries = || rounds.iter().flat_map(|round| &round.sent).map(|sent| sent.tries);
        let count = |tries: &mut dyn Iterator<Item = u64>| tries.count() as u64;
        Self {
            accepted: count(&mut tries()),
            again: count(&mut tries().filter(|tries| *tries > 1)),
            failed: tries().map(|tries| tries - 1).sum(),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, again, failed } = self;
        writeln!(f, "{accepted:>7} webhooks accepted")?;
        writeln!(f, "{again:>7} of them sent more than once")?;
        writeln!(f, "{failed:>7} tries that failed")
    }
}
