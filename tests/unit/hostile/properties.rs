//! What holds for every body there could be, of every provider.

use milepost::domain::provider::{Decoded, DecodedUpdate};
use milepost::providers::SAMPLE_SOURCES;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::cases::{SHAPES, Shape};
use super::decoding::{RECEIPTS, check, event, is_strict, respelled};
use crate::support::{Pairs, any_json, open};

/// A provider, by its place in the table, and one of its samples.
fn any_sample() -> impl Strategy<Value = (usize, &'static str)> {
    let samples = |at: usize| SAMPLE_SOURCES[at].samples().iter().map(move |sample| (at, sample.body));
    prop::sample::select((0..SAMPLE_SOURCES.len()).flat_map(samples).collect::<Vec<_>>())
}

/// What may happen to bytes on their way.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    // What means something in JSON comes more often than its share of all bytes.
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            ":",
            "\\",
            "null",
            "0",
            "-",
            "e9",
            "\\ud800",
            "\\udc00",
            "1e999",
            ".0",
            "e-05",
            "\\u0000",
            " ",
            "\u{a0}",
            "00000000000000000000000000000000000000000000000000000000000000000000"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<Index>(), bytes).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), 1_usize..20).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

fn damaged(body: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    for damage in damages {
        match damage {
            Damage::Flip(at, bits) => {
                let at = at.index(bytes.len().max(1));
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(bytes.len() + 1);
                bytes.drain(at..bytes.len().min(at + count));
            }
        }
    }
    bytes
}

/// The pointers of all values in `value`.
fn pointers(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{here}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                pointers(value, &format!("{here}/{at}"), found);
            }
        }
        _ => {}
    }
}

/// The sample with some values, wherever they are in it, replaced by others.
fn replaced(body: &str, values: &[(Index, Value)]) -> String {
    let mut body: Value = serde_json::from_str(body).expect("JSON");
    for (at, value) in values {
        let mut found = Vec::new();
        pointers(&body, "", &mut found);
        let pointer = &found[at.index(found.len())];
        *body.pointer_mut(pointer).expect("one of its own pointers") = value.clone();
    }
    body.to_string()
}

