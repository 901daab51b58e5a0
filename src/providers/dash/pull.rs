//! Asking Dash ("Get Delivery"). It knows a delivery by `deliveryID` alone, and gives its present state. Its answer's table
//! was not found in its documents: the webhook's fields are expected, alone or inside `data`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest, is_key, usual};
use crate::domain::secret::Secret;

pub(super) struct DashPull;

impl Pull for DashPull {
    fn base_url(&self) -> &'static str {
        "https://api.dashelectric.co/v1"
    }

    fn path(&self) -> &'static str {
        "deliveries/{}"
    }

    fn check_credential(&self, credential: &[u8]) -> Result<(), &'static str> {
        is_key(credential)?;
        if parts(credential).is_some() { Ok(()) } else { Err("must be client_key:client_secret") }
    }

    fn sign_in(&self, credential: &Secret) -> Option<PullRequest> {
        let (key, secret) = parts(credential.expose())?;
        let post = Some(json!({ "client_key": key, "client_secret": secret }));
        Some(PullRequest { post, ..PullRequest::get("auth/providers/token", &[]) })
    }

    /// Where the token is in the answer was not found either: these are the usual places.
    fn token(&self, answer: &PullAnswer) -> Result<Secret, NoAnswer> {
        let top: Map<String, Value> = usual(answer)?;
        let places = [Some(&top), top.get("data").and_then(Value::as_object)];
        let token = places.into_iter().flatten().find_map(|object| {
            ["token", "access_token", "accessToken"].iter().find_map(|name| object.get(*name)?.as_str())
        });
        let token = token.filter(|token| is_key(token.as_bytes()).is_ok());
        token.and_then(|token| Secret::new(token.as_bytes())).ok_or(NoAnswer::Odd)
    }

    fn ask(&self, path: &str, delivery_id: &str, with: &Secret) -> PullRequest {
        let bearer = [b"Bearer ", with.expose()].concat();
        let headers = Secret::new(&bearer).map(|bearer| ("authorization", bearer)).into_iter().collect();
        PullRequest { headers, ..PullRequest::get(path, &[delivery_id]) }
    }

    fn read(&self, delivery_id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer> {
        let mut top: Map<String, Value> = usual(answer)?;
        let delivery = match top.remove("data") {
            Some(Value::Object(inside)) => inside,
            Some(_) => return Err(NoAnswer::Odd),
            None => top,
        };
        let text = |name: &str| delivery.get(name).and_then(Value::as_str);
        if text("deliveryID") != Some(delivery_id) || text("status").is_none() {
            return Err(NoAnswer::Odd);
        }
        Ok(Value::Object(delivery).to_string().into())
    }
}

fn parts(credential: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(credential)
        .ok()?
        .split_once(':')
        .filter(|(key, secret)| !key.is_empty() && !secret.is_empty())
}
