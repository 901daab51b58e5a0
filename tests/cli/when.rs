//! Times as an operator types them.

use jiff::Timestamp;
use milepost::operator::when::{clock, read};

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[test]
fn a_time_of_the_clock_is_the_last_one_in_utc() {
    let now = time("2026-11-29T10:20:00Z");
    for (typed, meant) in [
        ("10:00", "2026-11-29T10:00:00Z"),
        ("10:20:00", "2026-11-29T10:20:00Z"),
        ("10:30", "2026-11-28T10:30:00Z"),
        ("2026-11-27 10:30", "2026-11-27T10:30:00Z"),
        ("2026-11-27T10:30:05", "2026-11-27T10:30:05Z"),
        ("2026-11-27", "2026-11-27T00:00:00Z"),
        ("2026-11-29T10:00:00+02:00", "2026-11-29T08:00:00Z"),
        ("90s", "2026-11-29T10:18:30Z"),
        ("2d", "2026-11-27T10:20:00Z"),
    ] {
        assert_eq!(read(typed, now), Ok(time(meant)), "{typed}");
    }
    for wrong in ["", "10", "1000", "25:00", "-2h", "yesterday", "10:00 10:00", "900000000000h"] {
        assert!(read(wrong, now).is_err(), "{wrong}");
    }
}

#[test]
fn a_time_is_shown_with_its_day_unless_that_is_today() {
    let now = time("2026-11-29T00:10:00Z");
    assert_eq!(clock(time("2026-11-29T00:05:07.9Z"), now), "00:05:07Z");
    assert_eq!(clock(time("2026-11-28T23:55:00Z"), now), "2026-11-28 23:55:00Z");
}
