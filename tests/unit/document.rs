use std::borrow::Cow;

use jiff::tz::Offset;
use milepost::domain::document::{Document, entries};
use milepost::domain::extra::Extra;
use milepost::domain::verdict::{ParkReason, Poison};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::any_json;

fn parse(body: &str) -> Document<'_> {
    Document::parse(body.as_bytes()).expect("one JSON object")
}

fn refused(body: impl AsRef<[u8]>) -> Poison {
    Document::parse(body.as_ref()).expect_err("refused")
}

fn extra(document: Document<'_>) -> Value {
    let mut extra = Extra::new();
    document.into_extra("", &mut extra);
    let published = serde_json::to_value(extra).expect("JSON");
    published.get("extra").cloned().unwrap_or(json!({}))
}

#[test]
fn what_is_not_one_json_object_is_malformed() {
    let bodies: [&[u8]; 15] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"text\"",
        b"1",
        b"{",
        b"{\"a\":1",
        b"{\"a\":1,}",
        b"{\"a\":1}{}",
        b"{\"a\" 1}",
        b"\xef\xbb\xbf\xef\xbb\xbf{\"a\":1}",
        b"\xef\xbb{\"a\":1}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\n\"}",
    ];
    for body in bodies {
        assert_eq!(refused(body), Poison::malformed("not one JSON object"), "{body:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_object() {
    let fields = Document::parse(b"\xef\xbb\xbf {\"a\":1}").expect("an object");
    assert_eq!(fields.peek("a").map(|raw| raw.get()), Some("1"));
}

#[test]
fn nesting_is_bounded_outside_strings_only() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(Document::parse(nested(32).as_bytes()).is_ok());
    assert_eq!(refused(nested(33)), Poison::malformed("nested too deeply"));
    assert_eq!(refused(nested(100_000)), Poison::malformed("nested too deeply"));
    let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(100), "{".repeat(100));
    assert!(Document::parse(text.as_bytes()).is_ok());
}

