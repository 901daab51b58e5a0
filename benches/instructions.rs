//! What each webhook costs in pure work, for callgrind to count: `instructions PIECE PROVIDER TIMES` does one piece so
//! many times over, on every step of the provider's first journey. Without arguments it names all pieces, and how many
//! events one time is. `.ci/instructions` compares the counts with `benches/instructions.baseline`.

use std::hint::black_box;

use bytes::Bytes;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery;
use milepost::adapters::rabbit::envelope;
use milepost::domain::envelope::{Envelope, TraceContext};
use milepost::domain::event::UpdateEvent;
use milepost::domain::fingerprint::Fingerprinter;
use milepost::domain::history::History;
use milepost::domain::identity::{Account, DeliveryKey, EventId, ReceiptId};
use milepost::domain::order::{Moment, StatusOrder};
use milepost::domain::provider::Decoded;
use milepost::domain::samples::SampleSource;
use milepost::domain::state::{DeliveryState, Place};
use milepost::providers;
use serde_json::value::RawValue;

/// What does a piece so many times.
type Piece = fn(&Steps, u32);

/// The pieces: reading a body; the digest of all its fields; the published event's JSON; the stored webhook as an AMQP
/// message, and back.
const PIECES: [(&str, Piece); 4] = [
    ("decode", Steps::decode),
    ("fingerprint", Steps::fingerprint),
    ("encode", Steps::encode),
    ("envelope", Steps::envelope),
];

/// The webhooks of one delivery.
struct Steps {
    provider: &'static dyn SampleSource,
    bodies: Vec<Bytes>,
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [piece, provider, times] = arguments.as_slice() {
        let (_, run) = PIECES.iter().find(|(name, _)| name == piece).expect("a piece");
        let provider = providers::sample_source(provider).expect("a provider");
        run(&Steps::of(provider), times.parse().expect("a number"));
        return;
    }
    for (piece, _) in PIECES {
        for provider in providers::SAMPLE_SOURCES {
            println!("{piece} {} {}", provider.id(), Steps::of(*provider).bodies.len());
        }
    }
}

impl Steps {
    fn of(provider: &'static dyn SampleSource) -> Self {
        let body = |name: &&str| {
            let sample = provider.samples().iter().find(|sample| sample.name == *name);
            Bytes::from_static(sample.expect("its own sample").body.as_bytes())
        };
        Self { provider, bodies: provider.journeys()[0].steps.iter().map(body).collect() }
    }

    fn decode(&self, times: u32) {
        for _ in 0..times {
            for body in &self.bodies {
                let _ = black_box(self.provider.decode(black_box(body)));
            }
        }
    }

    fn fingerprint(&self, times: u32) {
        let raw = |body| serde_json::from_slice::<&RawValue>(body).expect("JSON");
        let raws: Vec<_> = self.bodies.iter().map(|body| raw(body)).collect();
        for _ in 0..times {
            for raw in &raws {
                black_box(Fingerprinter::new().field("body", Some(black_box(raw))).finish());
            }
        }
    }

    fn encode(&self, times: u32) {
        let mut state = None;
        let mut events = Vec::new();
        for envelope in self.envelopes() {
            let decoded = self.provider.decode(&envelope.body).expect("a sample");
            let Decoded::Update(decoded) = decoded else { panic!("a journey's step is an update") };
            let delivery = DeliveryKey {
                provider: self.provider.id(),
                account: envelope.account.clone(),
                delivery_id: decoded.update.delivery_id.clone(),
            };
            let (origin, transitions) = (envelope.origin(), self.provider.transitions());
            let (place, update) = (Place::at(events.len() as u64), &decoded.update);
            let event_time = update.event_time.as_ref().map(|time| (time.utc, decoded.time_kind));
            let moment = Moment::new(update.status, event_time, envelope.receipt.received_at());
            let precedence = StatusOrder::new(transitions).of(update.status);
            let (course, after) =
                DeliveryState::advance(state.as_ref(), place, update, moment, transitions, precedence);
            state = after;
            let id = EventId::new(&delivery, &decoded.identity, envelope.receipt);
            events.push((delivery, id, origin, decoded, course));
        }
        for _ in 0..times {
            for (delivery, id, origin, decoded, course) in black_box(&events) {
                black_box(UpdateEvent::new(delivery, id.clone(), origin, &decoded.update, course));
            }
        }
    }

    fn envelope(&self, times: u32) {
        let envelopes = self.envelopes();
        for _ in 0..times {
            for envelope in black_box(&envelopes) {
                let properties: BasicProperties = envelope::properties(envelope, None);
                let mut message = Delivery::mock(1, "".into(), "".into(), false, envelope.body.to_vec());
                message.properties = black_box(properties);
                black_box(envelope::read(message, envelope.provider, Timestamp::UNIX_EPOCH));
            }
        }
    }

    /// As the receiver makes them.
    fn envelopes(&self) -> Vec<Envelope> {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let envelope = |(number, body): (u128, &Bytes)| Envelope {
            receipt: ReceiptId::new(Timestamp::UNIX_EPOCH, &[number as u8; 10]),
            provider: self.provider.id(),
            account: Account::default_account(),
            content_type: Some("application/json".to_owned()),
            attempt: 0,
            crashes: 0,
            replay: None,
            reason: None,
            history: History::default(),
            trace: TraceContext::received(Some(traceparent), None),
            body: body.clone(),
        };
        (0..).zip(&self.bodies).map(envelope).collect()
    }
}
