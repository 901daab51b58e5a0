//! Tests on a real RabbitMQ and a real Redis. `make test` starts private ones and says where they are.

// Where the servers are, and which process is to crash, comes from the environment: these tests have no configuration.
#![allow(clippy::disallowed_methods)]

mod account;
mod clocks;
mod console;
mod contract;
mod course;
mod crash;
mod drill;
mod hostile;
mod invariants;
mod keep_alive;
mod machine_clock;
mod nodes;
mod overtaking;
mod parked;
mod parked_full;
mod processes;
mod recovery;
mod recovery_in_memory;
mod redis_acl;
mod redis_kinds;
mod redis_policy;
mod restart;
mod rollout;
mod silence;
mod sinks;
mod spool;
mod subscribe;
mod support;
mod tls;
mod topology;
mod topology_check;
mod traces;
mod trials;
mod updates_kept;
mod why;
