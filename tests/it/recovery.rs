//! The reconciler as a process of its own, with a stand-in for Telyport's API: what was not sent is asked for, and comes out
//! once, whenever the process is killed.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::FieldTable;
use milepost::adapters::rabbit::topology::{Topology, TopologyMode, work_queue};
use milepost::adapters::rabbit::{DelayLevels, Pace, RabbitPublisher};
use milepost::cli::fake::provider::dialect::Dialect;
use milepost::cli::fake::provider::server::{ProviderStub, Trouble};
use milepost::cli::fake::provider::{SAMPLE_CREDENTIAL, serve};
use milepost::domain::gap::Witness;
use milepost::ports::{Gaps as _, Outbound, Publisher as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account, at, envelope};
use crate::support::fleet::{Subscriber, receipt, telyport_body};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::{OwnServers, Vhost, depth, redis_gaps_at, topology_settings};

const RECONCILER: &str = env!("CARGO_BIN_EXE_milepost-reconciler");

/// A Redis of the test's own, as there is one lease in each; a worker, a subscriber and a stand-in.
struct Stage {
    redis: OwnServers,
    vhost: Vhost,
    publisher: Arc<RabbitPublisher>,
    worker: Option<Process>,
    subscriber: Subscriber,
    stub: Arc<ProviderStub>,
    url: String,
    _running: DropGuard,
}

impl Stage {
    async fn set(name: &str) -> Self {
        let (redis, vhost) = (OwnServers::start_with(name, &["--without-rabbit"]), Vhost::new().await);
        let stub = ProviderStub::new(Dialect::Telyport, SAMPLE_CREDENTIAL);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&stub), stop.clone()));
        let worker = ready(on_stage(worker(&vhost), &vhost, &redis, &url, 1)).await;
        let subscriber = Subscriber::bind(&vhost.amqp_url, "test", FieldTable::default()).await;
        let unit = Duration::from_secs(1);
        let publisher = RabbitPublisher::new(
            vhost.settings(),
            Topology::intake(&topology_settings(unit), &[TELYPORT]),
            TopologyMode::Apply,
            DelayLevels::new(unit),
            Pace::Each,
        );
        tokio::spawn(Arc::clone(&publisher).run(stop.clone()));
        eventually("the publisher connects", || async { publisher.ready().then_some(()) }).await;
        let (worker, _running) = (Some(worker), stop.drop_guard());
        Self { redis, vhost, publisher, worker, subscriber, stub, url, _running }
    }

    /// A process on the stage's servers, by whose configuration a courier is usually silent for so many seconds.
    fn on_stage(&self, program: Program, silent_after: u32) -> Program {
        on_stage(program, &self.vhost, &self.redis, &self.url, silent_after)
    }

    fn reconciler(&self) -> Program {
        self.on_stage(Program::role(RECONCILER, &self.vhost.amqp_url), 1)
    }

    fn worker(&self) -> &Process {
        self.worker.as_ref().expect("it runs")
    }

    /// Another worker in the place of the one that runs, or ran.
    async fn restart_worker(&mut self, change: impl FnOnce(Program) -> Program) {
        self.worker = None;
        self.worker = Some(ready(change(self.on_stage(worker(&self.vhost), 1))).await);
    }

    async fn receive(&self, delivery: &str, number: u32, status: &str) {
        let body = telyport_body(delivery, &format!("{delivery}-{number}"), status);
        self.publisher.publish(Outbound::Raw(envelope(TELYPORT, body))).await.expect("confirmed");
    }

    /// A delivery of which a courier was assigned, and nothing since.
    async fn assigned(&mut self, delivery: &str) {
        let before = self.subscriber.order.len();
        self.receive(delivery, 1, "STARTED").await;
        self.subscriber.take_until(|taken| taken.order.len() > before).await;
    }

    /// The provider reports this status of the delivery from now on.
    fn says(&self, delivery: &str, status: &str, updated_at: i64) {
        let order = json!({ "orderID": delivery, "status": status, "updatedAt": updated_at });
        self.stub.state().deliveries.insert(delivery.to_owned(), order);
    }

    async fn asked(&self, times: usize) {
        let what = format!("the provider was asked {times} times");
        eventually(&what, || async { (self.stub.state().asked.len() >= times).then_some(()) }).await;
    }

    async fn waiting(&self) -> u32 {
        depth(&self.vhost.channel().await, &work_queue(TELYPORT)).await
    }

    /// The last event that the subscriber took.
    fn last(&self) -> Value {
        let id = self.subscriber.order.last().expect("an event");
        serde_json::from_slice(&self.subscriber.events[id][0]).expect("JSON")
    }
}

