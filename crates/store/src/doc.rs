//! Nouns as JSON documents.

use crate::error::error;
use mainstay_model::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, any::AnyRow};

pub(crate) fn write<T: Serialize>(noun: &T) -> Result<String> {
    serde_json::to_string(noun).map_err(|e| Error::internal(format!("a document does not write: {e}")))
}

/// Reads the first column of `row`. A document that does not read is damage, or was written by a
/// newer Mainstay: it is never skipped, for a list that leaves out what it cannot read lies.
pub(crate) fn read<T: DeserializeOwned>(row: &AnyRow) -> Result<T> {
    let text: &str = row.try_get(0).map_err(error)?;
    serde_json::from_str(text).map_err(|e| {
        let noun = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default().to_lowercase();
        Error::integrity(format!("a {noun} in the store does not read: {e}"))
    })
}

pub(crate) fn read_all<T: DeserializeOwned>(rows: &[AnyRow]) -> Result<Vec<T>> {
    rows.iter().map(read).collect()
}

/// The snake_case word an enum is written as, for a column.
pub(crate) fn word<T: Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(Error::internal(format!("not a word: {other:?}"))),
    }
}
