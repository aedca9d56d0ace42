//! What Mainstay remembers, in SQL: one file a table, one text for SQLite and PostgreSQL.
//!
//! A noun is kept as one JSON document beside the few columns that are searched, sorted or unique;
//! so a new field needs no migration, and a query needs no list of thirty columns. The document is
//! the truth, the columns are written from it in the same statement and nowhere else.
//!
//! Every query takes a connection, so that it runs inside whatever transaction its caller has
//! open. [`Store::begin_write`] is the only way to start a write: connections from
//! [`Store::read`] and [`Store::pool`] refuse to change anything. Writers take turns, one at a
//! time, on both stores: what was read inside a write is still true when it commits, and nothing
//! fails at commit on PostgreSQL that could not fail on SQLite.

pub mod accounts;
pub mod addresses;
pub mod alerts;
pub mod assertions;
pub mod audit;
pub mod backups;
pub mod changes;
pub mod clusters;
mod doc;
pub mod drills;
mod error;
pub mod groups;
pub mod idempotency;
pub mod kv;
pub mod left_behind;
pub mod links;
pub mod log;
pub mod members;
pub mod nodes;
pub mod notifiers;
mod open;
pub mod outbox;
mod page;
pub mod projects;
pub mod readings;
pub mod restores;
pub mod retention;
pub mod schedules;
mod schema;
mod seal;
pub mod secrets;
mod select;
pub mod sessions;
mod sqlite;
pub mod storages;
pub mod tokens;
pub mod users;

pub use error::{commit, error};
pub use open::{Kind, Store};
pub use page::{Page, Paging};
pub use seal::Sealer;
pub use sqlite::url as sqlite_url;
