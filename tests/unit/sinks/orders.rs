//! How orders are recognised.

use milepost::sinks::hubrise::core::rule::{
    OrderId, ReferenceKind, ReferencePattern, ReferencePatternError, Rule, named,
};
use proptest::prelude::*;
use serde_json::json;

use super::update;

fn rule(from: &[ReferenceKind], pattern: &str) -> Rule {
    Rule { from: from.to_vec(), pattern: ReferencePattern::parse(pattern).expect("a pattern") }
}

fn locations(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn found(pattern: &str, reference: &str, known: &[&str]) -> Option<String> {
    let update = update(1, "assigned", &json!({ "references": { "merchant_order": reference } }));
    let order = rule(&[ReferenceKind::MerchantOrder], pattern).order_of(&update, &locations(known));
    order.map(|OrderId { location, order }| format!("{location}/{order}"))
}

#[test]
fn an_order_is_found_in_a_reference() {
    for (pattern, reference, expected) in [
        ("{order}", "7kq2m", Some("3r4s3-1/7kq2m")),
        ("{order}", " #7KQ2M ", Some("3r4s3-1/7kq2m")),
        ("{order}", "##547455", Some("3r4s3-1/547455")),
        ("{order}", "7kq2m/x", None),
        ("{order}", "../7kq2m", None),
        ("{order}", "", None),
        ("HR-{order}", "#hr-7kq2m", Some("3r4s3-1/7kq2m")),
        ("HR-{order}", "7kq2m", None),
        ("{location}/{order}", "3R4S3-1/7kq2m", Some("3r4s3-1/7kq2m")),
        ("{location}/{order}", "other-1/7kq2m", None),
        ("order {order} of hubrise", "Order 7kq2m of HubRise", Some("3r4s3-1/7kq2m")),
        ("order {order} of hubrise", "Order 7kq2m", None),
    ] {
        assert_eq!(found(pattern, reference, &["3r4s3-1"]).as_deref(), expected, "{pattern} in {reference}");
    }
}

#[test]
fn with_several_locations_the_reference_must_name_one() {
    let known = &["3r4s3-1", "3r4s3-2"];
    assert_eq!(found("{order}", "7kq2m", known), None);
    assert_eq!(found("{location}:{order}", "3r4s3-2:7kq2m", known).as_deref(), Some("3r4s3-2/7kq2m"));
}

#[test]
fn the_first_reference_that_fits_decides() {
    let update = update(
        1,
        "assigned",
        &json!({ "references": { "merchant_order": "INV 5", "merchant_reference": "aaa", "order": "bbb" } }),
    );
    let of = |from: &[ReferenceKind]| {
        rule(from, "{order}").order_of(&update, &locations(&["l-1"])).map(|found| found.order)
    };
    assert_eq!(of(&ReferenceKind::ALL).as_deref(), Some("aaa"));
    assert_eq!(of(&[ReferenceKind::Order]).as_deref(), Some("bbb"));
    assert_eq!(of(&[ReferenceKind::MerchantOrder]), None);
}

#[test]
fn a_pattern_that_makes_no_sense_is_refused() {
    for (text, error) in [
        ("", ReferencePatternError::NoOrder),
        ("{location}", ReferencePatternError::NoOrder),
        ("{order}-{order}", ReferencePatternError::NoOrder),
        ("{order}{location}", ReferencePatternError::Adjacent),
        ("{orders}", ReferencePatternError::Braces),
        ("{order}}", ReferencePatternError::Braces),
    ] {
        assert_eq!(ReferencePattern::parse(text), Err(error), "{text}");
    }
}

#[test]
fn a_link_names_an_order_alone_or_with_its_location() {
    let one = locations(&["3r4s3-1"]);
    let two = locations(&["3r4s3-1", "3r4s3-2"]);
    let text =
        |found: Option<OrderId>| found.map(|OrderId { location, order }| format!("{location}/{order}"));
    assert_eq!(text(named("#7KQ2M", &one)).as_deref(), Some("3r4s3-1/7kq2m"));
    assert_eq!(text(named("7kq2m", &two)), None);
    assert_eq!(text(named("3r4s3-2/7kq2m", &two)).as_deref(), Some("3r4s3-2/7kq2m"));
    assert_eq!(text(named("elsewhere/7kq2m", &two)), None);
    assert_eq!(text(named("7kq2m/../x", &one)), None);
}

proptest! {
    /// It goes into a path.
    #[test]
    fn an_order_id_is_letters_and_digits(pattern in "[a-z{}/-]{0,12}", reference in ".{0,80}") {
        let pattern = format!("{pattern}{{order}}");
        let Ok(pattern) = ReferencePattern::parse(&pattern) else { return Ok(()) };
        let update = update(1, "assigned", &json!({ "references": { "merchant_order": reference } }));
        let rule = Rule { from: ReferenceKind::ALL.to_vec(), pattern };
        if let Some(found) = rule.order_of(&update, &locations(&["l-1"])) {
            prop_assert!(!found.order.is_empty());
            prop_assert!(found.order.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(found.location, "l-1");
        }
    }
}
