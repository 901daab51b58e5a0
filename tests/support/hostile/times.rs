//! Times in every form that is named anywhere, at every offset, and no times.

use serde_json::{Value, json};

use super::{Case, Expected, Shape, path, put, spelt};

/// What is sent, and the instant it is.
const READABLE: [(&str, &str); 30] = [
    ("1739365639", "2025-02-12T13:07:19Z"),
    ("1739365639201", "2025-02-12T13:07:19.201Z"),
    // Long after any receipt: published as it was sent, and believed by nothing.
    ("4070908800", "2099-01-01T00:00:00Z"),
    (r#""1739365639201""#, "2025-02-12T13:07:19.201Z"),
    // Whole numbers as some libraries write them, and seconds with a fraction.
    ("1.739365639201e12", "2025-02-12T13:07:19.201Z"),
    ("1739365639201.0", "2025-02-12T13:07:19.201Z"),
    ("1.739365639E+9", "2025-02-12T13:07:19Z"),
    ("1739365639.201", "2025-02-12T13:07:19.201Z"),
    ("1739365639.5", "2025-02-12T13:07:19.5Z"),
    ("1.7393656392014892e9", "2025-02-12T13:07:19.2014892Z"),
    ("1739365639201.4892", "2025-02-12T13:07:19.2014892Z"),
    ("1739365639.12345678999", "2025-02-12T13:07:19.123456789Z"),
    ("1e12", "2001-09-09T01:46:40Z"),
    (r#""1739365639.201""#, "2025-02-12T13:07:19.201Z"),
    (r#""2025-02-12T13:07:19Z""#, "2025-02-12T13:07:19Z"),
    (r#""2025-02-12t13:07:19z""#, "2025-02-12T13:07:19Z"),
    (r#""2025-02-12T13:07:19.201Z""#, "2025-02-12T13:07:19.201Z"),
    (r#""2025-02-12T13:07:19.2010007+00:00""#, "2025-02-12T13:07:19.2010007Z"),
    (r#""2025-02-12T13:07:19.123456789Z""#, "2025-02-12T13:07:19.123456789Z"),
    (r#""2025-02-12T20:07:19+07:00""#, "2025-02-12T13:07:19Z"),
    (r#""2025-02-12 20:07:19+0700""#, "2025-02-12T13:07:19Z"),
    // Kathmandu, the Chatham Islands and Newfoundland.
    (r#""2025-02-12T18:52:19+05:45""#, "2025-02-12T13:07:19Z"),
    (r#""2025-02-13T02:52:19+13:45""#, "2025-02-12T13:07:19Z"),
    (r#""2025-02-12T09:37:19-03:30""#, "2025-02-12T13:07:19Z"),
    (r#""2025-02-12T13:07:19-00:00""#, "2025-02-12T13:07:19Z"),
    // Paris: an hour that summer time leaves out, and one that its end repeats. The offset decides.
    (r#""2025-03-30T02:30:00+01:00""#, "2025-03-30T01:30:00Z"),
    (r#""2025-10-26T02:30:00+02:00""#, "2025-10-26T00:30:00Z"),
    (r#""2025-10-26T02:30:00+01:00""#, "2025-10-26T01:30:00Z"),
    (r#""2025-10-26T02:30:00+01:00[Europe/Paris]""#, "2025-10-26T01:30:00Z"),
    (r#""2024-02-29T23:59:59-12:00""#, "2024-03-01T11:59:59Z"),
];

/// What is sent, and is no time: it is kept, and counted.
const UNREADABLE: [&str; 20] = [
    "0",
    "-1739365639",
    "1.5",
    "1e14",
    "-1.739365639201e12",
    "99999999999999999999",
    r#""1739365639,201""#,
    "true",
    "[1739365639]",
    r#"{"$date":1739365639201}"#,
    r#""yesterday""#,
    r#""2025-02-12""#,
    r#""13:07:19Z""#,
    r#""12/02/2025 13:07:19""#,
    r#""2025-02-30T13:07:19Z""#,
    r#""2025-02-12T25:07:19Z""#,
    r#""2025-02-12T13:07:19+26:00""#,
    r#""2025-02-12T13:07:19.1234567890Z""#,
    r#""2025-02-12T13:07:19[Europe/Paris]""#,
    r#""9999-12-31T23:59:59Z""#,
];

/// Neither has an offset. A provider that documents none has no such time.
const WITHOUT_OFFSET: [(&str, i8, &str); 4] = [
    (r#""2025-02-12T13:07:19""#, 0, "2025-02-12T13:07:19Z"),
    (r#""2025-02-12 13:07:19.2010007""#, 0, "2025-02-12T13:07:19.2010007Z"),
    (r#""2025-02-12T13:07:19""#, 7, "2025-02-12T06:07:19Z"),
    (r#""2025-02-12 13:07:19.2010007""#, 7, "2025-02-12T06:07:19.2010007Z"),
];

pub fn cases(shape: &Shape) -> Vec<Case> {
    let (_, _, default_offset) = shape.time;
    let readable = READABLE.iter().map(|(sent, utc)| case(shape, sent, Some(utc)));
    let unreadable = UNREADABLE.iter().map(|sent| case(shape, sent, None));
    let without_offset = WITHOUT_OFFSET
        .iter()
        .filter(|(_, offset, _)| *offset == default_offset.unwrap_or(0))
        .map(|(sent, _, utc)| case(shape, sent, default_offset.map(|_| *utc)));
    readable.chain(unreadable).chain(without_offset).chain([empty(shape)]).collect()
}

fn case(shape: &Shape, sent: &str, utc: Option<&str>) -> Case {
    let (pointer, place, _) = shape.time;
    let body = body(shape, sent);
    let value: Value = serde_json::from_str(sent).unwrap_or(Value::Null);
    let mut update = (shape.update)();
    let expected = if let Some(utc) = utc {
        let original = value.as_str().unwrap_or(sent);
        put(&mut update, place, json!({"utc": utc, "original": original}));
        Expected::Published(update, 0)
    } else {
        update["extra"][path(pointer)] = value;
        Expected::Published(update, 1)
    };
    Case::new(format!("time {sent}"), shape, body, expected)
}

/// An empty text says as little as `null`.
fn empty(shape: &Shape) -> Case {
    Case::new("an empty time", shape, body(shape, "\"\""), Expected::Published((shape.update)(), 0))
}

/// The least body with a time as it is spelt.
fn body(shape: &Shape, sent: &str) -> String {
    spelt(shape.least, shape.time.0, sent)
}
