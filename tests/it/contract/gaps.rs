//! What the record of gaps promises, in memory and in Redis.

use milepost::adapters::memory::MemoryGaps;
use milepost::domain::gap::{Gap, Witness};
use milepost::domain::provider::ProviderId;
use milepost::ports::{Gaps, MOST_GAPS};

use crate::support::fixtures::{account, at};
use crate::support::servers::{redis_gaps_at, redis_url};

/// A provider of each test's own: the shared Redis remembers every test's gaps.
fn provider() -> ProviderId {
    ProviderId::new(account().as_str().to_owned().leak())
}

/// Makes a test of each function, on both.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryGaps::default()).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::redis_gaps_at(&super::redis_url())).await;
            })*
        }
    };
}

on_both! {
    a_gap_is_kept_as_it_was_noted_last
    gaps_are_listed_from_a_time_on_by_their_beginning
    providers_stand_apart
    the_oldest_beyond_the_bound_are_forgotten
}

fn gap(from: i64, until: i64) -> Gap {
    Gap { witness: Witness::Receiver, account: None, from: at(from), until: at(until), refused: 3 }
}

async fn a_gap_is_kept_as_it_was_noted_last(gaps: &dyn Gaps) {
    let provider = provider();
    gaps.note(provider, "one", &gap(10, 20)).await.unwrap();
    let longer = Gap { refused: 9, account: Some(account()), witness: Witness::Operator, ..gap(10, 30) };
    gaps.note(provider, "one", &longer).await.unwrap();
    assert_eq!(gaps.since(provider, at(0)).await.unwrap(), [longer]);
}

async fn gaps_are_listed_from_a_time_on_by_their_beginning(gaps: &dyn Gaps) {
    let provider = provider();
    for (name, gap) in [("late", gap(50, 60)), ("long", gap(10, 100)), ("over", gap(1, 20))] {
        gaps.note(provider, name, &gap).await.unwrap();
    }
    assert_eq!(gaps.since(provider, at(21)).await.unwrap(), [gap(10, 100), gap(50, 60)]);
    assert_eq!(gaps.since(provider, at(20)).await.unwrap().len(), 3, "one that ends then is among them");
}

async fn providers_stand_apart(gaps: &dyn Gaps) {
    gaps.note(ProviderId::new("another"), "one", &gap(1, 2)).await.unwrap();
    assert_eq!(gaps.since(provider(), at(0)).await.unwrap(), []);
}

async fn the_oldest_beyond_the_bound_are_forgotten(gaps: &dyn Gaps) {
    let provider = provider();
    let most = i64::try_from(MOST_GAPS).unwrap();
    for end in 0..=most {
        gaps.note(provider, &end.to_string(), &gap(0, end)).await.unwrap();
    }
    let kept = gaps.since(provider, at(0)).await.unwrap();
    assert_eq!(kept.len(), MOST_GAPS);
    assert_eq!(kept.iter().map(|gap| gap.until).min(), Some(at(1)));
}
