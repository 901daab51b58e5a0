//! `milepost run`: the whole fleet in one process, in memory unless it is given real servers.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::fake::provider::server::ProviderStubs;
use super::run_hubrise::StandIn;
use super::run_providers::{AskedStandIns, played};
use super::sample_secrets::sample_secret;
use super::send::delivered::{SendOutcome, Which};
use super::send::post::Poster;
use super::send::target;
use super::send::webhooks::{WebhookBodies, Webhooks};
use super::{Exit, Global, line};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::updates_log::{LogEvent, Start, UpdatesLog};
use crate::app::backends::Backends;
use crate::app::process::Process;
use crate::config::{Config, Loaded, Sources};
use crate::console::{self, WatchedFleet};
use crate::domain::event::UpdateEvent;
use crate::domain::identity::Account;
use crate::domain::samples::SignedWebhook;
use crate::ports::Clock as _;
use crate::providers;
use crate::sinks::HUBRISE;
use crate::telemetry::recorder::Role;

/// What differs from the roles' own defaults: loopback only, and quiet logs, which still say why a webhook is
/// refused.
const DEFAULTS: &str = r#"
[http]
addr = "127.0.0.1:8080"
[admin]
addr = "127.0.0.1:9090"
[log]
format = "text"
filter = "warn,milepost::adapters::http::refusals=info"
"#;
/// A played webhook that is not accepted is given up after this long.
const GIVE_UP: Duration = Duration::from_secs(30);
const LAST_HOUR: Duration = Duration::from_hours(1);

/// What `milepost run` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Run on this RabbitMQ instead of in memory
    #[arg(long, value_name = "URL", requires = "redis")]
    pub amqp: Option<String>,
    /// Run on this Redis instead of in memory
    #[arg(long, value_name = "URL", requires = "amqp")]
    pub redis: Option<String>,
    /// Listen here for webhooks [default: 127.0.0.1:8080, or as configured]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Listen here for operators [default: 127.0.0.1:9090, or as configured]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Play a delivery of each provider through the HTTP port: the webhooks of its first journey (`milepost send --list`)
    /// in order, signed as the provider would. In memory they then arrive at a stand-in for HubRise
    #[arg(long)]
    pub play: bool,
    /// Show the events themselves, one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Runs until a signal.
///
/// # Errors
/// When the configuration cannot be used, or a port is taken.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let real = args.amqp.is_some();
    // Real servers get no queue that was not asked for.
    let stand_ins = if args.play && !real {
        Some((StandIn::listen().await?, AskedStandIns::listen().await?))
    } else {
        None
    };
    let Loaded { config, warnings } = load(&args, global, stand_ins.as_ref())?;
    let mut process = Process::start(Role::Run, providers::ALL, &config, &warnings).await?;
    let ids: Vec<_> = providers::ALL.iter().map(|provider| provider.id()).collect();
    let (backends, watched) = if real {
        let backends = Backends::real(&config, Role::Run, &ids, &mut process.life, &mut process.reload)?;
        if config.topology.gate {
            process.gate(&config, Role::Run, &ids)?;
        }
        let log = UpdatesLog::new(config.amqp.url.expose(), Start::Next, SystemClock.now())?;
        process.life.plumbing("updates", follow_log(log, args.json, process.life.closing.clone()));
        eprintln!("milepost: running on {} and {}", config.amqp.url, config.redis.url);
        (backends, WatchedFleet::Servers)
    } else {
        let (backends, broker) = Backends::memory(&config);
        process
            .life
            .plumbing("updates", follow_memory(broker.updates(), args.json, process.life.closing.clone()));
        eprintln!("milepost: running in memory: what it holds is gone when it ends");
        if config.hubrise_sink.is_used() {
            broker.feed(HUBRISE);
        }
        (backends, WatchedFleet::Memory(broker))
    };
    let asked = stand_ins.map(|(stand_in, asked)| {
        stand_in.serve(&mut process.life, args.json);
        asked.serve(&mut process.life)
    });
    process.workers(&backends, &config, providers::ALL);
    process.sinks(&backends, &config)?;
    process.reconciler(&backends, &config, providers::ALL)?;
    let http = process.receiver(&backends, &config, providers::ALL).await?;
    eprintln!(
        "milepost: webhooks on http://{http}/webhooks/<provider>, operators on http://{}",
        process.admin_addr()?
    );
    serve_console(&mut process, &config, watched).await?;
    let (play, stopping) = (args.play, process.life.stopping.clone());
    let player = config.clone();
    process.life.role("player", async move {
        if let Err(error) = greet(&player, http, play, asked.as_deref()).await {
            eprintln!("milepost: {error:#}");
        }
        stopping.cancelled().await;
    });
    let well = process.run(&config).await?;
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// Adds the operator's pages, if they are configured. Of metrics they have at least this process's own.
async fn serve_console(process: &mut Process, config: &Config, watched: WatchedFleet) -> anyhow::Result<()> {
    let (mut config, admin) = (config.clone(), process.admin_addr()?);
    if let Some(console) = config.console.as_mut().filter(|console| console.metrics.is_empty()) {
        console.metrics = vec![Url::parse(&format!("http://{admin}/metrics"))?];
    }
    if let Some(addr) = console::add(process, &config, watched).await? {
        eprintln!("milepost: the operator's pages on http://{addr}/");
    }
    Ok(())
}

