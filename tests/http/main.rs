//! The HTTP ports over real sockets on loopback: what providers are told, what reaches the publisher, and that every
//! wait, size and count is bounded.

mod admin;
mod answers;
mod bounds;
mod connections;
mod descriptors;
mod loss_clock;
mod rotation;
mod stored;
mod support;
