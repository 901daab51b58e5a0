//! One connection: what it is doing, since when, and whether it has proved anything.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::HttpLimits;
use super::framing::Framing;

/// A connection that does something for less than this is in no other's way: a head or a body that is on its way
/// arrives sooner.
const YOUNG: Duration = Duration::from_millis(100);

/// A connection, as the accept loop and the handler of its requests see it.
#[derive(Debug)]
pub struct Caller {
    peer: SocketAddr,
    accepted: Instant,
    state: Mutex<ConnectionState>,
    asked_to_go: Notify,
}

#[derive(Debug)]
struct ConnectionState {
    stage: ConnectionStage,
    since: Instant,
    /// Whether a request of it was authentic.
    proven: bool,
    /// Whether a head of it said its body's length in two ways: what is a request and what is not is then anybody's
    /// guess.
    ambiguous: bool,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionStage {
    /// Its request's head is to come. That of a new connection has not even begun.
    Head,
    /// Its request is looked at; the body may be on its way.
    Request,
    /// Its request is authentic, and being stored.
    Storing,
    /// It waits for its next request.
    Idle,
}

/// Why a connection is ended from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// A request's head did not arrive in time.
    HeaderTimeout,
    /// No request came for long.
    Idle,
    /// It made room for another one.
    Evicted,
}

/// Which connection gives way first: the lowest, and of those the one that waits longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Unproven,
    /// It has proved something before, and nothing with the request that is on its way.
    Again,
    /// It has proved something, and is idle.
    Idle,
    Young,
}

impl Caller {
    /// A connection that was accepted now.
    pub(super) fn new(peer: SocketAddr) -> Self {
        let now = Instant::now();
        let state = ConnectionState {
            stage: ConnectionStage::Head,
            since: now,
            proven: false,
            ambiguous: false,
            framing: Framing::default(),
        };
        Self { peer, accepted: now, state: Mutex::new(state), asked_to_go: Notify::new() }
    }

    /// Who is at the other end: the sender, or the proxy before us.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What counts as one peer: an address, or, of IPv6, the network that one customer is given.
    pub(super) fn network(&self) -> IpAddr {
        match self.peer.ip() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.into(),
                None => IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into()),
            },
        }
    }

    /// Since when it is connected.
    pub(super) const fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Takes note of bytes that came.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut state = self.lock();
        let seen = state.framing.read(bytes);
        state.ambiguous |= seen.ambiguous;
        if seen.head_begins && state.stage == ConnectionStage::Idle {
            state.enter(ConnectionStage::Head);
        }
    }

    /// A request's head is complete.
    pub(super) fn asks(&self) {
        self.lock().enter(ConnectionStage::Request);
    }

    /// Its request is authentic, and is stored from now on.
    pub(super) fn proves(&self) {
        let mut state = self.lock();
        state.proven = true;
        state.enter(ConnectionStage::Storing);
    }

    /// Its request has its answer.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        let next = if state.framing.in_head() { ConnectionStage::Head } else { ConnectionStage::Idle };
        state.enter(next);
    }

    /// Whether some request of it said its body's length in two ways.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.lock().ambiguous
    }

    /// Has it ended, to make room.
    pub(super) fn ask_to_go(&self) {
        self.asked_to_go.notify_one();
    }

    /// How readily it gives way to a new connection, lowest first; `None` when it does not.
    pub(super) fn gives_way(&self, now: Instant) -> Option<impl Ord + use<>> {
        let state = self.lock();
        let rank = match (state.stage, state.proven) {
            (ConnectionStage::Storing, _) => return None,
            (ConnectionStage::Idle, true) => Rank::Idle,
            _ if now.duration_since(state.since) < YOUNG => Rank::Young,
            (_, false) => Rank::Unproven,
            (_, true) => Rank::Again,
        };
        Some((rank, state.since))
    }

    /// Waits until there is a reason to end it.
    pub(super) async fn overdue(&self, limits: &HttpLimits) -> CloseReason {
        // A stage that begins meanwhile is over no sooner than this.
        let pace = limits.header_timeout.min(limits.idle_timeout);
        loop {
            let (stage, since) = self.stage();
            let now = Instant::now();
            let (deadline, why) = match stage {
                ConnectionStage::Head => (Some(since + limits.header_timeout), CloseReason::HeaderTimeout),
                ConnectionStage::Idle => (Some(since + limits.idle_timeout), CloseReason::Idle),
                ConnectionStage::Request | ConnectionStage::Storing => (None, CloseReason::Idle),
            };
            if deadline.is_some_and(|deadline| deadline <= now) {
                return why;
            }
            let wake = deadline.map_or(now + pace, |deadline| deadline.min(now + pace));
            tokio::select! {
                () = self.asked_to_go.notified() => return CloseReason::Evicted,
                () = sleep_until(wake) => {}
            }
        }
    }

    fn stage(&self) -> (ConnectionStage, Instant) {
        let state = self.lock();
        (state.stage, state.since)
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        // Each change is one assignment: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionState {
    fn enter(&mut self, stage: ConnectionStage) {
        (self.stage, self.since) = (stage, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> IpAddr {
        Caller::new(SocketAddr::new(address.parse().expect("an address"), 4711)).network()
    }

    #[test]
    fn the_addresses_of_one_customer_are_one_network() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:2:2::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn an_ipv4_address_that_is_mapped_counts_as_what_it_is() {
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1".parse::<IpAddr>().expect("an address"));
        assert_ne!(network("::ffff:192.0.2.1"), network("::ffff:192.0.2.2"));
    }
}
