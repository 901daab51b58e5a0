//! In which order the webhooks of a delivery are sent, and which of them twice: a function of the seed.

use sha2::{Digest, Sha256};

/// A share: from 0, never, to 1, always.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// Reads one.
    ///
    /// # Errors
    /// What was expected, as text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| "expected a share from 0 to 1".to_owned())
    }

    /// Whether `draw`, from 0 to less than 1, falls into it.
    fn takes(self, draw: impl FnOnce() -> f64) -> bool {
        self.0 > 0.0 && draw() < self.0
    }
}

/// One sending of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Which step of the delivery.
    pub step: u32,
    /// Whether it was sent just before, too.
    pub duplicate: bool,
}

/// What happens to the deliveries of a run on their way.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What chance is made from.
    pub seed: u64,
    /// How many steps each delivery has.
    pub steps: u32,
    /// How many of the steps are swapped with their next.
    pub reorder: Share,
    /// How many of the webhooks are sent twice.
    pub duplicates: Share,
}

impl Plan {
    /// What is sent of the delivery `number`, in this order. A step is swapped once at most, and its duplicate comes
    /// right behind it.
    #[must_use]
    pub fn of(&self, number: u64) -> Vec<Planned> {
        let mut order: Vec<u32> = (0..self.steps).collect();
        let mut at = 0;
        while at + 1 < order.len() {
            if self.reorder.takes(|| self.chance("reorder", number, order[at])) {
                order.swap(at, at + 1);
                at += 1;
            }
            at += 1;
        }
        let sendings = |step| {
            let duplicated = self.duplicates.takes(|| self.chance("duplicate", number, step));
            let duplicate = duplicated.then_some(Planned { step, duplicate: true });
            std::iter::once(Planned { step, duplicate: false }).chain(duplicate)
        };
        order.into_iter().flat_map(sendings).collect()
    }

    /// From 0 to less than 1, the same for the same question on any machine and with any version of any library.
    #[allow(clippy::cast_precision_loss)] // 53 bits are what an f64 holds exactly.
    fn chance(&self, question: &str, number: u64, step: u32) -> f64 {
        let digest = Sha256::digest(format!("{question}/{}/{number}/{step}", self.seed));
        let bits = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}
