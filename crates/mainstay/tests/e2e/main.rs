//! The product from outside: the binary, real engines, `psql`, `redis-cli` and `restic`.
//!
//! Every test has a Mainstay of its own with its own data directory and address block, so that they
//! run side by side; what a test started is gone when it ends, however it ends.
#![allow(clippy::disallowed_methods, reason = "tests play the part of a person at a terminal")]

mod access;
mod copies;
mod damage;
mod drills;
mod from_nothing;
mod groups;
mod kill;
mod kills;
mod main_job;
mod nodes;
mod notices;
mod object_lock;
mod pitr;
mod places;
mod recover;
mod schedules;
mod servers;
mod snapshots;
mod support;
mod terminal;
