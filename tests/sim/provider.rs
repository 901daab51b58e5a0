//! The providers: each sends by its own rules until it gets an answer that it takes for "accepted", or gives up.

use std::sync::Arc;
use std::time::Duration;

use milepost::domain::answer::{Answer, Rejection, RejectionKind};
use milepost::domain::authentication::Headers;
use milepost::domain::samples::{SampleSource, SignedWebhook, Signing};
use milepost::domain::secret::Secret;
use milepost::pipeline::receive::Receiver;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Span;

use crate::book::{Form, Received};
use crate::plan::{Event, Kind};
use crate::process::{Process, lock};
use crate::reconciler::refused;
use crate::world::World;

/// How long a provider waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// After a failed try, how long each provider waits for the next one. Deliverect and 247Express document nothing: they
/// are given two, within what is assumed of them.
fn waits(provider: &dyn SampleSource) -> Vec<u64> {
    match provider.id().as_str() {
        "telyport" => (0..12).map(|exponent| (1 << exponent).min(2100)).collect(),
        "hubrise" => (0..6).map(|exponent| 60 << exponent).collect(),
        "dash" => vec![60, 60],
        "deliverect" => vec![15, 15],
        _ => vec![30, 300],
    }
}

/// What this provider takes an answer for.
fn accepts(provider: &dyn SampleSource, answer: &Answer) -> bool {
    match provider.id().as_str() {
        "247express" => answer.code == 200 && answer.body.contains(r#""IsError":false"#),
        // It deletes the event, whether or not it was taken.
        "hubrise" => (200..500).contains(&answer.code),
        _ => answer.code == 200,
    }
}

struct Sent(SignedWebhook);

impl Headers for Sent {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        let name = name.to_owned();
        let ours = self.0.headers.iter().filter(move |(known, _)| *known == name);
        Box::new(ours.map(|(_, value)| value.as_bytes()))
    }
}

/// Sends an event until it is accepted, and again as often as it is planned.
pub async fn tell(world: Arc<World>, number: usize) {
    let event = world.plan.events[number].clone();
    let begun = Instant::now();
    let mut at = begun;
    let mut waits = waits(event.provider).into_iter();
    loop {
        let answer = post(&world, number, &event).await;
        let accepted = answer.is_some_and(|answer| accepts(event.provider, &answer));
        world.api.missed(number, !accepted);
        if accepted {
            break;
        }
        let Some(wait) = waits.next() else {
            world.book().trace.note(Some(number), || "the provider gives up".to_owned());
            break;
        };
        at = Instant::now().max(at + Duration::from_secs(wait));
        world.sleeps(number, Some(at));
        sleep_until(at).await;
        world.sleeps(number, None);
    }
    for resend in &event.resends {
        let at = begun + Duration::from_millis(*resend);
        // Not beyond what it does by its own rules.
        if at >= Instant::now() {
            world.sleeps(number, Some(at));
            sleep_until(at).await;
            world.sleeps(number, None);
            post(&world, number, &event).await;
        }
    }
    world.told(number);
}

/// One request; the answer, if it gets to the provider.
async fn post(world: &Arc<World>, number: usize, event: &Event) -> Option<Answer> {
    let (process, receiver) = world.some_receiver()?;
    let signed = sign(world, event);
    let reaches = !lock(&world.dice).happens(world.rates().answer);
    let (ours, provider) = (Arc::clone(world), event.provider);
    let task = {
        let process = Arc::clone(&process);
        tokio::spawn(
            async move { receive(&ours, &process, &receiver, number, provider, signed, reaches).await },
        )
    };
    process.owns(task.abort_handle());
    let stop = task.abort_handle();
    match timeout(PATIENCE, task).await {
        Ok(Ok(answer)) => answer.filter(|_| reaches),
        Ok(Err(_crashed)) => None,
        Err(_late) => {
            // The connection is closed, upon which the receiver drops the request.
            stop.abort();
            None
        }
    }
}

fn sign(world: &World, event: &Event) -> SignedWebhook {
    let known = world.secret(event.provider);
    let secret = if event.kind == Kind::Forged { Secret::new(b"guessed").expect("bytes") } else { known };
    let scheme = event.provider.authentication()[0].scheme();
    event.provider.sign(event.body.clone(), &Signing { scheme, header: None, secret: &secret })
}

/// As `adapters/http` does it: what the headers say, then the body, then the broker.
async fn receive(
    world: &Arc<World>,
    process: &Arc<Process>,
    receiver: &Receiver,
    number: usize,
    provider: &dyn SampleSource,
    signed: SignedWebhook,
    reaches: bool,
) -> Option<Answer> {
    process.alive().await;
    let receipt = receiver.receipt();
    let (error, until) = world.clock_error(process);
    let certain = until <= Instant::now() || error.abs() < 1_000;
    let received = Received {
        event: number,
        at: receipt.received_at,
        truly_at: world.true_time(),
        certain,
        accepted: false,
        stored: false,
        pulled: false,
        form: Form::Webhook,
    };
    world.book().received(receipt.id, received);
    let destination = receiver.named(provider.id().as_str(), None)?;
    let sent = Sent(signed);
    let authentic =
        destination.check_headers(&sent).and_then(|addressed| addressed.check_body(sent.0.body.clone()));
    let outcome: Result<(), Rejection> = match authentic {
        Ok(webhook) => receiver.store(webhook, receipt, &Span::none(), &sent).await.map(drop),
        Err(rejection) => Err(rejection),
    };
    process.alive().await;
    let is_ours = outcome.as_ref().is_err_and(|why| why.kind() == RejectionKind::Unavailable);
    if is_ours {
        refused(world, process, provider);
    }
    let answer = destination.answer(outcome);
    world.book().answered(receipt.id, outcome.is_ok(), answer.code, reaches);
    Some(answer)
}