#[test]
fn one_name_with_two_values_is_a_contradiction() {
    let poison = refused(r#"{"a":1,"b":2,"a":3}"#);
    assert_eq!(poison.reason, ParkReason::Contradiction);
    assert_eq!(refused(r#"{"a":1,"\u0061":3}"#).reason, ParkReason::Contradiction);
    assert_eq!(refused(r#"{"a":1,"a":2,"a":1}"#).reason, ParkReason::Contradiction);
    let mut same = parse(r#"{"a":1,"a":1}"#);
    assert_eq!(same.integer("a"), Some(1));
    assert_eq!(extra(same), json!({}));
}

/// White space is no difference: a proxy may add it or take it away.
#[test]
fn one_value_twice_is_one_however_it_is_spaced() {
    let spaced = parse("{\"a\":{\"x\":[1,\"b c\"]},\"a\": {\"x\" : [ 1,\n\"b c\"]}}");
    assert_eq!(extra(spaced), json!({"a": {"x": [1, "b c"]}}));
    assert_eq!(refused(r#"{"a":"b c","a":"bc"}"#).reason, ParkReason::Contradiction);
}

#[test]
fn a_nested_object_that_contradicts_itself_is_refused_and_kept() {
    let mut document = parse(r#"{"data":{"status":"NEW","status":"STARTED"}}"#);
    assert_eq!(document.object("data").expect_err("refused").reason, ParkReason::Contradiction);
    assert_eq!(document.unreadable(), 1);
    assert_eq!(document.peek("data").map(RawValue::get), Some(r#"{"status":"NEW","status":"STARTED"}"#));
    let mut document = parse(r#"{"data":{"\ud800":1}}"#);
    assert_eq!(document.object("data").expect_err("refused"), Poison::malformed("a name that is no text"));
    for no_object in [r#"{"data":[]}"#, r#"{"data":"{}"}"#, r#"{"data":1}"#] {
        let mut document = parse(no_object);
        assert!(document.object("data").expect("no contradiction").is_none());
        assert_eq!(document.unreadable(), 1);
    }
}

#[test]
fn values_are_taken_by_type() {
    let mut document = parse(
        r#"{"text":"a\u00e9","number":12.50,"digits":"42","whole":-7,"zeros":-7.00,"float":1.5,"object":{"x":1},"no":false}"#,
    );
    assert_eq!(document.text("text").as_deref(), Some("aé"));
    assert_eq!(document.text("number").as_deref(), Some("12.50"));
    assert_eq!(document.integer("digits"), Some(42));
    assert_eq!(document.integer("whole"), Some(-7));
    assert_eq!(document.integer("zeros"), Some(-7));
    assert_eq!(document.integer("float"), None);
    assert_eq!(document.text("no"), None);
    assert_eq!(document.text("absent"), None);
    let mut object = document.object("object").expect("no contradiction").expect("an object");
    assert_eq!(object.integer("x"), Some(1));
    assert_eq!(document.unreadable(), 2);
    assert_eq!(extra(document), json!({"float": 1.5, "no": false}));
}

#[test]
fn null_and_empty_text_say_nothing_and_null_is_left() {
    let mut document = parse(r#"{"a":null,"b":"","c":"","d":null,"e":null,"f":""}"#);
    assert_eq!(document.text("a"), None);
    assert_eq!(document.text("b"), None);
    assert_eq!(document.id("c"), None);
    assert_eq!(document.time("d", None), None);
    assert_eq!(document.time("f", None), None);
    assert_eq!(document.unreadable(), 0);
    assert_eq!(extra(document), json!({"a": null, "d": null, "e": null}));
}

#[test]
fn an_id_is_at_most_256_bytes() {
    let (longest, too_long) = ("x".repeat(256), "x".repeat(257));
    let body = json!({"a": longest, "b": too_long}).to_string();
    let mut document = parse(&body);
    assert_eq!(document.id("a"), Some(longest));
    assert_eq!(document.id("b"), None);
    assert_eq!(document.unreadable(), 1);
    assert_eq!(extra(document), json!({"b": too_long}));
}

#[test]
fn a_time_is_an_epoch_number_or_text() {
    let vietnam = Some(Offset::constant(7));
    let mut document = parse(
        r#"{"ms":1739365639201,"s":1739365639,"digits":"1739365639201","iso":"2025-02-12T13:07:19.201Z",
            "local":"2019-08-07 11:24:12","fraction":1739365639.201,"exponent":"1.739365639201E12","zero":0,"float":1.5,
            "words":"soon","list":[1]}"#,
    );
    let mut utc = |name| document.time(name, vietnam).map(|time| (time.utc.to_string(), time.original));
    let time = |utc: &str, original: &str| Some((utc.to_owned(), original.to_owned()));
    assert_eq!(utc("ms"), time("2025-02-12T13:07:19.201Z", "1739365639201"));
    assert_eq!(utc("s"), time("2025-02-12T13:07:19Z", "1739365639"));
    assert_eq!(utc("digits"), time("2025-02-12T13:07:19.201Z", "1739365639201"));
    assert_eq!(utc("iso"), time("2025-02-12T13:07:19.201Z", "2025-02-12T13:07:19.201Z"));
    assert_eq!(utc("local"), time("2019-08-07T04:24:12Z", "2019-08-07 11:24:12"));
    assert_eq!(utc("fraction"), time("2025-02-12T13:07:19.201Z", "1739365639.201"));
    assert_eq!(utc("exponent"), time("2025-02-12T13:07:19.201Z", "1.739365639201E12"));
    for unreadable in ["zero", "float", "words", "list"] {
        assert_eq!(utc(unreadable), None);
    }
    assert_eq!(document.unreadable(), 4);
}

#[test]
fn numbers_are_never_rounded() {
    let number = "123456789012345678901234567890.10e4";
    let body = format!("{{\"a\":{number}}}");
    let mut kept = Extra::new();
    parse(&body).into_extra("", &mut kept);
    assert_eq!(kept.get("a").map(RawValue::get), Some(number));
    assert_eq!(parse(&body).text("a").as_deref(), Some("1234567890123456789012345678901000"));
    assert_eq!(parse(r#"{"a":1.50,"b":1e400}"#).text("a").as_deref(), Some("1.50"));
    assert_eq!(parse(r#"{"a":1.50,"b":1e400}"#).text("b").as_deref(), Some("1e400"));
}

#[test]
fn a_lone_surrogate_is_unreadable_and_kept_as_text() {
    let mut document = parse(r#"{"a":"\ud800","b":"\udc00x","c":1}"#);
    assert_eq!(document.text("a"), None);
    assert_eq!(document.id("b"), None);
    assert_eq!(document.unreadable(), 2);
    let mut extra = Extra::new();
    document.into_extra("", &mut extra);
    let published = serde_json::to_value(extra).expect("JSON");
    let expected = json!({
        "extra": {"a": r#""\ud800""#, "b": r#""\udc00x""#, "c": 1}, "extra_as_text": ["a", "b"],
    });
    assert_eq!(published, expected);
}

#[test]
fn a_delivery_id_that_is_not_usable_is_malformed() {
    let mut document = parse(r#"{"a":"a\u0001","b":" ","c":"","d":null,"e":{},"f":"é 1","g":7.0}"#);
    for unusable in ["a", "b"] {
        let poison = document.delivery_id(unusable).expect_err("refused");
        assert_eq!(poison, Poison::malformed("a delivery's id that is not usable"), "{unusable}");
    }
    for absent in ["c", "d", "e", "x"] {
        assert_eq!(document.delivery_id(absent), Ok(None), "{absent}");
    }
    assert_eq!(document.delivery_id("f"), Ok(Some("é 1".to_owned())));
    assert_eq!(document.delivery_id("g"), Ok(Some("7".to_owned())));
}

#[test]
fn a_name_that_is_no_text_is_malformed() {
    assert_eq!(refused(r#"{"\ud800":1}"#), Poison::malformed("not one JSON object"));
}

#[test]
fn left_overs_of_two_levels_do_not_overwrite_each_other() {
    let mut document = parse(r#"{"data.x":"top","data":{"x":"nested"}}"#);
    let data = document.object("data").expect("no contradiction").expect("an object");
    let mut extra = Extra::new();
    document.into_extra("", &mut extra);
    data.into_extra("data.", &mut extra);
    let published = serde_json::to_value(extra).expect("JSON");
    assert_eq!(published, json!({"extra": {"data.x": "top", "data.x_": "nested"}}));
}

#[test]
fn entries_show_order_duplicates_and_spelling() {
    let body = br#" { "a" : 1 , "\u0061":[2 ], "a":"x" } "#;
    let entries = entries(body).expect("an object");
    let seen: Vec<_> =
        entries.iter().map(|(name, raw)| (name.as_ref(), raw.get(), matches!(name, Cow::Owned(_)))).collect();
    assert_eq!(seen, [("a", "1", false), ("a", "[2 ]", true), ("a", "\"x\"", false)]);
    assert!(milepost::domain::document::entries(b"[]").is_none());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
        let _ = entries(&bytes);
    }

    #[test]
    fn what_is_not_taken_is_left(
        fields in prop::collection::btree_map("[a-f]{1,2}", any_json(), 0..8),
        taken in prop::collection::vec("[a-f]{1,2}", 0..4),
    ) {
        let body = serde_json::to_string(&fields).expect("JSON");
        let mut document = parse(&body);
        let mut expected = fields;
        for name in &taken {
            document.read(name, |_| Some(()));
            if expected.get(name).is_some_and(|value| !value.is_null()) {
                expected.remove(name);
            }
        }
        prop_assert_eq!(extra(document), json!(expected));
    }

    #[test]
    fn what_cannot_be_read_is_left(
        fields in prop::collection::btree_map("[a-f]{1,2}", any_json(), 0..8),
    ) {
        let body = serde_json::to_string(&fields).expect("JSON");
        let mut document = parse(&body);
        let mut refusals = 0;
        for name in fields.keys() {
            document.read(name, |_| None::<()>);
            refusals += u32::from(!fields[name].is_null());
        }
        prop_assert_eq!(document.unreadable(), refusals);
        prop_assert_eq!(extra(document), json!(fields));
    }
}

#[test]
fn extra_fields_are_kept_verbatim_on_one_line() {
    let body = "{\"a\": {\n  \"b c\" : [ 1.50,\t\"x \\\" y\" ]\r\n}, \"d\": 1E+2}";
    let mut extra = Extra::new();
    Document::parse(body.as_bytes()).unwrap().into_extra("", &mut extra);
    assert_eq!(extra.get("a").map(RawValue::get), Some(r#"{"b c":[1.50,"x \" y"]}"#));
    assert_eq!(extra.get("d").map(RawValue::get), Some("1E+2"));
}
