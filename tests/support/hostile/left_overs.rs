//! What the model has no place for, and strict readers of JSON choke on: a subscriber must be able to read every event.
//! It is published as text, and named in `extra_as_text`.

use serde_json::{Value, json};

use super::{Case, Expected, Shape, path, spelt};

pub fn cases(shape: &Shape) -> Vec<Case> {
    let mut cases: Vec<_> = odd().iter().map(|(what, sent)| as_text(shape, what, sent)).collect();
    cases.extend(PLAIN.iter().map(|sent| verbatim(shape, sent)));
    cases.extend(odd().iter().map(|(what, sent)| unreadable(shape, what, sent)));
    cases.push(two(shape));
    cases
}

/// What some reader refuses or cannot represent, each with a name for it.
fn odd() -> Vec<(&'static str, String)> {
    let digits = "7".repeat(5_000);
    vec![
        ("5,000 digits", digits.clone()),
        ("5,000 digits in a list", format!("[1,{digits}]")),
        ("310 digits", "9".repeat(310)),
        ("65 digits", "1".repeat(65)),
        ("a fraction of 5,000 digits", format!("0.{digits}")),
        ("beyond a double", "1e999".into()),
        ("beyond a double, below zero", "-1E+309".into()),
        ("an exponent of 20 digits", "1e99999999999999999999".into()),
        ("beyond a double, nested", r#"{"a":[{"b":1e400}]}"#.into()),
        ("a lone high surrogate", r#""\ud800""#.into()),
        ("a lone low surrogate", r#""x\uDC00y""#.into()),
        ("surrogates the wrong way around", r#""\ude00\ud83d""#.into()),
        ("a lone surrogate, nested", r#"[["\ud800"]]"#.into()),
        ("a lone surrogate in a name", r#"{"\ud800":1}"#.into()),
        ("a name with two values", r#"{"a":1,"a":2}"#.into()),
        ("a name with two values, once escaped", r#"[{"a":1,"\u0061":2}]"#.into()),
        ("a name twice with one value", r#"{"a":1,"a":1}"#.into()),
    ]
}

/// What every reader takes.
const PLAIN: [&str; 14] = [
    "1e308",
    "-1.7976931348623157e308",
    "5e-324",
    "1e-400",
    "0e999",
    "18446744073709551616",
    "1234567890123456789012345678901234567890123456789012345678901234",
    "-0.0",
    r#""\ud83d\ude00""#,
    r#""\u0000\u001f\u2028""#,
    r#""\\ud800 \"1e999\"""#,
    r#"{"a":1,"b":{"a":1},"":[{"a":1},{"a":2}]}"#,
    r#"{"__proto__":{"constructor":1}}"#,
    "[null,true,false,[],{}]",
];

fn as_text(shape: &Shape, what: &str, sent: &str) -> Case {
    let mut update = (shape.update)();
    update["extra"]["surprise"] = json!(sent);
    update["extra_as_text"] = json!(["surprise"]);
    let body = spelt(shape.least, "/surprise", sent);
    Case::new(format!("{what} left over"), shape, body, Expected::Published(update, 0))
}

fn verbatim(shape: &Shape, sent: &str) -> Case {
    let mut update = (shape.update)();
    let value: Value = serde_json::from_str(sent).expect("JSON that serde takes");
    update["extra"]["surprise"] = value;
    let body = spelt(shape.least, "/surprise", sent);
    Case::new(format!("{sent} left over"), shape, body, Expected::Published(update, 0))
}

/// In place of a field that the model knows as a time, which none of it is.
fn unreadable(shape: &Shape, what: &str, sent: &str) -> Case {
    let pointer = shape.time.0;
    let mut update = (shape.update)();
    update["extra"][path(pointer)] = json!(sent);
    update["extra_as_text"] = json!([path(pointer)]);
    let body = spelt(shape.least, pointer, sent);
    Case::new(format!("{what} for a time"), shape, body, Expected::Published(update, 1))
}

/// Two of them beside what is not odd.
fn two(shape: &Shape) -> Case {
    let mut update = (shape.update)();
    update["extra"]["a"] = json!("1e999");
    update["extra"]["b"] = json!("1e999");
    update["extra"]["c"] = json!(r#"{"x":1,"x":2}"#);
    update["extra_as_text"] = json!(["a", "c"]);
    let more = r#"{"c":{"x" : 1, "x" : 2},"b":"1e999","a":1e999,"#;
    Case::new("two odd left-overs", shape, shape.least.replacen('{', more, 1), Expected::Published(update, 0))
}
