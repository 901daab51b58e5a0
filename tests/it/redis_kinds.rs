//! Redis with Sentinels and as a Cluster, and the error when one is configured as the other.

mod failover;
mod loss;
mod mistaken;
mod refusing;
