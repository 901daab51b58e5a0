//! `milepost drill broker-outage`: an outage of the broker under load, and the account of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::fleet::TestFleet;
use super::plan::plan;
use super::play::{PlayedWebhook, Player};
use super::record::{Ending, SeenUpdates, endings};
use super::updates::Updates;
use crate::adapters::clock::SystemClock;
use crate::app::life::Signals;
use crate::cli::Exit;
use crate::cli::table::{Align, Table};
use crate::domain::provider::ProviderId;
use crate::operator::when::duration;
use crate::ports::Clock as _;
use crate::providers::ALL;

const EXAMPLES: &str = "\
Examples:
  make up                                              in another terminal: the fleet that is drilled
  milepost drill broker-outage                         three minutes without a broker, ten times as fast
  milepost drill broker-outage --for 10m --speed 30 --deliveries 100

It ends with 1 if anything was lost that a store or a pull can reach. Webhooks that no fleet could have are lost all the same,
and listed: those that their provider gave up before any webhook of their delivery came.";
/// Deliveries began so long before, so that no provider's time is in the future.
const LAST_HOUR: Duration = Duration::from_hours(1);

/// What the drill is asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The directory of the test fleet, as it is given to deploy/local/up
    #[arg(value_name = "DIR", default_value = "target/up")]
    pub fleet: PathBuf,
    /// For how long the broker is away
    #[arg(long = "for", value_name = "SPAN", default_value = "3m", value_parser = duration)]
    pub outage: Duration,
    /// How many times as fast as it would really be
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub speed: u16,
    /// Deliveries of each provider
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub deliveries: u16,
    /// What the deliveries' ids are made from: a fleet that was drilled with a seed knows its deliveries
    /// [default: random]
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long what is missing may take to come once every provider has made its last try
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = duration)]
    pub settle: Duration,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Drills, and shows the account.
///
/// # Errors
/// When it is no test fleet, or it cannot be asked, or the output cannot be written.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let fleet = Arc::new(TestFleet::open(&args.fleet)?);
    fleet.await_broker(true).await?;
    let now = SystemClock.now();
    let mut updates = Updates::follow(&fleet.amqp, now).await?;
    let (seed, begun) = (args.seed.unwrap_or_else(rand::random), now.checked_sub(LAST_HOUR)?);
    let planned = plan(args.deliveries.into(), args.outage, seed, begun, fleet.secret.as_deref())?;
    eprintln!("milepost: playing {} webhooks of {} providers", planned.len(), ALL.len());
    let mut player = Player::new(Arc::clone(&fleet), planned, args.outage, args.speed.into())?;
    let mut signals = Signals::new()?;
    let ended = tokio::select! {
        ended = player.play() => ended,
        () = signals.next() => Err(anyhow::anyhow!("interrupted")),
    };
    if let Err(error) = ended {
        // No fleet is left without its broker.
        player.leave().await.context("the broker is away: start it again")?;
        return Err(error);
    }
    let endings = tokio::select! {
        endings = settle(&fleet, player.played(), &mut updates, args.settle) => endings,
        () = signals.next() => bail!("interrupted"),
    };
    let account = OutageAccount { played: player.played(), endings, outage: args.outage, away: player.away };
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", account.as_json(args.speed))?;
    } else {
        write!(out, "{}", account.for_a_person(args.speed))?;
    }
    out.flush()?;
    let is_well = !account.endings.contains(&Ending::LostInReach);
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

/// Waits until nothing is missing that can come, or for as long as `patience`.
async fn settle(
    fleet: &TestFleet,
    played: &[PlayedWebhook],
    updates: &mut Updates,
    patience: Duration,
) -> Vec<Ending> {
    let (mut received, end) = (SeenUpdates::default(), Instant::now() + patience);
    let spools = |provider: ProviderId| fleet.spools(provider);
    loop {
        // What has come is taken before it is looked at, which takes longer.
        while let Some(publication) = updates.ready() {
            received.add(publication);
        }
        let endings = endings(played, &received, spools);
        if !endings.contains(&Ending::LostInReach) {
            return endings;
        }
        match timeout_at(end, updates.next()).await {
            Ok(Some(publication)) => received.add(publication),
            Ok(None) | Err(_) => return endings,
        }
    }
}

