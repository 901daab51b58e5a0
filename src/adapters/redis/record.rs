//! What the scripts keep of an event, read for a person. `claim.lua` describes it.

use jiff::Timestamp;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A worker has it.
    Claimed,
    /// A copy waits for its retry.
    Retrying,
    /// Its update is published.
    Done,
    /// It waits for a person.
    Parked,
}

impl State {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Parked => "parked",
        }
    }
}

/// An event as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What became of it.
    pub state: State,
    /// Attempts that failed.
    pub attempt: u32,
    /// Of a claim: when its lease is over. Of a retry: when its copy comes back.
    pub deadline: Option<Timestamp>,
    /// Claims that ran out unfinished.
    pub crashes: u32,
    /// Its first receipt; empty when the claim was lost.
    pub receipt: String,
    /// When that was.
    pub received_at: Option<Timestamp>,
    /// When the state last changed.
    pub changed_at: Option<Timestamp>,
    /// Its place in its delivery.
    pub sequence: Option<u64>,
    /// Why it last failed, in the word of `mp-reason`.
    pub reason: Option<String>,
}

impl Record {
    /// Reads an event's value; `None` when it is none.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let [
            state,
            attempt,
            deadline,
            crashes,
            _token,
            receipt,
            received_at,
            _trace,
            _holder,
            changed_at,
            sequence,
            _before,
            reason,
            _overtaken,
        ] = fields(value);
        let state = match state {
            "P" => State::Claimed,
            "R" => State::Retrying,
            "D" => State::Done,
            "K" => State::Parked,
            _ => return None,
        };
        Some(Self {
            state,
            attempt: attempt.parse().unwrap_or_default(),
            deadline: time(deadline).filter(|_| matches!(state, State::Claimed | State::Retrying)),
            crashes: crashes.parse().unwrap_or_default(),
            receipt: receipt.to_owned(),
            received_at: time(received_at),
            changed_at: time(changed_at),
            sequence: sequence.parse().ok(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
        })
    }
}

/// The fields of an event's value; those that an older version did not write are empty.
pub(super) fn fields(value: &str) -> [&str; 14] {
    let mut fields = [""; 14];
    for (field, text) in fields.iter_mut().zip(value.split('|')) {
        *field = text;
    }
    fields
}

/// Milliseconds since 1970; 0 and what is no number are no time.
fn time(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok().filter(|millis| *millis > 0)?).ok()
}
