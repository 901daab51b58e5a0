//! The fields of a HubRise delivery that Milepost writes, in HubRise's formats.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::instant::from_text;
use crate::sinks::update::Fee;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The carrier's name. Required by POST, and fixed from then on.
    Carrier,
    /// What identifies the carrier. Fixed.
    CarrierRef,
    /// What the carrier charges. Fixed.
    Fee,
    /// The carrier's id of the delivery.
    Ref,
    /// The delivery's status. Required by POST.
    Status,
    /// When the courier is expected at the pickup.
    EstimatedPickupAt,
    /// When the courier is expected at the recipient's.
    EstimatedDropoffAt,
    /// A page where the recipient can follow the delivery.
    TrackingUrl,
    DriverName,
    DriverPhone,
    /// What to key in when calling that number.
    DriverPhoneAccessCode,
    DriverLatitude,
    DriverLongitude,
    /// When the status became `pickup_enroute`.
    AssignedAt,
    /// When the status became `dropoff_enroute`.
    PickupAt,
    /// When the status became `delivered`.
    DeliveredAt,
    /// When the status became `cancelled`.
    CancelledAt,
}

impl Field {
    pub const ALL: [Self; 17] = [
        Self::Carrier,
        Self::CarrierRef,
        Self::Fee,
        Self::Ref,
        Self::Status,
        Self::EstimatedPickupAt,
        Self::EstimatedDropoffAt,
        Self::TrackingUrl,
        Self::DriverName,
        Self::DriverPhone,
        Self::DriverPhoneAccessCode,
        Self::DriverLatitude,
        Self::DriverLongitude,
        Self::AssignedAt,
        Self::PickupAt,
        Self::DeliveredAt,
        Self::CancelledAt,
    ];

    /// HubRise's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::CarrierRef => "carrier_ref",
            Self::Fee => "fee",
            Self::Ref => "ref",
            Self::Status => "status",
            Self::EstimatedPickupAt => "estimated_pickup_at",
            Self::EstimatedDropoffAt => "estimated_dropoff_at",
            Self::TrackingUrl => "tracking_url",
            Self::DriverName => "driver_name",
            Self::DriverPhone => "driver_phone",
            Self::DriverPhoneAccessCode => "driver_phone_access_code",
            Self::DriverLatitude => "driver_latitude",
            Self::DriverLongitude => "driver_longitude",
            Self::AssignedAt => "assigned_at",
            Self::PickupAt => "pickup_at",
            Self::DeliveredAt => "delivered_at",
            Self::CancelledAt => "cancelled_at",
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// Whether a PATCH may have it.
    #[must_use]
    pub const fn can_be_updated(self) -> bool {
        !matches!(self, Self::Carrier | Self::CarrierRef | Self::Fee)
    }

    /// Whether POST must have it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Carrier | Self::Status)
    }

    /// Whether it changes all the time, so that it is sent at intervals only.
    #[must_use]
    pub const fn is_frequent(self) -> bool {
        matches!(
            self,
            Self::DriverLatitude | Self::DriverLongitude | Self::EstimatedPickupAt | Self::EstimatedDropoffAt
        )
    }

    /// Whether the status decides it.
    #[must_use]
    pub const fn is_of_status(self) -> bool {
        matches!(
            self,
            Self::Status | Self::AssignedAt | Self::PickupAt | Self::DeliveredAt | Self::CancelledAt
        )
    }

    const fn is_time(self) -> bool {
        matches!(
            self,
            Self::AssignedAt
                | Self::PickupAt
                | Self::DeliveredAt
                | Self::CancelledAt
                | Self::EstimatedPickupAt
                | Self::EstimatedDropoffAt
        )
    }

    /// Whether two values say the same. HubRise gives times in the location's zone, and decimals with other trailing
    /// zeros than were sent.
    #[must_use]
    pub fn same(self, one: &str, other: &str) -> bool {
        if one == other {
            return true;
        }
        if self.is_time() {
            let second = |text| from_text(text, None).map(Timestamp::as_second);
            return second(one).is_some_and(|one| second(other) == Some(one));
        }
        if matches!(self, Self::DriverLatitude | Self::DriverLongitude) {
            return shortest(one) == shortest(other);
        }
        false
    }
}

/// Without the zeros that say nothing.
fn shortest(decimal: &str) -> &str {
    let decimal = decimal.strip_prefix('+').unwrap_or(decimal);
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}

/// A time: whole seconds, with an offset.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// A time that the record keeps in milliseconds; nothing if there is no such time.
#[must_use]
pub fn time_of_ms(at_ms: i64) -> Option<String> {
    Timestamp::from_millisecond(at_ms).ok().map(time)
}

/// An amount of money: two decimals, a space, the currency. One with more decimals than that is not money.
#[must_use]
pub fn money(fee: &Fee) -> Option<String> {
    let amount = fee.amount.to_string();
    let (whole, fraction) = amount.split_once('.').unwrap_or((&amount, ""));
    let (cents, beyond) = fraction.split_at(fraction.len().min(2));
    let currency = fee.currency.as_str();
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    let exact = beyond.bytes().all(|digit| digit == b'0');
    (is_code && exact).then(|| format!("{whole}.{cents:0<2} {currency}"))
}
