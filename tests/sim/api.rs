//! The provider's API: the stand-in's dialect of it, over what truly happened at the provider so far.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use milepost::cli::fake::provider::dialect::{ApiRequest, Dialect, WantedResource};
use milepost::domain::identity::Account;
use milepost::domain::provider::{Decoded, ProviderId};
use milepost::domain::pull::{PullAnswer, PullRequest};
use milepost::domain::secret::Secret;
use milepost::ports::ProviderApi;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::book::{Form, SECRET};
use crate::plan::{Event, Kind, Plan, Trouble};
use crate::ports::Ports;
use crate::process::{Lost, Process, lock};
use crate::world::World;

/// How long a request waits for its answer, as `recovery.request_timeout_ms`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A missed event is on the list for so long.
const LISTED_FOR: Duration = Duration::from_mins(63);
pub const TIMELINE_PATH: &str = "order/timeline";

/// The names of Telyport's timeline, and the status of the same step.
const STEPS: [(&str, &str); 7] = [
    ("ORDER_CREATED", "NEW"),
    ("AGENT_ACCEPTED_ORDER", "STARTED"),
    ("PICK_DONE", "PICKUPCOMPLETED"),
    ("DROP_DONE", "DROPCOMPLETED"),
    ("RETURN_INITIATED", "RETURN_INITIATED"),
    ("RETURN_DONE", "RETURNED"),
    ("ORDER_CANCELLED", "CANCELLED"),
];

/// The API of the provider that is asked.
#[derive(Default)]
pub struct Api {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By delivery: what happened, in order.
    happened: BTreeMap<usize, Vec<usize>>,
    /// Events that could not be handed over, and since when.
    listed: BTreeMap<usize, Instant>,
    /// Tokens that were given out.
    tokens: u32,
    trouble: Option<(Trouble, Instant)>,
}

impl Api {
    pub fn happens(&self, plan: &Plan, event: usize) {
        if plan.events[event].kind == Kind::Update {
            lock(&self.state).happened.entry(plan.events[event].delivery).or_default().push(event);
        }
    }

    /// Puts an event on the list of missed ones, or takes it off.
    pub fn missed(&self, event: usize, is_missed: bool) {
        let listed = &mut lock(&self.state).listed;
        if is_missed {
            listed.entry(event).or_insert_with(Instant::now);
        } else {
            listed.remove(&event);
        }
    }

    pub fn answers(&self, trouble: Trouble, until: Instant) {
        lock(&self.state).trouble = Some((trouble, until));
    }

    pub fn calm(&self) {
        lock(&self.state).trouble = None;
    }

    /// The event that has a delivery's true state.
    pub fn truth(&self, delivery: usize) -> Option<usize> {
        lock(&self.state).happened.get(&delivery)?.last().copied()
    }

    /// What it answers, and the events that the answer tells.
    fn answer(&self, plan: &Plan, asked: &Asked, trouble: Option<Trouble>) -> Answered {
        let Some(dialect) = Dialect::ALL.into_iter().find(|known| known.provider() == asked.provider) else {
            return Answered::plain((404, json!({})));
        };
        let mut state = lock(&self.state);
        let credential = credential_text(asked.provider);
        let header =
            |name: &str| asked.headers.iter().find(|(key, _)| key == name).map(|(_, said)| said.clone());
        let request = ApiRequest {
            method: asked.method,
            path: &asked.path,
            query: asked.query.clone(),
            header: &header,
            body: &asked.body,
        };
        let wanted = dialect.wanted(&request, &credential, state.tokens);
        let during = state.trouble.filter(|(_, until)| *until > Instant::now()).map(|(trouble, _)| trouble);
        match during.or(trouble) {
            Some(Trouble::TooMany(seconds)) => {
                let mut answered = Answered::plain(dialect.limited());
                answered.answer.retry_after = seconds.map(|seconds| seconds.to_string());
                return answered;
            }
            Some(Trouble::Denied(_)) => {
                // What was given out is forgotten.
                state.tokens += 1;
                return Answered::plain(dialect.denied());
            }
            Some(Trouble::Absent) => {
                return Answered { own_fault: true, ..Answered::plain(dialect.unknown()) };
            }
            Some(Trouble::Page) => {
                let mut answered = Answered { own_fault: true, ..Answered::plain((200, Value::Null)) };
                answered.answer.body = Some(b"<html>Please wait</html>".to_vec());
                return answered;
            }
            Some(_) => return Answered::plain(dialect.error()),
            None => {}
        }
        match wanted {
            WantedResource::Delivery(address) => state.delivery(plan, asked.provider, dialect, &address),
            WantedResource::Timeline(id) => state.timeline(plan, dialect, &id),
            WantedResource::Events(_) => {
                let listed =
                    state.listed(plan, asked.provider).into_iter().map(|(_, event)| Dialect::listed(&event));
                Answered::plain((200, listed.collect()))
            }
            WantedResource::Event(id) => {
                let listed = state.listed(plan, asked.provider);
                match listed.into_iter().find(|(_, event)| event.get("id") == Some(&json!(id))) {
                    Some((event, body)) => {
                        let mut answered = Answered::plain((200, body));
                        // Word for word.
                        answered.answer.body = Some(plan.events[event].body.to_vec());
                        answered.tells = vec![(plan.events[event].body.clone(), event, Form::Webhook)];
                        answered
                    }
                    None => Answered::plain(dialect.unknown()),
                }
            }
            WantedResource::Token => {
                state.tokens += 1;
                Answered::plain(Dialect::token(state.tokens))
            }
            WantedResource::Forbidden => Answered::plain(dialect.denied()),
            WantedResource::Nothing => Answered::plain((404, json!({}))),
        }
    }
}

