//! One file a page.

pub(super) mod acts;
pub(super) mod audit;
pub(super) mod confirming;
pub(super) mod delivery;
pub(super) mod exports;
pub(super) mod health;
pub(super) mod in_memory;
pub(super) mod login;
pub(super) mod message;
pub(super) mod now;
pub(super) mod parked;
mod selecting;
pub(super) mod subscribers;
pub(super) mod waiting;
