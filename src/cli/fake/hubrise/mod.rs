//! `milepost fake hubrise`: a stand-in for HubRise's API, as much of it as deliveries need.

pub mod faults;
pub mod fields;
pub mod server;
pub mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use self::faults::StandInLimits;
use self::server::Stub;
use self::world::{StandInOrder, World};
use crate::adapters::clock::SystemClock;
use crate::adapters::http::{HttpLimits, Stopping, server as http};
use crate::app::life::Signals;
use crate::cli::Exit;

/// What a stand-in takes of its callers.
pub(super) const HTTP: HttpLimits = HttpLimits {
    max_body_bytes: 1024 * 1024,
    header_timeout: Duration::from_secs(30),
    idle_timeout: Duration::from_mins(10),
    body_timeout: Duration::from_secs(10),
    min_body_rate: None,
    max_requests_in_flight: 1024,
    max_bytes_in_flight: 32 * 1024 * 1024,
    max_connections: 512,
    max_connections_per_peer: None,
    max_connection_age: Duration::from_hours(1),
    refusal_log_pause: Duration::from_mins(1),
    retry_after: Duration::from_secs(1),
};

/// What the stand-in is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Listen here
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8070")]
    pub listen: SocketAddr,
    /// The token that it takes
    #[arg(long, value_name = "TOKEN", default_value = SAMPLE_TOKEN, hide_default_value = true)]
    pub token: String,
    /// The location that the token is for
    #[arg(long, value_name = "ID", default_value = SAMPLE_LOCATION)]
    pub location: String,
    /// Have this order, to be delivered; may be given more than once
    #[arg(long = "order", value_name = "ID")]
    pub orders: Vec<String>,
    /// Have every order that is asked for
    #[arg(long)]
    pub any_order: bool,
    /// Requests a minute, before 429
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub per_minute: u32,
    /// Requests an hour, before 429
    #[arg(long, value_name = "N", default_value_t = 2_500)]
    pub per_hour: u32,
    /// Requests a day, before 429
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub per_day: u32,
    /// Minutes, hours and days that are so many times shorter
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub faster: u32,
}

impl Args {
    /// A stand-in that has every order, to be tried out.
    #[must_use]
    pub fn sample() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: SAMPLE_TOKEN.to_owned(),
            location: SAMPLE_LOCATION.to_owned(),
            orders: Vec::new(),
            any_order: true,
            per_minute: 500,
            per_hour: 2_500,
            per_day: 10_000,
            faster: 1,
        }
    }
}

/// The token of the stand-in of `milepost run`, which listens on loopback alone.
pub const SAMPLE_TOKEN: &str = "sample-token-hubrise";
pub const SAMPLE_LOCATION: &str = "3r4s3-1";

/// Serves until a signal.
///
/// # Errors
/// When it cannot listen.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    eprintln!("milepost: a stand-in for HubRise on http://{}/v1; Ctrl-C ends it", listener.local_addr()?);
    let stub = stub(&args);
    let stop = CancellationToken::new();
    let showing = tokio::spawn(show(stub.changes(), false));
    let serving = tokio::spawn(serve(listener, stub, stop.clone()));
    signals.next().await;
    stop.cancel();
    serving.await?;
    showing.abort();
    Ok(Exit::Done)
}

/// The stand-in that `args` describes.
#[must_use]
pub fn stub(args: &Args) -> Arc<Stub> {
    let mut world = World::new(&args.location);
    world.any_order = args.any_order;
    world.orders.extend(args.orders.iter().map(|id| (id.clone(), StandInOrder::to_deliver())));
    let limits = StandInLimits::new(args.per_minute, args.per_hour, args.per_day, args.faster);
    Stub::new(world, &args.token, limits, Arc::new(SystemClock))
}

/// Serves a stand-in until `stop`.
pub async fn serve(listener: TcpListener, stub: Arc<Stub>, stop: CancellationToken) {
    let stopping = Stopping { delay: Duration::ZERO, drain: Duration::from_secs(1) };
    http::serve(listener, stub, HTTP, stop, stopping).await;
}

/// Prints each change of a delivery, to standard error where standard output is for something else.
pub async fn show(mut changes: Receiver<String>, aside: bool) {
    loop {
        match changes.recv().await {
            Ok(line) if aside => eprintln!("hubrise: {line}"),
            Ok(line) => println!("hubrise: {line}"),
            Err(RecvError::Lagged(missed)) => eprintln!("milepost: {missed} changes were too fast to show"),
            Err(RecvError::Closed) => return,
        }
    }
}
