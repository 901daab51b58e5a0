//! Tests of single modules, without servers.

mod architecture;
mod config;
mod dash;
mod dash_auth;
mod dash_content;
mod dash_fields;
mod deliverect;
mod deliverect_auth;
mod document;
mod express247;
mod express247_auth;
mod fake;
mod fingerprint;
mod history;
mod hubrise;
mod hubrise_auth;
mod hubrise_fields;
mod identity;
mod instant;
mod registry;
mod retry;
mod secret;
mod support;
mod telemetry;
mod telyport;
mod telyport_auth;
