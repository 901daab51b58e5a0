//! HubRise's answers, the documented ones and others.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost::sinks::hubrise::core::answer::{
    ApiAnswer, ApiRejection, DeliveryOfOrder, OrderSeen, RawAnswer, read,
};
use milepost::sinks::hubrise::core::field::Field;
use milepost::sinks::hubrise::core::request::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

fn patch() -> Request {
    Request::Patch(BTreeMap::from([
        (Field::Status, "pickup_enroute".to_owned()),
        (Field::DriverPhone, "+33100000000".to_owned()),
    ]))
}

fn answer(request: &Request, code: u16, body: &[u8]) -> ApiAnswer {
    read(request, &RawAnswer { code, retry_after: None, body: Some(body.to_vec()) })
}

fn error(error_type: &str, message: &str) -> Vec<u8> {
    json!({ "error_type": error_type, "message": message }).to_string().into_bytes()
}

#[test]
fn any_success_of_hubrises_is_a_success() {
    for (code, body) in [(200, &b""[..]), (200, b"{\"id\":\"ez351\"}"), (201, b"{}"), (204, b" \n")] {
        assert_eq!(answer(&patch(), code, body), ApiAnswer::Done, "{code}");
    }
    assert_eq!(answer(&Request::PatchOrder("completed"), 200, b"{}"), ApiAnswer::Done);
}

#[test]
fn a_success_of_somebody_elses_is_none() {
    for body in [&b"<html>Welcome to our WiFi</html>"[..], b"[]", b"\"ok\"", b"{\"id\":", b"\xff\xfe"] {
        assert_eq!(answer(&patch(), 200, body), ApiAnswer::Away("an answer that is not HubRise's"));
    }
    assert_eq!(answer(&Request::GetOrder, 200, b""), ApiAnswer::Away("an answer without a body"));
}

#[test]
fn a_missing_order_differs_from_a_wrong_path() {
    let missing = error("not_found", "Order does not exist");
    assert_eq!(answer(&Request::GetOrder, 404, &missing), ApiAnswer::NotFound);
    assert_eq!(answer(&Request::GetOrder, 404, b""), ApiAnswer::NotFound);
    assert_eq!(answer(&patch(), 404, &error("routing_error", "No route matches")), ApiAnswer::NoSuchPath);
    assert_eq!(answer(&patch(), 404, b"<html>nginx</html>"), ApiAnswer::Away("a 404 that is not HubRise's"));
}

#[test]
fn a_rejection_names_fields_and_quotes_nothing_that_was_sent() {
    let body = json!({
        "error_type": "unprocessable_entity", "message": "Validation failed",
        "errors": [
            { "field": "driver_phone", "message": "+33100000000 is not\n a phone number" },
            { "field": "no_such_field", "message": "is not a valid key" },
            "nonsense",
        ],
    });
    let expected = ApiAnswer::Rejected(ApiRejection {
        fields: vec![Field::DriverPhone],
        text: "driver_phone: … is not a phone number; no_such_field: is not a valid key; ?: ".to_owned(),
    });
    for code in [400, 415, 422] {
        assert_eq!(answer(&patch(), code, body.to_string().as_bytes()), expected, "{code}");
    }
    let plain = answer(&patch(), 422, &error("unprocessable_entity", "order already has a delivery"));
    let text = "order already has a delivery".to_owned();
    assert_eq!(plain, ApiAnswer::Rejected(ApiRejection { fields: vec![], text }));
    let ApiAnswer::Rejected(none) = answer(&patch(), 400, b"{}") else { panic!("rejected") };
    assert_eq!(none.text, "no reason given");
}

#[test]
fn a_refusal_says_why() {
    let body = error("unauthorized", "This token has been revoked");
    let message = "This token has been revoked".to_owned();
    assert_eq!(answer(&patch(), 401, &body), ApiAnswer::Denied { code: 401, message });
    assert_eq!(answer(&patch(), 403, b""), ApiAnswer::Denied { code: 403, message: String::new() });
    assert_eq!(answer(&patch(), 403, b"<html>"), ApiAnswer::Away("a refusal that is not HubRise's"));
}

