//! Three nodes of RabbitMQ: what the doctor says of them, and a fleet under load while they are killed, stopped, parted,
//! hung and drained: nothing that was accepted is lost, and each update that comes twice is the same.
//!
//! `make nodes` runs all of it, and prints what docs/deploy.md says of the time it takes.

mod cluster;
mod doctor;
mod load;
mod losses;
