//! Values of our types in shared cells, changed by reading, deciding and swapping.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ports::{Cell, Cells, CellsError, Swap};

/// Others that write the same cell win this often at most.
const MOST_TRIES: usize = 100;

/// Reads a value, with the store's time in milliseconds. One that this version cannot read is none.
///
/// # Errors
/// When the store is away.
pub async fn read<T: Default + DeserializeOwned>(
    cells: &dyn Cells,
    key: &str,
) -> Result<(T, i64), CellsError> {
    let Cell { value, now_ms } = cells.read(key).await?;
    Ok((parsed(value.as_deref()), now_ms))
}

/// Changes a value by `change`, which gets the store's time in milliseconds. It is called again whenever
/// another process changed the value meanwhile. A value that it does not change is not written.
///
/// # Errors
/// When the store is away.
pub async fn update<T, R>(
    cells: &dyn Cells,
    key: &str,
    ttl: Duration,
    mut change: impl FnMut(&mut T, i64) -> R,
) -> Result<R, CellsError>
where
    T: Default + Serialize + DeserializeOwned + PartialEq,
{
    let mut cell = cells.read(key).await?;
    for _ in 0..MOST_TRIES {
        let before: T = parsed(cell.value.as_deref());
        let mut after: T = parsed(cell.value.as_deref());
        let result = change(&mut after, cell.now_ms);
        if after == before {
            return Ok(result);
        }
        // Unwrap safety: these types have text for keys, and nothing else can fail.
        let new = serde_json::to_string(&after).expect("plain data");
        match cells.swap(key, cell.value.as_deref(), &new, ttl).await? {
            Swap::Done => return Ok(result),
            Swap::Conflict(other) => cell = other,
        }
    }
    Err(CellsError("a value changes too fast to be changed".to_owned()))
}

fn parsed<T: Default + DeserializeOwned>(value: Option<&str>) -> T {
    value.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
