//! The pure parts of the house, tested without a server.

mod document;
mod express247;
mod express247_auth;
mod fingerprint;
mod identity;
mod instant;
mod registry;
mod retry;
mod secret;
mod support;
mod telyport;
mod telyport_auth;
