//! Tests on a real RabbitMQ and a real Redis. `make test` starts private ones and says where they are.

mod contract;
mod crash;
mod invariants;
mod processes;
mod restart;
mod support;
mod topology;
