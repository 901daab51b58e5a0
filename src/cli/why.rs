//! `milepost why`: all that is known of an event, a delivery, a receipt or a merchant's reference, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::config::load_with;
use super::parked::{BrokerArgs, until_signalled};
use super::table::{Align, Table};
use super::{Exit, Global, misuse, not_listening};
use crate::adapters::clock::SystemClock;
use crate::adapters::redis::{DeliveryName, Repeat};
use crate::domain::identity::ReceiptId;
use crate::operator::printable::printable;
use crate::operator::when::{clock, duration, when};
use crate::operator::why::{self, AskedSystems, Explanation, ParkedOf, Question, Row, Searched};
use crate::ports::Clock as _;

const EXAMPLES: &str = "\
Examples:
  milepost why IN250212151234                                  all that is known of a delivery
  milepost why IN250212151234 --from 10:00 --until 10:30       what happened to it between
  milepost why '#547455' --since 2d                            the deliveries with this reference of the merchant's
  milepost why 0195f1c2-3a4b-7c5d-8e6f-0a1b2c3d4e5f            what became of a request: its Milepost-Receipt

Times are in UTC.";

/// What `milepost why` is asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A delivery's id, an event's id (the published one or the provider's own), a receipt's (`Milepost-Receipt`), or a
    /// reference of the merchant's, such as the order's number
    pub id: String,
    /// Of a delivery, show what happened since then: a time such as 10:00 or 2026-01-02T03:04:05Z, or so long ago, such as
    /// 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub from: Option<Timestamp>,
    /// And until then
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// Show everything, but search only the updates published since so long ago, such as 1h or 2d [default: since the
    /// receipt, or all that are kept]
    #[arg(long, value_name = "SPAN", value_parser = duration, conflicts_with_all = ["from", "until"])]
    pub since: Option<Duration>,
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Asks everybody and shows what they know.
///
/// # Errors
/// When the configuration cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    if args.from.zip(args.until).is_some_and(|(from, until)| until <= from) {
        return Err(misuse("--until is not after --from"));
    }
    let flags = [("--amqp", &args.broker.amqp), ("--redis", &args.redis)];
    let config = load_with(global, &flags)?.config;
    let now = SystemClock.now();
    let Args { id, from, until, since, json, .. } = args;
    let question = Question { id, from, until, since };
    let answer = why::ask(&question, &config, now, ParkedOf::Queues(until_signalled()?)).await?;
    let mut out = anstream::stdout().lock();
    if json {
        writeln!(out, "{}", answer.as_json(now))?;
    } else {
        write!(out, "{}", for_a_person(&answer, now))?;
    }
    out.flush()?;
    Ok(if answer.is_empty() { Exit::Failed } else { Exit::Done })
}

fn for_a_person(answer: &Explanation, now: Timestamp) -> String {
    let mut text = String::new();
    for (whom, why) in &answer.unknown {
        let _ = writeln!(text, "warning: nothing is known of {whom}: {}", printable(why));
    }
    if let Some(hint) = answer.unknown.iter().find_map(|(_, why)| not_listening(why)) {
        let _ = writeln!(text, "warning: {hint}");
    }
    if answer.is_empty() {
        return text + &nothing_known(answer, now);
    }
    if let Some(Repeat { receipt, of }) = answer.repeated() {
        let at = clock(receipt.received_at(), now);
        let _ = writeln!(
            text,
            "receipt {receipt}, of {at}, repeats {of}: its event was known, and is published once"
        );
    }
    if !answer.referred().is_empty() {
        let ids: Vec<_> = answer.referred().iter().map(|name| printable(&name.delivery_id)).collect();
        let _ = writeln!(text, "{} is a reference of {}", printable(&answer.id), ids.join(", "));
    }
    let beyond = answer.referred_beyond();
    if beyond > 0 {
        let _ = writeln!(text, "deliveries with this reference, not shown: {beyond}");
    }
    for delivery in &answer.remembered {
        let DeliveryName { provider, account, delivery_id } = &delivery.name;
        let _ = writeln!(text, "delivery {provider}/{account} {}", printable(delivery_id));
        for (leg, state) in &delivery.legs {
            let courier = if leg.is_empty() { String::new() } else { format!(" (courier {leg})") };
            let _ = writeln!(text, "  status {}{courier}", state.status().as_str());
        }
        if let Some(sequence) = delivery.sequence {
            let _ = writeln!(text, "  last sequence number {sequence}");
        }
    }
    if let Some(since) = answer.asked.searched.as_ref().and_then(Searched::since) {
        let _ = writeln!(text, "updates searched: those published since {}", clock(since, now));
    }
    for known in &answer.hubrise {
        let _ = writeln!(text, "hubrise: {}", printable(&known.in_words(now)));
    }
    let (rows, left_out) = answer.rows();
    if !rows.is_empty() {
        let _ = write!(text, "{}", table(rows, &answer.asked, now));
    }
    if left_out > 0 {
        let _ = writeln!(text, "events of which nothing happened in that time, not shown: {left_out}");
    }
    text
}

/// Of a receipt, what there is to look at next.
fn nothing_known(answer: &Explanation, now: Timestamp) -> String {
    let mut text = format!("{} was not found\n", printable(&answer.id));
    let Some(given) = ReceiptId::given_at(&answer.id) else { return text };
    let _ = write!(text, "It is a receipt, given at {}", clock(given, now));
    let kept_since = answer.asked.searched.as_ref().and_then(|searched| searched.kept_since);
    let _ = match kept_since.filter(|kept| given < *kept) {
        Some(kept) => writeln!(
            text,
            ", before the oldest update that the stream still has, of {}. If it was published, only the ledger knows it,\n\
             by its delivery: ask `why` with the delivery's id. Else one of these is true:",
            clock(kept, now)
        ),
        None => writeln!(text, ". Then one of these is true:"),
    };
    let _ = writeln!(
        text,
        "  it was refused, and so never stored: the receiver's log has the reason under this receipt.id"
    );
    let _ = writeln!(text, "  it is about no delivery and was ignored: the worker's log says so under it");
    let waiting = match answer.waiting.as_deref() {
        None => "which cannot be seen now".to_owned(),
        Some([]) => "though none is seen to wait now".to_owned(),
        Some(queues) => {
            let queues: Vec<_> =
                queues.iter().map(|(queue, messages)| format!("{messages} in {queue}")).collect();
            queues.join(", ")
        }
    };
    let _ = writeln!(text, "  it still waits to be taken up, {waiting}");
    text
}

fn table(rows: BTreeMap<String, Row<'_>>, asked: &AskedSystems, now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("RECEIPT", Align::Left),
        ("RECEIVED", Align::Right),
        ("EVENT", Align::Left),
        ("LEDGER", Align::Left),
        ("FAILED", Align::Right),
        ("REASON", Align::Left),
        ("PUBLISHED", Align::Left),
        ("PARKED", Align::Left),
        ("REPEATS", Align::Right),
        ("DELIVERY", Align::Left),
    ]);
    for (receipt, row) in rows {
        table.row(&row.cells(&receipt, asked, now));
    }
    table
}