fn on_stage(program: Program, vhost: &Vhost, redis: &OwnServers, url: &str, silent_after: u32) -> Program {
    let source = "MILEPOST__RECOVERY__PROVIDERS__TELYPORT";
    let silent = "MILEPOST__PROVIDERS__TELYPORT__SILENT_AFTER_SECONDS__PICKUP";
    program
        .env("MILEPOST_AMQP_URL", &vhost.amqp_url)
        .env("MILEPOST_REDIS_URL", &redis.redis_url)
        .env(silent, &silent_after.to_string())
        .env("MILEPOST__RECOVERY__LOOK_EVERY_SECONDS", "1")
        .env("MILEPOST__RECOVERY__AFTER_GAP_SECONDS", "0")
        .env("MILEPOST__RECOVERY__LEASE_SECONDS", "3")
        .env(&format!("{source}__BASE_URL"), url)
        .env(&format!("{source}__REQUESTS_PER_MINUTE"), "6000")
        .env(&format!("{source}__ACCOUNTS__{}__CREDENTIAL", account()), SAMPLE_CREDENTIAL)
}

fn worker(vhost: &Vhost) -> Program {
    Program::worker(TELYPORT, &vhost.amqp_url)
}

async fn ready(program: Program) -> Process {
    let process = program.spawn();
    process.ready().await;
    process
}

/// When Telyport's sample webhooks happened, and ten minutes later.
const HAPPENED: i64 = 1_739_365_639_201;
const LATER: i64 = HAPPENED + 600_000;

#[tokio::test]
async fn a_silent_delivery_is_asked_for_and_what_happened_comes_out_once() {
    let mut stage = Stage::set("recovery-silent").await;
    stage.assigned("IN1").await;
    stage.says("IN1", "PICKUPCOMPLETED", LATER);
    let reconciler = ready(stage.reconciler()).await;
    stage.subscriber.take_until(|taken| taken.order.len() == 2).await;
    let event = stage.last();
    assert_eq!(event["data"]["status"], "picked_up");
    assert_eq!(event["data"]["previous_status"], "assigned");
    assert_eq!(event["data"]["order"], "in_order");
    let id = stage.subscriber.order.last().expect("an event");
    assert!(receipt(&stage.subscriber.events[id][0]).is_pulled());
    assert!(reconciler.metric("milepost_pulled_webhooks_total", &["telyport"]).await >= 1.0);
    // It is in another phase now, in which hours are usual.
    eventually("nothing is left to ask for", || async {
        (reconciler.metric("milepost_pull_pending", &[]).await == 0.0).then_some(())
    })
    .await;
    assert_eq!(stage.subscriber.unread().await, 0);
    assert!(stage.worker().metric("milepost_parked_total", &[]).await < 1.0);
}

#[tokio::test]
async fn the_steps_that_were_missed_come_out_in_order_before_the_state() {
    let mut stage = Stage::set("recovery-steps").await;
    stage.assigned("IN1").await;
    stage.says("IN1", "DROPCOMPLETED", LATER + 2);
    let steps = json!([
        { "event": "PICK_DONE", "time": LATER, "agentDetails": {} },
        { "event": "ORDER_CREATED", "time": HAPPENED - 2 },
        { "event": "AGENT_ACCEPTED_ORDER", "time": HAPPENED },
        { "event": "RESCHEDULED", "time": LATER + 1 },
        { "event": "DROP_DONE", "time": LATER + 2 },
    ]);
    stage.stub.state().timelines.insert("IN1".to_owned(), steps);
    let path = "MILEPOST__RECOVERY__PROVIDERS__TELYPORT__TIMELINE_PATH";
    let reconciler = ready(stage.reconciler().env(path, "order/timeline")).await;
    stage.subscriber.take_until(|taken| taken.order.len() == 3).await;
    let statuses: Vec<_> = stage
        .subscriber
        .order
        .iter()
        .map(|id| serde_json::from_slice::<Value>(&stage.subscriber.events[id][0]).expect("JSON"))
        .map(|event| (event["data"]["status"].clone(), event["data"]["order"].clone()))
        .collect();
    let in_order = |status: &str| (json!(status), json!("in_order"));
    assert_eq!(statuses, ["assigned", "picked_up", "delivered"].map(in_order));
    // The steps that are known, and the state that the last step says as well.
    stage
        .worker()
        .measures("milepost_messages_settled_total{provider=\"telyport\",outcome=\"duplicate\"} 3")
        .await;
    assert!((reconciler.metric("milepost_pulled_webhooks_total", &["telyport"]).await - 5.0).abs() < 0.5);
    assert_eq!(stage.subscriber.unread().await, 0);
}

