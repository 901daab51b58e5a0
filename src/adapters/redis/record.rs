//! What the ledger keeps of an event, read for an operator. `claim.lua` describes the fields.

use jiff::Timestamp;

use crate::domain::identity::ReceiptId;
use crate::domain::status::Status;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    Claimed,
    /// A copy waits for its retry.
    Retrying,
    Done,
    Parked,
}

impl EventState {
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
pub struct EventRecord {
    pub state: EventState,
    /// Attempts that failed.
    pub attempt: u32,
    /// Of a claim: when its lease is over. Of a retry: when its copy is due.
    pub deadline: Option<Timestamp>,
    /// Claims that ran out unfinished.
    pub crashes: u32,
    pub receipt: ReceiptId,
    pub status: Option<Status>,
    /// When it was first claimed, and its place in its delivery.
    pub sequence: u64,
    /// When it was marked done.
    pub done_at: Option<Timestamp>,
    /// Why it last failed, in the word of `mp-reason`.
    pub reason: Option<String>,
}

impl EventRecord {
    /// Reads an event from its field and, until it is done, how far it has got: the field for that, or the claim in hand,
    /// which begins with the event's name. `None` when it is none.
    #[must_use]
    pub fn parse(event: &str, progress: Option<String>) -> Option<Self> {
        let mut parts = event.split(',');
        let (receipt, sequence, status) = (parts.next()?, parts.next()?, parts.next()?);
        let mut record = Self {
            state: EventState::Done,
            attempt: 0,
            deadline: None,
            crashes: 0,
            receipt: receipt.parse().ok()?,
            status: Status::from_code(status),
            sequence: sequence.parse().ok()?,
            done_at: parts.next().and_then(time),
            reason: None,
        };
        if let Some(progress) = progress {
            record.progress(&progress)?;
        }
        Some(record)
    }

    /// When it was first claimed: its sequence number is not below the time in ms, and seldom above.
    #[must_use]
    pub fn claimed_at(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.sequence.try_into().ok()?).ok()
    }

    fn progress(&mut self, progress: &str) -> Option<()> {
        let mut parts = progress.split(',');
        self.state = match parts.next()? {
            "P" => EventState::Claimed,
            "R" => EventState::Retrying,
            "K" => EventState::Parked,
            _ => return None,
        };
        self.attempt = parts.next()?.parse().ok()?;
        self.deadline = parts.next().and_then(time);
        self.crashes = parts.next()?.parse().ok()?;
        self.reason = parts.next().filter(|_| self.state != EventState::Claimed).map(str::to_owned);
        Some(())
    }
}

fn time(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}
