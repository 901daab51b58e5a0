//! How many files the system lets this process have open: each connection is one.

/// Left for everything else, a quarter at most: the broker's connections, which are made again when they break, secrets
/// that are read again, the log.
const RESERVED: usize = 128;

/// So many connections as `wanted`, or as the system's limit on open files leaves room for.
#[must_use]
pub(super) fn connections_within(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    soft_limit(&limits).map_or(wanted, |limit| wanted.min(limit - RESERVED.min(limit / 4)))
}

/// The soft limit in Linux's table; `None` when it is unlimited, or there is no such table.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
