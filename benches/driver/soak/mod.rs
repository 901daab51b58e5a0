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

pub struct Settings {
    pub minutes: f64,
    /// Events a second; `None` for half of what a short trial reaches.
    pub rate: Option<f64>,
}

/// Runs it. Fails when something grew, or an event is unaccounted for.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let rig = Rig::new().await?;
    let long = Duration::from_secs_f64(settings.minutes * 60.0);
    // Events are forgotten after a tenth of the time, or the keys in Redis would grow for 14 days.
    let ttl = (long.as_secs() / 10).max(10);
    let remember: Vec<_> = providers::ALL.iter().map(|provider| forgetting(*provider, ttl)).collect();
    let more = [remember.join("\n"), format!("worker.state_ttl_seconds = {ttl}")];

    let (receiver, addr) = rig.milepost_receiver(&more).await?;
    let mut programs = vec![("receiver".to_owned(), receiver)];
    for provider in providers::ALL {
        let name = format!("worker-{}", provider.id());
        let worker = rig.milepost(&name, &more).await?;
        programs.push((name, worker));
    }
    let kind = Kind { providers: providers::ALL, accounts: 1, bytes: BYTES };
    let (channel, mut updates) = rig.broker.listen(UPDATES_QUEUE).await?;

    let rate = match settings.rate {
        Some(rate) => rate,
        None => trial(&Sender { addr, kind }, &mut updates).await? / 2.0,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some millions.
    let count = (rate * long.as_secs_f64()) as usize;
    println!("{count} events of five providers, {rate:.0} a second for {} minutes", settings.minutes);

    let book = RefCell::new(Book::of(count));
    let watched = Watched { rig: &rig, programs: &programs };
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
        failed = trouble::make(&rig, long) => return Err(failed),
    }
    channel.close(200, "bye".into()).await?;
    let parked = watched.parked().await?;
    let book = book.into_inner();
    println!("\n{}\n{}", samples.table(rate), book.table(parked));
    for (name, program) in programs {
        ensure!(program.stop().await?, "{name} did not end as it should");
    }
    ensure!(book.missing() == 0 && book.contradicted == 0 && book.strange == 0, "not all is accounted for");
    ensure!(parked == 0, "{parked} messages were parked");
    ensure!(samples.grown(rate).is_empty(), "these grew: {}", samples.grown(rate).join(", "));
    println!("Nothing grew, and every event is accounted for.");
    Ok(())
}

fn forgetting(provider: &dyn Provider, seconds: u64) -> String {
    let id = provider.id();
    format!(
        "providers.{id}.resend_horizon_seconds = {}\nproviders.{id}.dedup_ttl_seconds = {seconds}\n\
         providers.{id}.content_ttl_seconds = {seconds}",
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
