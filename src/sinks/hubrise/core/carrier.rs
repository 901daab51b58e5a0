//! Who carries a provider's deliveries, as HubRise is given it. Both are fixed once a delivery is made, so they depend on
//! nothing that a later update may say otherwise.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// The name that people see.
    pub name: String,
    /// What identifies it: deliveries that have it are ours.
    pub reference: String,
}

/// By the providers' short names.
const NAMES: [(&str, &str); 4] = [
    ("telyport", "Telyport"),
    ("247express", "247Express"),
    ("deliverect", "Deliverect"),
    ("dash", "Dash Electric"),
];

impl Carrier {
    /// The carrier that `provider` is. A provider of a later version goes by its short name.
    #[must_use]
    pub fn of(provider: &str) -> Self {
        let name = NAMES.iter().find(|(known, _)| *known == provider).map_or(provider, |(_, name)| name);
        Self { name: name.to_owned(), reference: provider.to_owned() }
    }
}
