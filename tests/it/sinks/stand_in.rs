//! A HubRise of a test's own, and the sink that writes to it.

use std::sync::Arc;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};
use milepost::cli::fake::hubrise::faults::{Fault, FaultKind};
use milepost::cli::fake::hubrise::server::Stub;
use milepost::cli::fake::hubrise::world::StandInOrder;
use milepost::cli::fake::hubrise::{Args, SAMPLE_LOCATION, SAMPLE_TOKEN, serve, stub};
use milepost::domain::provider::Provider;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::process::{Process, Program};
use crate::support::servers::{Vhost, depth};

const SINK: &str = env!("CARGO_BIN_EXE_milepost-sink-hubrise");
/// The sink's queue.
pub const QUEUE: &str = "milepost.sink.hubrise";
/// Where the sink parks.
pub const PARKED: &str = "milepost.parked.sink-hubrise";

/// A stand-in that listens. Ends when dropped.
pub struct StandIn {
    pub stub: Arc<Stub>,
    pub url: String,
    _serving: DropGuard,
}

impl StandIn {
    /// One that has every order that is asked for.
    pub async fn start() -> Self {
        Self::with(Args::sample()).await
    }

    pub async fn with(args: Args) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let (stub, stop) = (stub(&args), CancellationToken::new());
        tokio::spawn(serve(listener, Arc::clone(&stub), stop.clone()));
        Self { stub, url, _serving: stop.drop_guard() }
    }

    /// `program` with the connection `name`, which the test's account of `provider` feeds.
    pub fn connected(&self, program: Program, name: &str, provider: &dyn Provider) -> Program {
        let key = |setting| variable(name, setting);
        program
            .env(&key("BASE_URL"), &self.url)
            .env(&key("TOKEN"), SAMPLE_TOKEN)
            .env(&key("LOCATIONS"), &format!(r#"["{SAMPLE_LOCATION}"]"#))
            .env(&key("ACCOUNTS"), &format!(r#"["{}/{}"]"#, provider.id(), account()))
    }

    /// Does this to the next requests.
    pub fn trouble(&self, trouble: FaultKind, times: u32) {
        let fault = Fault { trouble, method: None, path_ends: None, times };
        self.stub.state().faults.add([fault]);
    }

    /// The order's delivery as HubRise has it.
    pub fn delivery(&self, order: &str) -> Option<Map<String, Value>> {
        self.stub.state().world.orders.get(order)?.delivery.clone()
    }

    /// Waits until the order's delivery has this status.
    pub async fn shows(&self, order: &str, status: &str) -> Map<String, Value> {
        eventually(&format!("HubRise shows {order} {status}"), || async {
            self.delivery(order).filter(|delivery| delivery["status"] == status)
        })
        .await
    }

    /// Waits until some order has the delivery `id` with this status.
    pub async fn shows_delivery(&self, id: &str, status: &str) -> (String, Map<String, Value>) {
        eventually(&format!("HubRise shows {id} {status}"), || async {
            let state = self.stub.state();
            let mut orders = state.world.orders.iter();
            orders.find_map(|(order, StandInOrder { delivery, .. })| {
                let delivery = delivery.as_ref().filter(|it| it["ref"] == id && it["status"] == status)?;
                Some((order.clone(), delivery.clone()))
            })
        })
        .await
    }

    /// The requests that were answered with 200 and were no GET: method, order, and body.
    pub fn writes(&self) -> Vec<(String, String, Value)> {
        let state = self.stub.state();
        let written = state.requests.iter().filter(|request| request.code == 200 && request.method != "GET");
        let order = |path: &str| path.split('/').nth(5).unwrap_or_default().to_owned();
        written.map(|request| (request.method.clone(), order(&request.path), request.body.clone())).collect()
    }
}

/// The test's own connection of that name: the shared Redis remembers the orders of every test's connections.
pub fn connection(name: &str) -> String {
    format!("{name}-{}", account())
}

/// The variable of a setting of the test's own connection.
pub fn variable(name: &str, setting: &str) -> String {
    format!("MILEPOST__SINKS__HUBRISE__CONNECTIONS__{}__{setting}", connection(name).to_uppercase())
}

/// The sink's binary.
pub fn sink(vhost: &Vhost) -> Program {
    Program::role(SINK, &vhost.amqp_url)
        .env("MILEPOST__SINKS__HUBRISE__REQUEST_TIMEOUT_MS", "1000")
        .env("MILEPOST__SINKS__HUBRISE__LEASE_MS", "3000")
        .env("MILEPOST__SINKS__HUBRISE__INTERVAL_SECONDS", "1")
}

/// Starts it, and waits until it is ready.
pub async fn ready(program: Program) -> Process {
    let process = program.spawn();
    process.ready().await;
    process
}

/// Waits until nothing of the sink's waits.
pub async fn quiet(vhost: &Vhost) {
    eventually("the sink has nothing left", || async { is_quiet(vhost).await.then_some(()) }).await;
}

/// Whether nothing of the sink's waits: neither in its queue, nor in a delay, nor unacknowledged.
pub async fn is_quiet(vhost: &Vhost) -> bool {
    let queues = vhost.list("queues").await;
    queues.as_array().expect("a list").iter().all(|queue| {
        let name = queue["name"].as_str().unwrap_or_default();
        !(name.starts_with("milepost.delay") || name == QUEUE) || queue["messages"].as_u64() == Some(0)
    })
}

/// How many messages the sink has parked.
pub async fn parked(vhost: &Vhost) -> u32 {
    depth(&vhost.channel().await, PARKED).await
}

/// An update of Telyport's delivery `id`, received now.
pub fn update(id: &str, reference: &str, sequence: u64, status: &str) -> Value {
    serde_json::json!({
        "specversion": "1.0", "id": format!("{id}-{sequence}"), "source": "/milepost/telyport",
        "type": "com.milepost.delivery.updated.v1", "subject": id, "time": "2026-03-02T09:14:05Z",
        "data": {
            "provider": "telyport", "account": account().as_str(), "delivery_id": id, "status": status,
            "phase": "unknown", "raw_status": "?", "terminal": false, "order": "in_order", "sequence": sequence,
            "changes": ["status"], "received_at": jiff::Timestamp::now(), "receipt_id": receipt(sequence),
            "references": { "merchant_order": reference }, "courier": { "name": "Ann", "phone": "+33100000000" },
        },
    })
}

fn receipt(sequence: u64) -> String {
    format!("019c0000-0000-7000-8000-{sequence:012}")
}

/// Publishes to `milepost.updates`, and waits until it is confirmed.
pub async fn publish(vhost: &Vhost, event: &Value) {
    publish_to(vhost, "milepost.updates", event).await;
}

/// Publishes to an exchange, and waits until it is confirmed.
pub async fn publish_to(vhost: &Vhost, exchange: &str, body: &Value) {
    let channel = vhost.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let body = body.to_string();
    let publishing = channel.basic_publish(
        exchange.into(),
        "telyport.assigned".into(),
        BasicPublishOptions { mandatory: true, ..Default::default() },
        body.as_bytes(),
        BasicProperties::default(),
    );
    let confirm = publishing.await.expect("published").await.expect("answered");
    assert!(matches!(confirm, Confirmation::Ack(None)), "{confirm:?}");
}
