//! What happens often is said now and again.

use std::time::{Duration, Instant};

use milepost::telemetry::seldom::Seldom;

#[test]
fn the_first_time_is_said_and_then_how_often_it_was() {
    let (seldom, begin) = (Seldom::every(Duration::from_mins(1)), Instant::now());
    let at = |seconds| seldom.happened(begin + Duration::from_secs(seconds));
    assert_eq!(at(0), Some(1));
    assert_eq!([at(1), at(30), at(59)], [None; 3]);
    assert_eq!(at(60), Some(4));
    assert_eq!(at(61), None);
    assert_eq!(at(500), Some(2));
}
