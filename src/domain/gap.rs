//! A time in which webhooks of a provider may have been missed.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use thiserror::Error;

use super::identity::Account;

/// Who noticed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Witness {
    /// A receiver that could take none, or refused some through no fault of their sender's.
    Receiver,
    /// A receiver that found that there had been none.
    Absence,
    /// An operator said so.
    Operator,
}

impl Witness {
    /// Every witness.
    pub const ALL: [Self; 3] = [Self::Receiver, Self::Absence, Self::Operator];

    /// The word for it.
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
    /// Who noticed it.
    pub witness: Witness,
    /// Of which account, if of one alone.
    pub account: Option<Account>,
    /// When it began.
    pub from: Timestamp,
    /// Until when it is known to have lasted.
    pub until: Timestamp,
    /// How many requests were refused, as far as the witness knows.
    pub refused: u64,
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
