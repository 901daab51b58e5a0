//! Signatures and secrets that are wrong in one way each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::samples::SignedWebhook;
use serde_json::{Value, json};

use super::{Case, Expected, Refusal, SECRET, Shape};

/// A wrong way to prove who one is, and whether it is taken all the same.
type Row = (&'static str, fn(SignedWebhook) -> SignedWebhook, bool);

pub fn cases(shape: &Shape) -> Vec<Case> {
    let schemes = shape.provider.authentication().iter().map(Authentication::scheme);
    let rows = schemes.flat_map(|scheme| rows(scheme).into_iter().map(move |row| case(shape, scheme, row)));
    rows.chain(compressed(shape)).collect()
}

/// `{}`, by Python's gzip.
const GZIP: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];

/// A compressed body, signed before it was compressed and after.
fn compressed(shape: &Shape) -> [Case; 2] {
    let case = |name, body: &[u8], tamper| Case {
        tamper,
        ..Case::new(name, shape, body, Expected::Refused(Refusal::Encoded))
    };
    let after: fn(SignedWebhook) -> SignedWebhook = encoded_as_gzip;
    [
        case("compressed, then signed", GZIP, after),
        case("signed, then compressed", shape.least.as_bytes(), |webhook| {
            encoded_as_gzip(SignedWebhook { body: GZIP.into(), ..webhook })
        }),
    ]
}

fn encoded_as_gzip(mut webhook: SignedWebhook) -> SignedWebhook {
    webhook.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
    webhook
}

fn case(shape: &Shape, scheme: AuthScheme, (name, tamper, taken): Row) -> Case {
    let expected = if taken {
        Expected::Published((shape.update)(), 0)
    } else {
        Expected::Refused(Refusal::NotAuthentic)
    };
    let name = format!("{}: {name}", scheme.as_str());
    Case { scheme, tamper, ..Case::new(name, shape, shape.least, expected) }
}

