//! What is wrong so far, and the checks that several sections share.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Problem;
use super::sections::{RetryOverride, RetrySection};
use crate::domain::retry::{RetrySchedule, ScheduleError};

/// No timeout needs to be longer, and clocks can add this much without overflowing.
const HOUR_MS: u64 = 3_600_000;
/// Ten years: further away than any deployment looks, and well within what Redis takes as an expiry.
pub(super) const LONGEST_TTL_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// Keys that could not be read, and so have their defaults.
    unread: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, key: &str, message: impl Display) {
        self.problems.push(Problem { key: key.to_owned(), message: message.to_string(), origin: None });
    }

    pub(super) fn warning(&mut self, key: &str, message: impl Display) {
        self.warnings.push(Problem { key: key.to_owned(), message: message.to_string(), origin: None });
    }

    /// Something that could not be read at all, at its key.
    pub(super) fn unread(&mut self, key: &str, message: impl Display) {
        self.problem(key, message);
        self.unread.push(key.to_owned());
    }

    /// Whether everything at `key` and below could be read: what depends on the rest is judged another time.
    pub(super) fn all_read(&self, key: &str) -> bool {
        let beneath = |unread: &String| {
            unread.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !self.unread.iter().any(beneath)
    }

    /// The value, or a problem at its key.
    pub(super) fn value<T>(&mut self, key: &str, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.problem(key, error)).ok()
    }

    /// The number, which must be in `range` and fit its type.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &str,
        number: u64,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let fitting = T::try_from(number).ok().filter(|_| range.contains(&number));
        if fitting.is_none() {
            self.problem(key, format_args!("must be from {} to {}", range.start(), range.end()));
        }
        fitting
    }

    pub(super) fn seconds(&mut self, key: &str, number: u64, range: RangeInclusive<u64>) -> Option<Duration> {
        self.number(key, number, range).map(Duration::from_secs)
    }

    pub(super) fn millis(&mut self, key: &str, number: u64) -> Option<Duration> {
        self.number(key, number, 1..=HOUR_MS).map(Duration::from_millis)
    }

    /// The schedule of the section `key`, or a problem at the key that spoils it.
    pub(super) fn retry(&mut self, key: &str, raw: &RetrySection) -> Option<RetrySchedule> {
        let [initial, cap] = [raw.initial_ms, raw.cap_ms].map(Duration::from_millis);
        let error = match RetrySchedule::try_new(initial, raw.multiplier, cap, raw.jitter) {
            Ok(schedule) => return Some(schedule),
            Err(error) => error,
        };
        let name = match error {
            ScheduleError::Initial => "initial_ms",
            ScheduleError::Cap => "cap_ms",
            ScheduleError::Multiplier => "multiplier",
            ScheduleError::Jitter => "jitter",
        };
        self.problem(&format!("{key}.{name}"), error);
        None
    }

    /// The schedule where a section may have numbers of its own over those of `[retry]`, of which `common` is made.
    pub(super) fn own_retry(
        &mut self,
        key: &str,
        own: Option<&RetryOverride>,
        raw: &RetrySection,
        common: Option<&RetrySchedule>,
    ) -> Option<RetrySchedule> {
        match (own, common) {
            (None, _) => common.cloned(),
            (Some(own), Some(_)) => self.retry(key, &own.over(raw)),
            // What is wrong with `[retry]` was said there: here the section's own numbers alone count.
            (Some(own), None) => self.retry(key, &own.over(&RetrySection::default())),
        }
    }

    /// How long to remember an event: at least twice the resend horizon, or a late resend would be published
    /// again. A default grows with the horizon; a configured number must be right.
    pub(super) fn ttl(
        &mut self,
        key: &str,
        said: Option<u64>,
        default: u64,
        horizon: Option<Duration>,
    ) -> Option<Duration> {
        let least = horizon?.as_secs() * 2;
        let seconds = said.unwrap_or(default.max(least));
        if seconds < least {
            self.problem(key, format_args!("must be at least {least}, twice the resend horizon"));
            return None;
        }
        self.seconds(key, seconds, 1..=LONGEST_TTL_SECONDS)
    }
}
