//! Chance: the jitter of pauses, and what tells claims and receipts apart.
//!
//! It comes from the system's generator, unless the thread was given a seed: then all that chance decides on it can be
//! decided again in the same way. Only the simulation does that (docs/simulation.md).

use std::cell::Cell;

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

thread_local! {
    static SEEDED: Cell<Option<Box<StdRng>>> = const { Cell::new(None) };
}

/// A random value: uniform, for a float in `0..1`.
#[must_use]
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    match SEEDED.take() {
        None => rand::random(),
        Some(mut generator) => {
            let value = generator.random();
            SEEDED.set(Some(generator));
            value
        }
    }
}

/// From now on, what [`random`] returns on this thread follows from `seed`.
pub fn seed(seed: u64) {
    SEEDED.set(Some(Box::new(StdRng::seed_from_u64(seed))));
}
