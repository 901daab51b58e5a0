//! The operator's commands.

mod commands;
mod fake;
mod line;
mod parked;
mod pattern;
mod resend;
mod send;
mod table;