/// What became of all of them.
struct OutageAccount<'a> {
    played: &'a [PlayedWebhook],
    endings: Vec<Ending>,
    outage: Duration,
    /// For how long the broker really was away.
    away: Duration,
}

impl OutageAccount<'_> {
    fn of(&self, provider: ProviderId) -> impl Iterator<Item = (&PlayedWebhook, Ending)> {
        let all = self.played.iter().zip(self.endings.iter().copied());
        all.filter(move |(one, _)| one.planned.provider.id() == provider)
    }

    /// By the delivery's id, the statuses of those that ended so, in the provider's words.
    fn list(&self, provider: ProviderId, wanted: Ending) -> BTreeMap<&str, Vec<&str>> {
        let mut list: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (one, _) in self.of(provider).filter(|(_, ending)| *ending == wanted) {
            list.entry(&one.planned.delivery_id).or_default().push(&one.planned.raw_status);
        }
        list
    }

    fn for_a_person(&self, speed: u16) -> String {
        let mut table = Table::new(&[
            ("PROVIDER", Align::Left),
            ("SENT", Align::Right),
            ("NOT TAKEN", Align::Right),
            ("AT ONCE", Align::Right),
            ("SPOOLED", Align::Right),
            ("CAME AGAIN", Align::Right),
            ("PULLED", Align::Right),
            ("PASSED OVER", Align::Right),
            ("LOST", Align::Right),
            ("IN REACH", Align::Right),
        ]);
        let mut lists = String::new();
        for id in ALL.iter().map(|provider| provider.id()) {
            let count = |wanted: Ending| self.of(id).filter(|(_, ending)| *ending == wanted).count();
            let not_taken: u64 = self.of(id).map(|(one, _)| one.not_taken).sum();
            let lost = count(Ending::LostInReach) + count(Ending::LostOutOfReach);
            let row = [
                id.to_string(),
                self.of(id).count().to_string(),
                not_taken.to_string(),
                count(Ending::AtOnce).to_string(),
                count(Ending::Spooled).to_string(),
                count(Ending::CameAgain).to_string(),
                count(Ending::Pulled).to_string(),
                count(Ending::PassedOver).to_string(),
                lost.to_string(),
                count(Ending::LostInReach).to_string(),
            ];
            table.row(&row);
            for ending in Ending::ALL.into_iter().filter(|ending| ending.is_listed()) {
                for (delivery, statuses) in self.list(id, ending) {
                    writeln!(lists, "{} {id} {delivery}: {}", ending.as_str(), statuses.join(", "))
                        .expect("a text takes all");
                }
            }
        }
        let (outage, away) = (self.outage.as_secs(), self.away.as_secs_f64());
        format!(
            "the broker was away for {outage} s, played {speed} times as fast; really for {away:.1} s, as the drill waits for \
             its start\n{table}{lists}"
        )
    }

    fn as_json(&self, speed: u16) -> Value {
        let providers = ALL.iter().map(|provider| {
            let id = provider.id();
            let not_taken: u64 = self.of(id).map(|(one, _)| one.not_taken).sum();
            let mut row =
                json!({ "provider": id.as_str(), "sent": self.of(id).count(), "not_taken": not_taken });
            for ending in Ending::ALL {
                row[ending.as_str()] = if ending.is_listed() {
                    json!(self.list(id, ending))
                } else {
                    json!(self.of(id).filter(|(_, one)| *one == ending).count())
                };
            }
            row
        });
        json!({
            "outage_seconds": self.outage.as_secs_f64(), "speed": speed, "really_away_seconds": self.away.as_secs_f64(),
            "providers": providers.collect::<Vec<_>>(),
        })
    }
}
