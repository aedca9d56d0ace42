//! Pure decisions: data in, data out, time as an argument. No async, no clock, no I/O.

pub mod base;
pub mod before;
pub mod candidate;
pub mod delivery;
pub mod drift;
pub mod drill;
pub mod log;
pub mod notices;
pub mod overdue;
pub mod recoverability;
pub mod regions;
pub mod reread;
pub mod restore;
pub mod retention;
pub mod schedule;
pub mod settings;
pub mod status;
pub mod suspicious;
pub mod turns;
