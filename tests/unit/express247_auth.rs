//! 247Express's credential, and the answers to its sender.

use bytes::Bytes;
use milepost::domain::answer::{Rejection, RejectionKind};
use milepost::domain::authentication::AuthScheme;
use milepost::domain::provider::Provider;
use milepost::domain::samples::SampleSource;
use milepost::domain::secret::Secret;
use milepost::providers::EXPRESS_247;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{self, Pairs, any_object_with, body, signing};

const KEY: &str = "EBD2E298-20AC-483F-80EC-B51CF8D79A2A";
const BROKEN: &str = include_str!("../fixtures/247express/documented_update_status.json");
const REFUSED: &str = r#"{"IsError":true,"ErrorMessage":"not authentic"}"#;

fn by_key(text: &str, secrets: &[&str]) -> Result<String, Rejection> {
    let stored = support::open(&EXPRESS_247, AuthScheme::ApiKey, &Pairs::<&str>(&[]), body(text), secrets);
    stored.map(|stored| String::from_utf8(stored.to_vec()).expect("text"))
}

fn basic(authorization: Option<&str>, text: &str, secrets: &[&str]) -> Result<String, Rejection> {
    let headers: Vec<_> =
        authorization.map(|value| ("authorization", value.to_owned())).into_iter().collect();
    let stored = support::open(&EXPRESS_247, AuthScheme::Basic, &Pairs(&headers), body(text), secrets);
    stored.map(|stored| String::from_utf8(stored.to_vec()).expect("text"))
}

