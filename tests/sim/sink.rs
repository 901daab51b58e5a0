//! The HubRise sink in the fleet: its ports, and what it says of each message, which goes into the book.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::{Account, ReceiptId};
use milepost::domain::provider::ProviderId;
use milepost::domain::retry::RetrySchedule;
use milepost::pipeline::parking::Parker;
use milepost::pipeline::sink::SinkProcessor;
use milepost::pipeline::trials::Trials;
use milepost::pipeline::worker::{Worker, WorkerSettings};
use milepost::ports::{Cell, Cells, CellsError, Outbound, Publisher as _, Swap};
use milepost::sinks::hubrise::Hubrise;
use milepost::sinks::hubrise::announced::Announced;
use milepost::sinks::hubrise::api::Api;
use milepost::sinks::hubrise::core::answer::RawAnswer;
use milepost::sinks::hubrise::core::desk::Budget;
use milepost::sinks::hubrise::core::record::Style;
use milepost::sinks::hubrise::core::request::Request;
use milepost::sinks::hubrise::core::rule::{OrderId, ReferenceKind, ReferencePattern, Rule};
use milepost::sinks::hubrise::settings::{Connection, Settings};
use milepost::sinks::{HUBRISE_LINKS, Sink, SinkMessage, SinkOutcome, Verdict, WaitReason};
use serde_json::json;
use tokio::time::Instant;

use crate::hubrise::{Answered, LOCATION, REQUEST_TIMEOUT};
use crate::plan::{Plan, SinkPlan, Trouble};
use crate::planted::Planted;
use crate::planted::cells::{planted_key, planted_read, planted_swap};
use crate::ports::Ports;
use crate::process::{Lost, lock};
use crate::world::World;

/// The workers of one replica: of updates, and of links.
pub fn workers(ports: &Ports, plan: &Plan, sink: &SinkPlan) -> [Worker<SinkProcessor>; 2] {
    let settings = settings(plan, sink);
    let cells: Arc<dyn Cells> = Arc::new(ports.clone());
    let hubrise = Hubrise::new(settings.clone(), Arc::clone(&cells), Arc::new(ports.clone()));
    let sinks: [Arc<dyn Sink>; 2] =
        [Arc::new(hubrise), Arc::new(Announced::new(settings, Arc::clone(&cells)))];
    sinks.map(|inner| Worker {
        inbox: Arc::new(ports.clone()),
        processor: SinkProcessor {
            sink: Arc::new(Watched { sink: inner, ports: ports.clone() }),
            publisher: Arc::new(ports.clone()),
            store: Arc::clone(&cells),
            clock: Arc::new(ports.clone()),
            schedule: RetrySchedule::try_new(Duration::from_secs(1), 2.0, plan.retry_cap, 0.2)
                .expect("a schedule"),
            parker: Parker::default(),
        },
        trials: Trials::new(Arc::clone(&cells)),
        settings: WorkerSettings {
            prefetch: sink.prefetch,
            drain_deadline: Duration::from_secs(20),
            outage_patience: plan.patience,
        },
        heartbeat: Arc::new(|| {}),
        subscribed: Arc::new(|_| {}),
    })
}

/// As config/milepost.toml has them, but for how long an update waits to be linked.
fn settings(plan: &Plan, sink: &SinkPlan) -> Settings {
    let accounts =
        plan.providers.iter().map(|provider| (provider.id().as_str().to_owned(), "default".to_owned()));
    let connection = Connection {
        name: "sim".to_owned(),
        locations: vec![LOCATION.to_owned()],
        accounts: accounts.collect(),
        rule: Rule {
            from: ReferenceKind::ALL.to_vec(),
            pattern: ReferencePattern::parse(&sink.pattern).expect("a pattern"),
        },
        style: Style { order_status: sink.order_status, ..Style::default() },
        budget: Budget { limits: sink.limits.clone(), reserve: 0.2 },
        interval: Duration::from_secs(30),
    };
    Settings {
        connections: vec![connection],
        lease: Duration::from_secs(30),
        memory: Duration::from_hours(14 * 24),
        unlinked_for: Duration::from_mins(10),
        unlinked_most: sink.unlinked_most,
    }
}

/// A sink, and what it says of each message.
struct Watched {
    sink: Arc<dyn Sink>,
    ports: Ports,
}

impl Watched {
    async fn watched(sink: &dyn Sink, ports: &Ports, message: &SinkMessage) -> Result<Verdict, CellsError> {
        let began = Instant::now();
        let verdict = sink.handle(message).await?;
        let Ports { world, process } = ports;
        if verdict == Verdict::Done(SinkOutcome::Linked) {
            world.book().linked(&message.body);
        }
        let shows = world.shows(&message.body);
        world.book().verdict(process, &message.body, began, &verdict, shows);
        Ok(verdict)
    }
}

