//! One at a time for each key, within this process. Between processes leases do the same; a lane spares the round trips
//! to a busy lease and the waits in the broker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Lanes by their keys. An empty one does not exist.
#[derive(Debug, Default)]
pub struct Turns(Arc<Mutex<HashMap<String, Arc<Turn<()>>>>>);

/// A turn in a lane, which ends when this is dropped.
#[derive(Debug)]
pub struct Lane {
    lanes: Arc<Mutex<HashMap<String, Arc<Turn<()>>>>>,
    key: String,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for a turn. Turns come in the order of the calls.
    pub async fn enter(&self, key: &str) -> Lane {
        let turn = Arc::clone(lock(&self.0).entry(key.to_owned()).or_default());
        let mut lane = Lane { lanes: Arc::clone(&self.0), key: key.to_owned(), turn: None };
        lane.turn = Some(turn.lock_owned().await);
        lane
    }

    /// How many lanes are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut lanes = lock(&self.lanes);
        self.turn = None;
        // The last one out: no other task holds it, as taking hold needs the lock that we have.
        if lanes.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            lanes.remove(&self.key);
        }
    }
}

fn lock(lanes: &Mutex<HashMap<String, Arc<Turn<()>>>>) -> MutexGuard<'_, HashMap<String, Arc<Turn<()>>>> {
    // A panic elsewhere cannot leave a map half-written.
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}
