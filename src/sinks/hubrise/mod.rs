//! HubRise: each update becomes the delivery of a HubRise order (`docs/hubrise.md`).

pub mod core;
