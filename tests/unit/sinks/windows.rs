//! What is left of HubRise's limits.

use milepost::sinks::hubrise::core::windows::Windows;
use milepost::sinks::hubrise::settings::LIMITS;

use super::{MINUTE, NINE};

fn left(windows: &Windows, now_ms: i64) -> Vec<u32> {
    windows.left(&LIMITS, now_ms).into_iter().map(|left| left.requests).collect()
}

#[test]
fn requests_count_against_every_limit_and_leave_each_when_its_window_is_over() {
    let mut windows = Windows::default();
    assert_eq!(left(&windows, NINE), [500, 2_500, 10_000]);
    for _ in 0..3 {
        windows.take(&LIMITS, 0.0, NINE).expect("room");
    }
    assert_eq!(left(&windows, NINE), [497, 2_497, 9_997]);
    // Nothing was sent since: a replica that only looks sees the same.
    assert_eq!(left(&windows, NINE + 2 * MINUTE), [500, 2_497, 9_997]);
    assert_eq!(left(&windows, NINE + 2 * 60 * MINUTE), [500, 2_500, 9_997]);
    assert_eq!(left(&windows, NINE + 2 * 24 * 60 * MINUTE), [500, 2_500, 10_000]);
}

#[test]
fn positions_leave_the_reserve_to_statuses() {
    let mut windows = Windows::default();
    let taken = (0..500).take_while(|_| windows.take(&LIMITS, 0.2, NINE).is_ok()).count();
    assert_eq!(taken, 400);
    let spent = windows.take(&LIMITS, 0.2, NINE).expect_err("the rest is the reserve");
    assert_eq!(spent.limit, "minute");
    assert!((1..=2 * MINUTE).contains(&spent.wait_ms), "{spent:?}");
    let taken = (0..500).take_while(|_| windows.take(&LIMITS, 0.0, NINE).is_ok()).count();
    assert_eq!(taken, 100);
}
