//! What differs between the providers' APIs: paths, credentials and the form of answers.

use serde_json::{Value, json};

use crate::domain::provider::ProviderId;

/// The token that Dash's stand-in gives out, with how often it has.
const TOKEN: &str = "sample-token-";

/// The fields of 247Express's order tracking, and those of its webhooks that say the same.
const EXPRESS_FIELDS: [(&str, &str); 8] = [
    ("orderCode", "OrderCode"),
    ("externalCode", "ExternalCode"),
    ("status", "Status"),
    ("statusName", "StatusName"),
    ("delayCode", "DelayCode"),
    ("deliveryNotes", "DeliveryNotes"),
    ("deliveryDate", "DeliveryDate"),
    ("receiverName", "ReceiverName"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Telyport's v2.
    Telyport,
    /// 247Express's order tracking.
    Express247,
    /// Dash's v1.
    Dash,
    /// HubRise's v1, without a limit of requests.
    HubRise,
}

/// A request, as far as answering it needs.
pub struct ApiRequest<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Vec<(String, String)>,
    pub header: &'a dyn Fn(&str) -> Option<String>,
    pub body: &'a [u8],
}

/// What a request is for.
pub enum WantedResource {
    Delivery(String),
    /// The steps of a delivery.
    Timeline(String),
    /// The list of events that were not acknowledged, after an event if there is a cursor.
    Events(String),
    Event(String),
    Token,
    /// Something, but the credential is not the right one.
    Forbidden,
    Nothing,
}

impl Dialect {
    pub const ALL: [Self; 4] = [Self::Telyport, Self::Express247, Self::Dash, Self::HubRise];

    #[must_use]
    pub const fn provider(self) -> ProviderId {
        ProviderId::new(match self {
            Self::Telyport => "telyport",
            Self::Express247 => "247express",
            Self::Dash => "dash",
            Self::HubRise => "hubrise",
        })
    }