/// JSON that no library writes: names twice, numbers of any size and spelling, escapes that are no text.
fn odd_json() -> impl Strategy<Value = String> {
    let name = r#""([ab]|\\u006[12]|\\ud83d|\\ude00|\\u0000|\\\\){0,3}""#;
    let leaf = prop_oneof![
        name,
        "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,3})?([eE][-+]?[0-9]{1,4})?",
        "[1-9][0-9]{50,400}([.][0-9]{1,90})?",
        Just("null".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((name, inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> =
                    fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// An update of the delivery `id`, told apart by one text and, if the provider sends one, by its own id of the event.
fn update_of(shape: &Shape, id: &str, text: &str, event_id: Option<&str>) -> DecodedUpdate {
    let mut body: Value = serde_json::from_str(shape.least).expect("JSON");
    *body.pointer_mut(shape.id.0).expect("an id") = json!(id);
    let (text_at, event_at) = match shape.provider.id().as_str() {
        "telyport" => (["data", "additionalProperties"], Some("webhookEventID")),
        "247express" => (["Mailman", ""], Some("TransactionId")),
        "deliverect" => (["courierName", ""], None),
        "dash" => (["courier", "name"], None),
        _ => (["new_state", "driver_name"], Some("id")),
    };
    match text_at {
        [name, ""] => body[name] = json!(text),
        [outer, inner] => body[outer][inner] = json!(text),
    }
    if let Some((name, event_id)) = event_at.zip(event_id) {
        body[name] = json!(event_id);
    }
    match shape.provider.decode(body.to_string().as_bytes()) {
        Ok(Decoded::Update(decoded)) => *decoded,
        other => panic!("no update but {other:?}"),
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        SAMPLE_SOURCES.iter().for_each(|provider| check(*provider, &bytes));
    }

    #[test]
    fn any_json_at_all(value in any_json()) {
        SAMPLE_SOURCES.iter().for_each(|provider| check(*provider, value.to_string().as_bytes()));
    }

    #[test]
    fn damaged_samples((provider, body) in any_sample(), damages in prop::collection::vec(any_damage(), 1..5)) {
        check(SAMPLE_SOURCES[provider], &damaged(body, &damages));
    }

    #[test]
    fn samples_with_other_values(
        (provider, body) in any_sample(),
        values in prop::collection::vec((any::<Index>(), any_json()), 1..6),
    ) {
        check(SAMPLE_SOURCES[provider], replaced(body, &values).as_bytes());
    }

    /// With any value in a webhook, every reader takes the event, and the value is still in it.
    #[test]
    fn odd_json_anywhere_is_published_so_that_every_reader_takes_it(
        (provider, body) in any_sample(), at in any::<Index>(), odd in odd_json(),
    ) {
        let body = replaced(body, &[(at, json!("odd"))]).replacen("\"odd\"", &odd, 1);
        check(SAMPLE_SOURCES[provider], body.as_bytes());
    }

    #[test]
    fn an_odd_left_over_is_verbatim_or_its_json_as_text(shape in 0..SHAPES.len(), odd in odd_json()) {
        let body = SHAPES[shape].least.replacen('{', &format!("{{\"odd\":{odd},"), 1);
        let decoded = match SHAPES[shape].provider.decode(body.as_bytes()) {
            Ok(Decoded::Update(decoded)) => decoded,
            other => panic!("no update but {other:?}"),
        };
        let sent = odd.replace([' ', '\n'], "");
        let json = serde_json::to_string(&decoded.update.extra).expect("JSON");
        if is_strict(odd.as_bytes()) && !json.contains("extra_as_text") {
            let verbatim = format!("\"odd\":{sent}");
            prop_assert!(json.contains(&verbatim), "{} lacks {}", json, verbatim);
        } else {
            let published: Value = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(&published["extra_as_text"], &json!(["odd"]));
            prop_assert_eq!(&published["extra"]["odd"], &json!(sent));
        }
    }

    /// No random credential is accepted, and nothing panics on the way.
    #[test]
    fn a_random_credential_is_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300), object in any_json(), proof in ".{0,80}",
    ) {
        let names = ["x-telyport-signature", "x-server-authorization-hmac-sha256", "x-hubrise-hmac-sha256",
            "x-dash-signature", "authorization"];
        let proofs = [proof.clone(), format!("Bearer {proof}"), format!("Basic {proof}"), hex::encode(&proof)];
        for proof in proofs {
            let headers = names.map(|name| (name, proof.clone()));
            for (provider, how) in SAMPLE_SOURCES.iter().flat_map(|one| one.authentication().iter().map(move |how| (one, how))) {
                for body in [bytes.clone(), object.to_string().into_bytes()] {
                    let secret = &["a secret that was not used"];
                    prop_assert!(open(*provider, how.scheme(), &Pairs(&headers), body.into(), secret).is_err());
                }
            }
        }
    }

    /// The same event if, and only if, delivery, content and the provider's id are the same, and, where there is no
    /// such id, the first receipt.
    #[test]
    fn an_events_id_differs_exactly_when_its_identity_does(
        shape in 0..SHAPES.len(),
        ids in prop::array::uniform2("[a-b]{1,2}"),
        texts in prop::array::uniform2("[a-b]{1,2}"),
        event_ids in prop::array::uniform2(prop::option::of("[a-b]{1,2}")),
        receipts in prop::array::uniform2(prop::sample::select(RECEIPTS.to_vec())),
    ) {
        let shape = &SHAPES[shape];
        let [one, other] = [0, 1].map(|at| {
            let update = update_of(shape, &ids[at], &texts[at], event_ids[at].as_deref());
            event(shape.provider, &update, receipts[at]).id
        });
        let sends_ids = !matches!(shape.provider.id().as_str(), "deliverect" | "dash");
        let [one_id, other_id] = event_ids.map(|id| id.filter(|_| sends_ids));
        let by_receipt = one_id.is_none() && receipts[0] != receipts[1];
        let same = ids[0] == ids[1] && texts[0] == texts[1] && one_id == other_id && !by_receipt;
        prop_assert_eq!(one == other, same);
    }
}

/// Every sample, and every hostile body, spelt otherwise.
#[test]
fn samples_and_hostile_bodies() {
    for shape in &SHAPES {
        for sample in shape.provider.samples() {
            check(shape.provider, sample.body.as_bytes());
            assert!(respelled(sample.body.as_bytes(), " ").is_some_and(|other| other != sample.body));
        }
        for case in super::cases::cases(shape) {
            check(shape.provider, &case.webhook(shape.provider, "D1").body);
        }
    }
}

/// What the properties above rest on.
#[test]
fn respelling_turns_keys_and_keeps_values() {
    let body = br#"{"a":[1.50,{"b":"x y","c":1e9}],"d":null,"e":2}"#;
    let other = respelled(body, " ").expect("JSON");
    assert_eq!(other.replace(' ', ""), r#"{"e":2,"d":null,"a":[1.50,{"c":1e9,"b":"xy"}]}"#);
    assert_eq!(respelled(br#"["\ud800"]"#, ""), None);
    assert_eq!(respelled(br#"[{"a":1,"\u0061":1}]"#, ""), None);
    assert_eq!(respelled(b"{", ""), None);
}
