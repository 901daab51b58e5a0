//! What the HubRise sink decides. Pure: updates and answers go in, requests come out; nothing here does IO or reads a
//! clock (`tests/unit/architecture.rs` checks it).
//!
//! In reading order: [`stage`] (the status map), [`field`] (formats), [`course`] and [`record`] (what is kept of an
//! order), [`decide`] (the next step), [`request`] and [`answer`] (HTTP in words), [`learn`] (what an answer changes),
//! [`rule`] (which order it is), [`windows`] and [`desk`] (whether a request may be made now).

pub mod answer;
pub mod carrier;
pub mod course;
pub mod decide;
pub mod desk;
pub mod field;
pub mod learn;
pub mod record;
pub mod request;
pub mod rule;
pub mod stage;
pub mod windows;
