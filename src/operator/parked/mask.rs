//! A body as an operator sees it: its shape, and of its values those that are no secret.

use serde_json::{Map, Value};

/// What replaces a value that is not shown.
const MASKED: &str = "***";

/// Names, without case and underscores, of what is known not to be about a person: ids of things, statuses, times,
/// and the provider's own words for them. Everything else a provider sends, or will one day send, is masked.
const SHOWN: &[&str] = &[
    "accountid",
    "assignedat",
    "businessorderid",
    "cancelledat",
    "carrier",
    "channelorderid",
    "completedat",
    "createdat",
    "currency",
    "delaycode",
    "deliveredat",
    "deliverydate",
    "deliveryid",
    "deliverytime",
    "dispatchpartner",
    "dropoffat",
    "estimateddropoffat",
    "estimatedpickupat",
    "event",
    "eventtype",
    "externalcode",
    "failedat",
    "failedcount",
    "id",
    "jobid",
    "locationid",
    "multipledrivers",
    "ordercode",
    "orderid",
    "pickupat",
    "pickuptime",
    "providerorderid",
    "reasoncode",
    "referencecode",
    "requestfeedbackcount",
    "resourcetype",
    "status",
    "statusname",
    "temporaryorderid",
    "time",
    "timestamp",
    "transactionid",
    "type",
    "updatedat",
    "webhookeventid",
];

/// Parts of names of what lets somebody in. Never shown: no credential should be in a stored body at all.
const CREDENTIALS: &[&str] = &["apikey", "authorization", "password", "secret", "signature", "token"];

/// What is longer than an id or a status ever is is something else.
const LONGEST_SHOWN: usize = 64;

/// Replaces values: credentials always, and unless `reveal` all that are not known to be harmless.
pub fn mask(value: &mut Value, reveal: bool) {
    mask_in("", value, reveal);
}

fn mask_in(name: &str, value: &mut Value, reveal: bool) {
    match value {
        Value::Object(fields) => mask_fields(fields, reveal),
        // An array's values are what the array is.
        Value::Array(values) => values.iter_mut().for_each(|value| mask_in(name, value, reveal)),
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) if reveal || SHOWN.contains(&name) => {}
        Value::String(text)
            if text.is_empty() || reveal || (SHOWN.contains(&name) && text.len() <= LONGEST_SHOWN) => {}
        Value::Number(_) | Value::String(_) => *value = MASKED.into(),
    }
}

fn mask_fields(fields: &mut Map<String, Value>, reveal: bool) {
    for (name, value) in fields {
        let name = name.replace(['_', '-'], "").to_lowercase();
        let credential = CREDENTIALS.iter().any(|part| name.contains(part));
        if !credential {
            mask_in(&name, value, reveal);
        } else if !value.is_null() && value.as_str() != Some("") {
            *value = MASKED.into();
        }
    }
}
