//! The webhooks of one run: the providers' documented journeys, every event its own, padded to a size.

use bytes::Bytes;
use jiff::Timestamp;
use milepost::adapters::clock::SystemClock;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::{Account, ReceiptId};
use milepost::domain::journey::Personal;
use milepost::domain::samples::{SampleSource, SignedWebhook, Signing};
use milepost::domain::secret::Secret;
use milepost::ports::Clock as _;
use serde_json::{Value, json};
use uuid::Uuid;

/// What every account is configured with.
pub const SECRET: &str = "a secret of the benchmark";
/// 2025-01-01T00:00:00Z: when the deliveries begin.
const BEGUN: i64 = 1_735_689_600;

/// What the webhooks of a row have in common.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Whose, in turns.
    pub providers: &'static [&'static dyn SampleSource],
    /// For how many accounts of each provider.
    pub accounts: usize,
    /// How large a body is at least.
    pub bytes: usize,
}

/// One webhook before it is signed.
pub struct Webhook {
    pub provider: &'static dyn SampleSource,
    pub account: Account,
    pub body: Bytes,
}

/// The name of one of so many accounts.
pub fn account(number: usize, of: usize) -> Account {
    let name = if of == 1 { "default".to_owned() } else { format!("merchant-{:03}", number % of) };
    name.parse().expect("a valid name")
}

impl Kind {
    /// The run's webhooks: first the first step of each delivery, then the second of each, and so on, as it would be with
    /// many deliveries under way. `tag` tells runs apart: with another one, they are other events.
    pub fn webhooks(&self, count: usize, tag: &str) -> impl Iterator<Item = Webhook> + use<> {
        let Self { providers, accounts, bytes } = *self;
        let each = count.div_ceil(providers.len());
        let samples: Vec<Vec<Value>> = providers.iter().map(|provider| journey(*provider, bytes)).collect();
        let tag = tag.to_owned();
        (0..count).map(move |index| {
            let (which, turn) = (index % providers.len(), index / providers.len());
            let deliveries = each.div_ceil(samples[which].len());
            let (number, step) = (turn % deliveries, turn / deliveries);
            let (provider, mut body) = (providers[which], samples[which][step].clone());
            let begun = Timestamp::from_second(BEGUN).expect("in range");
            let step = u32::try_from(step).expect("few");
            let steps = provider.journeys()[0].steps;
            let personal = Personal { tag: &tag, number: number as u64, steps, step, begun };
            provider.personalize(&mut body, &personal);
            let body = serde_json::to_vec(&body).expect("JSON").into();
            Webhook { provider, account: account(number, accounts), body }
        })
    }
}

/// The steps of the provider's first journey, which ends well; unknown items pad each to more than `bytes`.
fn journey(provider: &dyn SampleSource, bytes: usize) -> Vec<Value> {
    let padded = |name: &&str| {
        let sample = provider.samples().iter().find(|sample| sample.name == *name).expect("its own sample");
        let mut body: Value = serde_json::from_str(sample.body).expect("JSON");
        let mut items = Vec::new();
        let room = bytes.saturating_sub(body.to_string().len());
        while json!(items).to_string().len() < room {
            items.push(json!({ "name": "Masala dosa", "quantity": items.len(), "price": "120.50" }));
        }
        if !items.is_empty() {
            body["benchItems"] = items.into();
        }
        body
    };
    provider.journeys()[0].steps.iter().map(padded).collect()
}

impl Webhook {
    /// As the provider would send it.
    pub fn signed(self) -> SignedWebhook {
        let secret = secret();
        let scheme = self.provider.authentication()[0].scheme();
        self.provider.sign(self.body, &Signing { scheme, header: None, secret: &secret })
    }

    /// As the receiver stores it. The receipt holds `index`.
    pub fn stored(self, index: usize) -> Envelope {
        let content_type = Some("application/json".to_owned());
        let envelope = Envelope::new(numbered(index), self.provider.id(), self.account, self.body);
        Envelope { content_type, ..envelope }
    }
}

/// A receipt as a receiver makes them, with the time in its first bits, and with a number in place of chance.
fn numbered(index: usize) -> ReceiptId {
    let mut chance = [0; 10];
    chance[2..].copy_from_slice(&(index as u64).to_be_bytes());
    ReceiptId::new(SystemClock.now(), &chance)
}

/// The number in a receipt.
pub fn number(receipt: &str) -> anyhow::Result<usize> {
    // Beside the variant, which are the two highest bits.
    let (_, low) = receipt.parse::<Uuid>()?.as_u64_pair();
    Ok(usize::try_from(low & (u64::MAX >> 2))?)
}

/// What the webhooks are signed with.
pub fn secret() -> Secret {
    Secret::new(SECRET.as_bytes()).expect("not empty")
}
