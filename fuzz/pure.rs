//! The part of Milepost that reads bodies, by itself.

#![forbid(unsafe_code)]

#[path = "../src/domain/mod.rs"]
pub mod domain;
#[path = "../src/providers/mod.rs"]
pub mod providers;
