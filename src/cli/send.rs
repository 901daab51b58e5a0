//! `milepost send`: sends webhooks as a provider does, and sends again what is not accepted.

pub mod delivered;
pub mod pace;
pub mod post;
pub mod tally;
pub mod target;
pub mod webhooks;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::delivered::Delivered;
use self::pace::Pace;
use self::post::{OnResend, Poster};
use self::tally::Tally;
use self::webhooks::{Content, Webhooks};
use super::sample_secrets::sample_secret;
use super::{Exit, duration, misuse};
use crate::domain::identity::Account;
use crate::domain::provider::{AuthScheme, Provider};
use crate::domain::secret::Secret;
use crate::providers;

/// Up to so many webhooks get a line each; more get a summary each second.
const LINES: u64 = 20;

/// What `milepost send` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// The provider to send as
    #[arg(value_parser = provider)]
    pub provider: &'static dyn Provider,
    /// Send this one of the provider's documented payloads, each time as another event of another delivery
    /// [default: the first of --list]
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub sample: Option<String>,
    /// Send this file's bytes as the body, each time the same
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Show the names of the provider's documented payloads and end
    #[arg(long)]
    pub list: bool,
    /// How many webhooks
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    /// How many a second [default: as many as are accepted]
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: Option<f64>,
    /// For which account of ours
    #[arg(long, default_value = "default")]
    pub account: Account,
    /// Where to: a URL, or only its origin, to which the provider's path is added
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = target::parse)]
    pub to: Url,
    /// What the webhooks' ids and times are made from: the same seed makes the same bytes
    /// [default: random, and shown]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Sign with the secret in this file; a line break at its end does not count
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Sign with this secret; a command line shows it to other users, the environment does not [default, to this
    /// machine only: the sample secret of `milepost run`]
    #[arg(long, env = "MILEPOST_SEND_SECRET", hide_env_values = true, conflicts_with = "secret_file")]
    pub secret: Option<String>,
    /// How to prove who we are: `hmac`, `api_key`, `basic`, `bearer` or `header` [default: the first that the provider documents]
    #[arg(long, value_name = "SCHEME")]
    pub auth: Option<String>,
    /// Send again, within seconds, what is not accepted, until so long after its first try
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = duration)]
    pub give_up: Duration,
    /// How many at once, those that wait to be sent again included
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Show what became of each as one JSON object a line
    #[arg(long)]
    pub json: bool,
}

impl Args {
    fn many(&self) -> bool {
        self.count > LINES
    }
}

fn provider(name: &str) -> Result<&'static dyn Provider, String> {
    providers::by_name(name).ok_or_else(|| {
        let names: Vec<_> = providers::ALL.iter().map(|provider| provider.id().as_str()).collect();
        format!("the providers are {}", names.join(", "))
    })
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "expected from 0.001 to 1000000 a second".to_owned())
}

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
        for sample in args.provider.samples() {
            writeln!(out, "{}", sample.name)?;
        }
        return Ok(Exit::Done);
    }
    let target = target::resolve(args.to.clone(), args.provider.id(), &args.account);
    let scheme = scheme(args)?;
    let (content, secret) = (content(args)?, secret(args, scheme, &target)?);
    let seed = args.seed.unwrap_or_else(|| {
        let seed = rand::random();
        eprintln!("milepost: --seed {seed} makes the same webhooks again");
        seed
    });
    let webhooks = Webhooks { provider: args.provider, content, scheme, secret, seed };
    let on_resend: OnResend =
        if args.many() { Arc::new(|_| {}) } else { Arc::new(|resend| eprintln!("{resend}")) };
    let accepted = args.provider.answer(Some(scheme), Ok(()));
    let poster = Poster::new(target, accepted, args.give_up, on_resend)?;
    let tally = send(args, &webhooks, poster, out).await?;
    let exit = if tally.all_accepted() { Exit::Done } else { Exit::Failed };
    eprintln!("milepost: {}", tally.summary());
    Ok(exit)
}

/// Posts every webhook, at most `concurrency` at once: capacity is looked for before the next one is made.
async fn send(
    args: &Args,
    webhooks: &Webhooks,
    poster: Poster,
    out: &mut impl Write,
) -> anyhow::Result<Tally> {
    let (poster, mut tally) = (Arc::new(poster), Tally::new(Instant::now()));
    let mut pace = Pace::new(args.rate, Instant::now());
    let second = Duration::from_secs(1);
    let mut second = interval_at(Instant::now() + second, second);
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut begun, mut under_way) = (0, JoinSet::new());
    while begun < args.count || !under_way.is_empty() {
        let room = begun < args.count && under_way.len() < usize::from(args.concurrency);
        tokio::select! {
            () = pace.turn(), if room => {
                let (poster, number, webhook) = (Arc::clone(&poster), begun, webhooks.webhook(begun)?);
                under_way.spawn(async move { poster.deliver(number, &webhook).await });
                begun += 1;
            }
            Some(ended) = under_way.join_next() => {
                let delivered: Delivered = ended.context("a sending task failed")?;
                tally.add(&delivered);
                if args.json {
                    writeln!(out, "{}", serde_json::to_string(&delivered)?)?;
                } else if !args.many() {
                    writeln!(out, "{delivered}")?;
                }
            }
            _ = second.tick(), if args.many() => eprintln!("milepost: {tally}, {} under way", under_way.len()),
        }
    }
    Ok(tally)
}

fn scheme(args: &Args) -> anyhow::Result<AuthScheme> {
    let (provider, schemes) = (args.provider.id(), args.provider.auth_schemes());
    let wanted = args.auth.as_deref();
    let found = schemes.iter().find(|scheme| wanted.is_none_or(|wanted| scheme.as_str() == wanted));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = schemes.iter().map(|scheme| scheme.as_str()).collect();
        misuse(format!("{provider} has only --auth {}", names.join(" or ")))
    })
}

fn content(args: &Args) -> anyhow::Result<Content> {
    if let Some(file) = &args.file {
        return Ok(Content::Verbatim(read(file)?.into()));
    }
    let (provider, wanted) = (args.provider.id(), args.sample.as_deref());
    let sample = args.provider.samples().iter().find(|sample| wanted.is_none_or(|name| sample.name == name));
    let sample = sample.ok_or_else(|| misuse(format!("{provider} has no such sample; see --list")))?;
    Content::sample(sample)
        .with_context(|| format!("the sample {} is not JSON; send it as --file", sample.name))
}

fn secret(args: &Args, scheme: AuthScheme, target: &Url) -> anyhow::Result<Secret> {
    let provider = args.provider;
    let secret = match (&args.secret_file, &args.secret) {
        (Some(file), _) => without_line_end(&read(file)?).to_vec(),
        (None, Some(secret)) => secret.clone().into_bytes(),
        (None, None) if target::is_loopback(target) && provider.auth_schemes().first() == Some(&scheme) => {
            sample_secret(provider.id()).into_bytes()
        }
        (None, None) => return Err(misuse("a secret is needed: --secret-file or MILEPOST_SEND_SECRET")),
    };
    Secret::new(&secret).ok_or_else(|| misuse("the secret is empty"))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
