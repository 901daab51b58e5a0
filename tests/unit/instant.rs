use jiff::Timestamp;
use jiff::tz::Offset;
use milepost::domain::instant::{self, from_text};
use milepost::domain::number::Number;
use proptest::prelude::*;

const VIETNAM: Offset = Offset::constant(7);

fn text(text: &str, offset: Option<Offset>) -> Option<String> {
    from_text(text, offset).map(|utc| utc.to_string())
}

fn epoch(number: &str) -> Option<Timestamp> {
    instant::from_epoch(&Number::parse(number).expect("a number"))
}

#[test]
fn epoch_numbers_are_seconds_or_milliseconds_by_size() {
    for (number, utc) in [
        ("1739365639201", "2025-02-12T13:07:19.201Z"),
        ("1739365639", "2025-02-12T13:07:19Z"),
        ("100000000", "1973-03-03T09:46:40Z"),
        ("99999999999", "5138-11-16T09:46:39Z"),
        ("99999999999.999999999", "5138-11-16T09:46:39.999999999Z"),
        ("100000000000", "1973-03-03T09:46:40Z"),
        ("99999999999999", "5138-11-16T09:46:39.999Z"),
        ("1.739365639201e12", "2025-02-12T13:07:19.201Z"),
        ("1739365639.201", "2025-02-12T13:07:19.201Z"),
        ("0.1739365639e10", "2025-02-12T13:07:19Z"),
        ("1739365639201.4567", "2025-02-12T13:07:19.2014567Z"),
        ("1739365639.0000000009", "2025-02-12T13:07:19Z"),
        ("1739365639.20100000000000000000000000000000000000000000000001", "2025-02-12T13:07:19.201Z"),
    ] {
        assert_eq!(epoch(number).map(|utc| utc.to_string()).as_deref(), Some(utc), "{number}");
    }
    for unbelievable in [
        "0",
        "1",
        "-1739365639",
        "-1.739365639e9",
        "99999999",
        "99999999.999999999",
        "100000000000000",
        "1e14",
        "9223372036854775807",
        "-9223372036854775808",
        "1e2147483647",
        "1e-2147483648",
        "0e99",
    ] {
        assert_eq!(epoch(unbelievable), None, "{unbelievable}");
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
        let _ = epoch(&number.to_string());
        let _ = from_text(&sent, Some(VIETNAM));
    }

    #[test]
    fn milliseconds_are_exact(ms in 100_000_000_000_i64..100_000_000_000_000) {
        prop_assert_eq!(epoch(&ms.to_string()).map(Timestamp::as_millisecond), Some(ms));
    }

    /// However the number is spelt, it is the same instant.
    #[test]
    fn spelling_does_not_count(ms in 100_000_000_000_i64..100_000_000_000_000, shift in 0_usize..30) {
        let spelt = format!("{ms}{}e-{shift}", "0".repeat(shift));
        prop_assert_eq!(epoch(&spelt), epoch(&ms.to_string()));
        let seconds = ms / 1000;
        prop_assume!((100_000_000..100_000_000_000).contains(&seconds));
        let fraction = format!("{seconds}.{:03}", ms % 1000);
        prop_assert_eq!(epoch(&fraction).map(Timestamp::as_millisecond), Some(ms));
    }
}
