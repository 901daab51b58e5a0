use milepost::domain::fingerprint::{Fingerprint, Fingerprinter};
use milepost::domain::instant::ProviderTime;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::any_json;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

fn of(json: &str) -> Fingerprint {
    Fingerprinter::new().field("f", Some(&raw(json))).finish()
}

fn time(utc: &str) -> ProviderTime {
    ProviderTime { utc: utc.parse().expect("a time"), original: utc.to_owned() }
}

/// The digest was computed apart, from the encoding's description, with Python's hashlib.
#[test]
fn the_encoding_is_stable() {
    let value = raw(r#"[-12.50, true, null, "\u00e9", {}]"#);
    let fingerprint = Fingerprinter::new().field("f", Some(&value)).field("gone", None).finish();
    assert_eq!(
        format!("{fingerprint:?}"),
        "6452c2b3c9c92154ad07b2124a64fb5397c1aedd8e228de501c4d6fd10785dc0"
    );
}

#[test]
fn numbers_have_one_spelling() {
    let same = |spellings: &[&str]| {
        for spelling in spellings {
            assert_eq!(of(spellings[0]), of(spelling), "{spelling}");
        }
    };
    same(&["1", "1.0", "1.000", "10e-1", "0.1E+1", "1e0", "1E-0", "100e-2", "0.0001e4"]);
    same(&["0", "-0", "0.0", "0e5", "-0.00e-7"]);
    same(&["-12.5", "-125e-1", "-1.25e1", "-12.500"]);
    same(&["100", "1e2", "1.00E2", "10.0e1"]);
    same(&["9007199254740993", "9007199254740993.0", "9.007199254740993e15"]);
}

#[test]
fn different_values_differ() {
    let different = [
        "null",
        "\"\"",
        "\"null\"",
        "0",
        "\"0\"",
        "false",
        "true",
        "[]",
        "{}",
        "[null]",
        "[0]",
        "[[]]",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"b\":1}",
        "[\"a\",\"b\"]",
        "[\"ab\"]",
        "[\"b\",\"a\"]",
        "1",
        "-1",
        "10",
        "0.1",
        "1.00000000000000000001",
        "9007199254740992",
        "9007199254740993",
        "1e400",
        "1e401",
        "\"\\ud800\"",
        "\"\\ud801\"",
        "\"a\"",
        "\"A\"",
    ];
    let absent = Fingerprinter::new().field("f", None).finish();
    for (at, one) in different.iter().enumerate() {
        assert_ne!(of(one), absent, "{one} and absent");
        for other in &different[at + 1..] {
            assert_ne!(of(one), of(other), "{one} and {other}");
        }
    }
}

#[test]
fn spelling_of_text_and_keys_and_white_space_do_not_count() {
    assert_eq!(of(r#""é""#), of(r#""\u00e9""#));
    assert_eq!(of(r#"{"a":1,"b":[1,2]}"#), of("{ \"\\u0062\" : [ 1 ,\n2 ], \"a\" : 1.0 }"));
}

#[test]
fn fields_do_not_run_into_each_other() {
    let (a, ab) = (raw("\"a\""), raw("\"ab\""));
    let two = |x: Option<&RawValue>, y: Option<&RawValue>| {
        Fingerprinter::new().field("x", x).field("y", y).finish()
    };
    assert_ne!(two(Some(&a), None), two(None, Some(&a)));
    assert_ne!(two(Some(&a), Some(&ab)), two(Some(&ab), Some(&a)));
    assert_ne!(
        Fingerprinter::new().field("x", Some(&a)).finish(),
        Fingerprinter::new().field("y", Some(&a)).finish()
    );
}

#[test]
fn a_time_counts_by_its_instant_when_it_is_readable() {
    let (ms, text) = (raw("1739365639201"), raw("\"2025-02-12T14:07:19.201+01:00\""));
    let instant = time("2025-02-12T13:07:19.201Z");
    let by = |time: Option<&ProviderTime>, raw| Fingerprinter::new().time("t", time, Some(raw)).finish();
    assert_eq!(by(Some(&instant), &ms), by(Some(&instant), &text));
    assert_ne!(by(Some(&instant), &ms), by(Some(&time("2025-02-12T13:07:19.202Z")), &ms));
    assert_ne!(by(None, &ms), by(None, &text));
    assert_ne!(by(None, &ms), by(Some(&instant), &ms));
}

/// The same value with keys reversed, spaces, longer numbers and escaped text.
fn respelled(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[ {} ]", items.iter().map(respelled).collect::<Vec<_>>().join(" ,\t"))
        }
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("{} :\n{}", escaped(name), respelled(value));
            format!("{{ {} }}", fields.iter().rev().map(field).collect::<Vec<_>>().join(" , "))
        }
        Value::String(text) => escaped(text),
        Value::Number(number) => format!("{number}.00e0"),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{}\"", units.concat())
}

proptest! {
    #[test]
    fn spelling_does_not_count(value in any_json()) {
        prop_assert_eq!(of(&value.to_string()), of(&respelled(&value)));
    }

    #[test]
    fn content_counts(one in any_json(), other in any_json()) {
        prop_assert_eq!(one == other, of(&one.to_string()) == of(&other.to_string()));
    }

    #[test]
    fn decimal_places_count_exactly(whole in any::<u64>(), zeros in 0_usize..40) {
        let zeros = "0".repeat(zeros);
        let one = of(&format!("{whole}.{zeros}1"));
        let longer = of(&format!("{whole}.{zeros}10"));
        let other = of(&format!("{whole}.{zeros}2"));
        prop_assert_eq!(one, longer);
        prop_assert_ne!(one, other);
    }
}