#[tokio::test]
async fn a_state_that_was_published_costs_subscribers_nothing() {
    let mut stage = Stage::set("recovery-same").await;
    // Beyond it equal content is an event of its own; what the ledger last published says that it is not news.
    stage
        .restart_worker(|worker| worker.env("MILEPOST__PROVIDERS__TELYPORT__RESEND_HORIZON_SECONDS", "1"))
        .await;
    stage.assigned("IN1").await;
    stage.says("IN1", "STARTED", HAPPENED);
    let reconciler = ready(stage.reconciler()).await;
    stage
        .worker()
        .measures("milepost_messages_settled_total{provider=\"telyport\",outcome=\"duplicate\"} 1")
        .await;
    // Nothing new: it is asked for again in 35 minutes. Another one asks anew, and learns nothing either.
    drop(reconciler);
    let _other = ready(stage.reconciler()).await;
    stage
        .worker()
        .measures("milepost_messages_settled_total{provider=\"telyport\",outcome=\"duplicate\"} 2")
        .await;
    assert_eq!(stage.stub.state().asked.len(), 2);
    assert_eq!(stage.subscriber.unread().await, 0);
}

#[tokio::test]
async fn killed_after_it_asked_another_one_asks_again() {
    let mut stage = Stage::set("recovery-asked").await;
    stage.assigned("IN1").await;
    stage.says("IN1", "PICKUPCOMPLETED", LATER);
    stage.stub.state().troubles.push_back(Trouble::Slow(600_000));
    let first = ready(stage.reconciler()).await;
    stage.asked(1).await;
    drop(first);
    let _second = ready(stage.reconciler()).await;
    stage.subscriber.take_until(|taken| taken.order.len() == 2).await;
    assert_eq!(stage.last()["data"]["status"], "picked_up");
    assert_eq!(stage.stub.state().asked.len(), 2);
    assert_eq!(stage.subscriber.unread().await, 0);
}

#[tokio::test]
async fn a_reconciler_killed_after_its_publish_makes_a_repeat_that_is_merged() {
    let mut stage = Stage::set("recovery-published").await;
    stage.assigned("IN1").await;
    stage.says("IN1", "PICKUPCOMPLETED", LATER);
    // Until then its webhook would be back in the queue, and be taken for what was pulled.
    stage
        .worker()
        .measures("milepost_messages_settled_total{provider=\"telyport\",outcome=\"published\"} 1")
        .await;
    stage.worker = None;
    for copies in [1, 2] {
        let reconciler = ready(stage.reconciler()).await;
        eventually("it is in the intake", || async {
            // A publish that was not confirmed in time is made again.
            (stage.waiting().await >= copies).then_some(())
        })
        .await;
        drop(reconciler);
    }
    stage.restart_worker(|worker| worker).await;
    stage.subscriber.take_until(|taken| taken.order.len() == 2).await;
    eventually("the others are duplicates", || async {
        let duplicates = stage
            .worker()
            .metric("milepost_messages_settled_total", &["\"telyport\"", "\"duplicate\""])
            .await;
        (duplicates >= 1.0 && stage.waiting().await == 0).then_some(())
    })
    .await;
    assert_eq!(stage.last()["data"]["status"], "picked_up");
    assert_eq!(stage.subscriber.unread().await, 0);
}

