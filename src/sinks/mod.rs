//! Systems that our updates are written to, one directory or file each: the opposite of `providers`.

pub mod hubrise;
pub mod update;
