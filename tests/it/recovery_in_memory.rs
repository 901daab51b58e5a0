//! The reconciler over the stores in memory, with a provider's API over HTTP: tokens that run out, and events that a
//! provider lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::provider_api::{ProviderClient, ProviderRemote};
use milepost::adapters::tls::install_crypto_provider;
use milepost::app::backends::Backends;
use milepost::cli::fake::provider::dialect::Dialect;
use milepost::cli::fake::provider::server::{ProviderStub, Trouble};
use milepost::cli::fake::provider::{SAMPLE_CREDENTIAL, serve};
use milepost::config::{Sources, load};
use milepost::domain::event::UpdateEvent;
use milepost::domain::gap::{Gap, Witness};
use milepost::domain::provider::Provider;
use milepost::domain::retry::RetrySchedule;
use milepost::domain::samples::SampleSource;
use milepost::domain::secret::Secret;
use milepost::domain::silence::UsualSilence;
use milepost::pipeline::lease::Lease;
use milepost::pipeline::reconciler::{Reconciler, ReconcilerPorts, ReconcilerSettings, Source};
use milepost::ports::Outbound;
use milepost::providers::{ALL, DASH, HUBRISE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::eventually;
use crate::support::fixtures::{account, envelope};
use crate::support::fleet::{Running, run, worker};

struct Stage {
    stub: Arc<ProviderStub>,
    backends: Backends,
    updates: broadcast::Receiver<UpdateEvent>,
    _running: (Running, DropGuard, watch::Sender<Option<Arc<Secret>>>),
}

impl Stage {
    /// A worker of `provider`, and a reconciler for which a courier is silent after so many hours.
    async fn set(provider: &'static dyn Provider, dialect: Dialect, silent_after_hours: u64) -> Self {
        install_crypto_provider();
        let stub = ProviderStub::new(dialect, SAMPLE_CREDENTIAL);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&stub), stop.clone()));
        let config = load(&Sources::default(), ALL).expect("the defaults").config;
        let (backends, broker) = Backends::memory(&config);
        let updates = broker.updates();
        let worker = run(worker(&backends, provider, RetrySchedule::default()));
        let (keep, credential) = watch::channel(Secret::new(SAMPLE_CREDENTIAL.as_bytes()).map(Arc::new));
        let remote = ProviderRemote { base, credentials: BTreeMap::from([(account(), credential)]) };
        let remotes = BTreeMap::from([(provider.id(), remote)]);
        let client = ProviderClient::new(remotes, Duration::from_secs(5)).expect("a client");
        let pull = provider.pull().expect("it can be asked");
        let reconciler = Reconciler {
            ports: ReconcilerPorts {
                open: Arc::clone(&backends.open),
                gaps: Arc::clone(&backends.gaps),
                api: Arc::new(client),
                publisher: Arc::clone(&backends.publisher),
                clock: Arc::clone(&backends.clock),
            },
            lease: Lease::new(Arc::clone(&backends.cells), "test", "me".to_owned(), Duration::from_secs(3)),
            sources: vec![Source {
                provider: provider.id(),
                pull,
                path: pull.path().to_owned(),
                timeline_path: None,
                account: account(),
                usual: UsualSilence::hours([silent_after_hours; 6]),
                schedule: RetrySchedule::default(),
                per_minute: 60_000,
                most_deliveries: 100,
            }],
            settings: ReconcilerSettings {
                look_every: Duration::from_millis(50),
                after_gap: Duration::ZERO,
                gaps_count_for: Duration::from_hours(1),
            },
        };
        tokio::spawn(reconciler.run(stop.clone(), || {}));
        Self { stub, backends, updates, _running: (worker, stop.drop_guard(), keep) }
    }

    async fn receive(&self, provider: &dyn Provider, body: String) {
        let webhook = Outbound::Raw(envelope(provider.id(), body));
        self.backends.publisher.publish(webhook).await.expect("stored");
    }

    /// The next update: its delivery and its status.
    async fn next(&mut self) -> (String, String) {
        let update = tokio::time::timeout(Duration::from_secs(20), self.updates.recv()).await;
        let update = update.unwrap_or_else(|_| panic!("{:?}", self.stub.state().asked)).expect("an update");
        let event: Value = serde_json::from_slice(&update.body).expect("JSON");
        let text = |name: &str| event["data"][name].as_str().expect("text").to_owned();
        (text("delivery_id"), text("status"))
    }

    /// A receiver refused webhooks of the account for the last minute.
    async fn gap(&self, name: &str) {
        let until = self.backends.clock.now();
        let from = until - Duration::from_mins(1);
        let gap = Gap { witness: Witness::Receiver, account: Some(account()), from, until, refused: 3 };
        self.backends.gaps.note(HUBRISE.id(), name, &gap).await.expect("noted");
    }

    /// HubRise could not hand this event over.
    fn missed(&self, id: &str, delivery: &str, sample: &str) {
        self.stub.state().events.insert(id.to_owned(), callback(id, delivery, sample));
    }

    /// How often an event or a delivery was asked for.
    fn asked(&self, id: &str) -> usize {
        self.stub.state().asked.iter().filter(|asked| *asked == id).count()
    }
}

