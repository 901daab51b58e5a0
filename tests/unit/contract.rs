//! The contract with subscribers: what is committed is current, true of what is published, and kept.

mod compatibility;
mod current;
mod full;
mod personal;
mod table;
mod valid;

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use milepost::domain::event::UpdateEvent;
use milepost::domain::identity::{Account, DeliveryKey, EventId, Identity, Origin};
use milepost::domain::order::{Moment, StatusOrder};
use milepost::domain::provider::{Decoded, Provider};
use milepost::domain::state::{Course, DeliveryState, Place};
use milepost::domain::update::DeliveryUpdate;
use milepost::providers::SAMPLE_SOURCES;
use serde_json::Value;

const EVENT_SCHEMA: &str = "docs/contract/v1/event.schema.json";

fn here(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = here(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_str(&read(path)).expect("JSON")
}

/// The paths from the repository's root of all files under `directory`.
fn files_under(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(here(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.expect("readable")) {
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn validator(schema: &Value) -> Validator {
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    options.build(schema).expect("a schema")
}

#[track_caller]
fn assert_valid(validator: &Validator, event: &Value, name: &str) {
    let problems: Vec<_> =
        validator.iter_errors(event).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{name}: {problems:#?}");
}

/// The event that is published for `body`, the first of its delivery; `None` if it is no update.
fn event(provider: &dyn Provider, body: &str) -> Option<Value> {
    let Ok(Decoded::Update(decoded)) = provider.decode(body.as_bytes()) else { return None };
    let origin = origin();
    let (update, rules) = (&decoded.update, provider.transitions());
    let moment = Moment::new(update.status, None, origin.receipt.received_at());
    let precedence = StatusOrder::new(rules).of(update.status);
    let (course, _) = DeliveryState::advance(None, Place::at(1), update, moment, rules, precedence);
    Some(encoded(provider, &decoded.identity, &decoded.update, &course, &origin))
}

fn encoded(
    provider: &dyn Provider,
    identity: &Identity,
    update: &DeliveryUpdate,
    course: &Course,
    origin: &Origin,
) -> Value {
    let delivery = DeliveryKey {
        provider: provider.id(),
        account: Account::default_account(),
        delivery_id: update.delivery_id.clone(),
    };
    let id = EventId::new(&delivery, identity, origin.receipt);
    let event = UpdateEvent::new(&delivery, id, origin, update, course);
    serde_json::from_slice(&event.body).expect("an event is JSON")
}

fn origin() -> Origin {
    Origin {
        receipt: "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt"),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

/// An event with every field, every committed example, and the event of each sample.
fn events() -> Vec<(String, Value)> {
    let examples =
        files_under("docs/contract/v1/examples").into_iter().map(|path| (path.clone(), json(path)));
    let mut events: Vec<_> = examples.chain([("every field".to_owned(), full::event())]).collect();
    for provider in SAMPLE_SOURCES {
        for sample in provider.samples() {
            let name = format!("{} {}", provider.id(), sample.name);
            events.push((name, event(*provider, sample.body).expect("an update")));
        }
    }
    events
}
