//! How a HubRise order is recognised in what a provider sends: a rule over the update's references.

use thiserror::Error;

use crate::sinks::update::{References, Update};

/// HubRise's ids are shorter.
const LONGEST_ID: usize = 64;

/// A HubRise order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId {
    pub location: String,
    pub order: String,
}

/// A reference that a rule may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// The merchant's own order number.
    MerchantOrder,
    /// A further reference of the merchant's.
    MerchantReference,
    /// The provider's id of the order.
    Order,
}

impl ReferenceKind {
    pub const ALL: [Self; 3] = [Self::MerchantOrder, Self::MerchantReference, Self::Order];

    /// The word used in the configuration and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MerchantOrder => "merchant_order",
            Self::MerchantReference => "merchant_reference",
            Self::Order => "order",
        }
    }

    fn of(self, references: &References) -> Option<&str> {
        match self {
            Self::MerchantOrder => references.merchant_order.as_deref(),
            Self::MerchantReference => references.merchant_reference.as_deref(),
            Self::Order => references.order.as_deref(),
        }
    }
}

/// Text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReferencePatternError {
    /// There is nothing in it to be the order's id.
    #[error("must have {{order}} once")]
    NoOrder,
    /// A brace that begins nothing known.
    #[error("may have {{order}} and {{location}} and no other brace")]
    Braces,
    /// Two parts without anything between them.
    #[error("must have something between {{order}} and {{location}}")]
    Adjacent,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Order,
    Location,
}

/// Text with places for an order's id and a location's, such as `hr-{order}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencePattern(Vec<Part>);

impl ReferencePattern {
    /// Reads a pattern. Letters count as lower-case ones.
    ///
    /// # Errors
    /// When it has no place for an order's id, or cannot be read.
    pub fn parse(text: &str) -> Result<Self, ReferencePatternError> {
        let mut parts = Vec::new();
        let text = text.to_lowercase();
        let mut rest = text.as_str();
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(brace);
            let (part, after) = match (from.strip_prefix("{order}"), from.strip_prefix("{location}")) {
                (Some(after), _) => (Part::Order, after),
                (_, Some(after)) => (Part::Location, after),
                (None, None) => return Err(ReferencePatternError::Braces),
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            } else if !parts.is_empty() {
                return Err(ReferencePatternError::Adjacent);
            }
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let count = |part: &Part| parts.iter().filter(|other| *other == part).count();
        if count(&Part::Order) != 1 || count(&Part::Location) > 1 {
            return Err(ReferencePatternError::NoOrder);
        }
        Ok(Self(parts))
    }

    /// Whether it has a place for the location's id.
    #[must_use]
    pub fn names_location(&self) -> bool {
        self.0.contains(&Part::Location)
    }

    /// The order's id, and the location's if the pattern has it. Each place takes all letters and digits there are.
    fn find(&self, text: &str) -> Option<(String, Option<String>)> {
        let (mut order, mut location, mut rest) = (None, None, text);
        for part in &self.0 {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Order => order = Some(take(&mut rest, |byte| byte.is_ascii_alphanumeric())?),
                Part::Location => {
                    // HubRise's location ids have a dash in them: `3r4s3-1`.
                    let of_location = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                    location = Some(take(&mut rest, of_location)?);
                }
            }
        }
        if rest.is_empty() { Some((order?, location)) } else { None }
    }
}

fn take(rest: &mut &str, fits: impl Fn(u8) -> bool) -> Option<String> {
    let end = rest.bytes().position(|byte| !fits(byte)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at(end);
    *rest = after;
    (1..=LONGEST_ID).contains(&taken.len()).then(|| taken.to_owned())
}

/// How a connection recognises its orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where to look, in this order.
    pub from: Vec<ReferenceKind>,
    pub pattern: ReferencePattern,
}

impl Rule {
    /// The order that an update belongs to, at one of `locations`; the first reference that fits decides.
    #[must_use]
    pub fn order_of(&self, update: &Update, locations: &[String]) -> Option<OrderId> {
        let mut said = self.from.iter().filter_map(|source| source.of(&update.references));
        said.find_map(|text| self.find(text, locations))
    }

    fn find(&self, text: &str, locations: &[String]) -> Option<OrderId> {
        let (order, location) = self.pattern.find(&tidied(text))?;
        let location = match (location, locations) {
            (Some(location), locations) => locations.iter().find(|known| **known == location)?.clone(),
            (None, [only]) => only.clone(),
            (None, _) => return None,
        };
        Some(OrderId { location, order })
    }
}

/// As merchants' systems write HubRise's ids: with a `#` before, in capitals, with spaces around.
fn tidied(text: &str) -> String {
    text.trim().trim_start_matches('#').to_lowercase()
}

/// Reads an order as an operator or a service names it: its id, or `location/order`.
#[must_use]
pub fn named(text: &str, locations: &[String]) -> Option<OrderId> {
    let text = tidied(text);
    let (location, order) = match text.split_once('/') {
        Some((location, order)) => (locations.iter().find(|known| known.as_str() == location)?, order),
        None => (locations.first().filter(|_| locations.len() == 1)?, text.as_str()),
    };
    let valid = (1..=LONGEST_ID).contains(&order.len()) && order.bytes().all(|b| b.is_ascii_alphanumeric());
    valid.then(|| OrderId { location: location.clone(), order: order.to_owned() })
}
