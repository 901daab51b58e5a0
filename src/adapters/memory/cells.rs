//! Cells in memory, for `milepost run` without servers and for tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::ports::{Cell, Cells, CellsError, Clock, Swap};

/// A value, and until when it is kept.
type StoredCell = (String, i64);

pub struct MemoryCells {
    clock: Arc<dyn Clock>,
    values: Mutex<HashMap<String, StoredCell>>,
}

impl MemoryCells {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, values: Mutex::default() }
    }

    fn values(&self) -> MutexGuard<'_, HashMap<String, StoredCell>> {
        // A panic elsewhere cannot leave a map half-written.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, values: &HashMap<String, StoredCell>, key: &str) -> Cell {
        let now_ms = self.clock.now().as_millisecond();
        let value =
            values.get(key).filter(|(_, until_ms)| *until_ms > now_ms).map(|(value, _)| value.clone());
        Cell { value, now_ms }
    }
}

#[async_trait]
impl Cells for MemoryCells {
    async fn read(&self, key: &str) -> Result<Cell, CellsError> {
        Ok(self.cell(&self.values(), key))
    }

    async fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Result<Swap, CellsError> {
        let mut values = self.values();
        let cell = self.cell(&values, key);
        if cell.value.as_deref() != old {
            return Ok(Swap::Conflict(cell));
        }
        let until_ms = cell.now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        values.insert(key.to_owned(), (new.to_owned(), until_ms));
        Ok(Swap::Done)
    }
}
