//! `milepost fake provider`: a stand-in for a provider's API, as much of it as its documents say about a delivery's status.

pub mod dialect;
pub mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::dialect::Dialect;
use self::server::{ProviderStub, ProviderStubs};
use super::hubrise::HTTP;
use crate::adapters::http::{Handler, Stopping, server as http};
use crate::app::life::Signals;
use crate::cli::Exit;

/// What the stand-in is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Whose API: telyport, 247express, dash or hubrise [default: all of them, each below its name, as in /telyport/order]
    #[arg(value_name = "PROVIDER", value_parser = dialect)]
    pub dialect: Option<Dialect>,
    /// Listen here
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8071")]
    pub listen: SocketAddr,
    /// The credential that it takes
    #[arg(long, value_name = "CREDENTIAL", default_value = SAMPLE_CREDENTIAL, hide_default_value = true)]
    pub credential: String,
}

/// A credential that has the form of each provider's.
pub const SAMPLE_CREDENTIAL: &str = "sample-key:sample-secret";

/// The API of the provider of that name.
fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::ALL
        .into_iter()
        .find(|dialect| dialect.provider().as_str() == name)
        .ok_or_else(|| "must be telyport, 247express, dash or hubrise".to_owned())
}

/// Serves until a signal.
///
/// # Errors
/// When it cannot listen.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let whose = args.dialect.map_or_else(
        || "every provider's API that can be asked".to_owned(),
        |dialect| format!("{}'s API", dialect.provider()),
    );
    eprintln!("milepost: a stand-in for {whose} on http://{}; Ctrl-C ends it", listener.local_addr()?);
    let stop = CancellationToken::new();
    let serving = match args.dialect {
        Some(dialect) => {
            let stub = ProviderStub::new(dialect, &args.credential);
            tokio::spawn(serve(listener, stub, stop.clone()))
        }
        None => tokio::spawn(serve(listener, every_stub(&args.credential), stop.clone())),
    };
    signals.next().await;
    stop.cancel();
    serving.await?;
    Ok(Exit::Done)
}

/// Stand-ins for every API there is.
#[must_use]
pub fn every_stub(credential: &str) -> Arc<ProviderStubs> {
    Arc::new(ProviderStubs(Dialect::ALL.map(|dialect| ProviderStub::new(dialect, credential)).into()))
}

/// Serves a stand-in, or several, until `stop`.
pub async fn serve<H: Handler>(listener: TcpListener, stub: Arc<H>, stop: CancellationToken) {
    let stopping = Stopping { delay: Duration::ZERO, drain: Duration::from_secs(1) };
    http::serve(listener, stub, HTTP, stop, stopping).await;
}
