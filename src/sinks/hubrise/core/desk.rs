//! One connection's desk: whether a request may be made now. Replicas share it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::request::Class;
use super::windows::{Left, Limit, Windows};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Failures in a row from which on HubRise counts as away.
const AWAY_AFTER: u32 = 3;
/// The longest that nothing is sent to a HubRise that is away.
const LONGEST_AWAY_MS: i64 = MINUTE_MS;
/// While a connection is paused, one request in so long looks whether it still has to be.
const PROBE_EVERY_MS: i64 = 5 * MINUTE_MS;
/// So many orders in a row that are not there make a look at the token's location worth it.
const SUSPICIOUS_ABSENCES: u32 = 5;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Desk {
    pub windows: Windows,
    /// Nothing is sent before, as HubRise said too many requests were made.
    pub limited_until_ms: i64,
    /// How often in a row it said so.
    pub limited: u32,
    pub pause: Option<Pause>,
    /// Requests in a row that got no answer of HubRise's.
    pub failures: u32,
    /// Nothing is sent before.
    pub away_until_ms: i64,
    /// Orders in a row that were not there.
    pub absences: u32,
}

/// A pause, until another token is there or a probe succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub reason: PauseReason,
    /// Since when, in milliseconds.
    pub since_ms: i64,
    /// Which token was at fault: a digest of it.
    pub token: String,
    /// When one request may look again.
    pub probe_ms: i64,
}

/// Why a connection is paused. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// 401: the token is no longer valid.
    Unauthorized,
    /// 403: the token does not allow it.
    Forbidden,
    /// The base URL leads to something that has no such paths.
    NoSuchPath,
    /// The token is for another location.
    WrongLocation,
    /// The token's file could not be read.
    NoToken,
}

impl PauseReason {
    /// Every reason, so that each metric label exists from the start.
    pub const ALL: [Self; 5] =
        [Self::Unauthorized, Self::Forbidden, Self::NoSuchPath, Self::WrongLocation, Self::NoToken];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NoSuchPath => "no_such_path",
            Self::WrongLocation => "wrong_location",
            Self::NoToken => "no_token",
        }
    }
}

/// What a connection may spend.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    pub limits: Vec<Limit>,
    /// The share of each that is kept for statuses.
    pub reserve: f64,
}

/// Whether a request may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may; `probe` if it looks whether a pause is over, and why there was one.
    Go { probe: Option<PauseReason> },
    /// Not before so long.
    Wait {
        /// In milliseconds.
        ms: i64,
        why: Why,
    },
}

/// Why a request has to wait. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Paused(PauseReason),
    Spent(&'static str),
    /// HubRise said that too many requests were made.
    Limited,
    /// HubRise does not answer.
    Away,
}

/// What an answer says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// HubRise answered.
    Answered,
    /// HubRise answered, and knows the order.
    Found,
    /// HubRise answered that there is no such order.
    Absent,
    Limited(Option<Duration>),
    /// The token, the URL or the location is wrong.
    Wrong(PauseReason),
    /// No answer of HubRise's.
    Away,
}

impl Desk {
    /// Asks for one request of `class` with the token of this digest.
    pub fn admit(&mut self, budget: &Budget, class: Class, token: &str, now_ms: i64) -> Admission {
        let mut probe = None;
        if let Some(pause) = &mut self.pause {
            if pause.token != token {
                self.pause = None;
            } else if now_ms < pause.probe_ms {
                return Admission::Wait { ms: pause.probe_ms - now_ms, why: Why::Paused(pause.reason) };
            } else {
                pause.probe_ms = now_ms + PROBE_EVERY_MS;
                probe = Some(pause.reason);
            }
        }
        for (until_ms, why) in [(self.limited_until_ms, Why::Limited), (self.away_until_ms, Why::Away)] {
            if now_ms < until_ms {
                return Admission::Wait { ms: until_ms - now_ms, why };
            }
        }
        let reserve = match class {
            Class::Status => 0.0,
            Class::Frequent => budget.reserve,
        };
        match self.windows.take(&budget.limits, reserve, now_ms) {
            Ok(()) => Admission::Go { probe },
            Err(spent) => Admission::Wait { ms: spent.wait_ms, why: Why::Spent(spent.limit) },
        }
    }

    /// Takes down what an answer says. Returns whether that changed anything.
    pub fn note(&mut self, note: Note, token: &str, now_ms: i64) -> bool {
        let before = self.clone();
        match note {
            Note::Away => self.away(now_ms),
            Note::Limited(retry_after) => {
                self.answered();
                self.limited_by_hubrise(retry_after, now_ms);
            }
            Note::Wrong(reason) => {
                self.answered();
                self.pause_for(reason, token, now_ms);
            }
            Note::Absent => {
                self.answered();
                self.limited = 0;
                self.absences = self.absences.saturating_add(1);
                // One that is paused for its location is not told that by an order that is not there.
                self.pause = self.pause.take().filter(|pause| pause.reason == PauseReason::WrongLocation);
            }
            Note::Answered | Note::Found => {
                self.answered();
                (self.limited, self.pause) = (0, None);
                if note == Note::Found {
                    self.absences = 0;
                }
            }
        }
        *self != before
    }

    /// Whether so many orders in a row were not there that the token may be for another location.
    #[must_use]
    pub const fn is_suspicious(&self) -> bool {
        self.absences >= SUSPICIOUS_ABSENCES
    }

    /// The absences are explained: the location is the right one.
    pub const fn clear_suspicion(&mut self) {
        self.absences = 0;
    }

    /// Whether HubRise counts as away.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        self.failures >= AWAY_AFTER
    }

    /// How many requests are left.
    #[must_use]
    pub fn left(&self, budget: &Budget, now_ms: i64) -> Vec<Left> {
        self.windows.left(&budget.limits, now_ms)
    }

    fn answered(&mut self) {
        (self.failures, self.away_until_ms) = (0, 0);
    }

    fn away(&mut self, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(AWAY_AFTER) {
            self.away_until_ms = now_ms + (1_000 << beyond.min(6)).min(LONGEST_AWAY_MS);
        }
    }

    /// As long as HubRise says; else to the next minute, and to the next hour if that did not do. A day's end comes with
    /// one of those hours: where it is, HubRise does not say.
    fn limited_by_hubrise(&mut self, retry_after: Option<Duration>, now_ms: i64) {
        // Several requests under way get the same answer: they are one.
        if now_ms >= self.limited_until_ms {
            self.limited = self.limited.saturating_add(1);
        }
        let window_ms = if self.limited > 1 { HOUR_MS } else { MINUTE_MS };
        let next_ms = (now_ms.div_euclid(window_ms) + 1) * window_ms;
        let said_ms = retry_after.map(|after| {
            now_ms.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)).max(now_ms + 1_000)
        });
        self.limited_until_ms = self.limited_until_ms.max(said_ms.unwrap_or(next_ms));
    }

    fn pause_for(&mut self, reason: PauseReason, token: &str, now_ms: i64) {
        let since_ms = self.pause.as_ref().map_or(now_ms, |pause| pause.since_ms);
        let probe_ms = now_ms + PROBE_EVERY_MS;
        self.pause = Some(Pause { reason, since_ms, token: token.to_owned(), probe_ms });
    }
}
