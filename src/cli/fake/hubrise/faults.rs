//! What the stand-in does instead of answering, on demand.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One kind of trouble, for so many requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(rename = "do")]
    pub trouble: FaultKind,
    /// Only to requests of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only to requests whose path ends so.
    #[serde(default)]
    pub path_ends: Option<String>,
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 500, and nothing was done.
    Error,
    /// 500, although it was done.
    ErrorAfterEffect,
    /// No answer, and nothing was done.
    Silence,
    /// No answer, although it was done.
    SilenceAfterEffect,
    /// 429, with `Retry-After` if there are seconds.
    TooMany(Option<u64>),
    /// A web page with this code.
    Page(u16),
    /// 200 and a body of so many bytes.
    Huge(usize),
    /// 200 and JSON of other types than documented.
    WrongTypes,
    /// A redirect to somewhere else.
    Redirect,
    /// 401 or 403, in HubRise's form.
    Denied(u16),
    /// 422, naming this field.
    Refused(FieldName),
    /// The answer, after so many milliseconds.
    Slow(u64),
}

/// A short name of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldName {
    DriverPhone,
    Status,
    Nothing,
}

impl FieldName {
    /// HubRise's name of it.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::DriverPhone => Some("driver_phone"),
            Self::Status => Some("status"),
            Self::Nothing => None,
        }
    }
}

/// The faults that are due.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds faults to those there are.
    pub fn add(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.0.extend(faults);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The trouble that a request is in for, which is then used up.
    pub fn next(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let fits = |fault: &Fault| {
            fault.times > 0
                && fault.method.as_deref().is_none_or(|own| own == method)
                && fault.path_ends.as_deref().is_none_or(|end| path.ends_with(end))
        };
        let at = self.0.iter().position(fits)?;
        let fault = &mut self.0[at];
        fault.times -= 1;
        let trouble = fault.trouble;
        if fault.times == 0 {
            self.0.remove(at);
        }
        Some(trouble)
    }
}

/// HubRise's limits: so many requests in each of these windows.
#[derive(Debug, Clone)]
pub struct StandInLimits {
    windows: Vec<(Duration, u32)>,
    counts: Vec<(i64, u32)>,
}

impl StandInLimits {
    /// So many requests a minute, an hour and a day; each `faster` times shorter.
    #[must_use]
    pub fn new(minute: u32, hour: u32, day: u32, faster: u32) -> Self {
        let [minutes, hours, days] =
            [Duration::from_mins(1), Duration::from_hours(1), Duration::from_hours(24)]
                .map(|per| per / faster.max(1));
        let windows = vec![(minutes, minute), (hours, hour), (days, day)];
        let counts = vec![(i64::MIN, 0); windows.len()];
        Self { windows, counts }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// One too many: how many seconds the window still lasts.
    pub fn count(&mut self, now_ms: i64) -> Result<(), u64> {
        let mut longest = None;
        for ((per, most), (window, count)) in self.windows.iter().zip(&mut self.counts) {
            let per_ms = i64::try_from(per.as_millis()).unwrap_or(i64::MAX).max(1);
            let now = now_ms.div_euclid(per_ms);
            if *window != now {
                (*window, *count) = (now, 0);
            }
            *count += 1;
            if *count > *most {
                let left_ms = (now + 1) * per_ms - now_ms;
                longest = longest.max(Some(u64::try_from(left_ms).unwrap_or_default().div_ceil(1000)));
            }
        }
        longest.map_or(Ok(()), Err)
    }
}
