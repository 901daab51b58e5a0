//! `milepost parked show`.

use std::io::Write;

use serde_json::{Value, json};

use super::entry::Entry;
use super::filter::Filter;
use super::list::when;
use super::mask::mask;
use super::{Broker, look, out};
use crate::adapters::rabbit::parked::ParkedMessage;
use crate::cli::line::printable;
use crate::cli::{Exit, Global};
use crate::domain::document::without_mark;
use crate::domain::provider::ProviderId;

/// What `milepost parked show` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// The message's id, as `list` shows it
    pub id: String,
    /// Look for it only here [default: everywhere]
    #[arg(long, value_parser = super::filter::provider)]
    pub provider: Option<ProviderId>,
    /// Show personal data too
    #[arg(long)]
    pub reveal: bool,
    /// Where.
    #[command(flatten)]
    pub broker: Broker,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn run(args: &Args, global: Global) -> anyhow::Result<Exit> {
    let filter = Filter { provider: args.provider.into_iter().collect(), ..Filter::default() };
    let (mut out, mut found) = (out(), 0);
    look(&args.broker.settings(global)?, &filter, |entry, message| {
        if entry.about.id == args.id {
            found += 1;
            let body = Body::read(message, args.reveal);
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
    if found == 0 {
        eprintln!("milepost: no parked message has the id {}", printable(&args.id));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// A body, as far as it may be seen.
enum Body {
    Json(Value),
    Text(String),
    Hidden,
}

impl Body {
    fn read(message: &ParkedMessage, reveal: bool) -> Self {
        let body = &message.envelope.body;
        match serde_json::from_slice(without_mark(body)) {
            Ok(mut value) => {
                mask(&mut value, reveal);
                Self::Json(value)
            }
            // What cannot be read cannot be masked.
            Err(_) if reveal => Self::Text(body.escape_ascii().to_string()),
            Err(_) => Self::Hidden,
        }
    }
}

fn as_json(entry: &Entry, body: Body) -> Value {
    let mut shown = entry.json();
    shown["history"] = json!(entry.about.history);
    shown["body"] = match body {
        Body::Json(value) => value,
        Body::Text(text) => text.into(),
        Body::Hidden => Value::Null,
    };
    shown
}

fn as_text(entry: &Entry, body: &Body, out: &mut impl Write) -> anyhow::Result<()> {
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
        Body::Json(value) => {
            writeln!(out, "body ({bytes} bytes)")?;
            for line in serde_json::to_string_pretty(value)?.lines() {
                writeln!(out, "  {}", printable(line))?;
            }
        }
        Body::Text(text) => writeln!(out, "body ({bytes} bytes, not JSON)\n  {text}")?,
        Body::Hidden => writeln!(out, "body ({bytes} bytes, not JSON: --reveal shows it)")?,
    }
    Ok(())
}
