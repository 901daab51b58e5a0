//! Ids of a delivery or an event that no system downstream could use: CloudEvents forbids control characters and
//! noncharacters in `subject`.

use milepost::domain::verdict::ParkReason;
use serde_json::{Value, json};

use super::{Case, Expected, Shape, path, spelt, with};

/// No ids, each with a name for it.
const UNUSABLE: [(&str, &str); 14] = [
    ("a NUL and a line feed", "DE-1\0\nX"),
    ("a line's end", "DE-1\r\n"),
    ("a tab", "\tDE-1"),
    ("an escape", "DE\u{1b}[2J"),
    ("a delete", "DE-1\u{7f}"),
    ("a next line", "DE\u{85}1"),
    ("a noncharacter", "DE-1\u{fffe}"),
    ("a noncharacter of another plane", "DE-1\u{10ffff}"),
    ("a noncharacter of Arabic", "DE-1\u{fdd0}"),
    ("a space", " "),
    ("spaces", "     "),
    ("a no-break space", "\u{a0}"),
    ("an ideographic space", "\u{3000}"),
    ("a line separator", "\u{2028}"),
];
/// Odd, and an id all the same.
const USABLE: [&str; 7] = ["a b", " @", "@ ", "Đơn/ệ#?&", "\u{1f6f5}", "\u{200d}", "{\"id\":1}"];

pub fn cases(shape: &Shape) -> Vec<Case> {
    let long = "x".repeat(257);
    let unusable = UNUSABLE.iter().copied().chain([("257 bytes", long.as_str())]);
    let mut cases: Vec<_> = unusable
        .clone()
        .map(|(what, id)| {
            let body = with(shape.least, shape.id.0, json!(id));
            case(shape, format!("{what} for an id"), &body, unusable_id())
        })
        .collect();
    let surrogate = spelt(shape.least, shape.id.0, r#""DE\ud800""#);
    cases.push(Case::new("a lone surrogate for an id", shape, surrogate, unusable_id()));
    for id in USABLE {
        let mut update = (shape.update)();
        update["delivery_id"] = json!(id);
        let body = with(shape.least, shape.id.0, json!(id));
        cases.push(case(shape, format!("the id {id:?}"), &body, Expected::Published(update, 0)));
    }
    cases.extend(unusable.filter_map(|(what, id)| event_id(shape, what, id)));
    cases
}

const fn unusable_id() -> Expected {
    Expected::Parked(ParkReason::Malformed, "a delivery's id that is not usable")
}

/// An event's id is optional: one that is not usable is kept, counted, and identifies nothing.
fn event_id(shape: &Shape, what: &str, id: &str) -> Option<Case> {
    let pointer = shape.event_id?;
    let mut update = (shape.update)();
    update["extra"][path(pointer)] = json!(id);
    let body = with(shape.least, pointer, json!(id));
    Some(case(shape, format!("{what} for an event's id"), &body, Expected::Published(update, 1)))
}

fn case(shape: &Shape, name: String, body: &Value, expected: Expected) -> Case {
    Case::new(name, shape, body.to_string(), expected)
}
