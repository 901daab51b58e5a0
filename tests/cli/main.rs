//! The operator's commands.

mod commands;
mod contract;
mod docs;
mod fake;
mod journey;
mod line;
mod parked;
mod pattern;
mod plan;
mod reference;
mod resend;
mod send;
mod table;
mod unreachable;
mod when;
