//! The account of a drill: what became of each webhook, by what its provider and what subscribers got.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::identity::{ReceiptId, Way};
use crate::domain::provider::ProviderId;
use crate::operator::why::Publication;

use super::play::PlayedWebhook;

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Its first try was accepted, and subscribers have it.
    AtOnce,
    /// It was accepted into the spool, and subscribers have it.
    Spooled,
    /// A later try was accepted, and subscribers have it.
    CameAgain,
    /// Subscribers have what it says from the provider, which was asked.
    Pulled,
    /// It was given up, and subscribers have a later state of the delivery.
    PassedOver,
    /// Subscribers have neither it nor anything later of its delivery, though a store took it, or could have, or the
    /// provider could be asked.
    LostInReach,
    /// The same, and there was no way to have it: its provider gave it up, and no webhook of its delivery ever came.
    LostOutOfReach,
}

impl Ending {
    /// Every ending, as an account shows them.
    pub const ALL: [Self; 7] = [
        Self::AtOnce,
        Self::Spooled,
        Self::CameAgain,
        Self::Pulled,
        Self::PassedOver,
        Self::LostInReach,
        Self::LostOutOfReach,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Spooled => "spooled",
            Self::CameAgain => "came_again",
            Self::Pulled => "pulled",
            Self::PassedOver => "passed_over",
            Self::LostInReach => "lost_in_reach",
            Self::LostOutOfReach => "lost_out_of_reach",
        }
    }

    /// Whether its webhook has to be named one by one.
    #[must_use]
    pub const fn is_listed(self) -> bool {
        matches!(self, Self::PassedOver | Self::LostInReach | Self::LostOutOfReach)
    }
}

type DeliveryOf = (ProviderId, String);

#[derive(Default)]
pub struct SeenUpdates(BTreeMap<(String, String), Vec<Publication>>);

impl SeenUpdates {
    pub fn add(&mut self, publication: Publication) {
        let of = (publication.data.provider.clone(), publication.subject.clone());
        self.0.entry(of).or_default().push(publication);
    }

    fn of(&self, played: &PlayedWebhook) -> &[Publication] {
        let planned = &played.planned;
        let of = (planned.provider.id().as_str().to_owned(), planned.delivery_id.clone());
        self.0.get(&of).map_or(&[], Vec::as_slice)
    }

    /// Whether subscribers have what the webhook says: from it, or, where the provider was asked, from the answer.
    fn has(&self, played: &PlayedWebhook) -> Option<Way> {
        // A copy that the broker took without confirming it has the receipt of before it was spooled.
        let receipts: BTreeSet<_> = played.receipts.iter().map(|receipt| receipt.spooled()).collect();
        let of = self.of(played);
        let sent = of.iter().filter_map(|one| one.data.receipt_id.parse::<ReceiptId>().ok());
        if sent.into_iter().any(|receipt| receipts.contains(&receipt.spooled())) {
            return Some(Way::Push);
        }
        let says_it =
            |one: &&Publication| one.is_pulled() && one.data.raw_status == played.planned.raw_status;
        of.iter().find(says_it).map(|_| Way::Pull)
    }
}

/// What became of each, in the order of `played`. `spools` says of whom the fleet has a spool.
#[must_use]
pub fn endings(
    played: &[PlayedWebhook],
    received: &SeenUpdates,
    spools: impl Fn(ProviderId) -> bool,
) -> Vec<Ending> {
    let has: Vec<_> = played.iter().map(|one| received.has(one)).collect();
    let mut furthest: BTreeMap<DeliveryOf, u32> = BTreeMap::new();
    for (one, _) in played.iter().zip(&has).filter(|(_, has)| has.is_some()) {
        let step = furthest.entry(delivery_of(one)).or_default();
        *step = one.planned.step.max(*step);
    }
    let ending = |(one, has): (&PlayedWebhook, &Option<Way>)| {
        let (provider, is_first) = (one.planned.provider, one.tries == 1);
        let is_passed = furthest.get(&delivery_of(one)).is_some_and(|step| *step > one.planned.step);
        match (one.accepted.map(ReceiptId::way), has) {
            // What was accepted after the answer is a duplicate of it; else it is lost, and the answer is what there is.
            (_, Some(Way::Pull)) => Ending::Pulled,
            (Some(Way::Spool), Some(_)) => Ending::Spooled,
            (Some(_), Some(_)) if is_first => Ending::AtOnce,
            // Or the broker took it, and its confirm was lost.
            (Some(_), Some(_)) | (None, Some(Way::Push | Way::Spool)) => Ending::CameAgain,
            (Some(_), None) => Ending::LostInReach,
            // What is sound is never refused for good.
            (None, None) if one.is_refused => Ending::LostInReach,
            (None, None) if is_passed => Ending::PassedOver,
            (None, None) => {
                let is_known = !received.of(one).is_empty();
                let in_reach = spools(provider.id()) || is_known && provider.pull().is_some();
                if in_reach { Ending::LostInReach } else { Ending::LostOutOfReach }
            }
        }
    };
    played.iter().zip(&has).map(ending).collect()
}

fn delivery_of(one: &PlayedWebhook) -> DeliveryOf {
    (one.planned.provider.id(), one.planned.delivery_id.clone())
}
