//! The soak: the whole fleet at half its maximum rate for a long time, with duplicates, refused publishes and outages of
//! Redis mixed in. Nothing may grow, and every event has to be accounted for.

mod book;
mod sender;
mod series;
mod trouble;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use lapin::Consumer;
use milepost::domain::provider::Provider;
use milepost::providers;
use tokio::time::{Instant, sleep, timeout};

use self::book::Book;
use self::sender::Sender;
use self::series::{Samples, Watched};
use crate::broker::UPDATES_QUEUE;
use crate::figures::as_f64;
use crate::material::Kind;
use crate::rig::Rig;

/// As much as a worker may ask for an event that comes out late: retries wait, and an outage of Redis holds it up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Events that the maximum rate is measured with.
const TRIAL: usize = 10_000;
const BYTES: usize = 614;

/// What came of it.
pub struct Soaked {
    minutes: f64,
    rate: f64,
    samples: Samples,
    book: Book,
    parked: usize,
}

impl Soaked {
    pub fn table(&self) -> String {
        let Self { minutes, rate, samples, book, parked } = self;
        let what = format!("{minutes} minutes at {rate:.0} events a second, of five providers in turns.");
        format!("{what}\n\n{}\n{}", samples.table(*rate), book.table(*parked))
    }

    /// # Errors
    /// What grew, or that something is unaccounted for.
    pub fn verdict(&self) -> anyhow::Result<()> {
        let Self { rate, samples, book, parked, .. } = self;
        let accounted = book.missing() == 0 && book.contradicted == 0 && book.strange == 0;
        ensure!(accounted && *parked == 0, "not every event is accounted for");
        let grown = samples.grown(*rate);
        ensure!(grown.is_empty(), "these grew: {}", grown.join("; "));
        println!("Nothing grew, and every event is accounted for.");
        Ok(())
    }
}

/// Soaks for some minutes, at `rate` events a second; without one, at half of what goes through in a short trial.
pub async fn run(rig: &Rig, minutes: f64, rate: Option<f64>) -> anyhow::Result<Soaked> {
    let long = Duration::from_secs_f64(minutes * 60.0);
    // Events are forgotten after a tenth of the time, or the keys in Redis would grow for 14 days.
    let ttl = (long.as_secs() / 10).max(10);
    let more: Vec<_> = providers::ALL.iter().map(|provider| forgetting(*provider, ttl)).collect();

    let (receiver, addr) = rig.milepost_receiver(&more).await?;
    let mut programs = vec![("receiver".to_owned(), receiver)];
    for provider in providers::ALL {
        let name = format!("worker-{}", provider.id());
        let worker = rig.milepost(&name, &more).await?;
        programs.push((name, worker));
    }
    let kind = Kind { providers: providers::SAMPLE_SOURCES, accounts: 1, bytes: BYTES };
    let (channel, mut updates) = rig.broker.listen(UPDATES_QUEUE).await?;

    let rate = match rate {
        Some(rate) => rate,
        None => trial(&Sender { addr, kind }, &mut updates).await? / 2.0,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some millions.
    let count = (rate * long.as_secs_f64()) as usize;
    eprintln!("{count} events at {rate:.0} a second ...");

    let book = RefCell::new(Book::of(count));
    let watched = Watched { rig, programs: &programs };
    let mut samples = Samples::default();
    let sender = Sender { addr, kind };
    let soaking = async {
        let sent = sender.send("soak", count, Some(rate), &book).await;
        // What waits for a retry comes out after it.
        let end = Instant::now() + PATIENCE;
        while sent.is_ok() && book.borrow().missing() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(100)).await;
        }
        sent
    };
    tokio::select! {
        sent = soaking => sent?,
        failed = listen(&mut updates, &book) => return Err(failed),
        failed = samples.take(&watched, long) => return Err(failed),
        failed = trouble::make(rig, long) => return Err(failed),
    }
    channel.close(200, "bye".into()).await?;
    let parked = watched.parked().await?;
    for (name, program) in programs {
        ensure!(program.stop().await?, "{name} did not end as it should");
    }
    Ok(Soaked { minutes, rate, samples, book: book.into_inner(), parked })
}

fn forgetting(provider: &dyn Provider, seconds: u64) -> String {
    let id = provider.id();
    format!(
        "providers.{id}.resend_horizon_seconds = {}\nproviders.{id}.dedup_ttl_seconds = {seconds}",
        seconds / 2
    )
}

/// The rate at which webhooks go through the whole fleet.
async fn trial(sender: &Sender, updates: &mut Consumer) -> anyhow::Result<f64> {
    let book = RefCell::new(Book::of(TRIAL));
    let begun = Instant::now();
    let through = async {
        sender.send("trial", TRIAL, None, &book).await?;
        while book.borrow().missing() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(as_f64(TRIAL) / begun.elapsed().as_secs_f64())
    };
    tokio::select! {
        rate = timeout(PATIENCE, through) => rate.context("the trial did not come through")?,
        failed = listen(updates, &book) => Err(failed),
    }
}

/// Enters all that comes out. Returns only when it fails.
async fn listen(updates: &mut Consumer, book: &RefCell<Book>) -> anyhow::Error {
    loop {
        match updates.next().await {
            Some(Ok(update)) => {
                if let Err(error) = book.borrow_mut().came_out(&update) {
                    return error;
                }
            }
            Some(Err(error)) => return error.into(),
            None => return anyhow::anyhow!("the subscriber's queue is gone"),
        }
    }
}