fn rows(scheme: AuthScheme) -> Vec<Row> {
    match scheme {
        AuthScheme::Hmac => vec![
            ("upper case", |webhook| header(webhook, |hex| hex.to_uppercase()), true),
            ("mixed case", |webhook| header(webhook, |hex| hex[..9].to_uppercase() + &hex[9..]), true),
            ("one digit short", |webhook| header(webhook, |hex| hex[1..].to_owned()), false),
            ("one byte short", |webhook| header(webhook, |hex| hex[2..].to_owned()), false),
            ("one byte long", |webhook| header(webhook, |hex| format!("{hex}00")), false),
            ("one digit other", |webhook| header(webhook, other_digit), false),
            ("with its algorithm", |webhook| header(webhook, |hex| format!("sha256={hex}")), false),
            ("in base64", |webhook| header(webhook, in_base64), false),
            ("hex of hex", |webhook| header(webhook, hex::encode), false),
            ("quoted", |webhook| header(webhook, |hex| format!("\"{hex}\"")), false),
            // What a proxy makes of two lines with one name.
            ("twice", |webhook| header(webhook, |hex| format!("{hex},{hex}")), true),
            ("a wrong one before it", |webhook| beside(webhook, 1, other_digit), true),
            ("seven wrong ones before it", |webhook| beside(webhook, 7, other_digit), true),
            ("eight wrong ones before it", |webhook| beside(webhook, 8, other_digit), false),
            ("two wrong ones", |webhook| beside(header(webhook, other_digit), 1, |_| "0".repeat(64)), false),
            ("all zeros", |webhook| header(webhook, |hex| "0".repeat(hex.len())), false),
            ("empty", |webhook| header(webhook, |_| String::new()), false),
            ("the secret itself", |webhook| header(webhook, |_| SECRET.to_owned()), false),
            ("none", |webhook| SignedWebhook { headers: Vec::new(), ..webhook }, false),
            ("of a re-serialized body", respaced, false),
            ("of the body without its last line's end", line_ended, false),
        ],
        AuthScheme::Bearer => vec![
            ("scheme in lower case", |webhook| header(webhook, |all| all.replace("Bearer", "bearer")), true),
            ("another scheme", |webhook| header(webhook, |all| all.replace("Bearer", "Basic")), false),
            ("a wrong one before it", |webhook| beside(webhook, 1, |all| format!("{all}x")), true),
            ("no scheme", |webhook| header(webhook, |_| SECRET.to_owned()), false),
            ("upper case", |webhook| header(webhook, |_| format!("Bearer {}", SECRET.to_uppercase())), false),
            ("one byte short", |webhook| header(webhook, shorter), false),
            ("one byte long", |webhook| header(webhook, |all| format!("{all}x")), false),
            (
                "in base64",
                |webhook| header(webhook, |_| format!("Bearer {}", STANDARD.encode(SECRET))),
                false,
            ),
            ("empty", |webhook| header(webhook, |_| String::new()), false),
            ("none", |webhook| SignedWebhook { headers: Vec::new(), ..webhook }, false),
            // No signature: what proves the sender says nothing of the body.
            ("with a re-serialized body", respaced, true),
        ],
        AuthScheme::Header => vec![
            ("upper case", |webhook| header(webhook, |secret| secret.to_uppercase()), false),
            ("one byte short", |webhook| header(webhook, shorter), false),
            ("one byte long", |webhook| header(webhook, |secret| format!("{secret}x")), false),
            ("in base64", |webhook| header(webhook, |secret| STANDARD.encode(secret)), false),
            ("a wrong one before it", |webhook| beside(webhook, 1, |secret| format!("{secret}x")), true),
            ("as a token", |webhook| header(webhook, |secret| format!("Bearer {secret}")), false),
            ("empty", |webhook| header(webhook, |_| String::new()), false),
            ("none", |webhook| SignedWebhook { headers: Vec::new(), ..webhook }, false),
            ("with a re-serialized body", respaced, true),
        ],
        AuthScheme::Basic => vec![
            ("scheme in capitals", |webhook| header(webhook, |all| all.replace("Basic", "BASIC")), true),
            ("a wrong one before it", |webhook| beside(webhook, 1, |_| encoded("x:y")), true),
            ("not encoded", |webhook| header(webhook, |_| format!("Basic {SECRET}")), false),
            ("another scheme", |webhook| header(webhook, |all| all.replace("Basic", "Bearer")), false),
            ("encoding in lower case", |webhook| header(webhook, |all| all.to_lowercase()), false),
            ("encoding cut short", |webhook| header(webhook, shorter), false),
            ("the password alone", |webhook| header(webhook, |_| encoded(&SECRET[5..])), false),
            ("upper case", |webhook| header(webhook, |_| encoded(&SECRET.to_uppercase())), false),
            ("empty", |webhook| header(webhook, |_| String::new()), false),
            ("none", |webhook| SignedWebhook { headers: Vec::new(), ..webhook }, false),
            ("a second key in the body", |webhook| in_body(webhook, r#"{"apikey":"x","ApiKey":"x","#), false),
            ("with a re-serialized body", respaced, true),
        ],
        AuthScheme::ApiKey => vec![
            ("upper case", |webhook| keyed(webhook, &json!(SECRET.to_uppercase())), false),
            ("one byte short", |webhook| keyed(webhook, &json!(SECRET[1..])), false),
            ("one byte long", |webhook| keyed(webhook, &json!(format!("{SECRET}x"))), false),
            ("in base64", |webhook| keyed(webhook, &json!(STANDARD.encode(SECRET))), false),
            ("empty", |webhook| keyed(webhook, &json!("")), false),
            ("null", |webhook| keyed(webhook, &Value::Null), false),
            ("a number", |webhook| keyed(webhook, &json!(7)), false),
            ("in a list", |webhook| keyed(webhook, &json!([SECRET])), false),
            ("none", |webhook| replaced(webhook, "\"ApiKey\":", "\"Key\":"), false),
            ("its name in lower case", |webhook| replaced(webhook, "ApiKey", "apikey"), false),
            ("its name escaped", |webhook| replaced(webhook, "ApiKey", "Api\\u004bey"), false),
            ("twice", |webhook| in_body(webhook, &format!(r#"{{"ApiKey":"{SECRET}","#)), false),
            ("elsewhere, too", |webhook| in_body(webhook, &format!(r#"{{"note":"{SECRET}","#)), false),
            (
                "elsewhere, too, in escapes",
                |webhook| in_body(webhook, &format!(r#"{{"note":"{}","#, escaped(SECRET))),
                false,
            ),
            (
                "elsewhere, too, in escapes and nested",
                |webhook| in_body(webhook, &format!(r#"{{"X":{{"ApiKey":"{}"}},"#, escaped(SECRET))),
                false,
            ),
            // As Basic's and Bearer's: it says nothing of the body.
            ("with a re-serialized body", respaced, true),
        ],
    }
}

fn header(mut webhook: SignedWebhook, change: impl FnOnce(String) -> String) -> SignedWebhook {
    let value = std::mem::take(&mut webhook.headers[0].1);
    webhook.headers[0].1 = change(value);
    webhook
}

/// The same header so many times more, changed, before it: the sender rotates its secret.
fn beside(mut webhook: SignedWebhook, times: usize, change: fn(String) -> String) -> SignedWebhook {
    let (name, value) = webhook.headers[0].clone();
    let other = (name, change(value));
    webhook.headers.splice(0..0, std::iter::repeat_n(other, times));
    webhook
}

fn other_digit(hex: String) -> String {
    let other = if hex.ends_with('0') { '1' } else { '0' };
    format!("{}{other}", &hex[..hex.len() - 1])
}

fn in_base64(hex: String) -> String {
    STANDARD.encode(hex::decode(hex).expect("hex"))
}

fn shorter(value: String) -> String {
    value[..value.len() - 1].to_owned()
}

/// `text` as JSON may write it as well.
fn escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn encoded(user_and_password: &str) -> String {
    format!("Basic {}", STANDARD.encode(user_and_password))
}

/// The same JSON, as a proxy that parses and writes it would send it on.
fn respaced(webhook: SignedWebhook) -> SignedWebhook {
    let text = String::from_utf8(webhook.body.to_vec()).expect("text");
    SignedWebhook { body: text.replace("\":", "\" : ").into(), ..webhook }
}

fn line_ended(webhook: SignedWebhook) -> SignedWebhook {
    SignedWebhook { body: [&webhook.body[..], b"\n"].concat().into(), ..webhook }
}

fn replaced(webhook: SignedWebhook, from: &str, to: &str) -> SignedWebhook {
    let text = String::from_utf8(webhook.body.to_vec()).expect("text");
    SignedWebhook { body: text.replacen(from, to, 1).into(), ..webhook }
}

/// Another value for the key.
fn keyed(webhook: SignedWebhook, value: &Value) -> SignedWebhook {
    replaced(webhook, &json!(SECRET).to_string(), &value.to_string())
}

/// More at the beginning of the body.
fn in_body(webhook: SignedWebhook, beginning: &str) -> SignedWebhook {
    replaced(webhook, "{", beginning)
}