/// The configuration. While it listens on loopback alone, a provider without any account gets the sample one.
fn load(args: &Args, global: Global, stand_ins: Option<&(StandIn, AskedStandIns)>) -> anyhow::Result<Loaded> {
    let [http, admin] = [args.http, args.admin].map(|addr| addr.map(|addr| addr.to_string()));
    let flags = super::config::set(&[
        ("--amqp", &args.amqp),
        ("--redis", &args.redis),
        ("--http", &http),
        ("--admin", &admin),
    ]);
    let base = DEFAULTS.to_owned();
    let mut sources = Sources { base, file: global.config, flags, ..Sources::from_env() };
    let loaded = crate::config::load(&sources, providers::ALL)?;
    if !loaded.config.http.addr.ip().is_loopback() {
        return Ok(loaded);
    }
    for provider in providers::ALL.iter().map(|provider| provider.id()) {
        let settings = loaded.config.provider(provider);
        if settings.accounts.is_empty() && settings.accounts_dir.is_none() {
            let name = format!("MILEPOST__PROVIDERS__{provider}__ACCOUNTS__DEFAULT__SECRETS");
            let secrets = format!("[\"{}\"]", sample_secret(provider));
            sources.variables.push((name.into(), secrets.into()));
        }
    }
    if let Some((stand_in, asked)) = stand_ins {
        if !loaded.config.hubrise_sink.is_used() {
            sources.base.push_str(&stand_in.connections());
        }
        if loaded.config.recovery.sources.is_empty() {
            sources.base.push_str(&asked.sources());
        }
    }
    Ok(crate::config::load(&sources, providers::ALL)?)
}

/// Plays a journey of each provider if asked, and says how to try one by hand.
async fn greet(
    config: &Config,
    http: SocketAddr,
    play: bool,
    asked: Option<&ProviderStubs>,
) -> anyhow::Result<()> {
    // The deliveries were under way until now.
    let begun = SystemClock.now().checked_sub(LAST_HOUR).unwrap_or_default();
    for &provider in providers::SAMPLE_SOURCES {
        let account = Account::default_account();
        let Some(settings) = config.provider(provider.id()).accounts.get(&account) else { continue };
        let credentials = settings.credentials();
        let Some(secret) = credentials.secrets.first() else { continue };
        let origin = Url::parse(&format!("http://{http}")).context("the address we listen on")?;
        let target = target::resolve(origin, provider.id(), &account);
        let webhooks = |steps| {
            anyhow::Ok(Webhooks {
                provider,
                content: WebhookBodies::of(provider, steps)?,
                scheme: credentials.authentication.scheme(),
                header: credentials.authentication.secret_header().map(str::to_owned),
                secret: secret.clone(),
                seed: rand::random(),
                begun,
            })
        };
        if play && let Some(journey) = provider.journeys().first() {
            play_one(&webhooks(journey.steps)?, target.clone(), asked).await?;
        }
        if let Some(sample) = provider.samples().first() {
            let webhook = webhooks(&[sample.name])?.webhook(0, 0)?;
            eprintln!("\nmilepost: try {} by hand:\n{}\n", provider.id(), curl(&target, &webhook));
        }
    }
    eprintln!("milepost: listening; Ctrl-C ends it");
    Ok(())
}

/// Sends one delivery's webhooks in order. Each must be accepted.
async fn play_one(webhooks: &Webhooks, target: Url, asked: Option<&ProviderStubs>) -> anyhow::Result<()> {
    let accepted = webhooks.provider.answer(Some(webhooks.scheme), Ok(()));
    let poster = Poster::new(target, accepted, GIVE_UP, Arc::new(|_| {}))?;
    for step in 0..webhooks.content.steps() {
        let which = Which { number: 0, step, sample: webhooks.content.name(step), duplicate: false };
        let webhook = webhooks.webhook(0, step)?;
        if let Some(asked) = asked {
            played(asked, webhooks.provider.id(), &webhook.body);
        }
        let delivered = poster.deliver(which, &webhook).await;
        anyhow::ensure!(
            delivered.outcome == SendOutcome::Accepted,
            "{}: {delivered}",
            webhooks.provider.id()
        );
    }
    Ok(())
}

/// A command line that posts a webhook.
fn curl(target: &Url, webhook: &SignedWebhook) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let headers =
        webhook.headers.iter().map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))));
    let body = String::from_utf8_lossy(&webhook.body);
    format!(
        "curl -i {target} -H 'content-type: application/json'{} -d {}",
        headers.collect::<String>(),
        quoted(&body)
    )
}

async fn follow_memory(mut updates: Receiver<UpdateEvent>, json: bool, closing: CancellationToken) {
    while let Some(next) = closing.run_until_cancelled(updates.recv()).await {
        match next {
            Ok(event) => show(&event.body, json),
            Err(RecvError::Lagged(missed)) => eprintln!("milepost: {missed} updates were too fast to show"),
            Err(RecvError::Closed) => break,
        }
    }
    closing.cancelled().await;
}

async fn follow_log(mut log: UpdatesLog, json: bool, closing: CancellationToken) {
    while let Some(next) = closing.run_until_cancelled(log.next()).await {
        match next {
            Ok(LogEvent::Update(update)) => show(&update.body, json),
            Ok(LogEvent::Waiting(outage)) => eprintln!("milepost: not showing updates: {outage}"),
            Ok(LogEvent::Attached) => {}
            Err(error) => {
                eprintln!("milepost: not showing updates any more: {error}");
                break;
            }
        }
    }
    closing.cancelled().await;
}

/// Writes one line. The fleet does not depend on its being read.
fn show(event: &[u8], json: bool) {
    let mut out = std::io::stdout().lock();
    let line = if json { String::from_utf8_lossy(event) } else { line::human(event).into() };
    let _ = writeln!(out, "{line}");
}
