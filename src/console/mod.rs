//! `milepost console`: the operator's pages.
//!
//! HTML is made here and works without the script, which only brings live updates. Every act and every question is
//! `operator`'s, as the commands use it. A page's address says all that it shows, and a page changes nothing: acts are
//! forms that are posted, with a token against forged ones.

pub mod access;
mod cookie;
mod fleet;
mod headers;
mod live;
mod page;
mod pages;
mod parked_index;
mod running;
mod trail;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::access::Access;
use self::fleet::{DepthsOf, FleetView, follow as follow_fleet};
use self::live::LiveStreams;
use self::parked_index::ParkedIndex;
use self::running::RunningActs;
use self::trail::Trail;
use self::web::PeerAddr;
use crate::adapters::http::{Caller, Handler};
use crate::adapters::memory::MemoryBroker;
use crate::adapters::rabbit::management::Management;
use crate::app::backends::rabbit_settings;
use crate::app::process::Process;
use crate::config::{Config, ConsoleConfig};

/// A page that takes longer is given up. The doctor and a search of the stream have bounds of their own below it.
const PATIENCE: Duration = Duration::from_mins(2);
/// The largest form: an edited body, and what the encoding of a form adds to it.
const LARGEST_FORM: usize = 4 * 1024 * 1024;

/// What every page has at hand.
pub struct Console {
    config: Config,
    settings: ConsoleConfig,
    access: Access,
    index: Arc<ParkedIndex>,
    acts: Arc<RunningActs>,
    fleet: watch::Receiver<Arc<FleetView>>,
    trail: Arc<Trail>,
    live: LiveStreams,
}

/// The fleet that the pages are about.
pub enum WatchedFleet {
    Servers,
    /// In this process alone.
    Memory(MemoryBroker),
}

/// Adds the console to a process, if it is configured. Returns where it listens.
///
/// # Errors
/// When it cannot listen there, or a URL cannot be used.
pub async fn add(
    process: &mut Process,
    config: &Config,
    watched: WatchedFleet,
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(settings) = config.console.clone() else { return Ok(None) };
    let rabbit = rabbit_settings(config, "console");
    let management = match &config.amqp.management_url {
        Some(url) => Some(Management::new(url.expose(), config.amqp.url.expose())?),
        None => None,
    };
    let index = ParkedIndex::new(rabbit.clone(), management);
    let acts = RunningActs::new(rabbit.clone(), Arc::clone(&index));
    let users = process.reload.console_users(&settings.users);
    let (seen, fleet) = watch::channel(Arc::new(FleetView::default()));
    let trail = Arc::new(Trail::default());
    let closing = process.life.closing.clone();
    let (depths_of, router) = match watched {
        WatchedFleet::Memory(broker) => (DepthsOf::Memory(broker), in_memory_router()),
        WatchedFleet::Servers => {
            let following = until(&closing, Arc::clone(&index).follow());
            process.life.plumbing("console index", following);
            let following = until(&closing, Arc::clone(&trail).follow(config.amqp.url.expose().to_owned()));
            process.life.plumbing("console trail", following);
            (DepthsOf::servers(config.clone(), Arc::clone(&index)), router())
        }
    };
    let metrics = (fleet::client()?, settings.metrics.clone());
    process.life.plumbing("console fleet", until(&closing, follow_fleet(metrics, depths_of, seen)));
    let (stopping, draining) = (process.life.stopping.clone(), Arc::clone(&acts));
    process.life.role("console acts", async move {
        stopping.cancelled().await;
        draining.drain().await;
    });
    process.beats("console");
    let (address, limits) = (settings.addr, config.http.limits.within_open_files());
    let console = Arc::new(Console {
        config: config.clone(),
        access: Access::new(settings.clone(), users),
        settings,
        index,
        acts,
        fleet,
        trail,
        live: LiveStreams::new(process.life.stopping.clone()),
    });
    let port = Arc::new(ConsolePort { router: framed(router, console) });
    let address = process.port((address, "console.addr"), limits, port).await?;
    tracing::info!(addr = %address, "listening for the operator's browser");
    Ok(Some(address))
}

fn until(
    closing: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) -> futures_util::future::BoxFuture<'static, ()> {
    let closing = closing.clone();
    Box::pin(async move {
        closing.run_until_cancelled(task).await;
        closing.cancelled().await;
    })
}

/// Every page, and what is posted.
fn router() -> Router<Arc<Console>> {
    use self::pages::{
        acts, audit, confirming, delivery, exports, health, message, parked, subscribers, waiting,
    };
    Router::new()
        .route("/delivery", get(delivery::page))
        .route("/parked", get(parked::page))
        .route("/parked/replay", get(confirming::confirm_replay).post(confirming::replay))
        .route("/parked/discard", get(confirming::confirm_discard).post(confirming::discard))
        .route("/parked/{provider}/{id}", get(message::page))
        .route("/parked/{provider}/{id}/reveal", post(message::reveal))
        .route("/parked/{provider}/{id}/edit", post(message::edit))
        .route("/acts", get(acts::list))
        .route("/acts/{id}", get(acts::page))
        .route("/acts/{id}/live", get(acts::live))
        .route("/acts/{id}/stop", post(acts::stop))
        .route("/exports/{name}", get(exports::download))
        .route("/waiting", get(waiting::page))
        .route("/subscribers", get(subscribers::page))
        .route("/health", get(health::page))
        .route("/audit", get(audit::page))
}

/// Of a fleet in memory there is *Now* alone: no other page has a server to ask.
fn in_memory_router() -> Router<Arc<Console>> {
    let paths = page::MENU.iter().map(|(path, _)| *path).filter(|path| *path != "/");
    paths.fold(Router::new(), |router, path| router.route(path, get(pages::in_memory::page)))
}

/// And what there is of any fleet.
fn framed(pages: Router<Arc<Console>>, console: Arc<Console>) -> Router {
    use self::pages::{login, now};
    pages
        .route("/", get(now::page))
        .route("/live", get(now::live))
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/console.css", get(page::style))
        .route("/assets/console.js", get(page::script))
        .route("/assets/icon.svg", get(page::icon))
        .fallback(web::not_found)
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(axum::middleware::map_response(headers::secure))
        .with_state(console)
}

/// The router on our own server, whose waits are all bounded.
struct ConsolePort {
    router: Router,
}

impl Handler for ConsolePort {
    type Body = Body;

    async fn handle(&self, request: Request<Incoming>, caller: &Caller) -> Response<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddr(caller.peer().ip()));
        let answering = TowerToHyperService::new(self.router.clone()).call(request);
        match timeout(PATIENCE, answering).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(never)) => match never {},
            Err(_) => {
                let mut answer = Response::new(Body::from("the servers take too long to answer"));
                *answer.status_mut() = StatusCode::GATEWAY_TIMEOUT;
                headers::secure(answer).await
            }
        }
    }
}
