//! Bodies that are not what a parser hopes for: broken, foreign, huge and deep.

use milepost::domain::verdict::ParkReason;
use serde_json::{Value, json};

use super::{Case, Expected, Refusal, Shape, with};

/// Deeper brackets than this are parked.
const DEEPEST: usize = 32;

pub fn cases(shape: &Shape) -> Vec<Case> {
    let mut cases: Vec<_> = samples(shape).collect();
    cases.extend(misprints(shape));
    cases.extend(no_objects(shape));
    cases.extend(spelt_oddly(shape));
    cases.extend(huge_and_deep(shape));
    cases
}

/// Each documented sample. `registry.rs` has their updates in full.
fn samples(shape: &Shape) -> impl Iterator<Item = Case> {
    shape.provider.samples().iter().map(|sample| {
        let path = format!(
            "{}/tests/fixtures/{}/updates/{}.json",
            env!("CARGO_MANIFEST_DIR"),
            shape.provider.id(),
            sample.name
        );
        let update = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let update = serde_json::from_slice(&update).expect("JSON");
        Case::new(format!("sample {}", sample.name), shape, sample.body, Expected::Published(update, 0))
    })
}

/// What the documents themselves print and is no JSON: a comma too many, and one too few.
fn misprints(shape: &Shape) -> impl Iterator<Item = Case> {
    let misprint: &[u8] = match shape.provider.id().as_str() {
        "telyport" => include_bytes!("../../fixtures/telyport/documented_order_created.json"),
        "247express" => include_bytes!("../../fixtures/247express/documented_update_status.json"),
        _ => return None.into_iter(),
    };
    Some(Case::new("a documented misprint", shape, misprint, no_object(shape))).into_iter()
}

/// What becomes of a body that is not one JSON object.
fn no_object(shape: &Shape) -> Expected {
    if shape.refuses_what_is_no_object {
        Expected::Refused(Refusal::NotAnObject)
    } else {
        Expected::Parked(ParkReason::Malformed, "not one JSON object")
    }
}

fn no_objects(shape: &Shape) -> impl Iterator<Item = Case> {
    let least = shape.least;
    let inside = &least[..least.len() - 1];
    let utf16: Vec<u8> = least.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bodies: [(&str, Vec<u8>); 23] = [
        ("empty", "".into()),
        ("white space", " \r\n".into()),
        ("null", "null".into()),
        ("an array", format!("[{least}]").into()),
        ("a text", format!("{:?}", least).into()),
        ("a number", "7".into()),
        ("truncated at the end", inside.into()),
        ("truncated in a text", least[..least.find('@').expect("an id")].into()),
        ("truncated after the brace", "{".into()),
        ("a trailing comma", format!("{inside},}}").into()),
        ("a missing comma", least.replacen(',', " ", 1).into()),
        ("two objects", format!("{least}{least}").into()),
        ("more behind it", format!("{least};").into()),
        ("two byte order marks", format!("\u{feff}\u{feff}{least}").into()),
        ("a byte order mark in the middle", least.replacen(',', ",\u{feff}", 1).into()),
        ("UTF-16", utf16),
        ("no UTF-8", [inside.as_bytes(), b",\"note\":\"\xff\"}"].concat()),
        ("an overlong byte sequence", [inside.as_bytes(), b",\"note\":\"\xc0\xaf\"}"].concat()),
        ("a NUL", format!("{least}\0").into()),
        ("a raw line feed in a text", format!("{inside},\"note\":\"a\nb\"}}").into()),
        ("single quotes", least.replace('"', "'").into()),
        ("NaN", format!("{inside},\"note\":NaN}}").into()),
        ("a name that is no text", format!("{inside},\"\\ud800\":1}}").into()),
    ];
    bodies.into_iter().map(move |(name, body)| Case::new(name, shape, body, no_object(shape)))
}

/// JSON all the same, and read as such.
fn spelt_oddly(shape: &Shape) -> impl Iterator<Item = Case> {
    let least = shape.least;
    let inside = &least[..least.len() - 1];
    let published = |more: Value| Expected::Published(left_over(shape, more), 0);
    let bodies = [
        ("white space around it", format!("\r\n\t {} \n", least.replace(',', " ,\n")), published(json!({}))),
        // A .NET habit. The signature is over the bytes as they were sent, the mark among them.
        ("a byte order mark", format!("\u{feff}{least}"), published(json!({}))),
        ("a byte order mark and white space", format!("\u{feff}\r\n {least}"), published(json!({}))),
        ("escaped names", least.replace("tatus\"", "t\\u0061tus\""), published(json!({}))),
        ("a slash escaped", format!("{inside},\"note\":\"a\\/b\"}}"), published(json!({"note": "a/b"}))),
        (
            "a text of control characters",
            format!("{inside},\"note\":\"\\u0000\\u001f\"}}"),
            published(json!({"note": "\u{0}\u{1f}"})),
        ),
        (
            "a name twice, one value",
            format!("{inside},\"note\":1,\"note\":1}}"),
            published(json!({"note": 1})),
        ),
        (
            "a name twice, one value spaced twice",
            format!("{inside},\"note\":[1,2],\"note\": [1, 2]}}"),
            published(json!({"note": [1, 2]})),
        ),
        (
            "a name twice, two values",
            format!("{inside},\"note\":1,\"note\":2}}"),
            Expected::Parked(ParkReason::Contradiction, "one name with two values"),
        ),
        (
            "a name twice, once escaped",
            format!("{inside},\"note\":1,\"n\\u006fte\":2}}"),
            Expected::Parked(ParkReason::Contradiction, "one name with two values"),
        ),
    ];
    bodies.into_iter().map(move |(name, body, expected)| Case::new(name, shape, body, expected))
}

fn huge_and_deep(shape: &Shape) -> Vec<Case> {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let noted = |note: &str| format!("{},\"note\":{note}}}", &shape.least[..shape.least.len() - 1]);
    let case = |name, note: &str, expected| Case::new(name, shape, noted(note), expected);
    let kept = |note: &str| {
        let note: Value = serde_json::from_str(note).expect("JSON");
        Expected::Published(left_over(shape, json!({"note": note})), 0)
    };
    let long = format!("\"{}\"", "x".repeat(200_000));
    let many = format!("[{}0]", "0,".repeat(50_000));
    let deepest = nested(DEEPEST - 1);
    let too_deep = Expected::Parked(ParkReason::Malformed, "nested too deeply");
    vec![
        case("a huge text", &long, kept(&long)),
        case("a huge array", &many, kept(&many)),
        case(
            "larger than the cap",
            &format!("\"{}\"", "x".repeat(300_000)),
            Expected::Refused(Refusal::TooLarge),
        ),
        case("as deep as may be", &deepest, kept(&deepest)),
        case("one deeper", &nested(DEEPEST), too_deep.clone()),
        case("very deep", &nested(50_000), too_deep.clone()),
        case("very deep objects", &format!("{}1{}", "{\"a\":".repeat(30_000), "}".repeat(30_000)), too_deep),
    ]
}

/// The least update, with these fields of the top level in `extra`.
fn left_over(shape: &Shape, more: Value) -> Value {
    let mut update = (shape.update)();
    for (name, value) in more.as_object().expect("an object") {
        update = with(&update.to_string(), &format!("/extra/{name}"), value.clone());
    }
    update
}
