//! The order of the webhooks of a delivery, and whose turn it is.

use std::collections::BTreeSet;

use milepost::cli::send::plan::{Plan, Planned, Share};
use milepost::cli::send::schedule::Schedule;
use proptest::prelude::*;

use crate::fake::share;

fn plan(seed: u64, steps: u32, reorder: &str, duplicates: &str) -> Plan {
    Plan { seed, steps, reorder: share(reorder), duplicates: share(duplicates) }
}

fn steps(planned: &[Planned]) -> Vec<u32> {
    planned.iter().map(|planned| planned.step).collect()
}

#[test]
fn shares() {
    for wrong in ["", "-0.1", "1.01", "half", "NaN", "inf"] {
        assert!(Share::parse(wrong).is_err(), "{wrong}");
    }
    assert!(Share::parse("0").is_ok() && Share::parse("1").is_ok() && Share::parse("0.25").is_ok());
}

#[test]
fn steps_are_in_order_by_default() {
    assert_eq!(steps(&plan(7, 5, "0", "0").of(0)), [0, 1, 2, 3, 4]);
}

#[test]
fn shares_of_one_swap_and_repeat_every_step() {
    assert_eq!(steps(&plan(7, 5, "1", "0").of(0)), [1, 0, 3, 2, 4]);
    let both = plan(7, 3, "1", "1").of(0);
    assert_eq!(steps(&both), [1, 1, 0, 0, 2, 2]);
    let duplicates: Vec<_> = both.iter().map(|planned| planned.duplicate).collect();
    assert_eq!(duplicates, [false, true, false, true, false, true]);
}

/// The draws were computed apart, with Python's hashlib.
#[test]
fn chance_is_the_same_everywhere() {
    let swapped: Vec<_> = (0..6).map(|number| steps(&plan(7, 3, "0.5", "0").of(number))).collect();
    assert_eq!(swapped, [[1, 0, 2], [0, 1, 2], [1, 0, 2], [0, 1, 2], [1, 0, 2], [1, 0, 2]]);
    let twice: Vec<_> = (0..6).map(|number| steps(&plan(7, 3, "0", "0.5").of(number))).collect();
    assert_eq!(
        twice,
        [
            vec![0, 1, 1, 2],
            vec![0, 0, 1, 1, 2, 2],
            vec![0, 1, 2],
            vec![0, 1, 1, 2],
            vec![0, 1, 1, 2, 2],
            vec![0, 0, 1, 1, 2, 2]
        ]
    );
}

#[test]
fn shares_are_kept_over_many_deliveries() {
    let plan = plan(11, 6, "0.2", "0.1");
    let (mut twice, mut late) = (0, 0);
    for number in 0..2000 {
        let planned = plan.of(number);
        twice += planned.iter().filter(|planned| planned.duplicate).count();
        let order = steps(&planned);
        late += order.windows(2).filter(|pair| pair[1] < pair[0]).count();
    }
    // Of 12000 webhooks a tenth; of 10000 pairs a fifth, less those that a swap before took a step of.
    assert!((1100..1300).contains(&twice), "{twice}");
    assert!((1550..1850).contains(&late), "{late}");
}

proptest! {
    #[test]
    fn every_step_is_sent_and_none_is_more_than_one_place_away(
        seed: u64, number: u64, count in 0_u32..12, reorder in 0.0..=1.0, duplicates in 0.0..=1.0,
    ) {
        let plan = plan(seed, count, &f64::to_string(&reorder), &f64::to_string(&duplicates));
        let planned = plan.of(number);
        prop_assert_eq!(&planned, &plan.of(number));
        let first: Vec<_> = planned.iter().filter(|planned| !planned.duplicate).map(|planned| planned.step).collect();
        let all: BTreeSet<_> = first.iter().copied().collect();
        prop_assert!(first.len() == all.len() && all.into_iter().eq(0..count));
        for (at, step) in (0..).zip(&first) {
            prop_assert!(step.abs_diff(at) <= 1);
        }
        for (at, duplicate) in planned.iter().enumerate().filter(|(_, planned)| planned.duplicate) {
            prop_assert_eq!(planned[at - 1], Planned { duplicate: false, ..*duplicate });
        }
    }

    /// However the webhooks end, each delivery's come one after another, and no more are begun than asked.
    #[test]
    fn a_schedule_deals_out_everything_once(
        count in 1_u64..6,
        at_once in 1_usize..5,
        choices in prop::collection::vec((any::<bool>(), 0_usize..5), 200),
    ) {
        let plan = plan(3, 4, "0", "0.3");
        let mut schedule = Schedule::new(plan, count, at_once);
        let (mut sent, mut under_way) = (vec![Vec::new(); 6], Vec::new());
        for (send, which) in choices {
            prop_assert!(!schedule.has_turn() || under_way.len() < at_once);
            if send && schedule.has_turn() {
                let (itinerary, planned) = schedule.turn().expect("it has one");
                let number = itinerary.number;
                prop_assert!(under_way.iter().all(|(other, _)| *other != number), "one at a time");
                sent[usize::try_from(number).expect("small")].push(planned);
                under_way.push((number, itinerary));
                prop_assert!(under_way.len() <= at_once);
            } else if !under_way.is_empty() {
                let (_, itinerary) = under_way.remove(which % under_way.len());
                prop_assert_eq!(schedule.put_back(itinerary, true), 0);
            }
        }
        while !schedule.is_over() {
            match schedule.turn() {
                Some((itinerary, planned)) => {
                    sent[usize::try_from(itinerary.number).expect("small")].push(planned);
                    under_way.push((itinerary.number, itinerary));
                }
                None => {
                    let (_, itinerary) = under_way.pop().expect("one is under way");
                    schedule.put_back(itinerary, true);
                }
            }
        }
        for (number, sent) in (0..count).zip(&sent) {
            prop_assert_eq!(sent, &plan.of(number));
        }
    }
}

#[test]
fn a_delivery_whose_webhook_is_not_accepted_ends_there() {
    let mut schedule = Schedule::new(plan(7, 5, "0", "0"), 2, 1);
    assert_eq!(schedule.webhooks(), 10);
    let (first, _) = schedule.turn().expect("the first delivery's first");
    assert!(!schedule.has_turn() && schedule.turn().is_none());
    assert_eq!(schedule.put_back(first, true), 0);
    let (first, planned) = schedule.turn().expect("the first delivery's second");
    assert_eq!((first.number, planned.step), (0, 1));
    assert_eq!(schedule.put_back(first, false), 3);
    let (second, planned) = schedule.turn().expect("the second delivery's first");
    assert_eq!((second.number, planned.step), (1, 0));
    assert_eq!(schedule.put_back(second, false), 4);
    assert!(schedule.is_over() && !schedule.has_turn());
}
