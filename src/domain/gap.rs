//! A time in which webhooks of a provider may have been missed.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::identity::Account;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Witness {
    /// A receiver that could take none, or refused some through no fault of their sender's.
    Receiver,
    /// A receiver that found that there had been none.
    Absence,
    Operator,
}

impl Witness {
    pub const ALL: [Self; 3] = [Self::Receiver, Self::Absence, Self::Operator];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Absence => "absence",
            Self::Operator => "operator",
        }
    }
}

/// A time in which webhooks of a provider may have been missed. Its ends are to the millisecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub witness: Witness,
    /// Of which account, if of one alone.
    pub account: Option<Account>,
    pub from: Timestamp,
    /// Until when it is known to have lasted.
    pub until: Timestamp,
    /// How many requests were refused, as far as the witness knows.
    pub refused: u64,
}

/// What tells a refused webhook from others: a digest of its account and its body, and nothing that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentDigest(u64);

impl ContentDigest {
    /// Of a webhook of `account`.
    #[must_use]
    pub fn of(account: &Account, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        // No account's name has a zero byte.
        hash.update(account.as_str());
        hash.update([0]);
        hash.update(body);
        Self(hash.finalize().iter().take(8).fold(0, |digest, byte| digest << 8 | u64::from(*byte)))
    }
}

/// 16 hex digits.
impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ContentDigest {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// A webhook that was refused, through no fault of its sender's, after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedContent {
    pub digest: ContentDigest,
    /// When it was refused last.
    pub refused_at: Timestamp,
    /// When the same was last accepted, if it ever was.
    pub accepted_at: Option<Timestamp>,
}

impl RefusedContent {
    /// Whether it surely came again. Where it did not, it may have: with another body, or not where that was seen.
    #[must_use]
    pub fn came_again(&self) -> bool {
        self.accepted_at >= Some(self.refused_at)
    }
}

/// Text that is no gap.
#[derive(Debug, Error)]
#[error("not a gap")]
pub struct GapError;

/// `witness,from ms,until ms,refused,account or nothing`.
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from.as_millisecond(), self.until.as_millisecond());
        let account = self.account.as_ref().map_or("", Account::as_str);
        write!(f, "{},{from},{until},{},{account}", self.witness.as_str(), self.refused)
    }
}

impl FromStr for Gap {
    type Err = GapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(GapError)
    }
}

fn parse(text: &str) -> Option<Gap> {
    let mut parts = text.splitn(5, ',');
    let word = parts.next()?;
    let witness = Witness::ALL.into_iter().find(|witness| witness.as_str() == word)?;
    let mut time = || Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok();
    let (from, until) = (time()?, time()?);
    let refused = parts.next()?.parse().ok()?;
    let account = match parts.next()? {
        "" => None,
        name => Some(name.parse().ok()?),
    };
    Some(Gap { witness, account, from, until, refused })
}
