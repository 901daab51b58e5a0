//! A provider's own list of events that it could not hand over: it has them without their deliveries being known to us. No
//! event is acknowledged here, so that the provider still sends it by itself.

use std::time::Duration;

use bytes::Bytes;

use super::pull::{NoAnswer, PullAnswer, PullRequest};
use super::secret::Secret;

/// How the list is read. Pure: requests and answers are values.
pub trait EventList: Sync + Send {
    /// For how long at most an event is on the list.
    fn keeps_for(&self) -> Duration;

    /// What asks for the list, or for what follows `cursor` on it, with the token or else the credential.
    fn list(&self, cursor: Option<&str>, with: &Secret) -> PullRequest;

    /// The ids of the list's events that are deliveries' own.
    ///
    /// # Errors
    /// Why there are none to read.
    fn read_list(&self, answer: &PullAnswer) -> Result<Vec<String>, NoAnswer>;

    /// What asks for one of them.
    fn event(&self, id: &str, with: &Secret) -> PullRequest;

    /// The webhook of that event, as the provider sends it.
    ///
    /// # Errors
    /// Why there is none.
    fn read_event(&self, id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer>;
}
