//! HubRise's formats.

use milepost::sinks::hubrise::core::field::{Field, money, time};
use milepost::sinks::update::Fee;

#[test]
fn the_documented_fields_and_what_may_be_done_with_them() {
    let all = "carrier carrier_ref fee ref status estimated_pickup_at estimated_dropoff_at tracking_url driver_name \
        driver_phone driver_phone_access_code driver_latitude driver_longitude assigned_at pickup_at delivered_at \
        cancelled_at";
    assert_eq!(Field::ALL.map(Field::as_str).join(" "), all);
    let of = |is: fn(Field) -> bool| {
        Field::ALL.into_iter().filter(|field| is(*field)).map(Field::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(|field| !field.can_be_updated()), "carrier carrier_ref fee");
    assert_eq!(of(Field::is_required), "carrier status");
    assert_eq!(
        of(Field::is_frequent),
        "estimated_pickup_at estimated_dropoff_at driver_latitude driver_longitude"
    );
    assert_eq!(of(Field::is_of_status), "status assigned_at pickup_at delivered_at cancelled_at");
    for field in Field::ALL {
        assert_eq!(Field::named(field.as_str()), Some(field));
    }
}

#[test]
fn money_has_two_decimals_and_a_currency() {
    let written = |amount: &str, currency: &str| {
        money(&Fee { amount: amount.parse().expect("a decimal"), currency: currency.to_owned() })
    };
    for (amount, currency, expected) in [
        ("12.5", "EUR", Some("12.50 EUR")),
        ("12.50", "EUR", Some("12.50 EUR")),
        ("18000", "IDR", Some("18000.00 IDR")),
        ("0.10", "USD", Some("0.10 USD")),
        ("-3", "EUR", Some("-3.00 EUR")),
        ("12.500", "EUR", Some("12.50 EUR")),
        ("12.505", "EUR", None),
        ("12", "eur", None),
        ("12", "EURO", None),
    ] {
        assert_eq!(written(amount, currency).as_deref(), expected, "{amount} {currency}");
    }
}

#[test]
fn times_have_whole_seconds_and_an_offset() {
    let at = "2026-03-02T09:14:05.999Z".parse().expect("a time");
    assert_eq!(time(at), "2026-03-02T09:14:05+00:00");
}

#[test]
fn what_hubrise_gives_back_otherwise_is_the_same() {
    for (field, one, other, same) in [
        (Field::AssignedAt, "2026-03-02T09:14:05+00:00", "2026-03-02T10:14:05+01:00", true),
        (Field::AssignedAt, "2026-03-02T09:14:05+00:00", "2026-03-02T10:14:06+01:00", false),
        (Field::AssignedAt, "2026-03-02T09:14:05+00:00", "yesterday", false),
        (Field::AssignedAt, "yesterday", "today", false),
        (Field::EstimatedPickupAt, "2026-03-02T09:14:05+00:00", "2026-03-02T09:14:05.500Z", true),
        (Field::DriverLatitude, "48.856600", "48.8566", true),
        (Field::DriverLatitude, "48.0", "48", true),
        (Field::DriverLatitude, "480", "48", false),
        (Field::DriverLatitude, "48.8566", "48.8567", false),
        (Field::DriverPhone, "100", "1.00", false),
    ] {
        assert_eq!(field.same(one, other), same, "{one} {other}");
    }
}
