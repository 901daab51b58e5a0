//! Config ▸ build ▸ run ▸ drain: how a role is put together. Every binary is one call into this.

pub mod backends;
pub mod doctor;
mod gaps;
pub mod gate;
pub mod life;
mod live_accounts;
pub mod process;
pub mod refusals;
pub mod reload;
pub mod roles;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use self::backends::Backends;
use self::process::Process;
use crate::adapters::tls::install_crypto_provider;
use crate::config::{Loaded, Sources};
use crate::domain::provider::{Provider, ProviderId};
use crate::providers;
use crate::sinks;
use crate::telemetry::recorder::Role;

/// The exit code of a process whose configuration cannot be used (`EX_CONFIG` of sysexits).
pub const BAD_CONFIGURATION: u8 = 78;

/// What the receiver and the workers understand on their command lines; all else is configuration.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Read this configuration file [default: the one MILEPOST_CONFIG names, if any]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The whole life of the receiver's binary.
#[must_use]
pub fn receiver() -> ExitCode {
    role(Role::Receiver, providers::ALL)
}

/// The whole life of a worker's binary.
#[must_use]
pub fn worker(provider: &'static dyn Provider) -> ExitCode {
    role(Role::Worker(provider.id()), &[provider])
}

/// The whole life of a sink's binary.
#[must_use]
pub fn sink(id: ProviderId) -> ExitCode {
    role(Role::Sink(id), &[])
}

/// The whole life of the reconciler's binary.
#[must_use]
pub fn reconciler() -> ExitCode {
    role(Role::Reconciler, providers::ALL)
}

/// The whole life of the role that a binary of this name has; nothing, if none has it. So that one program serves under
/// every name: an image that holds it once is a fifth as large.
#[must_use]
pub fn named(binary: &str) -> Option<ExitCode> {
    let role = binary.strip_prefix("milepost-")?;
    if role == "receiver" {
        return Some(receiver());
    }
    if role == "reconciler" {
        return Some(reconciler());
    }
    if role == sinks::HUBRISE.as_str() {
        return Some(sink(sinks::HUBRISE));
    }
    providers::by_name(role.strip_prefix("worker-")?).map(worker)
}

fn role(role: Role, served: &[&'static dyn Provider]) -> ExitCode {
    let args = Args::parse();
    install_crypto_provider();
    let sources = Sources { file: args.config, ..Sources::from_env() };
    let loaded = match crate::config::load(&sources, providers::ALL) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("milepost {role}: {error}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let ended = runtime(role).map_err(anyhow::Error::from).and_then(|runtime| {
        let ended = runtime.block_on(live(role, served, loaded));
        // What is still blocked (a name being resolved, say) must not keep the process.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("milepost {role}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A worker's messages are one task: on one thread nothing wakes another, and what is ready at once goes out at once. A
/// receiver's requests are many, and have a signature to check: they take the cores there are.
fn runtime(role: Role) -> std::io::Result<Runtime> {
    match role {
        Role::Worker(_) | Role::Sink(_) | Role::Reconciler => {
            Builder::new_current_thread().enable_all().build()
        }
        Role::Receiver | Role::Console | Role::Run => Runtime::new(),
    }
}

async fn live(role: Role, served: &[&'static dyn Provider], loaded: Loaded) -> anyhow::Result<bool> {
    let config = loaded.config;
    let mut process = Process::start(role, served, &config, &loaded.warnings).await?;
    let ids: Vec<_> = served.iter().map(|provider| provider.id()).collect();
    let backends = Backends::real(&config, role, &ids, &mut process.life, &mut process.reload)?;
    if config.topology.gate {
        process.gate(&config, role, &ids)?;
    }
    match role {
        Role::Receiver => {
            process.receiver(&backends, &config, served).await?;
        }
        Role::Console | Role::Run => anyhow::bail!("{role} is a command of milepost's"),
        Role::Worker(_) => {
            process.workers(&backends, &config, served);
            process.name_refusals(&config, role, &ids)?;
        }
        Role::Sink(_) => {
            let no_connections = "sinks.hubrise.connections is empty: there is nothing to write to";
            anyhow::ensure!(config.hubrise_sink.is_used(), no_connections);
            process.sinks(&backends, &config)?;
        }
        Role::Reconciler => {
            let no_sources = "recovery.providers is empty: there is no provider to ask";
            anyhow::ensure!(!config.recovery.sources.is_empty(), no_sources);
            process.reconciler(&backends, &config, served)?;
        }
    }
    process.run(&config).await
}
