//! Which parked messages are meant.

use jiff::Timestamp;

use super::entry::Entry;
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::operator::parked_of;
use crate::operator::when::when;
use crate::{providers, sinks};

/// All that is said must hold; of one option given several times, one.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which messages")]
pub struct Filter {
    /// Of this provider, or of a sink such as sink-hubrise
    #[arg(long, value_parser = parked_of)]
    pub provider: Vec<ProviderId>,
    /// For this account
    #[arg(long)]
    pub account: Vec<Account>,
    /// Parked for this reason, such as `malformed` or `retries_exhausted`
    #[arg(long)]
    pub reason: Vec<String>,
    /// With this failure fingerprint, as `summary` shows it
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Vec<String>,
    /// About this delivery
    #[arg(long, value_name = "ID")]
    pub delivery: Vec<String>,
    /// About this event: the provider's id of it, or the published one
    #[arg(long, value_name = "ID")]
    pub event: Vec<String>,
    /// Parked since then: so long ago, such as 2h, or a time such as 10:30 or 2026-01-02T03:04:05Z
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<Timestamp>,
    /// Parked before then
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// With this text in the reason or the detail, in any case
    #[arg(long, value_name = "TEXT")]
    pub error: Option<String>,
}

impl Filter {
    /// The providers whose queues are looked at.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderId> {
        let all = providers::ALL.iter().map(|provider| provider.id()).chain(sinks::ALL);
        all.filter(|id| among(&self.provider, id)).collect()
    }

    /// Whether it lets everything pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { provider, account, reason, fingerprint, delivery, event, since, until, error } = self;
        provider.is_empty()
            && account.is_empty()
            && [reason, fingerprint, delivery, event].iter().all(|values| values.is_empty())
            && since.is_none()
            && until.is_none()
            && error.is_none()
    }

    /// Whether a message passes. One without a time passes no bound on time.
    #[must_use]
    pub fn accepts(&self, entry: &Entry) -> bool {
        let (about, content) = (&entry.about, &entry.content);
        let is = |wanted: &[String], found: &Option<String>| {
            wanted.is_empty() || found.as_ref().is_some_and(|found| wanted.contains(found))
        };
        let since = entry.since();
        among(&self.provider, &about.provider)
            && (self.account.is_empty() || about.account.as_ref().is_some_and(|it| self.account.contains(it)))
            && among(&self.reason, &about.reason)
            && (self.fingerprint.is_empty() || self.fingerprint.contains(&about.fingerprint()))
            && is(&self.delivery, &content.delivery_id)
            && (is(&self.event, &content.provider_event_id) || is(&self.event, &content.event_id))
            && self.since.is_none_or(|bound| since.is_some_and(|since| since >= bound))
            && self.until.is_none_or(|bound| since.is_some_and(|since| since < bound))
            && self.error.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                [Some(&about.reason), about.detail.as_ref()]
                    .into_iter()
                    .flatten()
                    .any(|error| error.to_lowercase().contains(&text))
            })
    }
}

fn among<T: PartialEq>(wanted: &[T], found: &T) -> bool {
    wanted.is_empty() || wanted.contains(found)
}

/// Which messages a command that changes something is about: never all of them by mistake.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selection {
    /// These, by id
    #[arg(value_name = "ID", required_unless_present_any = ["all", "provider", "account", "reason", "fingerprint", "delivery", "event", "since", "until", "error"])]
    pub ids: Vec<String>,
    /// All there are
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// All that pass the filter.
    #[command(flatten)]
    pub filter: Filter,
}

impl Selection {
    /// Whether it is meant.
    #[must_use]
    pub fn accepts(&self, entry: &Entry) -> bool {
        (self.ids.is_empty() || self.ids.contains(&entry.about.id)) && self.filter.accepts(entry)
    }
}
