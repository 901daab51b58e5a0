//! The HTTP ports over real sockets on loopback: what providers get as an answer, what reaches the publisher,
//! and that every wait, size and count is bounded.

mod accounts;
mod admin;
mod answers;
mod attack;
mod bounds;
mod connections;
mod crowd;
mod descriptors;
mod encodings;
mod framing;
mod idle;
mod loss_clock;
mod refusals;
mod rotation;
mod slow;
mod spool;
mod stored;
mod support;
