//! The control plane: decides and remembers.
//!
//! `plan/` holds pure decisions, `ops/` the verbs as durable operations, `tasks/` the standing
//! truths, and one file a noun the queries and the validation in front of them. Nothing here
//! touches a database's bytes: that is the agent's work, asked for through its contract.

pub mod alerts;
pub mod app;
pub mod assertions;
pub mod backups;
pub mod clusters;
pub mod copies;
pub mod counts;
pub mod drills;
pub mod engines;
pub mod groups;
pub mod left_behind;
pub mod log;
pub mod measures;
pub mod nodes;
pub mod notices;
pub mod notifiers;
pub mod ops;
pub mod people;
pub mod plan;
pub mod projects;
pub mod recovered;
pub mod recovery;
pub mod recovery_keys;
pub mod recovery_kit;
pub mod recycle_bin;
pub mod restores;
pub mod retention;
pub mod routes;
pub mod schedules;
pub mod storages;
pub mod tasks;
pub mod terminals;
pub mod tokens;
pub mod topology;
pub mod turns;

pub use app::{Actor, App, Options, Parts};
