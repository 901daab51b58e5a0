//! `milepost account`: the question after every outage. For how long was each provider refused, what may be lost, and what
//! came back?

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::config::load_with;
use super::{Exit, Global, misuse};
use crate::adapters::clock::SystemClock;
use crate::domain::gap::Witness;
use crate::domain::provider::Provider;
use crate::operator::account::{AccountQuestion, ProviderAccount, Stretch, ask};
use crate::operator::provider;
use crate::operator::when::when;
use crate::ports::Clock as _;

/// What `milepost account` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Since then: a time such as 10:00 or 2026-01-02T03:04:05Z, or so long ago, such as 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Timestamp,
    /// And until then [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// Only of this provider
    #[arg(long, value_name = "NAME", value_parser = provider)]
    pub provider: Option<&'static dyn Provider>,
    /// Ask this RabbitMQ [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// One JSON object a line, of a provider each
    #[arg(long)]
    pub json: bool,
}

/// Asks, and says what is known and what is not.
///
/// # Errors
/// When the configuration or Redis cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let now = SystemClock.now();
    let until = args.until.unwrap_or(now);
    if until <= args.since {
        return Err(misuse("--until is not after --since"));
    }
    let config = load_with(global, &[("--amqp", &args.amqp), ("--redis", &args.redis)])?.config;
    let question = AccountQuestion { since: args.since, until, provider: args.provider };
    let (accounts, outage) = ask(question, &config, now).await?;
    let mut out = anstream::stdout().lock();
    for account in &accounts {
        if args.json {
            writeln!(out, "{}", as_json(account))?;
        } else {
            write!(out, "{}", for_a_person(account))?;
        }
    }
    out.flush()?;
    if let Some(outage) = outage {
        eprintln!("milepost: what was recovered is not known: {outage:#}");
    }
    Ok(Exit::Done)
}

fn for_a_person(account: &ProviderAccount) -> String {
    let (id, patience) = (account.provider.id(), account.provider.gives_up_after());
    if account.stretches.is_empty() {
        return format!("{id}: no refusal is known\n{}", recovery(account));
    }
    let mut said = format!("{id}\n");
    for stretch in &account.stretches {
        said.push_str(&stretch_in_words(stretch, patience));
    }
    said + &recovery(account)
}

fn stretch_in_words(stretch: &Stretch, patience: Duration) -> String {
    let Stretch { from, until, refused, webhooks, came_again, witnesses } = stretch;
    let mut said = match (witnesses.contains(&Witness::Receiver), witnesses.contains(&Witness::Absence)) {
        (true, false) => format!("refused {refused} requests"),
        (true, true) => format!("refused {refused} requests, and for a time no receiver ran"),
        (false, true) => "no receiver ran: how many requests came is not known".to_owned(),
        (false, false) => "an operator says that webhooks were missed".to_owned(),
    };
    if *webhooks > 0 {
        write!(said, "; of {webhooks} different webhooks among them {came_again} surely came again")
            .expect("a text takes all");
    }
    let lasted = stretch.lasted().as_secs();
    let verdict = if patience.is_zero() {
        "each of them may be lost: it is not known to send again".to_owned()
    } else if stretch.is_outlasted_by(patience) {
        match webhooks.saturating_sub(*came_again) {
            0 => format!("it sends again for {} s: all came again, if it did so", patience.as_secs()),
            others => {
                format!("it sends again for {} s; of the other {others} it is not known", patience.as_secs())
            }
        }
    } else {
        let lost = lasted.saturating_sub(patience.as_secs());
        format!(
            "it sends again for {} s: what was refused in the first {lost} s may be lost",
            patience.as_secs()
        )
    };
    write!(said, "; {verdict}").expect("a text takes all");
    format!("  {from:.0} to {until:.0} ({lasted} s): {said}\n")
}

/// What came back, and what cannot be known.
fn recovery(account: &ProviderAccount) -> String {
    let id = account.provider.id();
    let mut said = String::new();
    let updates = account.recovered.as_ref().map_or(0, Vec::len);
    if let Some(deliveries) = account.recovered_deliveries().filter(|deliveries| *deliveries > 0) {
        writeln!(said, "  recovered by asking: {updates} updates of {deliveries} deliveries")
            .expect("a text takes all");
    }
    if account.stretches.is_empty() {
        return said;
    }
    let unheard = account.unheard;
    writeln!(said, "  open then, without an update since: {unheard} deliveries").expect("a text takes all");
    let asked = match (account.provider.pull(), account.is_asked) {
        (None, _) => "it cannot be asked for deliveries",
        (Some(_), false) => "it could be asked, and no credential is configured: recovery.providers",
        (Some(pull), true) if pull.missed_events().is_some() => {
            "it is asked for those, and for the events that it still had"
        }
        (Some(_), true) => "it is asked for those",
    };
    writeln!(said, "  {asked}").expect("a text takes all");
    writeln!(
        said,
        "  not known: what a refused webhook said, as it is kept nowhere; whether those came again that are not counted; \
         {id}'s deliveries that began then; refusals of a receiver that ended before it could note them"
    )
    .expect("a text takes all");
    said
}

fn as_json(account: &ProviderAccount) -> Value {
    let patience = account.provider.gives_up_after();
    let stretches = account.stretches.iter().map(|stretch| {
        let witnesses: Vec<_> = stretch.witnesses.iter().map(|witness| witness.as_str()).collect();
        json!({
            "from": stretch.from, "until": stretch.until, "refused": stretch.refused, "witnesses": witnesses,
            "webhooks": stretch.webhooks, "came_again": stretch.came_again,
            "may_be_lost": !stretch.is_outlasted_by(patience),
        })
    });
    json!({
        "provider": account.provider.id().as_str(), "gives_up_after_seconds": patience.as_secs(),
        "gaps": stretches.collect::<Vec<_>>(), "open_and_unheard": account.unheard, "is_asked": account.is_asked,
        "can_be_asked": account.provider.pull().is_some(),
        "recovered_updates": account.recovered.as_ref().map(Vec::len),
        "recovered_deliveries": account.recovered_deliveries(),
    })
}