impl State {
    fn delivery(&self, plan: &Plan, provider: ProviderId, dialect: Dialect, address: &str) -> Answered {
        let recovery = plan.recovery.as_ref();
        let unknown = |delivery: &usize| recovery.is_some_and(|plan| plan.unknown.contains(delivery));
        let last = self.happened.iter().filter(|(delivery, _)| !unknown(delivery));
        let last = last.filter_map(|(_, events)| events.last().copied());
        let mut states =
            last.filter(|event| plan.events[*event].provider.id() == provider).filter_map(|event| {
                let body = serde_json::from_slice(&plan.events[event].body).ok()?;
                let (of, state) = dialect.state_by(&body)?;
                (of == address).then_some((event, state))
            });
        let Some((event, state)) = states.next() else {
            return Answered { own_fault: true, ..Answered::plain(dialect.unknown()) };
        };
        let mut answered = Answered::plain(dialect.delivery(&state));
        let told = &plan.events[event];
        if let Some((pull, id)) = told.provider.pull().zip(delivery_id(told)) {
            let webhook = pull.read(&id, &answered.answer).ok();
            answered.tells.extend(webhook.map(|webhook| (webhook, event, Form::State)));
        }
        answered
    }

    /// The steps of Telyport's timeline, but for those that it lacks.
    fn timeline(&self, plan: &Plan, dialect: Dialect, id: &str) -> Answered {
        let of_delivery = |events: &&Vec<usize>| {
            events.first().is_some_and(|event| delivery_id(&plan.events[*event]).as_deref() == Some(id))
        };
        let Some(events) = self.happened.values().find(of_delivery) else {
            return Answered::plain(dialect.unknown());
        };
        let steps = events.iter().filter_map(|event| {
            let told = &plan.events[*event];
            let (name, _) = STEPS.iter().find(|(_, status)| *status == told.raw_status)?;
            let body: Value = serde_json::from_slice(&told.body).ok()?;
            Some((*event, json!({ "event": name, "time": body.pointer("/data/updatedAt")? })))
        });
        let (told, steps): (Vec<usize>, Vec<Value>) = steps.unzip();
        let mut answered = Answered::plain(dialect.delivery(&Value::Array(steps)));
        let webhooks = || {
            let now = &plan.events[*events.last()?];
            let (_, state) = dialect.state_by(&serde_json::from_slice(&now.body).ok()?)?;
            let pull = now.provider.pull()?;
            let state = pull.read(id, &Answered::plain(dialect.delivery(&state)).answer).ok()?;
            pull.timeline()?.read(id, &state, &answered.answer).ok()
        };
        for (webhook, event) in webhooks().into_iter().flatten().zip(told) {
            answered.tells.push((webhook, event, Form::Step));
        }
        answered
    }