#[test]
fn the_documents_own_example_is_refused_as_documented() {
    assert_eq!(by_key(BROKEN, &[KEY]), Err(Rejection::NotAnObject));
    let answer = EXPRESS_247.answer(Some(AuthScheme::ApiKey), Err(Rejection::NotAnObject.kind()));
    assert_eq!(answer.code, 200);
    assert_eq!(answer.content_type, Some("application/json"));
    assert_eq!(answer.body, r#"{"IsError":true,"ErrorMessage":"the body is not one JSON object"}"#);
}

#[test]
fn the_key_is_blanked_and_every_other_byte_stays() {
    let sent = " {\n\"a\" : 1.50 ,\t\"ApiKey\" :  \"KEY\"  , \"b\":\"\\u00e9\\/ é\", \"c\":[1 ,2]\n} \r\n"
        .replace("KEY", KEY);
    let stored = " {\n\"a\" : 1.50 ,\t\"ApiKey\" :  \"\"  , \"b\":\"\\u00e9\\/ é\", \"c\":[1 ,2]\n} \r\n";
    assert_eq!(by_key(&sent, &[KEY]).as_deref(), Ok(stored));
}

#[test]
fn the_key_may_be_anywhere_in_the_object() {
    for (sent, stored) in [
        (r#"{"ApiKey":"KEY"}"#, r#"{"ApiKey":""}"#),
        (r#"{"ApiKey":"KEY","a":1}"#, r#"{"ApiKey":"","a":1}"#),
        (r#"{"a":"ApiKey","ApiKey":"KEY"}"#, r#"{"a":"ApiKey","ApiKey":""}"#),
    ] {
        assert_eq!(by_key(&sent.replace("KEY", KEY), &[KEY]).as_deref(), Ok(stored));
    }
}

#[test]
fn any_live_secret_opens() {
    let sent = |key: &str| json!({"ApiKey": key, "OrderCode": "HD1"}).to_string();
    for key in ["the old one", "the new one"] {
        assert!(by_key(&sent(key), &["the old one", "the new one"]).is_ok());
    }
    assert_eq!(
        by_key(&sent("the older one"), &["the old one", "the new one"]),
        Err(Rejection::WrongCredential)
    );
    assert_eq!(by_key(&sent("THE OLD ONE"), &["the old one"]), Err(Rejection::WrongCredential));
    assert_eq!(by_key(&sent(""), &["the old one"]), Err(Rejection::WrongCredential));
}

#[test]
fn a_key_written_with_escapes_is_the_same_key() {
    let sent = r#"{"ApiKey":"\u0045BD2E298-20AC-483F-80EC-B51CF8D79A2A","x":1}"#;
    assert_eq!(by_key(sent, &[KEY]).as_deref(), Ok(r#"{"ApiKey":"","x":1}"#));
    let quoted = json!({"ApiKey": "a \"quoted\" \\ é key"}).to_string();
    assert_eq!(by_key(&quoted, &["a \"quoted\" \\ é key"]).as_deref(), Ok(r#"{"ApiKey":""}"#));
}

#[test]
fn a_key_that_is_not_there_or_no_text_is_refused() {
    assert_eq!(by_key("{}", &[KEY]), Err(Rejection::MissingCredential));
    assert_eq!(by_key(r#"{"data":{"ApiKey":"x"}}"#, &[KEY]), Err(Rejection::MissingCredential));
    for value in ["1234567", "null", "true", "[\"1234567\"]", "{\"ApiKey\":\"1234567\"}", r#""\ud800""#] {
        let sent = format!("{{\"ApiKey\":{value}}}");
        assert_eq!(by_key(&sent, &["1234567"]), Err(Rejection::WrongCredential), "{value}");
    }
}

#[test]
fn an_ambiguous_key_is_refused_in_both_modes() {
    let authorization = "Basic dXNlcjpwYXNzd29yZA==";
    for sent in [
        r#"{"ApiKey":"@","ApiKey":"@"}"#,
        r#"{"ApiKey":"@","ApiKey":"other"}"#,
        r#"{"ApiKey":"other","ApiKey":"@"}"#,
        r#"{"ApiKey":"@","apikey":"@"}"#,
        r#"{"APIKEY":"other","ApiKey":"@"}"#,
        r#"{"apiKey":"@"}"#,
        r#"{"ApiKey":"@","\u0041piKey":"@"}"#,
        r#"{"\u0041piKey":"@"}"#,
        r#"{"ApiKe\u0079":"@"}"#,
    ] {
        let sent = sent.replace('@', KEY);
        assert_eq!(by_key(&sent, &[KEY]), Err(Rejection::AmbiguousCredential), "{sent}");
        assert_eq!(
            basic(Some(authorization), &sent, &["user:password"]),
            Err(Rejection::AmbiguousCredential),
            "{sent}"
        );
    }
}

#[test]
fn a_live_secret_elsewhere_in_the_body_is_refused() {
    for sent in [
        r#"{"ApiKey":"KEY","data":{"ApiKey":"KEY"}}"#,
        r#"{"ApiKey":"KEY","Description":"key KEY used"}"#,
        r#"{"ApiKey":"KEY","Description":"the old secret"}"#,
        r#"{"ApiKey":"KEY","KEY":1}"#,
    ] {
        let sent = sent.replace("KEY", KEY);
        assert_eq!(by_key(&sent, &[KEY, "the old secret"]), Err(Rejection::AmbiguousCredential), "{sent}");
    }
    // Seven bytes may be there by chance.
    let short = r#"{"ApiKey":"HD00000","OrderCode":"HD000003"}"#;
    assert_eq!(by_key(short, &["HD00000"]).as_deref(), Ok(r#"{"ApiKey":"","OrderCode":"HD000003"}"#));
}

/// A .NET habit.
#[test]
fn a_byte_order_mark_is_taken_and_stays() {
    let sent = format!("\u{feff} {{\"a\":1,\"ApiKey\":\"{KEY}\"}}");
    assert_eq!(by_key(&sent, &[KEY]).as_deref(), Ok("\u{feff} {\"a\":1,\"ApiKey\":\"\"}"));
    assert_eq!(by_key(&sent, &["another secret"]), Err(Rejection::WrongCredential));
    let authorization = Some("Basic dXNlcjpwYXNzd29yZA==");
    assert_eq!(
        basic(authorization, &sent, &["user:password"]).as_deref(),
        Ok("\u{feff} {\"a\":1,\"ApiKey\":\"\"}")
    );
}

/// `\u0073` is an `s`: every reader of the event decodes it.
#[test]
fn a_live_secret_in_escapes_is_found_wherever_it_is() {
    const SECRET: &str = "samples/of \"keys\" é";
    let escaped: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let upper: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let first = format!("\\u0073{}", &json!(&SECRET[1..]).to_string().trim_matches('"'));
    let slashed = json!(SECRET).to_string().replace('/', "\\/").trim_matches('"').to_owned();
    let once = json!(SECRET).to_string().trim_matches('"').to_owned();
    let twice = json!(escaped).to_string().trim_matches('"').to_owned();
    let thrice = json!(json!(json!({"ApiKey": SECRET}).to_string()).to_string()).to_string();
    let key = json!(SECRET);
    for spelled in [&escaped, &upper, &first, &slashed, &once, &twice] {
        for sent in [
            format!(r#"{{"ApiKey":{key},"DeliveryNotes":"{spelled}"}}"#),
            format!(r#"{{"ApiKey":{key},"DeliveryNotes":"the key is {spelled}."}}"#),
            format!(r#"{{"ApiKey":{key},"X":{{"ApiKey":"{spelled}"}}}}"#),
            format!(r#"{{"ApiKey":{key},"X":[1,["{spelled}"]]}}"#),
            format!(r#"{{"ApiKey":{key},"{spelled}":1}}"#),
            format!(r#"{{"X":{{"{spelled}":null}},"ApiKey":{key}}}"#),
        ] {
            assert_eq!(by_key(&sent, &[SECRET]), Err(Rejection::AmbiguousCredential), "{sent}");
            // A secret that is live, and is not the one that was presented.
            let other = sent.replace(&key.to_string(), "\"another key\"");
            let outcome = by_key(&other, &["another key", SECRET]);
            assert_eq!(outcome, Err(Rejection::AmbiguousCredential), "{other}");
        }
    }
    let sent = format!(r#"{{"ApiKey":{key},"X":{thrice}}}"#);
    assert_eq!(by_key(&sent, &[SECRET]), Err(Rejection::AmbiguousCredential), "{sent}");
}

#[test]
fn escapes_that_spell_no_secret_are_taken() {
    for text in
        [r"\ud83d\udef5 \ud800 \u0000", r"C:\\temp\\u0041", r#"{\"a\":\"\\u0073\"}"#, r#"\b\f\n\r\t\/\""#]
    {
        let sent = format!(r#"{{"ApiKey":"{KEY}","DeliveryNotes":"{text}"}}"#);
        let stored = format!(r#"{{"ApiKey":"","DeliveryNotes":"{text}"}}"#);
        assert_eq!(by_key(&sent, &[KEY]), Ok(stored));
    }
}

/// Each level of escapes costs another look, so that there is a deepest one.
#[test]
fn escapes_within_escapes_without_end_are_refused_at_once() {
    let nested = format!("\\u005c{}", "u005c".repeat(50_000));
    let sent = format!(r#"{{"ApiKey":"{KEY}","DeliveryNotes":"{nested}"}}"#);
    assert_eq!(by_key(&sent, &[KEY]).map(|_| ()), Err(Rejection::AmbiguousCredential));
}

#[test]
fn without_a_configured_secret_no_credential_is_called_wrong() {
    for sent in ["", "{}", BROKEN, r#"{"ApiKey":"x"}"#] {
        assert_eq!(by_key(sent, &[]), Err(Rejection::NoSecret));
        assert_eq!(basic(None, sent, &[]), Err(Rejection::NoSecret));
    }
    assert_eq!(Rejection::NoSecret.kind(), RejectionKind::Unavailable);
}

#[test]
fn what_is_not_one_object_is_refused() {
    for sent in
        ["", "null", "[]", "\"ApiKey\"", "{", "{}{}", "\u{feff}", "\u{feff}\u{feff}{}", "{\"\\ud800\":1}"]
    {
        assert_eq!(by_key(sent, &[KEY]), Err(Rejection::NotAnObject), "{sent}");
        let authorization = Some("Basic dXNlcjpwYXNzd29yZA==");
        assert_eq!(basic(authorization, sent, &["user:password"]), Err(Rejection::NotAnObject), "{sent}");
    }
    let bytes = Bytes::from_static(b"{\"ApiKey\":\"\xff\"}");
    let opened = support::open(&EXPRESS_247, AuthScheme::ApiKey, &Pairs::<&str>(&[]), bytes, &[KEY]);
    assert_eq!(opened, Err(Rejection::NotAnObject));
}

/// `dXNlcjpwYXNzd29yZA==` is `user:password`.
#[test]
fn basic_compares_user_and_password_whole() {
    let open = |authorization| basic(Some(authorization), r#"{"a":1}"#, &["other:one", "user:password"]);
    for right in ["Basic dXNlcjpwYXNzd29yZA==", "basic dXNlcjpwYXNzd29yZA==", "BASIC  dXNlcjpwYXNzd29yZA== "]
    {
        assert_eq!(open(right).as_deref(), Ok(r#"{"a":1}"#), "{right}");
    }
    for wrong in [
        "",
        "Basic",
        "Basic ",
        "Bearer dXNlcjpwYXNzd29yZA==",
        "Basic dXNlcjpwYXNzd29yZA",
        "Basic user:password",
        "Basic dXNlcjo=",
        "Basic cGFzc3dvcmQ=",
        "dXNlcjpwYXNzd29yZA==",
        "Basicé dXNlcjpwYXNzd29yZA==",
    ] {
        assert_eq!(open(wrong), Err(Rejection::WrongCredential), "{wrong}");
    }
    assert_eq!(basic(None, "{}", &["user:password"]), Err(Rejection::MissingCredential));
    // An unknown sender does not even learn whether its body is readable.
    assert_eq!(basic(None, "{", &["user:password"]), Err(Rejection::MissingCredential));
}

#[test]
fn basic_blanks_a_key_in_the_body_all_the_same() {
    let authorization = Some("Basic dXNlcjpwYXNzd29yZA==");
    for value in ["\"EBD2E298\"", "12345678", "null", "{\"a\":[1]}", "\"\""] {
        let sent = format!("{{\"a\":1,\"ApiKey\": {value} }}");
        assert_eq!(
            basic(authorization, &sent, &["user:password"]).as_deref(),
            Ok(r#"{"a":1,"ApiKey": "" }"#),
            "{value}"
        );
    }
    // Its key may be anyone's: only the header counts.
    assert_eq!(basic(None, &format!("{{\"ApiKey\":\"{KEY}\"}}"), &[KEY]), Err(Rejection::MissingCredential));
}

#[test]
fn answers_are_the_documented_ones() {
    let error = |message: &str| format!("{{\"IsError\":true,\"ErrorMessage\":\"{message}\"}}");
    let table = [
        (Ok(()), 200, r#"{"IsError":false,"ErrorMessage":""}"#.to_owned()),
        (Err(RejectionKind::NotAuthentic), 200, REFUSED.to_owned()),
        (Err(RejectionKind::NotDecodable), 200, error("the body is not one JSON object")),
        (Err(RejectionKind::TooLarge), 413, error("the body is too large")),
        (Err(RejectionKind::TooSlow), 408, error("the body did not arrive in time")),
        (Err(RejectionKind::BadRequest), 400, error("the body's length is said in two ways")),
        (Err(RejectionKind::UnsupportedEncoding), 415, error("send the body uncompressed")),
        (Err(RejectionKind::WrongMethod), 405, error("POST only")),
        (Err(RejectionKind::Unknown), 404, error("no such webhook")),
        (Err(RejectionKind::Unavailable), 503, error("cannot store it now, send it again")),
    ];
    for (outcome, code, text) in table {
        for scheme in [None, Some(AuthScheme::ApiKey), Some(AuthScheme::Basic)] {
            let answer = EXPRESS_247.answer(scheme, outcome);
            let refused_by_basic =
                scheme == Some(AuthScheme::Basic) && outcome == Err(RejectionKind::NotAuthentic);
            assert_eq!(answer.code, if refused_by_basic { 401 } else { code }, "{scheme:?} {outcome:?}");
            assert_eq!(answer.content_type, Some("application/json"));
            assert_eq!(answer.body, text);
        }
    }
}

#[test]
fn signing_puts_the_key_where_it_belongs() {
    let secret = Secret::new(b"a \"b\"").expect("not empty");
    let sign = |text: &str| {
        let signed = EXPRESS_247.sign(body(text), &signing(AuthScheme::ApiKey, &secret));
        assert!(signed.headers.is_empty());
        String::from_utf8(signed.body.to_vec()).expect("text")
    };
    assert_eq!(sign("{}"), r#"{"ApiKey":"a \"b\""}"#);
    assert_eq!(sign(" { \n} "), " {\"ApiKey\":\"a \\\"b\\\"\" \n} ");
    assert_eq!(sign(r#"{"a":1.50}"#), r#"{"ApiKey":"a \"b\"","a":1.50}"#);
    assert_eq!(sign(r#"{ "a": 1.50, "ApiKey": "x" }"#), r#"{ "a": 1.50, "ApiKey": "a \"b\"" }"#);
    assert_eq!(sign(BROKEN), BROKEN);
    let signed = EXPRESS_247
        .sign(body("{}"), &signing(AuthScheme::Basic, &Secret::new(b"user:password").expect("not empty")));
    assert_eq!(signed.headers, [("authorization".to_owned(), "Basic dXNlcjpwYXNzd29yZA==".to_owned())]);
    assert_eq!(signed.body, "{}");
}

proptest! {
    /// For every body only its key's value is blanked, and the key is nowhere in what is stored.
    #[test]
    fn only_the_key_is_blanked(
        fields in any_object_with(&["OrderCode", "Status", "Description", "Time"]),
        key in "[ -~]{8,40}",
    ) {
        let mut sent = fields;
        sent["ApiKey"] = json!(key);
        let mut expected = sent.clone();
        expected["ApiKey"] = json!("");
        let stored = by_key(&serde_json::to_string_pretty(&sent).expect("JSON"), &[&key]).expect("authentic");
        prop_assert_eq!(&stored, &serde_json::to_string_pretty(&expected).expect("JSON"));
        prop_assert!(by_key(&sent.to_string(), &["another"]).is_err());
        let stored: Value = serde_json::from_str(&stored).expect("JSON");
        prop_assert_eq!(stored, expected);
    }
}
