//! The operator's commands: one file each, with its `Args` and its `run`.

pub mod account;
pub mod audit;
pub mod completions;
pub mod config;
pub mod console;
pub mod contract;
pub mod drill;
pub mod fake;
pub mod hubrise;
pub mod line;
mod listing;
pub mod open;
pub mod parked;
pub mod pattern;
pub mod recover;
pub mod reference;
pub mod run;
mod run_hubrise;
mod run_providers;
pub mod sample_secrets;
pub mod send;
pub mod subscribe;
pub mod table;
pub mod tail;
pub mod topology;
pub mod wait;
pub mod waiting;
pub mod why;

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::adapters::tls::install_crypto_provider;
use crate::app;
use crate::config::{ConfigError, operator_name};
use crate::domain::samples::SampleSource;
use crate::providers;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 78 unusable configuration";

/// What a command line asks for.
#[derive(Parser)]
#[command(name = "milepost", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(clap::Args)]
pub struct Global {
    /// Read this configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Who asks, for the audit log [default: MILEPOST_OPERATOR, or the system's user]
    #[arg(long, global = true, value_name = "NAME")]
    pub operator: Option<String>,
}

impl Global {
    fn who(&self) -> String {
        self.operator.clone().unwrap_or_else(operator_name)
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the whole fleet in one process: in memory, or on the servers given
    Run(run::Args),
    /// Send webhooks as a provider does
    Send(Box<send::Args>),
    /// Show updates as they are published
    Tail(tail::Args),
    /// Give a service a durable queue of the updates that it wants
    Subscribe(subscribe::Args),
    /// Say all that is known of an event, a delivery, a receipt or a merchant's reference
    Why(why::Args),
    /// Show what waits for a retry
    Waiting(waiting::Args),
    /// List deliveries that are not closed, the longest silent first
    Open(open::Args),
    /// Say for how long each provider was refused, and what may be missing
    Account(account::Args),
    /// Ask a provider for what may have been missed
    Recover(recover::Args),
    /// Look at messages that need an operator, and replay or discard them
    #[command(subcommand)]
    Parked(parked::Command),
    /// Show what operators did, oldest first
    Audit(audit::Args),
    /// Serve the operator's pages, or make what their access needs
    Console(console::Args),
    /// Tell the HubRise sink what it cannot know
    #[command(subcommand)]
    Hubrise(hubrise::Command),
    /// Stand in for another company's system
    #[command(subcommand)]
    Fake(fake::Command),
    /// Make trouble for a test fleet on purpose, and account for every webhook
    #[command(subcommand)]
    Drill(drill::Command),
    /// Set up what Milepost needs on the broker
    #[command(subcommand)]
    Topology(topology::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// What subscribers are promised: schemas, topics, examples, and pages about them
    Contract(contract::Args),
    /// Do nothing until told to stop: for a pod in which other commands are run
    Wait,
    /// Print what a shell needs to complete these commands
    Completions(completions::Args),
    /// Print what the code says of its commands or its metrics, as a Markdown page
    Reference(reference::Args),
}

/// How a command ended, as the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    Failed = 1,
    /// What it was asked makes no sense.
    Usage = 2,
    /// The configuration cannot be used (`EX_CONFIG` of sysexits).
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The whole life of the operator's binary, which is a role's where it is called by that one's name.
#[must_use]
pub fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if let Some(ended) = Path::new(&called).file_name().and_then(OsStr::to_str).and_then(app::named) {
        return ended;
    }
    let cli = Cli::parse();
    install_crypto_provider();
    let ended = Runtime::new().map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(run(cli));
        // A write to a terminal or pipe without a reader must not keep the process.
        runtime.shutdown_background();
        ended
    });
    ended.unwrap_or_else(|error| report(&error)).into()
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(args) => run::run(args, cli.global).await,
        Command::Send(args) => send::run(*args).await,
        Command::Tail(args) => tail::run(args, cli.global).await,
        Command::Subscribe(args) => subscribe::run(args, cli.global).await,
        Command::Why(args) => why::run(args, cli.global).await,
        Command::Waiting(args) => waiting::run(args, cli.global).await,
        Command::Open(args) => open::run(args, cli.global).await,
        Command::Account(args) => account::run(args, cli.global).await,
        Command::Recover(args) => recover::run(args, cli.global).await,
        Command::Parked(command) => parked::run(command, cli.global).await,
        Command::Audit(args) => audit::run(args, cli.global).await,
        Command::Console(args) => console::run(args, cli.global).await,
        Command::Fake(command) => fake::run(command).await,
        Command::Drill(command) => drill::run(command).await,
        Command::Hubrise(command) => hubrise::run(command, cli.global).await,
        Command::Topology(command) => topology::run(command, cli.global).await,
        Command::Config(command) => config::run(&command, cli.global),
        Command::Contract(args) => contract::run(args),
        Command::Wait => wait::run().await,
        Command::Completions(args) => completions::run(&args),
        Command::Reference(args) => reference::run(&args),
    }
}

/// Tells a person why a command could not do what it was asked.
fn report(error: &anyhow::Error) -> Exit {
    if let Some(misuse) = error.downcast_ref::<clap::Error>() {
        // When even the terminal is gone, the exit code has to do.
        let _ = misuse.print();
        return Exit::Usage;
    }
    let said = format!("{error:#}");
    eprintln!("milepost: {said}");
    if let Some(hint) = not_listening(&said) {
        eprintln!("milepost: {hint}");
    }
    if error.is::<ConfigError>() { Exit::Configuration } else { Exit::Failed }
}

/// What to say to someone who may look for a fleet in memory, when no server answers at the usual addresses.
fn not_listening(error: &str) -> Option<&'static str> {
    let usual = ["cannot reach RabbitMQ at 127.0.0.1:5672", "cannot reach Redis at 127.0.0.1:6379"];
    let hint = "a `milepost run` without --amqp and --redis, as `make run` is, keeps everything in memory: no other command can \
                look into it";
    usual.iter().any(|usual| error.contains(usual)).then_some(hint)
}

/// A misuse that only the command itself could see, for [`main`] to report as any other.
fn misuse(message: impl Display) -> anyhow::Error {
    Cli::command().error(ErrorKind::ValueValidation, message).into()
}

/// Whether a write failed because the reader of the output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Finds a provider by its name, for making its webhooks.
fn sample_source(name: &str) -> Result<&'static dyn SampleSource, String> {
    providers::sample_source(name).ok_or_else(|| {
        let names: Vec<_> = providers::ALL.iter().map(|provider| provider.id().as_str()).collect();
        format!("the providers are {}", names.join(", "))
    })
}
