//! Moments as the tables hold them: microseconds since 1970, UTC.

use jiff::Timestamp;

use super::error::StoreError;

pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub fn moment(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt("a stored moment is out of range".into()))
}
