//! How each provider is asked for a delivery's state, and what its answers amount to.

use std::time::Duration;

use milepost::domain::provider::{Decoded, Provider};
use milepost::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest};
use milepost::domain::secret::Secret;
use milepost::domain::update::DeliveryUpdate;
use milepost::providers::{ALL, DASH, EXPRESS_247, HUBRISE, TELYPORT};
use serde_json::{Value, json};

use crate::support::sample;

fn pull(provider: &dyn Provider) -> &'static dyn Pull {
    provider.pull().expect("it can be asked")
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).expect("not empty")
}

fn answer(code: u16, body: &Value) -> PullAnswer {
    PullAnswer { code, body: Some(body.to_string().into_bytes()), ..PullAnswer::default() }
}

fn text(value: &Secret) -> &str {
    std::str::from_utf8(value.expose()).expect("text")
}

/// Its path, its parameters and its headers.
fn parts(request: &PullRequest) -> (String, String, String) {
    let listed = |pairs: &[(&'static str, Secret)]| {
        pairs.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join("&")
    };
    (request.path.join("/"), listed(&request.query), listed(&request.headers))
}

fn three(parts: [&str; 3]) -> (String, String, String) {
    let [path, query, headers] = parts.map(str::to_owned);
    (path, query, headers)
}

/// The update that a webhook made of `answer` becomes.
fn pulled(provider: &dyn Provider, id: &str, answer: &PullAnswer) -> DeliveryUpdate {
    let body = pull(provider).read(id, answer).expect("a webhook");
    match provider.decode(&body).expect("it can be read") {
        Decoded::Update(update) => {
            assert_eq!(update.identity.provider_event_id, None, "an answer is no event of the provider's");
            update.update
        }
        Decoded::Ignored => panic!("ignored"),
    }
}

#[test]
fn all_but_deliverect_can_be_asked() {
    let asked: Vec<_> = ALL
        .iter()
        .filter(|provider| provider.pull().is_some())
        .map(|provider| provider.id().as_str())
        .collect();
    assert_eq!(asked, ["telyport", "247express", "dash", "hubrise"]);
    for provider in ALL.iter().filter_map(|provider| provider.pull()) {
        assert!(provider.base_url().starts_with("https://"));
        assert!(provider.check_credential(b"key:secret").is_ok());
        for wrong in [&b""[..], b"with space", b"with\nline"] {
            assert!(provider.check_credential(wrong).is_err());
        }
    }
    assert!(pull(&DASH).check_credential(b"key-alone").is_err());
}

#[test]
fn requests_are_as_documented() {
    let ask = |provider: &dyn Provider, id: &str, with: &str| {
        let pull = pull(provider);
        pull.ask(pull.path(), id, &secret(with))
    };
    let telyport = ask(&TELYPORT, "IN1", "key");
    assert_eq!(parts(&telyport), three(["order", "orderID=IN1", "x-api-key=key"]));
    let express = ask(&EXPRESS_247, "HD000003", "key");
    assert_eq!(parts(&express), three(["Order/v1/Tracking", "ordercode=HD000003&apikey=key", ""]));
    let sign_in = pull(&DASH).sign_in(&secret("key:secret")).expect("Dash wants a token");
    assert_eq!(parts(&sign_in), three(["auth/providers/token", "", ""]));
    assert_eq!(sign_in.post, Some(json!({ "client_key": "key", "client_secret": "secret" })));
    let dash = ask(&DASH, "DE-1/2", "token");
    assert_eq!(dash.path, ["deliveries", "DE-1/2"], "an id is one segment, also with a slash in it");
    assert_eq!(parts(&dash).2, "authorization=Bearer token");
    let hubrise = ask(&HUBRISE, "3r4s3-1/5dpm9", "token");
    assert_eq!(parts(&hubrise).0, "locations/3r4s3-1/orders/5dpm9/delivery");
    assert_eq!(parts(&hubrise).2, "x-access-token=token");
    let elsewhere = pull(&TELYPORT).ask("orders/{}/data", "IN1", &secret("key"));
    assert_eq!(elsewhere.path, ["orders", "IN1", "data"]);
    assert!(dash.post.is_none() && telyport.post.is_none() && express.post.is_none());
}

#[test]
fn dash_gives_a_token_in_one_of_the_usual_places() {
    for body in [
        json!({ "token": "t-1" }),
        json!({ "data": { "token": "t-1" } }),
        json!({ "access_token": "t-1" }),
        json!({ "status": 200, "data": { "accessToken": "t-1" } }),
    ] {
        let token = pull(&DASH).token(&answer(200, &body)).expect("a token");
        assert_eq!(text(&token), "t-1");
    }
    for body in [json!({}), json!({ "token": "with space" }), json!({ "token": 5 }), json!([])] {
        assert_eq!(pull(&DASH).token(&answer(200, &body)).err(), Some(NoAnswer::Odd), "{body}");
    }
    let denied = json!({ "status": 401, "message": "Tidak sah" });
    assert_eq!(pull(&DASH).token(&answer(401, &denied)).err(), Some(NoAnswer::Denied));
}

#[test]
fn dash_answers_with_its_webhook() {
    let webhook = sample(&DASH, "express_completed");
    let id = webhook["deliveryID"].as_str().expect("an id");
    for body in [webhook.clone(), json!({ "status": "Success", "data": webhook })] {
        let update = pulled(&DASH, id, &answer(200, &body));
        assert_eq!((update.delivery_id.as_str(), update.status.as_str()), (id, "delivered"));
        assert_eq!(update.recipient_name.as_deref(), Some("John Doe"));
        assert!(update.terminal);
    }
}

#[test]
fn telyports_answer_is_decoded_as_its_webhook() {
    let order = json!({
        "orderID": "IN1", "status": "STARTED", "updatedAt": 1_739_365_639_201_i64, "businessOrderID": "#5",
        "additionalProperties": { "agentName": "Ann" }, "pickAddress": { "street": "Home" },
    });
    let body = json!({ "status": "success", "data": order, "requestTime": "2020-05-20T12:00:00.000Z" });
    let update = pulled(&TELYPORT, "IN1", &answer(200, &body));
    assert_eq!(update.status.as_str(), "assigned");
    assert_eq!(update.references.and_then(|references| references.merchant_order).as_deref(), Some("#5"));
    assert_eq!(update.courier.and_then(|courier| courier.name).as_deref(), Some("Ann"));
    assert_eq!(update.event_time.map(|time| time.utc.as_millisecond()), Some(1_739_365_639_201));
    assert!(!serde_json::to_string(&update.extra).expect("JSON").contains("Home"));
    let bare = json!({ "status": "success", "data": { "status": "DROPCOMPLETED" } });
    let update = pulled(&TELYPORT, "IN1", &answer(200, &bare));
    assert_eq!((update.delivery_id.as_str(), update.status.as_str()), ("IN1", "delivered"));
}

#[test]
fn express_answers_in_other_letters() {
    let body = json!({
        "errorCode": null, "errorMessage": null, "orderCode": "HD000003", "externalCode": "X-3", "status": "16",
        "statusName": "CHOXULY", "delayCode": "D01", "delayNote": "no answer", "receiverName": "THANH",
    });
    let update = pulled(&EXPRESS_247, "HD000003", &answer(200, &body));
    assert_eq!((update.status.as_str(), update.raw_status.as_str()), ("on_hold", "16"));
    let reason = update.reason.expect("a reason");
    assert_eq!((reason.code.as_deref(), reason.text.as_deref()), (Some("D01"), Some("no answer")));
    assert_eq!(update.recipient_name.as_deref(), Some("THANH"));
}

#[test]
fn hubrise_answers_with_the_delivery_of_an_order_that_its_updates_name() {
    let Decoded::Update(update) =
        HUBRISE.decode(sample(&HUBRISE, "pickup_waiting").to_string().as_bytes()).unwrap()
    else {
        panic!("ignored")
    };
    assert_eq!(HUBRISE.address(&update.update).as_deref(), Some("3r4s3-1/5dpm9"));
    let state = sample(&HUBRISE, "delivered")["new_state"].clone();
    let update = pulled(&HUBRISE, "ez351", &answer(200, &state));
    assert_eq!((update.delivery_id.as_str(), update.status.as_str()), ("ez351", "delivered"));
    let mut elsewhere = update.clone();
    elsewhere.references.as_mut().expect("it has some").order = Some("../../account".to_owned());
    assert_eq!(HUBRISE.address(&elsewhere), None, "what is no id gets into no path");
}

/// A step that has no webhook, or no time, is left out.
#[test]
fn telyports_timeline_becomes_webhooks_in_the_order_of_time() {
    let timeline = pull(&TELYPORT).timeline().expect("it has one");
    let request = timeline.ask("order/timeline", "IN1", &secret("key"));
    assert_eq!(parts(&request), three(["order/timeline", "orderID=IN1", "x-api-key=key"]));
    let steps = json!([
        { "event": "DROP_DONE", "time": 1_739_365_700_000_i64 },
        { "eventName": "PICK_DONE", "timestamp": "2025-02-12T13:07:20.000Z", "agentDetails": { "name": "Ann" } },
        { "event": "REATTEMPT", "time": 1_739_365_700_001_i64 },
        { "event": "ORDER_CANCELLED" },
        { "event": "RETURN_DONE", "time": "today" },
        "WAREHOUSE_PICK_DONE",
    ]);
    let state = json!({ "event": "ORDER.STATUS_UPDATED", "data": {
        "orderID": "IN1", "status": "DROPCOMPLETED", "updatedAt": 1_739_365_700_000_i64, "businessOrderID": "#5",
        "additionalProperties": { "agentName": "Ann" },
    } });
    let read = |data: Value| {
        let steps = timeline.read(
            "IN1",
            state.to_string().as_bytes(),
            &answer(200, &json!({ "status": "success", "data": data })),
        );
        steps.map(|steps| {
            let update = |body: &[u8]| match TELYPORT.decode(body).expect("it can be read") {
                Decoded::Update(update) => {
                    let update = update.update;
                    let at = update.event_time.expect("a time").utc.as_millisecond();
                    let reference = update.references.and_then(|references| references.merchant_order);
                    assert_eq!((reference.as_deref(), update.courier), (Some("#5"), None));
                    (update.delivery_id, update.status.as_str(), at)
                }
                Decoded::Ignored => panic!("ignored"),
            };
            steps.iter().map(|body| update(body)).collect::<Vec<_>>()
        })
    };
    let expected = [
        ("IN1".to_owned(), "picked_up", 1_739_365_640_000),
        ("IN1".to_owned(), "delivered", 1_739_365_700_000),
    ];
    for data in [steps.clone(), json!({ "orderID": "IN1", "timeline": steps })] {
        assert_eq!(read(data).expect("steps"), expected);
    }
    assert_eq!(read(json!([])), Ok(vec![]));
    for odd in [json!({ "orderID": "IN2", "timeline": [] }), json!({}), json!("none")] {
        assert_eq!(read(odd), Err(NoAnswer::Odd));
    }
    let read = timeline.read("IN1", state.to_string().as_bytes(), &answer(404, &json!({})));
    assert_eq!(read, Err(NoAnswer::Unknown));
}

/// Only events of deliveries are taken from the list.
#[test]
fn an_event_in_hubrises_list_equals_its_callback() {
    let list = pull(&HUBRISE).missed_events().expect("it has one");
    assert_eq!(
        parts(&list.list(None, &secret("token"))),
        three(["callback/events", "", "x-access-token=token"])
    );
    assert_eq!(parts(&list.list(Some("c&1"), &secret("token"))).1, "cursor=c&1");
    assert_eq!(parts(&list.event("ks8f6", &secret("token"))).0, "callback/events/ks8f6");
    let entry = |id: &str, kind: &str| json!({ "id": id, "resource_type": kind, "event_type": "update" });
    let listed = json!([
        entry("ks8f6", "delivery"),
        entry("ks8f7", "order"),
        entry("../location", "delivery"),
        { "resource_type": "delivery" },
        5,
    ]);
    assert_eq!(list.read_list(&answer(200, &listed)), Ok(vec!["ks8f6".to_owned()]));
    assert_eq!(list.read_list(&answer(200, &json!({}))), Err(NoAnswer::Odd));
    assert_eq!(list.read_list(&answer(403, &json!([]))), Err(NoAnswer::Denied));
    let event = sample(&HUBRISE, "pickup_waiting");
    let id = event["id"].as_str().expect("an id");
    let read = answer(200, &event);
    assert_eq!(list.read_event(id, &read).ok().map(Vec::from), read.body);
    assert_eq!(list.read_event("another", &read), Err(NoAnswer::Odd));
    assert_eq!(list.read_event(id, &answer(404, &json!({}))), Err(NoAnswer::Unknown));
}

#[test]
fn an_answer_that_tells_nothing_says_why() {
    let unknown = json!({ "status": "error", "code": "E101", "message": "order_not_found" });
    let foreign = json!({ "status": "error", "code": "E106", "message": "?" });
    let odd = json!({ "status": "success", "data": { "orderID": "IN2", "status": "NEW" } });
    let codes = |code: &str| json!({ "errorCode": code });
    let known = json!({ "deliveryID": "IN1", "status": "COMPLETED" });
    let cases: [(&dyn Provider, u16, Value, NoAnswer); 21] = [
        (&TELYPORT, 404, unknown, NoAnswer::Unknown),
        (&TELYPORT, 403, foreign, NoAnswer::Unknown),
        (&TELYPORT, 401, json!({}), NoAnswer::Denied),
        (&TELYPORT, 500, json!({}), NoAnswer::Unavailable),
        (&TELYPORT, 302, json!({}), NoAnswer::Odd),
        (&TELYPORT, 200, odd, NoAnswer::Odd),
        (&TELYPORT, 200, json!({ "status": "success", "data": {} }), NoAnswer::Odd),
        (&TELYPORT, 200, json!({ "data": { "status": "NEW" } }), NoAnswer::Odd),
        (&TELYPORT, 200, json!([]), NoAnswer::Odd),
        (&DASH, 404, json!({ "status": "Failed", "error": "?" }), NoAnswer::Unknown),
        (&DASH, 403, json!({}), NoAnswer::Denied),
        (&DASH, 410, json!({}), NoAnswer::Odd),
        (&DASH, 200, json!({ "data": [known.clone()] }), NoAnswer::Odd),
        (&DASH, 200, json!({ "deliveryID": "IN2", "status": "COMPLETED" }), NoAnswer::Odd),
        (&EXPRESS_247, 200, codes("ORDERCODE_NOT_FOUND"), NoAnswer::Unknown),
        (&EXPRESS_247, 200, codes("ORDERCODE_QUERY_EXPIRED"), NoAnswer::Unknown),
        (&EXPRESS_247, 200, codes("APIKEY_NOT_FOUND"), NoAnswer::Denied),
        (&EXPRESS_247, 200, codes("APIKEY_LIMIT"), NoAnswer::Limited(None)),
        (&EXPRESS_247, 200, codes("EXCEPTION"), NoAnswer::Unavailable),
        (&EXPRESS_247, 200, codes("SOMETHING_NEW"), NoAnswer::Odd),
        (&EXPRESS_247, 200, json!({ "orderCode": "IN2", "status": "25" }), NoAnswer::Odd),
    ];
    for (provider, code, body, expected) in cases {
        let read = pull(provider).read("IN1", &answer(code, &body));
        assert_eq!(read, Err(expected), "{} {code} {body}", provider.id());
    }
    assert!(pull(&DASH).read("IN1", &answer(200, &known)).is_ok());
}

#[test]
fn a_limit_may_say_how_long_to_wait() {
    let limited = |retry_after: Option<&str>| {
        let retry_after = retry_after.map(str::to_owned);
        pull(&DASH).read("IN1", &PullAnswer { code: 429, retry_after, ..PullAnswer::default() })
    };
    assert_eq!(limited(Some("7")), Err(NoAnswer::Limited(Some(Duration::from_secs(7)))));
    assert_eq!(limited(Some("99999999")), Err(NoAnswer::Limited(Some(Duration::from_hours(24)))));
    for unread in [None, Some("Wed, 21 Oct 2026 07:28:00 GMT"), Some("-1")] {
        assert_eq!(limited(unread), Err(NoAnswer::Limited(None)));
    }
}

#[test]
fn a_body_that_was_too_large_or_is_no_json_is_odd() {
    for provider in ALL.iter().filter_map(|provider| provider.pull()) {
        for body in [None, Some(b"<html>".to_vec()), Some(b"\xff".to_vec()), Some(b"".to_vec())] {
            let answer = PullAnswer { code: 200, body, ..PullAnswer::default() };
            assert_eq!(provider.read("IN1", &answer), Err(NoAnswer::Odd));
        }
    }
}
