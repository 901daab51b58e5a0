//! The key of a delivery.

use std::fmt;

use crate::domain::identity::DeliveryKey;

/// What all keys of deliveries start with.
pub(super) const PREFIX: &str = "mp:{";

/// A delivery's key: `mp:{<provider>:<account>:<delivery>}`. The braces keep what is ever put beside it in its slot of a
/// Redis Cluster.
pub(super) struct DeliveryKeyText<'a>(pub(super) &'a DeliveryKey);

impl fmt::Display for DeliveryKeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeliveryKey { provider, account, delivery_id } = self.0;
        write!(f, "{PREFIX}{provider}:{account}:{delivery_id}}}")
    }
}
