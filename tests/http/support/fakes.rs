//! A provider, a publisher and a clock that a test controls.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use milepost::domain::answer::{Answer, RejectionKind};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::envelope::Envelope;
use milepost::domain::provider::{Decoded, Provider, ProviderId};
use milepost::domain::verdict::Poison;
use milepost::ports::{
    Clock, DurabilityProof, Next, Outbound, PublishError, Publisher, Spool, SpoolError, SpoolState, Spooled,
};
use tokio::sync::{Semaphore, watch};

use super::{NOW, within};

pub type Answers = fn(Option<AuthScheme>, Result<(), RejectionKind>) -> Answer;

pub const BY_SIGNATURE: Authentication = Authentication::Hmac { header: "x-signature" };

/// A provider that signs with `x-signature`.
pub struct TestProvider {
    pub id: ProviderId,
    pub path: Option<&'static str>,
    pub answers: Answers,
}

impl Provider for TestProvider {
    fn id(&self) -> ProviderId {
        self.id
    }

    fn documented_path(&self) -> Option<&'static str> {
        self.path
    }

    fn authentication(&self) -> &'static [Authentication] {
        &[BY_SIGNATURE]
    }

    fn resend_horizon(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn gives_up_after(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn answer(&self, scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        (self.answers)(scheme, outcome)
    }

    fn decode(&self, _body: &[u8]) -> Result<Decoded, Poison> {
        Ok(Decoded::Ignored)
    }

    fn transitions(&self) -> &'static milepost::domain::transitions::Transitions {
        &milepost::domain::transitions::Transitions { table: &[], steps: &[], ends: &[] }
    }
}

/// Takes webhooks and answers each publish with the reply that the test set.
pub struct FakePublisher {
    taken: watch::Sender<Vec<Envelope>>,
    gate: Semaphore,
    reply: Mutex<Result<(), PublishError>>,
}

impl FakePublisher {
    /// `held`: each publish waits for [`Self::release`]. Otherwise all are confirmed at once.
    pub fn new(held: bool) -> Self {
        let gate = Semaphore::new(if held { 0 } else { 10_000 });
        Self { taken: watch::Sender::default(), gate, reply: Mutex::new(Ok(())) }
    }

    pub fn reply(&self, reply: Result<(), PublishError>) {
        *self.reply.lock().unwrap() = reply;
    }

    /// Lets `count` publishes come to their end.
    pub fn release(&self, count: usize) {
        self.gate.add_permits(count);
    }

    pub fn taken(&self) -> Vec<Envelope> {
        self.taken.borrow().clone()
    }

    /// Waits until `count` webhooks were given to it.
    pub async fn has_taken(&self, count: usize) {
        let mut taken = self.taken.subscribe();
        within(taken.wait_for(|taken| taken.len() >= count)).await.unwrap();
    }
}

#[async_trait]
impl Publisher for FakePublisher {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        let Outbound::Raw(envelope) = outbound else { panic!("the receiver publishes webhooks only") };
        self.taken.send_modify(|taken| taken.push(envelope));
        self.gate.acquire().await.unwrap().forget();
        *self.reply.lock().unwrap()
    }

    fn ready(&self) -> bool {
        true
    }
}

/// Takes webhooks, answers each append with the reply that the test set, and hands out none.
pub struct FakeSpool {
    taken: watch::Sender<Vec<Envelope>>,
    gate: Semaphore,
    reply: Mutex<Result<(), SpoolError>>,
}

impl FakeSpool {
    /// `held`: each proof waits for [`Self::release`]. Otherwise each is there at once.
    pub fn new(held: bool) -> Self {
        let gate = Semaphore::new(if held { 0 } else { 10_000 });
        Self { taken: watch::Sender::default(), gate, reply: Mutex::new(Ok(())) }
    }

    pub fn reply(&self, reply: Result<(), SpoolError>) {
        *self.reply.lock().unwrap() = reply;
    }

    pub fn release(&self, count: usize) {
        self.gate.add_permits(count);
    }

    pub fn taken(&self) -> Vec<Envelope> {
        self.taken.borrow().clone()
    }

    pub async fn has_taken(&self, count: usize) {
        let mut taken = self.taken.subscribe();
        within(taken.wait_for(|taken| taken.len() >= count)).await.unwrap();
    }
}

#[async_trait]
impl Spool for FakeSpool {
    async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError> {
        self.taken.send_modify(|taken| taken.push(webhook.clone()));
        self.gate.acquire().await.unwrap().forget();
        self.reply.lock().unwrap().clone()
    }

    async fn next(&self, _: Duration, _: Option<&Spooled>) -> Result<Next, SpoolError> {
        Ok(Next::Empty)
    }

    async fn release(&self, _: Option<&Spooled>) -> Result<(), SpoolError> {
        Ok(())
    }

    async fn look(&self) -> Result<SpoolState, SpoolError> {
        Ok(SpoolState { entries: 0, bytes: 0, oldest: None, proof: Ok(DurabilityProof::EachWrite) })
    }
}

/// Says [`NOW`].
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }
}
