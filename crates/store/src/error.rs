//! Where the errors of both databases become ours, once.
//!
//! The kinds that matter to callers are told apart by code, never by message: a unique value that
//! is taken, no space, a store that is busy or away, and a device that failed to write. The last
//! one has the code `store_failed`: after a failed fsync nobody knows what is on disk, so the process
//! must stop rather than try again.

use mainstay_model::{Error, Kind, Result};
use sqlx::{Any, Transaction, error::DatabaseError};

/// What a failed query means to us.
pub fn error(e: sqlx::Error) -> Error {
    match &e {
        sqlx::Error::Database(d) => database(d.as_ref()),
        sqlx::Error::Io(io) => unavailable("the connection to the store broke").with_inside(io),
        sqlx::Error::Tls(_) => {
            unavailable("no TLS connection to the store; check its certificate and the sslmode of its URL").with_inside(&e)
        }
        sqlx::Error::PoolTimedOut => Error::unavailable("store_busy", "the store has been busy for too long; try again").with_inside(&e),
        sqlx::Error::PoolClosed => unavailable("the store is closed: Mainstay is stopping"),
        sqlx::Error::Configuration(_) => Error::failed("store_url", format!("the store's URL does not work: {e}")),
        _ => Error::internal(format!("store: {e}")),
    }
}

/// Commits, with the error mapped. Where it fails because the connection broke, whether it was
/// committed is not known: [`Kind::Unavailable`].
pub async fn commit(tx: Transaction<'static, Any>) -> Result<()> {
    tx.commit().await.map_err(error)
}

/// As [`error`], but a value that is taken already becomes a conflict with `code` and `message`.
pub(crate) fn taken(e: sqlx::Error, code: &str, message: impl FnOnce() -> String) -> Error {
    match e.as_database_error() {
        Some(d) if d.is_unique_violation() => Error::conflict(code, message()).with_inside(d),
        _ => error(e),
    }
}

/// Whether the whole transaction may simply be run again.
pub(crate) fn is_rerun(e: &Error) -> bool {
    e.code == "store_busy"
}

fn unavailable(message: &str) -> Error {
    Error::unavailable("store_unavailable", message)
}

fn database(d: &dyn DatabaseError) -> Error {
    if d.is_unique_violation() {
        return Error::conflict("already_exists", "there is one like this already").with_inside(d);
    }
    if d.is_foreign_key_violation() {
        let message = "what this refers to does not exist any more, or something still refers to it";
        return Error::conflict("reference", message).with_inside(d);
    }
    let code = d.code().unwrap_or_default();
    let known = match code.parse::<i32>() {
        Ok(number) if code.len() != 5 => sqlite(number),
        _ => postgres(&code),
    };
    known.unwrap_or_else(|| Error::internal("store")).with_inside(format!("store: {code} {d}"))
}

/// By SQLite's extended result codes; the low byte is the primary one.
fn sqlite(code: i32) -> Option<Error> {
    const FULL: i32 = 13;
    const IOERR_SHMSIZE: i32 = 4874;
    Some(match (code, code & 0xff) {
        // The shared-memory file cannot grow: what a full disk looks like to the first reader.
        (IOERR_SHMSIZE, _) | (_, FULL) => no_space(),
        (_, 5 | 6) => Error::unavailable("store_busy", "the store has been locked by another process for too long; try again"),
        (_, 8) => Error::failed(
            "store_read_only",
            "the store cannot be written to: its file or device is read-only, or a write was not begun as one",
        ),
        (_, 10) => device(),
        (_, 11 | 26) => Error::integrity("the store's file is damaged; restore the control plane from a backup"),
        (_, 14) => Error::failed("store_open", "the store's file cannot be opened; check that it exists and who owns its directory"),
        _ => return None,
    })
}

/// By SQLSTATE; the first two characters are the class.
fn postgres(code: &str) -> Option<Error> {
    Some(match (code, code.get(..2).unwrap_or_default()) {
        ("53100", _) => no_space(),
        ("40001" | "40P01", _) => Error::unavailable("store_busy", "somebody else changed the same thing at the same moment; try again"),
        ("55P03", _) => Error::unavailable("store_busy", "the store has been locked by another process for too long; try again"),
        ("25006", _) => {
            Error::unavailable("store_read_only", "the store cannot be written to: it is a replica, or a write was not begun as one")
        }
        ("58030", _) => device(),
        ("22021", _) => Error::malformed("a text holds a NUL character, which cannot be stored"),
        ("XX001" | "XX002", _) => {
            Error::integrity("PostgreSQL says that the store's data is damaged; restore the control plane from a backup")
        }
        ("3D000", _) => Error::failed("store_open", "the store's database does not exist; create it first"),
        (_, "28") => Error::failed("store_open", "PostgreSQL refused the store's user or password"),
        (_, "08" | "57" | "53") => unavailable("PostgreSQL, which holds the store, does not answer"),
        _ => return None,
    })
}

fn no_space() -> Error {
    Error::new(Kind::NoSpace, "no_space", "no space left where the store lies; free some, and everything goes on by itself")
}

fn device() -> Error {
    Error::failed("store_failed", "the device under the store failed to read or write; Mainstay must be restarted once it is sound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        let rows: [(Option<Error>, Kind, &str); 10] = [
            (sqlite(13), Kind::NoSpace, "no_space"),
            (sqlite(4874), Kind::NoSpace, "no_space"),
            (sqlite(1034), Kind::Failed, "store_failed"),
            (sqlite(5), Kind::Unavailable, "store_busy"),
            (sqlite(517), Kind::Unavailable, "store_busy"),
            (sqlite(26), Kind::Integrity, "integrity"),
            (postgres("53100"), Kind::NoSpace, "no_space"),
            (postgres("57P01"), Kind::Unavailable, "store_unavailable"),
            (postgres("40001"), Kind::Unavailable, "store_busy"),
            (postgres("58030"), Kind::Failed, "store_failed"),
        ];
        for (e, kind, code) in rows {
            let e = e.expect(code);
            assert_eq!((e.kind, e.code.as_str()), (kind, code));
        }
        assert_eq!(sqlite(1), None);
        assert_eq!(postgres("42601"), None);
    }
}
