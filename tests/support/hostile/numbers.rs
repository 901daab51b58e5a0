//! Whole numbers as some libraries write them, with a fraction of zeros or an exponent: they mean the same.

use serde_json::{Value, json};

use super::{Case, Expected, Shape, put, spelt};

pub fn cases(shape: &Shape) -> Vec<Case> {
    let mut cases = ids(shape);
    cases.extend(texts(shape));
    cases.extend(statuses(shape));
    cases.extend(counts(shape));
    cases
}

fn published(shape: &Shape, pointer: &str, sent: &str, update: Value, unreadable: u32) -> Case {
    let body = spelt(shape.least, pointer, sent);
    Case::new(format!("{pointer} spelt {sent}"), shape, body, Expected::Published(update, unreadable))
}

/// Each is a number of its own: one number spelt twice is one delivery.
fn ids(shape: &Shape) -> Vec<Case> {
    let spelt = [
        ("12345.0", "12345"),
        ("1.2346e4", "12346"),
        ("1234700E-2", "12347"),
        ("9007199254740995.0", "9007199254740995"),
        ("2e20", "200000000000000000000"),
        // No library writes these for a whole number.
        ("12345.5", "12345.5"),
        ("1e60", "1e60"),
    ];
    let delivery = spelt.iter().map(|(sent, id)| {
        let mut update = (shape.update)();
        update["delivery_id"] = json!(id);
        published(shape, shape.id.0, sent, update, 0)
    });
    let event = spelt.iter().filter_map(|(sent, id)| {
        let mut update = (shape.update)();
        update["provider_event_id"] = json!(id);
        Some(published(shape, shape.event_id?, sent, update, 0))
    });
    delivery.chain(event).collect()
}

fn texts(shape: &Shape) -> impl Iterator<Item = Case> {
    let (pointer, place) = shape.text;
    let spelt = [
        ("12.0", "12"),
        ("6.281234567890e12", "6281234567890"),
        ("-7.00", "-7"),
        ("1.50", "1.50"),
        ("\"12.0\"", "12.0"),
    ];
    spelt.into_iter().map(move |(sent, said)| {
        let mut update = (shape.update)();
        put(&mut update, place, json!(said));
        published(shape, pointer, sent, update, 0)
    })
}

/// A status that is a number.
fn statuses(shape: &Shape) -> Vec<Case> {
    let spelt: &[&str] = match shape.provider.id().as_str() {
        "247express" => &["25", "25.0", "2.5e1", "250E-1", "0.25e+2"],
        "deliverect" => &["83.0", "83.000", "8.3e1", "830e-1", "\"83\""],
        _ => &[],
    };
    spelt.iter().map(|sent| published(shape, shape.status, sent, (shape.update)(), 0)).collect()
}

/// Only Dash counts anything that the model knows.
fn counts(shape: &Shape) -> Vec<Case> {
    if shape.provider.id().as_str() != "dash" {
        return Vec::new();
    }
    let count = |(sent, count): (&str, i64)| {
        let mut update = (shape.update)();
        update["failed_count"] = json!(count);
        published(shape, "/failedCount", sent, update, 0)
    };
    let no_count = |sent: &str| {
        let mut update = (shape.update)();
        put(&mut update, "/extra/failedCount", serde_json::from_str(sent).expect("JSON"));
        published(shape, "/failedCount", sent, update, 1)
    };
    let counts = [
        ("1", 1),
        ("1.0", 1),
        ("2e0", 2),
        ("30e-1", 3),
        ("0.0", 0),
        ("\"1.0\"", 1),
        ("9223372036854775807.0", i64::MAX),
    ];
    counts.into_iter().map(count).chain(["1.5", "1e-1", "9223372036854775808"].map(no_count)).collect()
}