    /// What is wanted of the API that takes `credential` and has given out so many tokens.
    #[must_use]
    pub fn wanted(self, request: &ApiRequest<'_>, credential: &str, tokens: u32) -> WantedResource {
        let parameter = |name: &str| {
            request
                .query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        let path = request.path.trim_start_matches('/');
        match (self, request.method, path) {
            (Self::Telyport, "GET", "order" | "order/timeline") => {
                if (request.header)("x-api-key").as_deref() != Some(credential) {
                    WantedResource::Forbidden
                } else if path == "order" {
                    WantedResource::Delivery(parameter("orderID"))
                } else {
                    WantedResource::Timeline(parameter("orderID"))
                }
            }
            (Self::Express247, "GET", "Order/v1/Tracking") => {
                if parameter("apikey") == credential {
                    WantedResource::Delivery(parameter("ordercode"))
                } else {
                    WantedResource::Forbidden
                }
            }
            (Self::Dash, "POST", "auth/providers/token") => {
                let said: Value = serde_json::from_slice(request.body).unwrap_or_default();
                let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let given = format!("{}:{}", text("client_key"), text("client_secret"));
                if given == credential { WantedResource::Token } else { WantedResource::Forbidden }
            }
            (Self::Dash, "GET", _) => {
                let Some(id) = path.strip_prefix("deliveries/") else { return WantedResource::Nothing };
                let bearer = format!("Bearer {TOKEN}{tokens}");
                if tokens > 0 && (request.header)("authorization") == Some(bearer) {
                    WantedResource::Delivery(id.to_owned())
                } else {
                    WantedResource::Forbidden
                }
            }
            (Self::HubRise, "GET", _) => {
                if (request.header)("x-access-token").as_deref() != Some(credential) {
                    return WantedResource::Forbidden;
                }
                match path.split('/').collect::<Vec<_>>()[..] {
                    ["locations", location, "orders", order, "delivery"] => {
                        WantedResource::Delivery(format!("{location}/{order}"))
                    }
                    ["callback", "events"] => WantedResource::Events(parameter("cursor")),
                    ["callback", "events", id] => WantedResource::Event(id.to_owned()),
                    _ => WantedResource::Nothing,
                }
            }
            _ => WantedResource::Nothing,
        }
    }

    /// A delivery's state by what its provider's webhook says: what it is asked for by, and its state as the API has it.
    #[must_use]
    pub fn state_by(self, webhook: &Value) -> Option<(String, Value)> {
        let text = |object: &Value, name: &str| object.get(name)?.as_str().map(str::to_owned);
        match self {
            Self::Telyport => {
                let order = webhook.get("data")?;
                Some((text(order, "orderID")?, order.clone()))
            }
            Self::Express247 => {
                let order = EXPRESS_FIELDS
                    .iter()
                    .filter_map(|(ours, theirs)| Some(((*ours).to_owned(), webhook.get(theirs)?.clone())));
                Some((text(webhook, "OrderCode")?, order.collect()))
            }
            Self::Dash => Some((text(webhook, "deliveryID")?, webhook.clone())),
            Self::HubRise => {
                let (location, order) = (text(webhook, "location_id")?, text(webhook, "order_id")?);
                Some((format!("{location}/{order}"), webhook.get("new_state")?.clone()))
            }
        }
    }

    /// The answer with a delivery.
    #[must_use]
    pub fn delivery(self, state: &Value) -> (u16, Value) {
        match self {
            Self::Telyport => {
                let at = "2025-02-12T13:07:20.000Z";
                (200, json!({ "status": "success", "data": state, "requestTime": at }))
            }
            Self::Express247 | Self::Dash | Self::HubRise => (200, state.clone()),
        }
    }

    /// An event as HubRise's list has it: without the states.
    #[must_use]
    pub fn listed(event: &Value) -> Value {
        let mut event = event.clone();
        if let Some(fields) = event.as_object_mut() {
            fields.retain(|name, _| !name.ends_with("_state"));
        }
        event
    }

    /// The answer with the `number`th token.
    #[must_use]
    pub fn token(number: u32) -> (u16, Value) {
        (200, json!({ "token": format!("{TOKEN}{number}") }))
    }

    /// The answer where there is no such delivery.
    #[must_use]
    pub fn unknown(self) -> (u16, Value) {
        match self {
            Self::Telyport => telyport_error(404, "E101", "order_not_found"),
            Self::Express247 => (200, json!({ "errorCode": "ORDERCODE_NOT_FOUND", "errorMessage": "?" })),
            Self::Dash => (404, json!({ "status": "Failed", "error": "Pengiriman tidak ditemukan" })),
            Self::HubRise => hubrise_error(404, "not_found"),
        }
    }

    /// The answer to a wrong credential.
    #[must_use]
    pub fn denied(self) -> (u16, Value) {
        match self {
            Self::Telyport => telyport_error(401, "E002", "API_KEY_INVALID"),
            Self::Express247 => (200, json!({ "errorCode": "APIKEY_NOT_FOUND", "errorMessage": "?" })),
            Self::Dash => (401, json!({ "status": 401, "message": "Tidak sah" })),
            Self::HubRise => hubrise_error(401, "unauthorized"),
        }
    }

    /// The answer to too many requests.
    #[must_use]
    pub fn limited(self) -> (u16, Value) {
        match self {
            Self::Express247 => (200, json!({ "errorCode": "APIKEY_LIMIT", "errorMessage": "?" })),
            Self::Telyport | Self::Dash => (429, json!({ "message": "too many requests" })),
            Self::HubRise => hubrise_error(429, "too_many_requests"),
        }
    }

    /// The answer in a bad hour of the provider's.
    #[must_use]
    pub fn error(self) -> (u16, Value) {
        match self {
            Self::Telyport => telyport_error(500, "E004", "internal_server_error"),
            Self::Express247 => (200, json!({ "errorCode": "EXCEPTION", "errorMessage": "?" })),
            Self::Dash => (500, json!({ "status": 500, "message": "?" })),
            Self::HubRise => hubrise_error(500, "internal_error"),
        }
    }
}

fn telyport_error(code: u16, name: &str, message: &str) -> (u16, Value) {
    let at = "2025-02-12T13:07:20.000Z";
    (code, json!({ "status": "error", "code": name, "message": message, "details": {}, "requestTime": at }))
}

fn hubrise_error(code: u16, kind: &str) -> (u16, Value) {
    (code, json!({ "error_type": kind, "message": "?" }))
}
