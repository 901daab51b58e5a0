//! `bench console`: the operator's pages with many parked messages: how long the first reading takes and each page, and how
//! much memory the console has.

mod parked;
mod visitor;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};

use self::visitor::Visitor;
use crate::figures::Spread;
use crate::process::memory;
use crate::rig::Rig;
use crate::table::aligned;

/// How long the first reading may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the page is asked whether it is over.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Messages on a page.
const PAGE: usize = 50;
/// A search waits for the end of the stream of updates, which takes seconds.
const SEARCHES: usize = 5;

#[derive(clap::Args)]
pub struct Arguments {
    /// How many messages are parked
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    messages: usize,
    /// How often each page is asked for
    #[arg(long, value_name = "N", default_value_t = 50)]
    rounds: usize,
    /// Put the tables into this document too
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// A page to ask for.
struct Row {
    name: &'static str,
    path: String,
    /// What it has to say, or it is not the page that is meant.
    says: String,
    rounds: usize,
}

/// The console's memory in MiB.
struct Memory {
    nothing_parked: f64,
    first_reading: f64,
    all_pages: f64,
    peak: f64,
}

/// Measures it, and returns the tables.
pub async fn run(rig: &Rig, arguments: &Arguments) -> anyhow::Result<String> {
    let &Arguments { messages, rounds, .. } = arguments;
    let visitor = Visitor::new(rig).await?;
    let empty = visitor.console().await?;
    read(&visitor, 0).await?;
    rig.rest().await?;
    let nothing_parked = memory(empty.pid())?.0;
    ensure!(empty.stop().await?, "the console did not end as it should");

    eprintln!("{messages} messages are parked ...");
    parked::fill(rig, messages).await?;
    parked::publish_updates(rig).await?;
    rig.rest().await?;
    let begun = Instant::now();
    let console = visitor.console().await?;
    read(&visitor, messages).await?;
    let reading = begun.elapsed();
    let first_reading = memory(console.pid())?.0;

    eprintln!("the pages ...");
    let mut lines = vec![["", "median ms", "slowest ms"].map(str::to_owned).to_vec()];
    for row in rows(&visitor, messages, rounds).await? {
        lines.push(measure(&visitor, &row).await?);
    }
    let (all_pages, peak) = memory(console.pid())?;
    ensure!(console.stop().await?, "the console did not end as it should");
    let memory = Memory { nothing_parked, first_reading, all_pages, peak };
    Ok(text(reading, &memory, &aligned(&lines)))
}

fn text(reading: Duration, memory: &Memory, pages: &str) -> String {
    let Memory { nothing_parked, first_reading, all_pages, peak } = memory;
    let seconds = reading.as_secs_f64();
    format!(
        "From the start of the process until the summary has all messages: {seconds:.1} s. In memory, MiB: {nothing_parked:.0} with nothing parked, \
         {first_reading:.0} after the first reading, {all_pages:.0} after all pages, {peak:.0} at most.\n\n{pages}"
    )
}

/// Waits until the summary has so many messages, of queues that were all read.
async fn read(visitor: &Visitor<'_>, messages: usize) -> anyhow::Result<()> {
    let (all, end) = (parked_in_words(messages), Instant::now() + PATIENCE);
    loop {
        let page = visitor.page("/parked").await?.1;
        if page.contains(&all) && !page.contains("for the first time") {
            return Ok(());
        }
        ensure!(Instant::now() < end, "the first reading does not end");
        sleep(ASK_EVERY).await;
    }
}

/// How the summary says a number of messages.
fn parked_in_words(messages: usize) -> String {
    let digits = messages.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("<strong>{}</strong> parked", groups.join("\u{202f}"))
}

async fn rows(visitor: &Visitor<'_>, messages: usize, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let row =
        |name, path: &str, says: &str| Row { name, path: path.to_owned(), says: says.to_owned(), rounds };
    let (provider, delivery) = parked::one(messages)?;
    let of_delivery = format!("/parked?view=messages&delivery={delivery}");
    let summary = visitor.page("/parked").await?.1;
    let group = link(&summary, "/parked?view=messages&amp;provider=")?;
    let message = link(&visitor.page(&of_delivery).await?.1, &format!("/parked/{provider}/"))?;
    let (in_group, listed) = (parked::smallest_group(messages) / 2, "href=\"/delivery?id=");
    let search = Row {
        rounds: SEARCHES,
        ..row("a search by a delivery's id", &format!("/delivery?since=1h&id={delivery}"), &message)
    };
    Ok(vec![
        row("the summary of all", "/parked", &parked_in_words(messages)),
        row(
            "the summary of an account's last hour",
            &format!("/parked?account={}&since=1h", parked::account()),
            "<strong>",
        ),
        row("a page of a group: first", &group, listed),
        row("a page of a group: middle", &format!("{group}&skip={in_group}"), listed),
        row("a page of all messages: first", "/parked?view=messages", listed),
        row(
            "a page of all messages: middle",
            &format!("/parked?view=messages&skip={}", messages / 2),
            listed,
        ),
        row(
            "a page of all messages: last",
            &format!("/parked?view=messages&skip={}", messages.saturating_sub(PAGE)),
            listed,
        ),
        row("a page with a filter by text", &format!("/parked?view=messages&error={}", parked::TEXT), listed),
        row("the messages of one delivery", &of_delivery, &message),
        row("one message", &message, &delivery),
        row("Now", "/", &provider),
        search,
    ])
}

/// The first link of a page that begins so.
fn link(page: &str, begins: &str) -> anyhow::Result<String> {
    let (_, rest) =
        page.split_once(&format!("href=\"{begins}")).with_context(|| format!("no link {begins}"))?;
    let (rest, _) = rest.split_once('"').context("it ends")?;
    Ok(format!("{begins}{rest}").replace("&amp;", "&"))
}

async fn measure(visitor: &Visitor<'_>, row: &Row) -> anyhow::Result<Vec<String>> {
    let Row { name, path, says, rounds } = row;
    let mut times = Vec::new();
    for _ in 0..*rounds {
        let (took, page) = visitor.page(path).await?;
        ensure!(page.contains(says), "{path} does not say {says}: {page}");
        times.push(took.as_secs_f64() * 1e3);
    }
    let Spread { median, greatest, .. } = Spread::of(times.into_iter());
    Ok(vec![(*name).to_owned(), format!("{median:.1}"), format!("{greatest:.1}")])
}
