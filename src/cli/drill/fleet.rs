//! A test fleet on this machine, as `deploy/local/up` and the tests describe theirs in `fleet.json`. Nothing else is drilled:
//! everything that the file names must be on loopback, and the broker one that `deploy/local/servers` started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::cli::send::target;
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::telemetry::metrics::BROKER_CONNECTED;

/// Its name in the fleet's directory.
pub const DESCRIPTION: &str = "fleet.json";
/// Servers and receivers may take so long to go and to come.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    webhooks: String,
    receivers: Vec<String>,
    /// The stand-ins for the providers' APIs, each below its provider's name.
    stand_ins: String,
    /// The script that starts and stops servers.
    script: PathBuf,
    servers: PathBuf,
    /// The account of every provider.
    account: String,
    /// What its webhooks are proved with; the sample secrets if there is none.
    secret: Option<String>,
    /// The providers that it spools for.
    spools: Vec<String>,
}

pub struct TestFleet {
    pub webhooks: Url,
    /// The account of every provider.
    pub account: Account,
    /// What its webhooks are proved with; the sample secrets if there is none.
    pub secret: Option<String>,
    /// Where its updates are read.
    pub amqp: String,
    receivers: Vec<Url>,
    stand_ins: Url,
    script: PathBuf,
    servers: PathBuf,
    spools: Vec<String>,
    client: Client,
}

impl TestFleet {
    /// The one that is described in `directory`.
    ///
    /// # Errors
    /// When there is none, or it is not on this machine alone.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join(DESCRIPTION);
        let text = fs::read_to_string(&file).with_context(|| {
            format!("no test fleet runs in {}: only one of deploy/local/up is drilled", directory.display())
        })?;
        let said: Description =
            serde_json::from_str(&text).with_context(|| format!("cannot read {}", file.display()))?;
        let env = said.servers.join("env");
        let env = fs::read_to_string(&env)
            .with_context(|| format!("{} is not of deploy/local/servers", said.servers.display()))?;
        let amqp = env.lines().find_map(|line| line.strip_prefix("MILEPOST_AMQP_URL="));
        let amqp = amqp.context("the fleet's servers have no RabbitMQ")?.to_owned();
        let local = |text: &str| {
            // It may hold a password, so it is not quoted.
            let url = Url::parse(text).context("an address of the fleet is no URL")?;
            ensure!(target::is_loopback(&url), "{} is not this machine: it is not drilled", host(&url));
            anyhow::Ok(url)
        };
        local(&amqp)?;
        let (webhooks, stand_ins) = (local(&said.webhooks)?, local(&said.stand_ins)?);
        let receivers: Vec<_> = said.receivers.iter().map(|url| local(url)).collect::<anyhow::Result<_>>()?;
        ensure!(!receivers.is_empty(), "{} names no receiver", file.display());
        let Description { script, servers, account, secret, spools, .. } = said;
        let account = account.parse().context("the fleet's account")?;
        let client = Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build()?;
        Ok(Self { webhooks, account, secret, amqp, receivers, stand_ins, script, servers, spools, client })
    }

    /// Ends the broker like a crash, and returns once no receiver has a connection to it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn take_broker_away(&self) -> anyhow::Result<()> {
        self.serve("kill-rabbit").await?;
        self.await_broker(false).await
    }

    /// Starts the broker, and returns once every receiver has a connection to it.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn give_broker_back(&self) -> anyhow::Result<()> {
        self.serve("start-rabbit").await?;
        self.await_broker(true).await
    }

    /// Whether every receiver has, or has not, a connection to the broker, waited for.
    ///
    /// # Errors
    /// When that does not come true.
    pub async fn await_broker(&self, connected: bool) -> anyhow::Result<()> {
        let says = if connected { " 1" } else { " 0" };
        let is_it = |line: &str| line.starts_with(BROKER_CONNECTED) && line.ends_with(says);
        let end = Instant::now() + PATIENCE;
        for receiver in &self.receivers {
            let metrics = receiver.join("/metrics")?;
            loop {
                let answer = self.client.get(metrics.clone()).send().await;
                let answer = answer.with_context(|| format!("no receiver answers at {}", host(receiver)))?;
                if answer.text().await?.lines().any(is_it) {
                    break;
                }
                ensure!(Instant::now() < end, "a receiver never said {BROKER_CONNECTED}{says}");
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Has the stand-in for a provider's API know a delivery in this state.
    ///
    /// # Errors
    /// When it does not take that.
    pub async fn knows(&self, provider: &str, address: &str, state: &Value) -> anyhow::Result<()> {
        let url = self.stand_ins.join(&format!("/{provider}/_fake/deliveries/{address}"))?;
        let answer = self.client.put(url).body(state.to_string()).send().await;
        let answer = answer.context("the stand-ins for the providers' APIs do not answer")?;
        ensure!(answer.status().is_success(), "the stand-in for {provider} says {}", answer.status());
        Ok(())
    }

    #[must_use]
    pub fn spools(&self, provider: ProviderId) -> bool {
        self.spools.iter().any(|name| name == provider.as_str())
    }

    async fn serve(&self, command: &str) -> anyhow::Result<()> {
        let mut script = Command::new(&self.script);
        script.arg(command).arg(&self.servers);
        let output = tokio::task::spawn_blocking(move || script.output()).await?;
        let output = output.with_context(|| format!("cannot run {}", self.script.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "servers {command}: {}", said.trim());
        Ok(())
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}
