//! `milepost fake provider`: a stand-in for a provider's API, as much of it as its documents say about where a delivery stands.

pub mod dialect;
pub mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::dialect::Dialect;
use self::server::ProviderStub;
use super::hubrise::HTTP;
use crate::adapters::http::{Stopping, server as http};
use crate::app::life::Signals;
use crate::cli::Exit;

/// What the stand-in is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Whose API: telyport, 247express, dash or hubrise
    #[arg(value_name = "PROVIDER", value_parser = dialect)]
    pub dialect: Dialect,
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
    let provider = args.dialect.provider();
    eprintln!(
        "milepost: a stand-in for {provider}'s API on http://{}; Ctrl-C ends it",
        listener.local_addr()?
    );
    let stub = ProviderStub::new(args.dialect, &args.credential);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, stub, stop.clone()));
    signals.next().await;
    stop.cancel();
    serving.await?;
    Ok(Exit::Done)
}

/// Serves a stand-in until `stop`.
pub async fn serve(listener: TcpListener, stub: Arc<ProviderStub>, stop: CancellationToken) {
    let stopping = Stopping { delay: Duration::ZERO, drain: Duration::from_secs(1) };
    http::serve(listener, stub, HTTP, stop, stopping).await;
}