/// A sample of HubRise's as the callback of an event.
fn callback(id: &str, delivery: &str, sample: &str) -> Value {
    let sample = HUBRISE.samples().iter().find(|known| known.name == sample).expect("a sample");
    let mut event: Value = serde_json::from_str(sample.body).expect("JSON");
    event["id"] = id.into();
    event["delivery_id"] = delivery.into();
    event["new_state"]["id"] = delivery.into();
    event
}

#[tokio::test]
async fn dash_is_asked_with_a_token_and_with_another_one_when_it_has_run_out() {
    let mut stage = Stage::set(&DASH, Dialect::Dash, 0).await;
    for (delivery, asked, tokens) in [("DE-1", 1, 1), ("DE-2", 3, 3)] {
        let sample = |name: &str| {
            let sample = DASH.samples().iter().find(|sample| sample.name == name).expect("a sample");
            sample.body.replace("DE-1735308506306", delivery)
        };
        let completed = serde_json::from_str(&sample("express_completed")).expect("JSON");
        stage.stub.state().deliveries.insert(delivery.to_owned(), completed);
        stage.receive(&DASH, sample("express_pending_pickup")).await;
        for expected in ["assigned", "delivered"] {
            assert_eq!(stage.next().await, (delivery.to_owned(), expected.to_owned()));
        }
        let mut state = stage.stub.state();
        assert_eq!((state.asked.len(), state.tokens), (asked, tokens));
        // The next answer is that the token has run out, which takes another token.
        state.troubles.push_back(Trouble::Denied);
    }
}

#[tokio::test]
async fn missed_events_of_unknown_deliveries_are_published() {
    let mut stage = Stage::set(&HUBRISE, Dialect::HubRise, 1_000).await;
    stage.missed("ev1", "d-one", "pending");
    stage.missed("ev2", "d-two", "pickup_enroute");
    let order = json!({ "id": "ev3", "resource_type": "order", "event_type": "update", "order_id": "5dpm9" });
    stage.stub.state().events.insert("ev3".to_owned(), order);
    stage.gap("first").await;
    let mut taken = [stage.next().await, stage.next().await];
    taken.sort();
    let update = |delivery: &str, status: &str| (delivery.to_owned(), status.to_owned());
    assert_eq!(taken, [update("d-one", "created"), update("d-two", "pickup_en_route")]);
    // HubRise sends it by itself all the same.
    stage.receive(&HUBRISE, callback("ev2", "d-two", "pickup_enroute").to_string()).await;
    stage.receive(&HUBRISE, callback("ev4", "d-two", "delivered").to_string()).await;
    assert_eq!(stage.next().await, update("d-two", "delivered"), "and not what is known");
    // After another gap the list is read again, and of it what is new.
    stage.missed("ev5", "d-one", "cancelled");
    stage.gap("second").await;
    assert_eq!(stage.next().await, update("d-one", "cancelled"));
    assert_eq!(["ev1", "ev2", "ev3", "ev5"].map(|id| stage.asked(id)), [1, 1, 0, 1]);
}

/// An event that is gone or odd affects no other.
#[tokio::test]
async fn missed_events_are_read_page_by_page() {
    let mut stage = Stage::set(&HUBRISE, Dialect::HubRise, 1_000).await;
    for number in 0..250 {
        stage.missed(&format!("ev{number:03}"), &format!("d-{number:03}"), "pending");
    }
    stage.stub.state().events.get_mut("ev100").expect("an event")["id"] = "ev999".into();
    stage.stub.state().troubles.extend([Trouble::Error, Trouble::Page, Trouble::TooMany(None)]);
    stage.gap("only").await;
    // The list answers with an error, and is asked for again; then it is no list, and is given up until the next gap.
    eventually("the page was read", || async { (stage.stub.state().troubles.len() == 1).then_some(()) })
        .await;
    assert_eq!(stage.stub.state().asked, Vec::<String>::new());
    stage.gap("another").await;
    let mut deliveries = Vec::new();
    while deliveries.len() < 249 {
        deliveries.push(stage.next().await.0);
    }
    deliveries.sort();
    let expected: Vec<_> =
        (0..250).filter(|number| *number != 100).map(|number| format!("d-{number:03}")).collect();
    assert_eq!(deliveries, expected);
}
