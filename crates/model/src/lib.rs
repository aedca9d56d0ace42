//! The nouns of Mainstay: plain data, no I/O, no async, time always an argument.
//!
//! Everything here is serialisable, and what a user can see keeps the field names of the REST
//! contract. Words mean what `docs/glossary.md` says they mean.

pub mod alert;
pub mod allow_list;
pub mod assertion;
pub mod audit;
pub mod backup;
pub mod cluster;
pub mod console;
pub mod credentials;
pub mod drill;
pub mod engine;
pub mod error;
pub mod group;
pub mod ids;
pub mod left_behind;
pub mod limits;
pub mod log;
pub mod name;
pub mod node;
pub mod notice;
pub mod project;
pub mod reading;
pub mod restore;
pub mod retention;
pub mod role;
pub mod route;
pub mod schedule;
pub mod secret;
pub mod time;
pub mod user;

pub use allow_list::AllowEntry;
pub use audit::{AuditEntry, AuditResult};
pub use error::{Error, Kind, Result};
pub use ids::*;
pub use name::{ClusterName, Name};
pub use project::Project;
pub use role::Role;
pub use secret::Secret;
pub use time::Time;
