//! Parking a message, and what becomes of it while its parked queue is full.
//!
//! A parked queue has a bound (`topology.parked_max_bytes`): one account that sends what cannot be read must not fill the
//! broker's disk, which would stop every provider. At the bound the broker refuses the copy. The message is put off then:
//! it goes to a delay level as it is and is looked at again later. No attempt is spent, and those behind it, of other
//! accounts, go on. How much a worker puts off in a round is bounded, too, or the delay levels would fill the disk instead;
//! the rest waits in the worker, so that the work queue fills up to the bound of its own, which is one provider's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counts;
use super::session::{Dependency, Session, SessionClosed};
use crate::domain::envelope::Envelope;
use crate::ports::{Outbound, PublishError, Publisher, chance};

/// What was put off is looked at again within this time, and by then a worker may put off as much again: so of what one
/// worker has put off, no more than twice [`MOST_PUT_OFF`] is ever in the delay levels.
const ROUND: Duration = Duration::from_mins(5);
/// Bytes of messages that a worker puts off in a round.
const MOST_PUT_OFF: usize = 32 * 1024 * 1024;
/// What a message costs a broker beside its body, at most.
const OVERHEAD: usize = 1024;

/// How parking a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parking {
    /// Its copy is in the parked queue.
    Parked,
    /// There was no room: a copy is looked at again later.
    PutOff,
}

#[derive(Debug)]
pub struct Parker {
    round: Duration,
    put_off: Mutex<Option<Round>>,
}

/// What was put off since a time.
#[derive(Debug)]
struct Round {
    began: Instant,
    bytes: usize,
}

impl Default for Parker {
    fn default() -> Self {
        Self::with_rounds_of(ROUND)
    }
}

impl Parker {
    /// One whose rounds last so long.
    #[must_use]
    pub fn with_rounds_of(round: Duration) -> Self {
        Self { round, put_off: Mutex::default() }
    }

    /// Publishes `copy` to the parked queue; if that is full, puts `message` off instead.
    ///
    /// # Errors
    /// When the session closes before either is confirmed.
    pub(super) async fn park(
        &self,
        copy: Outbound,
        message: &Envelope,
        publisher: &dyn Publisher,
        session: &Session,
    ) -> Result<Parking, SessionClosed> {
        let (mut outage, mut full) = (None, None);
        loop {
            match publisher.publish(copy.clone()).await {
                Ok(()) => return Ok(Parking::Parked),
                Err(PublishError::Refused) if self.takes(message.body.len(), Instant::now()) => {
                    counts::park_refused(message, "put_off");
                    let later = self.round.mul_f64(1.0 - chance::random::<f64>() / 4.0);
                    session.confirmed(publisher, &Outbound::Later(message.clone(), later)).await?;
                    return Ok(Parking::PutOff);
                }
                Err(error @ PublishError::Refused) => {
                    if full.is_none() {
                        counts::park_refused(message, "held");
                    }
                    full.get_or_insert_with(|| session.outage(Dependency::Parked)).wait(&error).await?;
                }
                Err(error) => {
                    outage.get_or_insert_with(|| session.outage(Dependency::RabbitMq)).wait(&error).await?;
                }
            }
        }
    }

    /// Whether a body of so many bytes may be put off now; then it is counted.
    fn takes(&self, body: usize, now: Instant) -> bool {
        let bytes = body + OVERHEAD;
        // A panic elsewhere cannot leave it half-written.
        let mut round = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        let round = match round.as_mut() {
            Some(round) if now.duration_since(round.began) < self.round => round,
            _ => round.insert(Round { began: now, bytes: 0 }),
        };
        let takes = round.bytes == 0 || round.bytes + bytes <= MOST_PUT_OFF;
        if takes {
            round.bytes += bytes;
        }
        takes
    }
}