#[async_trait]
impl Sink for Watched {
    fn id(&self) -> ProviderId {
        self.sink.id()
    }

    async fn handle(&self, message: &SinkMessage) -> Result<Verdict, CellsError> {
        if self.ports.has(Planted::AcknowledgesBeforeItIsTakenIn) {
            let (sink, ports, message) = (Arc::clone(&self.sink), self.ports.clone(), message.clone());
            let task = tokio::spawn(async move {
                let _ = Self::watched(sink.as_ref(), &ports, &message).await;
            });
            self.ports.process.owns(task.abort_handle());
            return Ok(Verdict::Done(SinkOutcome::Shown));
        }
        let mut message = message.clone();
        if self.ports.has(Planted::LateIsShown) {
            let text = String::from_utf8_lossy(&message.body);
            message.body = text.replace(r#""order":"late""#, r#""order":"in_order""#).into();
        }
        let verdict = Self::watched(self.sink.as_ref(), &self.ports, &message).await?;
        Ok(match verdict {
            Verdict::Later { why: why @ WaitReason::Away, .. }
                if self.ports.has(Planted::HubriseOutageSpendsAttempts) =>
            {
                Verdict::Retry(why)
            }
            verdict => verdict,
        })
    }
}

impl World {
    /// Whether HubRise shows a delivery for the order that an update is about.
    fn shows(&self, body: &[u8]) -> bool {
        let order = self.book().order_of_message(body);
        order.is_none_or(|order| self.hubrise.shows(&order).is_some())
    }

    /// A service says which order a delivery belongs to.
    pub fn link(&self, delivery: usize) {
        let Some(order) = self.plan.sink.as_ref().and_then(|sink| sink.orders.get(delivery)) else { return };
        let (provider, id) = &order.delivery;
        let says = json!({ "provider": provider, "delivery_id": id, "order": order.id });
        let receipt = ReceiptId::new(self.true_time(), &[0; 10]);
        let envelope =
            Envelope::new(receipt, HUBRISE_LINKS, Account::default_account(), says.to_string().into());
        self.book().announced(&says.to_string());
        let published = self.broker.queues.publish(Outbound::Raw(envelope));
        futures_util::FutureExt::now_or_never(published);
    }
}

#[async_trait]
impl Cells for Ports {
    async fn read(&self, key: &str) -> Result<Cell, CellsError> {
        let key = planted_key(self, key);
        let reply = self.asked(move |world, process| planted_read(world, process, &key)).await;
        reply.map_err(|lost| CellsError(format!("{lost:?}")))
    }

    async fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Result<Swap, CellsError> {
        let (key, old, new) = (planted_key(self, key), old.map(str::to_owned), new.to_owned());
        let swap = move |world: &World, process: &crate::process::Process| {
            world.book().kept(&key, &new);
            planted_swap(world, process, &key, old.as_deref(), &new, ttl)
        };
        self.asked(swap).await.map_err(|lost| CellsError(format!("{lost:?}")))
    }
}

/// A request whose future is dropped has no known answer.
struct Asking<'a>(&'a World, usize, bool);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.2 {
            self.0.book().asked(self.1, None);
        }
    }
}

impl Ports {
    async fn ask(&self, order: &OrderId, request: &Request) -> Result<Answered, Lost> {
        let world = Arc::clone(&self.world);
        let link = &self.process.slot.hubrise;
        let trouble = link.with_dice(|dice, rates| {
            let troubles =
                [Trouble::Error, Trouble::ErrorAfterEffect, Trouble::Page, Trouble::TooMany(Some(2))];
            dice.happens(rates.refusal / 4.0).then(|| dice.pick(&troubles))
        });
        let number = world.book().asking(&self.process, &order.order, request);
        let mut asking = Asking(&self.world, number, false);
        let (order, request) = (order.clone(), request.clone());
        let effect = move || {
            let answered = world.hubrise.answer(&order, &request, trouble, world.true_time());
            world.book().answered_by_hubrise(number, &answered);
            answered
        };
        let answer = self.process.call(link, REQUEST_TIMEOUT, effect).await;
        asking.2 = true;
        self.world.book().asked(number, answer.as_ref().ok());
        answer
    }
}

#[async_trait]
impl Api for Ports {
    fn token(&self, _: &str) -> Option<String> {
        Some(format!("digest-{}", *lock(&self.world.token)))
    }

    async fn send(&self, _: &str, order: &OrderId, request: &Request) -> Result<RawAnswer, &'static str> {
        let mut answer = self.ask(order, request).await;
        if self.has(Planted::PostIsRepeated) && matches!(request, Request::Post(_)) && answer.is_err() {
            answer = self.ask(order, request).await;
        }
        match answer {
            Ok(answered) => Ok(answered.raw),
            Err(Lost::NotSent) => Err("cannot connect"),
            Err(Lost::NoReply) => Err("no answer in time"),
        }
    }
}
