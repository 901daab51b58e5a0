//! The line of an event.

use milepost::cli::line::human;

#[test]
fn a_full_event() {
    let event = br#"{"specversion":"1.0","id":"3fa9c2d17b60e4558f01a2b3c4d5e6f7","source":"/milepost/telyport/default",
        "type":"com.milepost.delivery.updated.v1","subject":"TP-1042","time":"2025-03-04T05:06:07.089Z",
        "data":{"provider":"telyport","account":"default","delivery_id":"TP-1042","status":"cancelled","phase":"closed",
        "raw_status":"CANCELLED","order":"in_order","courier":{"name":"Ravi","phone":"+91"},"reason":{"code":"R1","text":"shut"}}}"#;
    assert_eq!(
        human(event),
        "2025-03-04T05:06:07Z  telyport/default      TP-1042               cancelled (CANCELLED)                       \
         courier Ravi, reason shut         3fa9c2d1"
    );
}

#[test]
fn a_bare_event_keeps_the_columns() {
    let event = br#"{"id":"00112233445566778899aabbccddeeff","time":"2025-03-04T12:06:07+07:00","data":{"provider":"247express",
        "account":"shop-1","delivery_id":"VN0001","status":"dropoff_en_route","raw_status":"25","order":"late"}}"#;
    assert_eq!(
        human(event),
        "2025-03-04T05:06:07Z  247express/shop-1     VN0001                dropoff_en_route (25)                       \
         late                              00112233"
    );
}

#[test]
fn long_values_are_cut_and_control_characters_do_not_reach_the_terminal() {
    let event = r#"{"id":"\u001b[2J00112233","time":"soon","data":{"provider":"telyport","account":"a-rather-long-account",
        "delivery_id":"an-id-of-more-than-twenty","status":"unknown","raw_status":"A\nB\u202e",
        "reason":{"comments":"Người nhận không nghe máy, hẹn giao lại"}}}"#;
    assert_eq!(
        human(event.as_bytes()),
        "soon                  telyport/a-rather-l…  an-id-of-more-than-…  unknown (A·B·)                              \
         reason Người nhận không nghe má…  ·[2J0011"
    );
}

#[test]
fn anything_else_is_said_to_be_none() {
    assert_eq!(human(b"{}"), "(an event of 2 bytes that is not Milepost's)");
    assert_eq!(human(b"\xff\xfe\xfd"), "(an event of 3 bytes that is not Milepost's)");
}
