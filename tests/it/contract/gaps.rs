//! What the record of gaps promises, in memory and in Redis.

use milepost::adapters::memory::MemoryGaps;
use milepost::domain::gap::{ContentDigest, Gap, Witness};
use milepost::domain::provider::ProviderId;
use milepost::ports::{Gaps, MOST_CONTENTS, MOST_GAPS};

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
    a_refused_webhook_is_awaited_until_it_was_accepted
    the_oldest_refused_beyond_the_bound_are_forgotten
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

async fn a_refused_webhook_is_awaited_until_it_was_accepted(gaps: &dyn Gaps) {
    let provider = provider();
    let digest = ContentDigest::of(&account(), b"{}");
    let known = async || {
        let contents = gaps.contents(provider, at(5)).await.unwrap();
        contents.into_iter().map(|one| (one.digest, one.refused_at, one.came_again())).collect::<Vec<_>>()
    };
    assert_eq!(known().await, []);
    gaps.accepted(provider, &[]).await.unwrap();
    gaps.refused(provider, &[(digest, at(10)), (ContentDigest::of(&account(), b"older"), at(4))])
        .await
        .unwrap();
    assert_eq!(known().await, [(digest, at(10), false)]);
    gaps.accepted(provider, &[(digest, at(12))]).await.unwrap();
    assert_eq!(known().await, [(digest, at(10), true)]);
    // What is noted again, and late, changes nothing.
    gaps.refused(provider, &[(digest, at(9))]).await.unwrap();
    gaps.accepted(provider, &[(digest, at(11))]).await.unwrap();
    assert_eq!(known().await, [(digest, at(10), true)]);
    gaps.refused(provider, &[(digest, at(13))]).await.unwrap();
    assert_eq!(known().await, [(digest, at(13), false)]);
}

async fn the_oldest_refused_beyond_the_bound_are_forgotten(gaps: &dyn Gaps) {
    let (provider, most) = (provider(), i64::try_from(MOST_CONTENTS).unwrap());
    let contents: Vec<_> =
        (0..=most).map(|number| (ContentDigest::of(&account(), &number.to_be_bytes()), at(number))).collect();
    gaps.refused(provider, &contents).await.unwrap();
    let kept = gaps.contents(provider, at(0)).await.unwrap();
    assert_eq!(kept.len(), MOST_CONTENTS);
    assert_eq!(kept.iter().map(|content| content.refused_at).min(), Some(at(1)));
}
