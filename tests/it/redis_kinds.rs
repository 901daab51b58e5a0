//! Redis as people have it: Sentinels, a Cluster, and what is told of one that is taken for another.

mod failover;
mod loss;
mod mistaken;
mod refusing;
