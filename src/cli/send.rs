//! `milepost send`: sends webhooks as a provider does, and sends again what is not accepted.

pub mod args;
pub mod delivered;
pub mod list;
pub mod plan;
pub mod post;
pub mod schedule;
pub mod tally;
pub mod target;
pub mod webhooks;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use self::args::Args;
use self::delivered::{Delivered, SendOutcome, Which};
use self::plan::{Plan, Planned};
use self::post::{OnResend, Poster};
use self::schedule::Schedule;
use self::tally::SendTally;
use self::webhooks::{WebhookBodies, Webhooks};
use super::sample_secrets::sample_secret;
use super::{Exit, misuse};
use crate::domain::authentication::{AuthScheme, Authentication};
use crate::domain::provider::Provider;
use crate::domain::samples::SampleSource;
use crate::domain::secret::Secret;
use crate::operator::pace::SendPace;

/// Up to so many webhooks get a line each; more get a summary each second.
const LINES: u64 = 20;

/// Sends, and tells whether all of it was accepted.
///
/// # Errors
/// When what is asked makes no sense, or the output cannot be written.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    run_into(&args, &mut io::stdout()).await
}

/// [`run`], with what it shows going to `out`.
///
/// # Errors
/// As [`run`].
pub async fn run_into(args: &Args, out: &mut impl Write) -> anyhow::Result<Exit> {
    if args.list {
        list::list(args.provider, out)?;
        return Ok(Exit::Done);
    }
    let provider = args.provider.ok_or_else(|| misuse("which provider?"))?;
    let target = target::resolve(args.to.clone(), provider.id(), &args.account);
    let scheme = scheme(args, provider)?;
    let (content, secret) = (content(args, provider)?, secret(args, provider, scheme, &target)?);
    let header = args.header.as_ref().map(|name| name.as_str().to_owned());
    let seed = args.seed.unwrap_or_else(|| {
        let seed = rand::random();
        eprintln!("milepost: --seed {seed} makes the same webhooks again");
        seed
    });
    let plan = Plan { seed, steps: content.steps(), reorder: args.reorder, duplicates: args.duplicates };
    let webhooks =
        Webhooks { provider, content, scheme, header, secret, seed, begun: webhooks::time_of(seed) };
    let schedule = Schedule::new(plan, args.count, args.concurrency.into());
    let on_resend: OnResend =
        if many(&schedule) { Arc::new(|_| {}) } else { Arc::new(|resend| eprintln!("{resend}")) };
    let poster = Poster::new(target, provider.answer(Some(scheme), Ok(())), args.give_up, on_resend)?;
    let tally = send(args, schedule, &webhooks, poster, out).await?;
    let exit = if tally.all_accepted() { Exit::Done } else { Exit::Failed };
    eprintln!("milepost: {}", tally.summary());
    Ok(exit)
}

const fn many(schedule: &Schedule) -> bool {
    schedule.webhooks() > LINES
}

/// Posts every webhook: whose turn it is and whether there is room is asked before the next one is made.
async fn send(
    args: &Args,
    mut schedule: Schedule,
    webhooks: &Webhooks,
    poster: Poster,
    out: &mut impl Write,
) -> anyhow::Result<SendTally> {
    let (poster, mut tally, many) = (Arc::new(poster), SendTally::new(Instant::now()), many(&schedule));
    let mut pace = SendPace::new(args.rate, Instant::now());
    let second = Duration::from_secs(1);
    let mut second = interval_at(Instant::now() + second, second);
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    while !schedule.is_over() {
        tokio::select! {
            () = pace.turn(), if schedule.has_turn() => {
                let Some((itinerary, Planned { step, duplicate })) = schedule.turn() else { continue };
                let sample = webhooks.content.name(step);
                let which = Which { number: itinerary.number, step, sample, duplicate };
                let (poster, webhook) = (Arc::clone(&poster), webhooks.webhook(which.number, step)?);
                under_way.spawn(async move { (itinerary, poster.deliver(which, &webhook).await) });
            }
            Some(ended) = under_way.join_next() => {
                let (itinerary, delivered): (_, Delivered) = ended.context("a sending task failed")?;
                tally.add(&delivered);
                tally.leave_out(schedule.put_back(itinerary, delivered.outcome == SendOutcome::Accepted));
                if args.json {
                    writeln!(out, "{}", serde_json::to_string(&delivered)?)?;
                } else if !many {
                    writeln!(out, "{delivered}")?;
                }
            }
            _ = second.tick(), if many => eprintln!("milepost: {tally}, {} under way", under_way.len()),
        }
    }
    Ok(tally)
}

fn scheme(args: &Args, provider: &dyn Provider) -> anyhow::Result<AuthScheme> {
    let id = provider.id();
    let schemes: Vec<_> = provider.authentication().iter().map(Authentication::scheme).collect();
    let wanted = args.auth.as_deref();
    let found = schemes.iter().find(|scheme| wanted.is_none_or(|wanted| scheme.as_str() == wanted));
    let scheme = *found.ok_or_else(|| {
        let names: Vec<_> = schemes.iter().map(|scheme| scheme.as_str()).collect();
        misuse(format!("{id} has only --auth {}", names.join(" or ")))
    })?;
    if args.header.is_some() && scheme != AuthScheme::Header {
        return Err(misuse(format!("an account of {id} has no header of its own to choose")));
    }
    Ok(scheme)
}

fn content(args: &Args, provider: &dyn SampleSource) -> anyhow::Result<WebhookBodies> {
    if let Some(file) = &args.file {
        return Ok(WebhookBodies::Verbatim(read(file)?.into()));
    }
    let no_such = |what| misuse(format!("{} has no such {what}; see --list", provider.id()));
    let Some(name) = &args.journey else {
        let sample = named(provider.samples(), args.sample.as_deref(), |sample| sample.name);
        return WebhookBodies::of(provider, &[sample.ok_or_else(|| no_such("sample"))?.name]);
    };
    let journey = named(provider.journeys(), name.as_deref(), |journey| journey.name);
    WebhookBodies::of(provider, journey.ok_or_else(|| no_such("journey"))?.steps)
}

/// The one of this name, or else the first.
fn named<'a, T>(all: &'a [T], wanted: Option<&str>, name: fn(&T) -> &str) -> Option<&'a T> {
    all.iter().find(|one| wanted.is_none_or(|wanted| name(one) == wanted))
}

fn secret(args: &Args, provider: &dyn Provider, scheme: AuthScheme, target: &Url) -> anyhow::Result<Secret> {
    let secret = match (&args.secret_file, &args.secret) {
        (Some(file), _) => without_line_end(&read(file)?).to_vec(),
        (None, Some(secret)) => secret.clone().into_bytes(),
        (None, None) if target::is_loopback(target) && is_default(scheme, provider) => {
            sample_secret(provider.id()).into_bytes()
        }
        (None, None) => return Err(misuse("a secret is needed: --secret-file or MILEPOST_SEND_SECRET")),
    };
    Secret::new(&secret).ok_or_else(|| misuse("the secret is empty"))
}

/// Whether an account proves itself so unless it says otherwise.
fn is_default(scheme: AuthScheme, provider: &dyn Provider) -> bool {
    provider.authentication().first().is_some_and(|first| first.scheme() == scheme)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