    /// An event that is no update is on no list, and none is that was sent in vain for longer than it is tried.
    fn listed(&self, plan: &Plan, provider: ProviderId) -> Vec<(usize, Value)> {
        let of = |(event, since): (&usize, &Instant)| {
            let told = &plan.events[*event];
            let is_listed = told.provider.id() == provider && told.kind == Kind::Update;
            let body = serde_json::from_slice(&told.body).ok()?;
            (is_listed && since.elapsed() < LISTED_FOR).then_some((*event, body))
        };
        self.listed.iter().filter_map(of).collect()
    }
}

/// The provider's name for an event's delivery.
pub fn delivery_id(event: &Event) -> Option<String> {
    match event.provider.decode(&event.body) {
        Ok(Decoded::Update(decoded)) => Some(decoded.update.delivery_id),
        _ => None,
    }
}

/// What its provider is asked for it by.
pub fn address(event: &Event) -> Option<String> {
    let Ok(Decoded::Update(decoded)) = event.provider.decode(&event.body) else { return None };
    event.provider.address(&decoded.update).or(Some(decoded.update.delivery_id))
}

/// An answer.
struct Answered {
    answer: PullAnswer,
    /// The webhooks that the answer amounts to, and the plan's events that say the same.
    tells: Vec<(Bytes, usize, Form)>,
    /// It is about the requested delivery alone, and does not have its state.
    own_fault: bool,
}

impl Answered {
    fn plain((code, body): (u16, Value)) -> Self {
        let body = Some(body.to_string().into_bytes());
        Self {
            answer: PullAnswer { code, body, ..PullAnswer::default() },
            tells: Vec::new(),
            own_fault: false,
        }
    }
}

/// A request on its way.
struct Asked {
    provider: ProviderId,
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn new(provider: ProviderId, request: &PullRequest) -> Self {
        let text = |secret: &Secret| String::from_utf8_lossy(secret.expose()).into_owned();
        let named = |(name, value): &(&'static str, Secret)| ((*name).to_owned(), text(value));
        Self {
            provider,
            method: if request.post.is_some() { "POST" } else { "GET" },
            path: request.path.join("/"),
            query: request.query.iter().map(named).collect(),
            headers: request.headers.iter().map(named).collect(),
            body: request.post.as_ref().map(|post| post.to_string().into_bytes()).unwrap_or_default(),
        }
    }

    /// What is asked for, without a credential.
    fn about(&self) -> String {
        if let Some((_, code)) = self.query.iter().find(|(name, _)| name.to_lowercase().starts_with("order"))
        {
            return code.clone();
        }
        match self.path.split('/').collect::<Vec<_>>()[..] {
            ["locations", location, "orders", order, "delivery"] => format!("{location}/{order}"),
            ["deliveries", id] => id.to_owned(),
            _ => self.path.clone(),
        }
    }
}

fn credential_text(provider: ProviderId) -> String {
    format!("{}{provider}:of-its-api", String::from_utf8_lossy(SECRET))
}

#[async_trait]
impl ProviderApi for Ports {
    fn credential(&self, provider: ProviderId, _: &Account) -> Option<Secret> {
        Secret::new(credential_text(provider).as_bytes())
    }

    async fn send(&self, provider: ProviderId, request: &PullRequest) -> Result<PullAnswer, &'static str> {
        let link = &self.process.slot.api;
        let trouble = link.with_dice(|dice, rates| {
            let troubles = [Trouble::Error, Trouble::Page, Trouble::TooMany(Some(2)), Trouble::Denied(401)];
            dice.happens(rates.refusal / 4.0).then(|| dice.pick(&troubles))
        });
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        let asked = Asked::new(provider, request);
        let effect = move || world.ask(&process, &asked, trouble);
        match self.process.call(link, REQUEST_TIMEOUT, effect).await {
            Ok(answer) => Ok(answer),
            Err(Lost::NotSent) => Err("cannot connect"),
            Err(Lost::NoReply) => Err("no answer in time"),
        }
    }
}

impl World {
    fn ask(&self, process: &Process, asked: &Asked, trouble: Option<Trouble>) -> PullAnswer {
        let answered = self.api.answer(&self.plan, asked, trouble);
        let about = asked.about();
        let events: BTreeSet<usize> = answered.tells.iter().map(|(_, event, _)| *event).collect();
        let mut book = self.book();
        let code = answered.answer.code;
        let line = || format!("p{} asks {} for {about}: {code}, {events:?}", process.id, asked.provider);
        book.trace.note(events.first().copied(), line);
        book.asked_for(process, &about, answered.tells, answered.own_fault);
        answered.answer
    }
}
