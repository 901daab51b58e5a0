//! `milepost parked show`.

use std::io::Write;

use serde_json::{Value, json};

use super::list::when;
use super::{BrokerArgs, Site, out, until_signalled};
use crate::cli::Exit;
use crate::domain::provider::ProviderId;
use crate::operator::audit::{Act, AuditEntry, Surface};
use crate::operator::parked::body::ShownBody;
use crate::operator::parked::entry::Entry;
use crate::operator::parked::filter::Filter;
use crate::operator::parked::look;
use crate::operator::parked_of;
use crate::operator::printable::printable;

/// What `milepost parked show` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// The message's id, as `list` shows it
    pub id: String,
    /// Look for it only here [default: everywhere]
    #[arg(long, value_parser = parked_of)]
    pub provider: Option<ProviderId>,
    /// Show personal data too
    #[arg(long)]
    pub reveal: bool,
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn run(args: &Args, site: &Site) -> anyhow::Result<Exit> {
    let found = if args.reveal {
        let which = std::slice::from_ref(&args.id);
        let entry = AuditEntry::begun(&site.who, Surface::Command, Act::Reveal, args.id.clone(), which);
        let told = |found: &u64| (*found, "shown".to_owned());
        site.audit().done(&entry, show(args, site), told).await?
    } else {
        show(args, site).await?
    };
    if found == 0 {
        eprintln!("milepost: no parked message has the id {}", printable(&args.id));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Shows what has the id. Returns how many have.
async fn show(args: &Args, site: &Site) -> anyhow::Result<u64> {
    let filter = Filter { provider: args.provider.into_iter().collect(), ..Filter::default() };
    let (mut out, mut found) = (out(), 0);
    look(&site.rabbit, &filter, &until_signalled()?, |entry, message| {
        if entry.about.id == args.id {
            found += 1;
            let body = ShownBody::read(&message.envelope.body, args.reveal);
            if args.json {
                writeln!(out, "{}", as_json(&entry, body))?;
            } else {
                as_text(&entry, &body, &mut out)?;
            }
        }
        Ok(())
    })
    .await?;
    out.flush()?;
    Ok(found)
}

fn as_json(entry: &Entry, body: ShownBody) -> Value {
    let mut shown = entry.json();
    shown["history"] = json!(entry.about.history);
    shown["body"] = match body {
        ShownBody::Json(value) => value,
        ShownBody::Text(text) => text.into(),
        ShownBody::Hidden => Value::Null,
    };
    shown
}

fn as_text(entry: &Entry, body: &ShownBody, out: &mut impl Write) -> anyhow::Result<()> {
    let Entry { about, defect, content, bytes } = entry;
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let facts = [
        ("id", about.id.clone()),
        ("provider", about.provider.to_string()),
        ("account", entry.account().to_owned()),
        ("received", when(about.received_at)),
        ("parked", when(about.parked_at)),
        ("reason", about.reason.clone()),
        ("detail", text(&about.detail)),
        ("fingerprint", about.fingerprint()),
        ("tries", (u64::from(about.attempt) + 1).to_string()),
        ("crashes", about.crashes.to_string()),
        ("delivery", text(&content.delivery_id)),
        ("status", text(&content.raw_status)),
        ("event", text(&content.event_id)),
        ("their event", text(&content.provider_event_id)),
        ("envelope", defect.unwrap_or("sound").to_owned()),
    ];
    for (name, value) in facts {
        writeln!(out, "{name:<12} {}", printable(&value))?;
    }
    if about.history.failures().is_empty() {
        writeln!(out, "history      -")?;
    } else {
        writeln!(out, "history")?;
    }
    for failure in about.history.failures() {
        let detail = failure.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let line = format!("try {} failed: {}{detail}", u64::from(failure.attempt) + 1, failure.reason);
        writeln!(out, "  {}  {}", when(Some(failure.at)), printable(&line))?;
    }
    match body {
        ShownBody::Json(value) => {
            writeln!(out, "body ({bytes} bytes)")?;
            for line in serde_json::to_string_pretty(value)?.lines() {
                writeln!(out, "  {}", printable(line))?;
            }
        }
        ShownBody::Text(text) => writeln!(out, "body ({bytes} bytes, not JSON)\n  {text}")?,
        ShownBody::Hidden => writeln!(out, "body ({bytes} bytes, not JSON: --reveal shows it)")?,
    }
    Ok(())
}
