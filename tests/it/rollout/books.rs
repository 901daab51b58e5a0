//! The books: each webhook that was accepted, against what was published and what is parked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use milepost::cli::send::webhooks::{WebhookBodies, Webhooks, time_of};
use milepost::domain::secret::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::load::{Round, Sent};
use crate::processes::journeys::JOURNEYS;
use crate::support::process::{Program, SECRET};
use crate::support::servers::Vhost;

/// Where each provider's webhooks name their delivery.
const NAMED_AT: [(&str, &str); 5] = [
    ("telyport", "/data/orderID"),
    ("247express", "/OrderCode"),
    ("deliverect", "/orderId"),
    ("dash", "/deliveryID"),
    ("hubrise", "/delivery_id"),
];

/// What came out of the fleet.
pub struct Books {
    /// Every event in the order of the stream, repeats left out.
    events: Vec<Event>,
    repeats: usize,
    /// The receipts of what is parked.
    parked: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    data: Update,
}

#[derive(Debug, Deserialize)]
struct Update {
    provider: String,
    delivery_id: String,
    status: String,
    sequence: u64,
    order: String,
}

/// A provider's name, and the delivery's.
type Delivery = (String, String);

impl Books {
    /// Reads the stream of updates and the parked queues. An event that is there twice must be the same to the byte.
    pub async fn read(vhost: &Vhost) -> Self {
        let tail = Program::milepost("tail --since all --json --until-idle 3s --amqp").arg(&vhost.amqp_url);
        let (mut events, mut seen, mut repeats) = (Vec::new(), BTreeMap::new(), 0);
        for line in lines(tail).await {
            let event: Event = serde_json::from_str(&line).expect("an event");
            if let Some(first) = seen.get(&event.id) {
                assert_eq!(&line, first, "two events have one id");
                repeats += 1;
            } else {
                seen.insert(event.id.clone(), line);
                events.push(event);
            }
        }
        let list = Program::milepost("parked list --json --amqp").arg(&vhost.amqp_url);
        let parked = lines(list).await.iter().map(|line| parked(line)).collect();
        Self { events, repeats, parked }
    }

    /// Whether all that was accepted is there, each webhook once, and nothing else.
    pub fn balance(&self, rounds: &[Round]) {
        let (accepted, published) = (accepted(rounds), self.published());
        for (delivery, told) in &accepted {
            let updates = published.get(delivery).unwrap_or_else(|| panic!("{delivery:?} is lost"));
            let mut statuses: Vec<_> = updates.iter().map(|update| update.status.as_str()).collect();
            let mut told = told.clone();
            statuses.sort_unstable();
            told.sort_unstable();
            assert_eq!(statuses, told, "{delivery:?}");
        }
        let unsent: Vec<_> = published.keys().filter(|delivery| !accepted.contains_key(*delivery)).collect();
        assert!(unsent.is_empty(), "published but never sent: {unsent:?}");
        self.balance_parked(rounds);
    }

    fn balance_parked(&self, rounds: &[Round]) {
        let unreadable = rounds.iter().filter(|round| round.journey.is_none()).flat_map(|round| &round.sent);
        let receipts: BTreeSet<_> = unreadable.clone().map(|sent| sent.receipt.clone()).collect();
        let lost: Vec<_> = receipts.difference(&self.parked).collect();
        assert!(lost.is_empty(), "accepted, and neither published nor parked: {lost:?}");
        // One whose answer was lost with its receiver is parked, and so is the one that was sent for it again.
        let again: u64 = unreadable.map(|sent| sent.tries - 1).sum();
        let more = self.parked.len() - receipts.len();
        assert!(more as u64 <= again, "{more} are parked that were never sent");
    }

    /// Whether the rule of docs/subscribe.md leads to the last status of each delivery.
    pub fn tell_the_course(&self, rounds: &[Round]) {
        let accepted = accepted(rounds);
        for (delivery, updates) in self.published() {
            let sequences: BTreeSet<_> = updates.iter().map(|update| update.sequence).collect();
            assert_eq!(sequences.len(), updates.len(), "{delivery:?}: two have one sequence number");
            let mut applied: Option<&Update> = None;
            for update in &updates {
                let higher = applied.is_none_or(|last| update.sequence > last.sequence);
                if update.order != "late" && higher {
                    applied = Some(update);
                }
            }
            let status = applied.map(|last| last.status.as_str());
            assert_eq!(status, accepted[&delivery].last().copied(), "{delivery:?}: {updates:?}");
        }
    }

    fn published(&self) -> BTreeMap<Delivery, Vec<&Update>> {
        let mut published: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Event { data, .. } in &self.events {
            let delivery = (data.provider.clone(), data.delivery_id.clone());
            published.entry(delivery).or_default().push(data);
        }
        published
    }
}

/// The statuses of each delivery that was accepted.
fn accepted(rounds: &[Round]) -> BTreeMap<Delivery, Vec<&'static str>> {
    let mut accepted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for round in rounds {
        let (Some(journey), provider) = (round.journey, round.provider.id()) else { continue };
        let known = |(of, name, _): &&(&str, &str, &str)| *of == provider.as_str() && *name == journey.name;
        let (_, _, statuses) = JOURNEYS.iter().find(known).expect("a journey");
        let statuses: Vec<_> = statuses.split(' ').collect();
        for &Sent { number, step, duplicate, .. } in &round.sent {
            if !duplicate {
                accepted.entry(delivery(round, number)).or_default().push(statuses[step as usize]);
            }
        }
    }
    accepted
}

/// What `milepost send` called this delivery: its bytes are a function of the seed.
fn delivery(round: &Round, number: u64) -> Delivery {
    let (provider, journey) = (round.provider, round.journey.expect("a journey"));
    let webhooks = Webhooks {
        provider,
        content: WebhookBodies::of(provider, journey.steps).expect("its own journey"),
        scheme: provider.authentication()[0].scheme(),
        header: None,
        secret: Secret::new(SECRET.as_bytes()).expect("not empty"),
        seed: round.seed,
        begun: time_of(round.seed),
    };
    let webhook = webhooks.webhook(number, 0).expect("a webhook");
    let body: Value = serde_json::from_slice(&webhook.body).expect("JSON");
    let name = provider.id().as_str();
    let (_, place) = NAMED_AT.iter().find(|(of, _)| *of == name).expect("a provider");
    (name.to_owned(), body.pointer(place).and_then(Value::as_str).expect("a delivery").to_owned())
}

/// The receipt of a parked message, which must be one that cannot be read.
fn parked(line: &str) -> String {
    let message: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(
        (message["provider"].as_str(), message["reason"].as_str()),
        (Some("telyport"), Some("malformed"))
    );
    message["id"].as_str().expect("a receipt").to_owned()
}

async fn lines(program: Program) -> Vec<String> {
    let (code, stdout, stderr) = program.output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    stdout
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7} updates published", self.events.len())?;
        writeln!(f, "{:>7} repeats of them, the same to the byte", self.repeats)?;
        writeln!(f, "{:>7} webhooks parked", self.parked.len())
    }
}
