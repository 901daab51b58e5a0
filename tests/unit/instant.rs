use jiff::Timestamp;
use jiff::tz::Offset;
use milepost::domain::instant::{from_epoch, from_text};
use proptest::prelude::*;

const VIETNAM: Offset = Offset::constant(7);

fn text(text: &str, offset: Option<Offset>) -> Option<String> {
    from_text(text, offset).map(|utc| utc.to_string())
}

#[test]
fn epoch_numbers_are_seconds_or_milliseconds_by_size() {
    let utc = |number| from_epoch(number).map(|utc| utc.to_string());
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(utc(1_739_365_639_201), is("2025-02-12T13:07:19.201Z"));
    assert_eq!(utc(1_739_365_639), is("2025-02-12T13:07:19Z"));
    assert_eq!(utc(100_000_000), is("1973-03-03T09:46:40Z"));
    assert_eq!(utc(99_999_999_999), is("5138-11-16T09:46:39Z"));
    assert_eq!(utc(100_000_000_000), is("1973-03-03T09:46:40Z"));
    assert_eq!(utc(99_999_999_999_999), is("5138-11-16T09:46:39.999Z"));
    for unbelievable in [0, 1, -1_739_365_639, 99_999_999, 100_000_000_000_000, i64::MAX, i64::MIN] {
        assert_eq!(utc(unbelievable), None, "{unbelievable}");
    }
}

#[test]
fn text_with_an_offset_is_read_at_it() {
    let cases = [
        ("2019-08-07T11:24:12.4946223+07:00", "2019-08-07T04:24:12.4946223Z"),
        ("2019-08-07T11:24:12Z", "2019-08-07T11:24:12Z"),
        ("2019-08-07t11:24:12z", "2019-08-07T11:24:12Z"),
        ("2019-08-07 11:24:12+0700", "2019-08-07T04:24:12Z"),
        ("2019-08-07T11:24:12-03:30", "2019-08-07T14:54:12Z"),
        ("2019-08-07T11:24:12.123456789Z", "2019-08-07T11:24:12.123456789Z"),
        (" 2019-08-07T11:24:12Z ", "2019-08-07T11:24:12Z"),
        ("2019-08-07T11:24:12+07:00[Asia/Ho_Chi_Minh]", "2019-08-07T04:24:12Z"),
    ];
    for (sent, utc) in cases {
        assert_eq!(text(sent, None).as_deref(), Some(utc), "{sent}");
        assert_eq!(text(sent, Some(VIETNAM)).as_deref(), Some(utc), "{sent}");
    }
}

#[test]
fn text_without_an_offset_needs_a_default_one() {
    for sent in ["2019-08-07 11:24:12", "2019-08-07T11:24:12", "2019-08-07T11:24:12.000"] {
        assert_eq!(text(sent, Some(VIETNAM)).as_deref(), Some("2019-08-07T04:24:12Z"), "{sent}");
        assert_eq!(text(sent, None), None, "{sent}");
    }
}

#[test]
fn a_zone_by_name_alone_is_refused_rather_than_guessed() {
    assert_eq!(text("2019-08-07T11:24:12[Asia/Tokyo]", Some(VIETNAM)), None);
}

#[test]
fn what_is_no_time_is_refused() {
    let texts = [
        "",
        "soon",
        "2019-08-07",
        "11:24:12",
        "2019-02-30T11:24:12Z",
        "2019-08-07T25:00:00Z",
        "2019-08-07T11:24:12.1234567890Z",
        "07/08/2019 11:24:12",
        "2019-08-07T11:24:12Z and more",
        "\0",
    ];
    for sent in texts {
        assert_eq!(text(sent, Some(VIETNAM)), None, "{sent:?}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(number in any::<i64>(), sent in ".{0,40}") {
        let _ = from_epoch(number);
        let _ = from_text(&sent, Some(VIETNAM));
    }

    #[test]
    fn milliseconds_are_exact(ms in 100_000_000_000_i64..100_000_000_000_000) {
        prop_assert_eq!(from_epoch(ms).map(Timestamp::as_millisecond), Some(ms));
    }
}
