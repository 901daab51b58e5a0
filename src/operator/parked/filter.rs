//! Which parked messages are meant.

use jiff::Timestamp;

use super::entry::Entry;
use super::groups::GroupKey;
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
        self.is_empty() || (self.accepts_one(entry) && self.accepts_group(&GroupKey::of(entry)))
    }

    /// Whether what messages that failed alike have in common passes: then each does that [`Self::accepts_one`] accepts.
    #[must_use]
    pub fn accepts_group(&self, group: &GroupKey) -> bool {
        let GroupKey { provider, account, reason, detail, fingerprint } = group;
        (self.provider.is_empty() || self.provider.iter().any(|wanted| wanted.as_str() == provider))
            && (self.account.is_empty() || self.account.iter().any(|wanted| wanted.as_str() == account))
            && among(&self.reason, reason)
            && among(&self.fingerprint, fingerprint)
            && self.error.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                [reason, detail].into_iter().any(|error| error.to_lowercase().contains(&text))
            })
    }

    /// Whether what a message alone has passes: its delivery, its event and its time.
    #[must_use]
    pub fn accepts_one(&self, entry: &Entry) -> bool {
        let content = &entry.content;
        let is = |wanted: &[String], found: &Option<String>| {
            wanted.is_empty() || found.as_ref().is_some_and(|found| wanted.contains(found))
        };
        let since = entry.since();
        is(&self.delivery, &content.delivery_id)
            && (is(&self.event, &content.provider_event_id) || is(&self.event, &content.event_id))
            && self.since.is_none_or(|bound| since.is_some_and(|since| since >= bound))
            && self.until.is_none_or(|bound| since.is_some_and(|since| since < bound))
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
    #[must_use]
    pub fn accepts(&self, entry: &Entry) -> bool {
        (self.ids.is_empty() || self.ids.contains(&entry.about.id)) && self.filter.accepts(entry)
    }
}
