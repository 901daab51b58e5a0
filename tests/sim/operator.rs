//! The operator: replays and discards what is parked, as `milepost parked` does.

use milepost::domain::envelope::{Envelope, Replay};
use milepost::domain::parked::Parked;
use milepost::ports::{Outbound, Publisher as _};

use crate::planted::Planted;
use crate::ports::Ports;
use crate::servers::ParkedCopy;
use crate::world::World;

/// Replays what was parked when it begins. Each message is taken off its queue once its copy is confirmed; an operator
/// who is interrupted in between can begin again.
pub async fn replay(world: &World, ports: &Ports, force: bool) {
    for parked in world.broker.parked() {
        let replay = if force { Replay::Force(replay_id(&parked)) } else { Replay::Normal };
        let copy = Envelope {
            attempt: 0,
            crashes: 0,
            replay: Some(replay),
            reason: None,
            ..parked.envelope.clone()
        };
        if force {
            world.book().forced(&copy);
        }
        let takes_off_first = world.planted == Some(Planted::ReplayTakesOffFirst);
        if takes_off_first {
            world.broker.unpark(parked.number);
        }
        if ports.publish(Outbound::Raw(copy)).await.is_err() || world.interrupts_the_operator() {
            return;
        }
        world.broker.unpark(parked.number);
    }
}

/// Discards the oldest message.
pub fn discard(world: &World) {
    if let Some(parked) = world.broker.parked().first() {
        world.broker.unpark(parked.number);
        world.book().discarded(&parked.envelope);
    }
}

fn replay_id(copy: &ParkedCopy) -> uuid::Uuid {
    let ParkedCopy { envelope, reason, detail, at, .. } = copy;
    Parked {
        id: envelope.receipt.to_string(),
        provider: envelope.provider,
        account: Some(envelope.account.clone()),
        reason: reason.as_str().to_owned(),
        detail: Some(detail.clone()),
        parked_at: Some(*at),
        received_at: None,
        attempt: envelope.attempt,
        crashes: envelope.crashes,
        history: envelope.history.clone(),
    }
    .replay_id()
}