#[test]
fn too_many_requests_may_say_how_long() {
    let limited = |retry_after: Option<&str>| {
        let retry_after = retry_after.map(str::to_owned);
        let body = Some(error("too_many_requests", ""));
        match read(&patch(), &RawAnswer { code: 429, retry_after, body }) {
            ApiAnswer::Limited { retry_after } => retry_after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(limited(Some("17")), Some(Duration::from_secs(17)));
    assert_eq!(limited(Some("99999999999")), Some(Duration::from_secs(86_400)));
    for none in [None, Some("soon"), Some("-1"), Some("Wed, 21 Oct 2026 07:28:00 GMT")] {
        assert_eq!(limited(none), None, "{none:?}");
    }
}

#[test]
fn the_rest_is_no_answer() {
    for code in [100, 301, 302, 304, 402, 405, 409, 500, 502, 503, 504, 599, 999] {
        assert!(matches!(answer(&patch(), code, b"{}"), ApiAnswer::Away(_)), "{code}");
    }
    for code in [400, 422] {
        assert!(matches!(answer(&patch(), code, b"<html>"), ApiAnswer::Away(_)), "{code}");
    }
    let huge = RawAnswer { code: 200, retry_after: None, body: None };
    assert_eq!(read(&patch(), &huge), ApiAnswer::Away("its answer is too large"));
}

#[test]
fn an_order_shows_its_delivery() {
    let seen = |order: &Value| match answer(&Request::GetOrder, 200, order.to_string().as_bytes()) {
        ApiAnswer::Order(seen) => seen,
        other => panic!("{other:?}"),
    };
    let order = json!({
        "id": "5dpm9", "status": "accepted", "service_type": "delivery",
        "delivery": { "id": "ez351", "carrier": "UPS", "ref": 17, "status": "pickup_waiting", "pickup_at": null },
    });
    let delivery = BTreeMap::from([
        (Field::Carrier, "UPS".to_owned()),
        (Field::Ref, "17".to_owned()),
        (Field::Status, "pickup_waiting".to_owned()),
    ]);
    assert_eq!(
        seen(&order),
        OrderSeen {
            service_type: Some("delivery".to_owned()),
            status: Some("accepted".to_owned()),
            delivery: DeliveryOfOrder::Some(delivery),
        }
    );
    assert_eq!(seen(&json!({ "delivery": null })).delivery, DeliveryOfOrder::None);
    assert_eq!(seen(&json!({ "id": "5dpm9" })).delivery, DeliveryOfOrder::Unsaid);
    assert_eq!(seen(&json!({ "delivery": "soon" })).delivery, DeliveryOfOrder::Unsaid);
}

#[test]
fn the_documented_delivery_is_read_whole() {
    // From the document, "Retrieve a Delivery".
    let documented = json!({
        "id": "ez351", "order_id": "5dpm9", "location_id": "3r4s3-1", "carrier": "UPS", "carrier_ref": "ups",
        "ref": "1Z12345E0291980793", "status": "pickup_waiting", "fee": "4.50 EUR",
        "estimated_pickup_at": "2023-01-01T12:17:00+01:00", "estimated_dropoff_at": "2023-01-01T12:29:00+01:00",
        "tracking_url": "https://www.ups.com/track?tracknum=1Z12345E0291980793", "driver_name": "John",
        "driver_phone": "+33612345678", "driver_phone_access_code": "1234",
        "assigned_at": "2023-01-01T12:11:03+01:00", "pickup_at": null, "delivered_at": null, "cancelled_at": null,
        "driver_latitude": "48.856702", "driver_longitude": "2.35222",
    });
    let ApiAnswer::Delivery(seen) = answer(&Request::GetDelivery, 200, documented.to_string().as_bytes())
    else {
        panic!("a delivery")
    };
    for field in Field::ALL {
        assert_eq!(json!(seen.get(&field)), documented[field.as_str()], "{}", field.as_str());
    }
}

proptest! {
    #[test]
    fn no_answer_is_too_much(
        code in 0..1000_u16,
        retry_after in prop::option::of(".{0,12}"),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            crate::support::any_object_with(&["error_type", "message", "errors", "delivery", "status", "id"])
                .prop_map(|object| object.to_string().into_bytes()),
        ],
    ) {
        let raw = RawAnswer { code, retry_after, body: Some(body) };
        for request in [patch(), Request::GetOrder, Request::GetDelivery, Request::GetLocation] {
            let answer = read(&request, &raw);
            let success = matches!(answer, ApiAnswer::Done | ApiAnswer::Order(_) | ApiAnswer::Delivery(_) | ApiAnswer::Location(_));
            prop_assert_eq!(success && !(200..300).contains(&code), false);
        }
    }
}
