//! The operator's commands.

mod commands;
mod fake;
mod line;
mod pattern;
mod resend;
mod send;
