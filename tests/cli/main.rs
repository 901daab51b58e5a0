//! The operator's commands.

mod commands;
mod fake;
mod journey;
mod line;
mod pattern;
mod plan;
mod reference;
mod resend;
mod send;