#[tokio::test]
async fn one_of_two_is_active_and_the_other_takes_over() {
    let stage = Stage::set("recovery-two").await;
    let first = ready(stage.reconciler()).await;
    first.measures("milepost_reconciler_active 1").await;
    let second = ready(stage.reconciler()).await;
    second.measures("milepost_reconciler_active 0").await;
    first.measures("milepost_reconciler_active 1").await;
    drop(first);
    second.measures("milepost_reconciler_active 1").await;
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_again() {
    let mut stage = Stage::set("recovery-fails").await;
    stage.assigned("IN1").await;
    stage.says("IN1", "PICKUPCOMPLETED", LATER);
    stage.stub.state().troubles.extend([Trouble::Error, Trouble::TooMany(Some(1)), Trouble::Denied]);
    let reconciler = ready(stage.reconciler()).await;
    stage.subscriber.take_until(|taken| taken.order.len() == 2).await;
    for result in ["unavailable", "limited", "denied"] {
        let counted = reconciler.metric("milepost_pull_requests_total", &["telyport", result]).await;
        assert!((counted - 1.0).abs() < f64::EPSILON, "{result}: {counted}");
    }
    assert!(stage.stub.state().asked.len() >= 4);
}

#[tokio::test]
async fn an_unreadable_answer_affects_no_other_delivery() {
    let mut stage = Stage::set("recovery-odd").await;
    let odd = [Trouble::Page, Trouble::Huge(1_000_000), Trouble::Redirect];
    for delivery in ["IN1", "IN2", "IN3", "IN4", "IN5"] {
        stage.assigned(delivery).await;
        stage.says(delivery, "PICKUPCOMPLETED", LATER);
    }
    stage.stub.state().troubles.extend(odd);
    stage.stub.state().deliveries.remove("IN4");
    let reconciler = ready(stage.reconciler()).await;
    stage.subscriber.take_until(|taken| taken.order.len() == 6).await;
    assert_eq!(stage.last()["data"]["delivery_id"], "IN5");
    for (result, times) in [("odd", 3.0), ("unknown", 1.0)] {
        let counted = reconciler.metric("milepost_pull_requests_total", &["telyport", result]).await;
        assert!((counted - times).abs() < f64::EPSILON, "{result}: {counted}");
    }
    let log = reconciler.stderr.all().join("\n");
    assert!(!log.contains(SAMPLE_CREDENTIAL) && !log.contains("<html>"), "{log}");
}

#[tokio::test]
async fn an_operator_has_it_ask_for_all_that_is_open() {
    let mut stage = Stage::set("recovery-operator").await;
    stage.assigned("IN1").await;
    stage.says("IN1", "PICKUPCOMPLETED", LATER);
    let usual = |program| stage.on_stage(program, 3600);
    let reconciler = ready(usual(Program::role(RECONCILER, &stage.vhost.amqp_url))).await;
    reconciler.measures("milepost_reconciler_active 1").await;
    let words = format!("recover --provider telyport --account {} --since 1h", account());
    let (code, said, stderr) = usual(Program::milepost(&words)).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    assert!(said[0].contains("asked for 1 open deliveries"), "{said:?}");
    stage.subscriber.take_until(|taken| taken.order.len() == 2).await;
    assert_eq!(stage.last()["data"]["status"], "picked_up");
    assert_eq!(stage.stub.state().asked.len(), 1);
    let of = |provider: &str| format!("account --since 2h --provider {provider} --json");
    let (_, said, stderr) = stage.on_stage(Program::milepost(&of("telyport")), 3600).output().await;
    let known: Value =
        serde_json::from_str(said.first().unwrap_or_else(|| panic!("{stderr:?}"))).expect("JSON");
    assert_eq!(known["gaps"][0]["witnesses"], json!(["operator"]));
    assert_eq!((&known["recovered_updates"], &known["recovered_deliveries"]), (&json!(1), &json!(1)));
    assert_eq!((&known["open_and_unheard"], &known["is_asked"]), (&json!(0), &json!(true)));
    let deliverect = Program::milepost("recover --provider deliverect --since 1h");
    let deliverect = stage.on_stage(deliverect, 3600);
    assert_eq!(deliverect.output().await.0, Some(2), "it cannot be asked");
}

#[tokio::test]
async fn an_open_delivery_is_listed_until_it_is_closed() {
    let mut stage = Stage::set("recovery-open").await;
    stage.assigned("IN1").await;
    let list = |words: &str| stage.on_stage(Program::milepost(words), 1).output();
    let (_, listed, stderr) = list("open --json --silent-for 0s").await;
    let listed: Value =
        serde_json::from_str(listed.first().unwrap_or_else(|| panic!("{stderr:?}"))).expect("JSON");
    assert_eq!((&listed["delivery_id"], &listed["phase"]), (&json!("IN1"), &json!("pickup")));
    let (_, none, _) = list("open --json --silent-for 1h").await;
    assert_eq!(none, Vec::<String>::new());
    let (_, table, _) = list("open").await;
    assert!(table[1].contains("telyport") && table[1].contains("pickup"), "{table:?}");
    stage.worker().measures("milepost_open_deliveries{provider=\"telyport\",phase=\"dropoff\"} 0").await;
    stage.receive("IN1", 2, "CANCELLED").await;
    stage.subscriber.take_until(|taken| taken.order.len() == 2).await;
    eventually("it is closed", || async {
        let open = stage.on_stage(Program::milepost("open --json"), 1).output();
        open.await.1.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_refuses_notes_the_gap_once_it_can() {
    let own = OwnServers::start("recovery-gap");
    let receiver = Program::receiver(&own.amqp_url).env("MILEPOST_REDIS_URL", &own.redis_url).spawn();
    receiver.ready().await;
    let to = receiver.webhooks().await;
    own.run(&["kill-rabbit"]);
    let send = format!("send telyport --count 2 --account {} --give-up 1s --to http://{to}", account());
    let (_, sent, stderr) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
    let gaps = redis_gaps_at(&own.redis_url);
    let gap = eventually(&format!("the gap is noted: {sent:?} {stderr:?}"), || async {
        gaps.since(TELYPORT, at(0)).await.ok()?.into_iter().find(|gap| gap.refused >= 2)
    })
    .await;
    assert_eq!((gap.witness, gap.account), (Witness::Receiver, None));
    assert!(gap.from <= gap.until && gap.until.duration_since(gap.from).as_secs() < 300);
}
