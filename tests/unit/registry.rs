//! What every provider must have: these tests run over the table, so that a new line in it is held to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use milepost::config::{Sources, load};
use milepost::domain::authentication::Authentication;
use milepost::domain::event::UpdateEvent;
use milepost::domain::identity::{Account, DeliveryKey, EventId, Origin, ReceiptId};
use milepost::domain::journey::Personal;
use milepost::domain::provider::Provider;
use milepost::domain::secret::Secret;
use milepost::domain::state::{Course, Order};
use milepost::providers::{
    ALL, DASH, DELIVERECT, EXPRESS_247, HUBRISE, SAMPLE_SOURCES, TELYPORT, by_name, sample_source,
};
use serde_json::{Value, json};

use crate::support::{self, Pairs, leaves, sample, signing, update};

/// Fields of the samples that are credentials.
const CREDENTIALS: [&str; 1] = ["ApiKey"];

fn here(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json_files(directory: &Path) -> BTreeSet<String> {
    let entries =
        std::fs::read_dir(here(directory)).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let name =
        |entry: std::fs::DirEntry| entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
    entries.map(|entry| name(entry.expect("readable"))).collect()
}

#[test]
fn the_table_has_the_providers() {
    let ids: Vec<_> = ALL.iter().map(|provider| provider.id().as_str()).collect();
    assert_eq!(ids, ["telyport", "247express", "deliverect", "dash", "hubrise"]);
    assert_eq!(TELYPORT.id().as_str(), "telyport");
    assert_eq!(EXPRESS_247.id().as_str(), "247express");
    assert_eq!(DELIVERECT.id().as_str(), "deliverect");
    assert_eq!(DASH.id().as_str(), "dash");
    assert_eq!(HUBRISE.id().as_str(), "hubrise");
}

#[test]
fn providers_are_found_by_name() {
    for provider in ALL {
        let id = provider.id();
        assert_eq!(by_name(id.as_str()).map(Provider::id), Some(id));
        assert_eq!(sample_source(id.as_str()).map(|source| source.id()), Some(id));
    }
    for unknown in ["unknown", ""] {
        assert!(by_name(unknown).is_none() && sample_source(unknown).is_none());
    }
}

#[test]
fn names_fit_paths_queues_and_routing_keys() {
    for provider in ALL {
        let id = provider.id().as_str();
        assert!(id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')), "{id}");
        assert!((1..=32).contains(&id.len()), "{id}");
    }
    let paths: Vec<_> = ALL.iter().filter_map(|provider| provider.documented_path()).collect();
    assert_eq!(paths, ["/IntergrationAPI", "/channel/courier_update"]);
}

#[test]
fn each_provider_gives_up_when_its_documents_say() {
    let seconds: Vec<_> = ALL.iter().map(|provider| provider.gives_up_after().as_secs()).collect();
    assert_eq!(seconds, [4095, 0, 0, 2 * 60, 31 * 60]);
    for provider in ALL {
        assert!(provider.gives_up_after() < provider.resend_horizon(), "{}", provider.id());
    }
}

#[test]
fn what_is_played_is_sent_again_for_as_long_as_its_provider_does() {
    for provider in SAMPLE_SOURCES {
        let waits: Duration = (1..).map_while(|tries| provider.resends_after(tries)).sum();
        assert_eq!(waits, provider.gives_up_after(), "{}", provider.id());
    }
}

#[test]
fn every_provider_has_its_worker() {
    let manifest = read("Cargo.toml");
    for provider in ALL {
        let id = provider.id();
        assert!(here(format!("src/bin/worker_{id}.rs")).is_file(), "src/bin/worker_{id}.rs is missing");
        let binary = format!("name = \"milepost-worker-{id}\"");
        assert!(manifest.contains(&binary), "Cargo.toml lacks {binary}");
    }
}

/// The list names a provider's places by Dash; each of the others has them, too.
#[test]
fn every_provider_has_the_places_that_contributing_lists() {
    let guide = read("CONTRIBUTING.md");
    let (_, list) = guide.split_once("<!-- provider: begin -->").expect("the list");
    let (list, _) = list.split_once("<!-- provider: end -->").expect("its end");
    let places: Vec<_> =
        list.lines().filter_map(|line| line.strip_prefix("* `")?.split('`').next()).collect();
    assert!(places.len() > 10, "{places:?}");
    assert_eq!(places.iter().filter(|place| place.contains("dash")).count(), 7, "{places:?}");
    for provider in ALL {
        let id = provider.id().as_str();
        for place in &places {
            // A Rust module cannot begin with a digit.
            let name = if place.ends_with("/dash.rs") && id == "247express" { "express247" } else { id };
            let place = place.replace("dash", name);
            assert!(here(&place).exists(), "{id} lacks {place}");
            if here(&place).is_file() {
                let text = read(&place).to_lowercase();
                let in_code = if id == "247express" { "express247" } else { id };
                let is_named = text.contains(id) || text.replace('_', "").contains(in_code);
                assert!(is_named, "{place} says nothing of {id}");
            }
        }
    }
}

#[test]
fn every_provider_has_its_fuzz_target() {
    let manifest = read("fuzz/Cargo.toml");
    for provider in ALL {
        let path = format!("fuzz_targets/decode_{}.rs", provider.id());
        assert!(here(format!("fuzz/{path}")).is_file(), "fuzz/{path} is missing");
        assert!(manifest.contains(&format!("path = \"{path}\"")), "fuzz/Cargo.toml lacks {path}");
    }
}

/// The shipped file, read with the real providers, says what they default to.
#[test]
fn every_provider_has_its_manifests() {
    for provider in ALL {
        let id = provider.id();
        let worker = read(format!("deploy/providers/{id}/worker/kustomization.yaml"));
        assert!(worker.contains(&format!("[/usr/local/bin/milepost-worker-{id}]")), "{id}: {worker}");
        let receiver = read(format!("deploy/providers/{id}/receiver.yaml"));
        let variable = format!("MILEPOST__PROVIDERS__{}__ACCOUNTS__", id.as_str().to_ascii_uppercase());
        assert!(receiver.contains(&variable), "{id}: {receiver}");
        let scaled = read(format!("deploy/components/keda/{id}/kustomization.yaml"));
        assert!(scaled.contains(&format!("milepost.webhooks.{id}\n")), "{id}: {scaled}");
        for overlay in ["dev", "prod"] {
            let overlay = read(format!("deploy/overlays/{overlay}/kustomization.yaml"));
            assert!(overlay.contains(&format!("../../providers/{id}\n")), "{id}: {overlay}");
        }
        let keda = read("deploy/components/keda/kustomization.yaml");
        assert!(keda.contains(&format!("- {id}\n")), "{id}: {keda}");
    }
}

#[test]
fn every_provider_has_its_section_in_the_shipped_file() {
    const SHIPPED: &str = "config/milepost.toml";
    let text = read(SHIPPED);
    let shipped = Sources { file: Some(here(SHIPPED)), ..Sources::default() };
    let shipped = load(&shipped, ALL).expect("the shipped file");
    assert_eq!(shipped.warnings, []);
    let defaults = load(&Sources::default(), ALL).expect("defaults");
    for provider in ALL {
        let id = provider.id();
        for header in [format!("[providers.{id}]"), format!("# [providers.{id}.accounts.default]")] {
            assert!(text.lines().any(|line| line == header), "{SHIPPED} lacks {header}");
        }
        let (says, default) = (shipped.config.provider(id), defaults.config.provider(id));
        assert_eq!(says.resend_horizon, provider.resend_horizon(), "{id}");
        assert_eq!(says.dedup_ttl, default.dedup_ttl, "{id}");
    }
}

#[test]
fn every_sample_file_is_registered_and_has_its_expected_update() {
    for provider in SAMPLE_SOURCES {
        let id = provider.id().as_str();
        let named: BTreeSet<_> = provider.samples().iter().map(|sample| sample.name.to_owned()).collect();
        assert!(!named.is_empty(), "{id} has no sample");
        assert_eq!(named.len(), provider.samples().len(), "{id} has a sample twice");
        assert!(named.iter().all(|name| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'))));
        assert_eq!(named, json_files(&Path::new("src/providers/samples").join(id)), "samples of {id}");
        assert_eq!(
            named,
            json_files(&Path::new("tests/fixtures").join(id).join("updates")),
            "updates of {id}"
        );
    }
}

#[test]
fn every_sample_becomes_its_expected_update() {
    for provider in SAMPLE_SOURCES {
        for sample in provider.samples() {
            let decoded = update(*provider, sample.body);
            let path = format!("tests/fixtures/{}/updates/{}.json", provider.id(), sample.name);
            let expected: Value = serde_json::from_str(&read(&path)).expect("JSON");
            assert_eq!(serde_json::to_value(&decoded.update).expect("JSON"), expected, "{path}");
            assert_eq!(decoded.unreadable_fields, 0, "{path}");
        }
    }
}

/// No field a provider sends is dropped silently, credentials aside.
#[test]
fn every_value_of_every_sample_is_in_its_update() {
    for provider in SAMPLE_SOURCES {
        for sample in provider.samples() {
            let mut sent: Value = serde_json::from_str(sample.body).expect("JSON");
            let fields = sent.as_object_mut().expect("an object");
            fields.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
            let published = serde_json::to_value(&update(*provider, sample.body).update).expect("JSON");
            let mut kept = leaves(&published);
            // Money is sent in one text, and published as an amount and a currency.
            if let (Some(amount), Some(currency)) =
                (published["fee"]["amount"].as_str(), published["fee"]["currency"].as_str())
            {
                *kept.entry(format!("{amount} {currency}")).or_default() += 1;
            }
            for (value, count) in leaves(&sent) {
                let name = sample.name;
                assert!(kept.get(&value) >= Some(&count), "{value} of {name} is not in {published}");
            }
        }
    }
}

#[test]
fn no_credential_of_a_sample_is_in_its_update() {
    for provider in SAMPLE_SOURCES {
        for sample in provider.samples() {
            let sent: Value = serde_json::from_str(sample.body).expect("JSON");
            let published = serde_json::to_string(&update(*provider, sample.body).update).expect("JSON");
            for name in CREDENTIALS {
                let Some(credential) = sent.get(name).and_then(Value::as_str) else { continue };
                assert!(!published.contains(credential) && !published.contains(name), "{published}");
            }
        }
    }
}

/// A status may be said again with another courier or position, and that is an event of its own.
#[test]
fn every_sample_is_another_event_of_a_known_status() {
    for provider in SAMPLE_SOURCES {
        let mut events = BTreeSet::new();
        for sample in provider.samples() {
            let decoded = update(*provider, sample.body);
            assert_ne!(decoded.update.status.as_str(), "unknown", "{}", sample.name);
            events.insert(format!("{:?}", decoded.identity.fingerprint));
        }
        assert_eq!(events.len(), provider.samples().len(), "{}", provider.id());
    }
}

#[test]
fn no_two_statuses_of_the_samples_become_one() {
    for provider in SAMPLE_SOURCES {
        let mut raw_by_status = BTreeMap::new();
        for sample in provider.samples() {
            let update = update(*provider, sample.body).update;
            let status = update.status.as_str();
            assert_ne!(status, "unknown", "{}", sample.name);
            let raw = raw_by_status.entry(status).or_insert_with(|| update.raw_status.clone());
            assert_eq!(*raw, update.raw_status, "{status}");
        }
    }
}

#[test]
fn what_a_provider_signs_it_takes_by_each_scheme() {
    let secret = "user:EBD2E298-20AC";
    for provider in SAMPLE_SOURCES {
        for scheme in provider.authentication().iter().map(Authentication::scheme) {
            for sample in provider.samples() {
                let key = Secret::new(secret.as_bytes()).expect("not empty");
                let signed = provider.sign(sample.body.into(), &signing(scheme, &key));
                let open = |secrets: &[&str]| {
                    let headers = Pairs(&signed.headers);
                    support::open(*provider, scheme, &headers, signed.body.clone(), secrets)
                };
                let stored = open(&["another secret", secret]).expect("authentic");
                let text = String::from_utf8(stored.to_vec()).expect("text");
                assert!(!text.contains(secret), "{text}");
                let same = serde_json::to_value(&update(*provider, &text).update).expect("JSON");
                assert_eq!(same, serde_json::to_value(&update(*provider, sample.body).update).expect("JSON"));
                assert!(open(&["another secret"]).is_err());
            }
        }
    }
}

/// `milepost send` with the same seed must be a run of duplicates, and with another number or tag never.
#[test]
fn personal_samples_are_deterministic_and_distinct() {
    let begun = "2025-02-12T13:07:19.2010003Z".parse().expect("a time");
    for provider in SAMPLE_SOURCES {
        let mut events = BTreeSet::new();
        let mut deliveries = BTreeSet::new();
        let mut by_id = BTreeSet::new();
        let runs =
            [("a1", 2), ("a", 12), ("a1", 3), ("b", 0), ("", 0), ("a1-2", 2), ("9f86d081884c7d65", u64::MAX)];
        for (tag, number) in runs {
            let personal = |name: &'static str| {
                let mut body = sample(*provider, name);
                provider.personalize(&mut body, &Personal { tag, number, steps: &[name], step: 0, begun });
                body.to_string()
            };
            for one in provider.samples() {
                let (first, again) = (personal(one.name), personal(one.name));
                assert_eq!(first, again);
                let decoded = update(*provider, &first);
                assert_eq!(decoded.unreadable_fields, 0, "{first}");
                let original = update(*provider, one.body);
                assert_eq!(decoded.update.status, original.update.status);
                let event_id = decoded.identity.provider_event_id;
                by_id.insert(event_id.is_some());
                events.insert((event_id, format!("{:?}", decoded.identity.fingerprint)));
                deliveries.insert(decoded.update.delivery_id);
            }
        }
        assert_eq!(events.len(), runs.len() * provider.samples().len());
        assert_eq!(deliveries.len(), runs.len());
        assert_eq!(by_id.len(), 1, "{} gives each of its events an id, or none", provider.id());
    }
}

#[test]
fn personalizing_and_signing_take_anything() {
    let secret = Secret::new(b"secret \xff\"").expect("not empty");
    for provider in SAMPLE_SOURCES {
        for mut body in [json!(null), json!([]), json!({}), json!({"data": 1, "DeliveryDate": 1}), json!("x")]
        {
            for begun in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
                for step in [0, u32::MAX] {
                    provider.personalize(
                        &mut body,
                        &Personal { tag: "é\"\n", number: 0, steps: &[], step, begun },
                    );
                }
            }
        }
        for scheme in provider.authentication().iter().map(Authentication::scheme) {
            for body in ["", "null", "{", "{}", "{\"ApiKey\":1,\"ApiKey\":2}", "\u{feff}{}"] {
                let _ = provider.sign(body.into(), &signing(scheme, &secret));
            }
        }
    }
}

/// A lone surrogate is JSON by its grammar and no text: its JSON is published as a text, so that every reader takes the
/// event.
#[test]
fn a_lone_surrogate_is_published_as_text() {
    let body = r#"{"OrderCode":"HD1","Status":"25","Mailman":"\ud800","Note":{"a":"\udfff","n":1e999}}"#;
    let decoded = update(&EXPRESS_247, body);
    assert_eq!(decoded.unreadable_fields, 1);
    let delivery = DeliveryKey {
        provider: EXPRESS_247.id(),
        account: Account::default_account(),
        delivery_id: decoded.update.delivery_id.clone(),
    };
    let receipt: ReceiptId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt");
    let id = EventId::new(&delivery, &decoded.identity, receipt);
    let origin = Origin { receipt, traceparent: None };
    let course = Course { sequence: 1, order: Order::InOrder, changes: Vec::new(), previous_status: None };
    let event = UpdateEvent::new(&delivery, id, &origin, &decoded.update, &course);
    let event: Value = serde_json::from_slice(&event.body).expect("JSON");
    let extra = json!({"Mailman": r#""\ud800""#, "Note": r#"{"a":"\udfff","n":1e999}"#});
    assert_eq!(event["data"]["extra"], extra);
    assert_eq!(event["data"]["extra_as_text"], json!(["Mailman", "Note"]));
}
