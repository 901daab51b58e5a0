//! How many requests were made, and how many may be.
//!
//! HubRise counts in fixed windows, of which its documents do not say where they begin. So requests are counted in
//! sliding ones: wherever the windows begin, no window of HubRise's has more than the limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A window slides in steps of a sixtieth of it, and is that much longer than HubRise's.
const STEPS: u128 = 60;
/// Steps that count beside the present one.
const KEPT: i64 = 60;

/// At most so many requests in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub name: &'static str,
    /// How long the window is.
    pub per: Duration,
    /// How many requests it may have.
    pub requests: u32,
}

/// What was counted for each limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Windows(Vec<Vec<(i64, u32)>>);

/// A request that may not be made yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    pub limit: &'static str,
    /// How long it takes until one may be.
    pub wait_ms: i64,
}

/// How many requests are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub limit: &'static str,
    pub requests: u32,
}

impl Limit {
    fn step_ms(&self) -> i64 {
        i64::try_from(self.per.as_millis().div_ceil(STEPS)).unwrap_or(i64::MAX).max(1)
    }
}

impl Windows {
    /// Counts a request, if every limit has room for it. `reserve` is the share of each limit that it may not touch.
    ///
    /// # Errors
    /// When a limit is spent: the one that takes longest.
    pub fn take(&mut self, limits: &[Limit], reserve: f64, now_ms: i64) -> Result<(), Spent> {
        self.0.resize(limits.len(), Vec::new());
        let mut spent: Option<Spent> = None;
        for (window, limit) in self.0.iter_mut().zip(limits) {
            let step_ms = limit.step_ms();
            let now = now_ms.div_euclid(step_ms);
            window.retain(|(step, _)| *step >= now - KEPT);
            let most = share(limit.requests, 1.0 - reserve);
            if let Some(frees) = frees(window, most) {
                let wait_ms = (frees + KEPT + 1) * step_ms - now_ms;
                if spent.is_none_or(|other| other.wait_ms < wait_ms) {
                    spent = Some(Spent { limit: limit.name, wait_ms });
                }
            }
        }
        if let Some(spent) = spent {
            return Err(spent);
        }
        for (window, limit) in self.0.iter_mut().zip(limits) {
            let now = now_ms.div_euclid(limit.step_ms());
            match window.last_mut() {
                Some((step, count)) if *step >= now => *count += 1,
                _ => window.push((now, 1)),
            }
        }
        Ok(())
    }

    /// How many requests are left of each limit.
    #[must_use]
    pub fn left(&self, limits: &[Limit], now_ms: i64) -> Vec<Left> {
        let used = |at: usize, oldest: i64| {
            let window = self.0.get(at).into_iter().flatten();
            window.filter(|(step, _)| *step >= oldest).map(|(_, count)| count).sum()
        };
        let left = |(at, limit): (usize, &Limit)| {
            let oldest = now_ms.div_euclid(limit.step_ms()) - KEPT;
            Left { limit: limit.name, requests: limit.requests.saturating_sub(used(at, oldest)) }
        };
        limits.iter().enumerate().map(left).collect()
    }
}

/// The step whose requests have to leave the window before another may be made; nothing if there is room.
fn frees(window: &[(i64, u32)], most: u32) -> Option<i64> {
    let mut surplus = (total(window) + 1).checked_sub(most).filter(|surplus| *surplus > 0)?;
    for (step, count) in window {
        surplus = surplus.saturating_sub(*count);
        if surplus == 0 {
            return Some(*step);
        }
    }
    // A limit of nothing never has room; the newest step is as good as any to look again.
    window.last().map(|(step, _)| *step)
}

fn total(window: &[(i64, u32)]) -> u32 {
    window.iter().map(|(_, count)| count).sum()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // From 0 to `whole`.
fn share(whole: u32, share: f64) -> u32 {
    (f64::from(whole) * share.clamp(0.0, 1.0)) as u32
}
