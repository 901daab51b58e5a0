use std::time::Duration;

use milepost::domain::retry::{RetrySchedule, ScheduleError};
use proptest::prelude::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn intervals(schedule: &RetrySchedule, sample: f64) -> Vec<Duration> {
    (0..).map_while(|attempt| schedule.delay_after(attempt, sample)).collect()
}

#[test]
fn the_default_is_telyports_rule() {
    let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 2100].map(seconds);
    let schedule = RetrySchedule::default();
    assert_eq!(intervals(&schedule, 0.0), expected);
    assert_eq!(schedule.attempts(), 14);
}

#[test]
fn after_thirteen_waits_a_person_takes_over() {
    let schedule = RetrySchedule::default();
    assert_eq!(schedule.delay_after(12, 0.0), Some(seconds(2100)));
    for attempt in [13, 14, 1000, u32::MAX] {
        assert_eq!(schedule.delay_after(attempt, 0.0), None);
    }
}

#[test]
fn jitter_takes_up_to_its_share_and_leaves_a_second() {
    let schedule = RetrySchedule::default();
    assert_eq!(schedule.delay_after(12, 1.0), Some(seconds(1680)));
    assert_eq!(schedule.delay_after(3, 0.5), Some(Duration::from_millis(7200)));
    assert_eq!(schedule.delay_after(0, 1.0), Some(seconds(1)));
    let without = RetrySchedule::try_new(seconds(10), 2.0, seconds(20), 0.0).expect("valid");
    assert_eq!(intervals(&without, 1.0), [seconds(10), seconds(20)]);
}

#[test]
fn the_first_interval_may_be_the_cap() {
    let schedule = RetrySchedule::try_new(seconds(5), 2.0, seconds(5), 0.0).expect("valid");
    assert_eq!(intervals(&schedule, 0.0), [seconds(5)]);
    assert_eq!(schedule.attempts(), 2);
}

#[test]
fn a_cap_finer_than_a_millisecond_is_reached() {
    let cap = Duration::from_micros(2_000_500);
    let schedule = RetrySchedule::try_new(seconds(1), 2.0, cap, 0.0).expect("valid");
    assert_eq!(intervals(&schedule, 0.0), [seconds(1), seconds(2)]);
}

#[test]
fn numbers_that_make_no_schedule_are_refused() {
    let refused = |initial, multiplier, cap, jitter| {
        RetrySchedule::try_new(initial, multiplier, cap, jitter).expect_err("refused")
    };
    let (one, ten) = (seconds(1), seconds(10));
    assert_eq!(refused(Duration::ZERO, 2.0, ten, 0.2), ScheduleError::Initial);
    assert_eq!(refused(Duration::from_millis(999), 2.0, ten, 0.2), ScheduleError::Initial);
    assert_eq!(refused(seconds(11), 2.0, ten, 0.2), ScheduleError::Initial);
    assert_eq!(refused(one, 2.0, Duration::ZERO, 0.2), ScheduleError::Initial);
    assert_eq!(refused(one, 2.0, seconds(4096), 0.2), ScheduleError::Cap);
    assert_eq!(refused(one, 2.0, seconds(4095) + Duration::from_nanos(1), 0.2), ScheduleError::Cap);
    assert_eq!(refused(one, 2.0, Duration::MAX, 0.2), ScheduleError::Cap);
    for multiplier in [0.0, 1.0, 1.09, 10.1, -2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(one, multiplier, ten, 0.2), ScheduleError::Multiplier, "{multiplier}");
    }
    for jitter in [-0.1, 0.91, 1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(one, 2.0, ten, jitter), ScheduleError::Jitter, "{jitter}");
    }
}

/// Valid numbers, to the microsecond.
fn any_schedule() -> impl Strategy<Value = (Duration, f64, Duration, f64)> {
    (1_000_000_u64..=4_095_000_000, 1_000_000_u64..=4_095_000_000, 1.1_f64..=10.0, 0.0_f64..=0.9).prop_map(
        |(one, other, multiplier, jitter)| {
            let (initial, cap) =
                (Duration::from_micros(one.min(other)), Duration::from_micros(one.max(other)));
            (initial, multiplier, cap, jitter)
        },
    )
}

proptest! {
    #[test]
    fn intervals_grow_to_the_cap_and_end((initial, multiplier, cap, jitter) in any_schedule()) {
        let schedule = RetrySchedule::try_new(initial, multiplier, cap, jitter).expect("valid");
        let intervals = intervals(&schedule, 0.0);
        prop_assert_eq!(intervals.len() + 1, schedule.attempts());
        prop_assert!(intervals.len() <= 90);
        prop_assert!(intervals.is_sorted());
        let millisecond = Duration::from_millis(1);
        prop_assert!(intervals[0] <= initial && initial < intervals[0] + millisecond);
        let last = intervals[intervals.len() - 1];
        prop_assert!(last <= cap && cap < last + millisecond);
    }

    #[test]
    fn jitter_only_shortens((initial, multiplier, cap, jitter) in any_schedule(), sample in -0.5_f64..1.5) {
        let schedule = RetrySchedule::try_new(initial, multiplier, cap, jitter).expect("valid");
        for (full, jittered) in intervals(&schedule, 0.0).into_iter().zip(intervals(&schedule, sample)) {
            prop_assert!(jittered <= full && jittered <= cap);
            prop_assert!(jittered >= Duration::from_secs(1).max(full.mul_f64(0.0999)));
        }
    }
}
