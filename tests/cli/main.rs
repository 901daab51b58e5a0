//! The operator's commands.

mod commands;
mod contract;
mod fake;
mod line;
mod pattern;
mod resend;
mod send;
