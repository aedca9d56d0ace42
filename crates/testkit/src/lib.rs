//! Fakes with state: a whole world without a database, in which tests of the agent and of the
//! control plane run the real code against real directories.
//!
//! Each fake implements a driver contract for good: its engine keeps rows in files and replicates
//! them, its runtime has a process table that outlives the agent, its storage publishes last. What
//! is fake is only the outside: nothing is spawned and nothing listens. [`Faults`] makes any of
//! them fail, lose a reply, wait or hang at a named point.

pub mod disk;
pub mod fake_endpoint;
pub mod fake_engine;
pub mod fake_notifiers;
pub mod fake_runtime;
pub mod fake_storage;
pub mod fake_world;
pub mod faults;
#[cfg(feature = "world")]
pub mod world;

pub use disk::Disk;
pub use fake_endpoint::FakeEndpoint;
pub use fake_engine::{FakeEngine, Style};
pub use fake_notifiers::{FakeNotifiers, Mood};
pub use fake_runtime::FakeRuntime;
pub use fake_storage::FakeStorages;
pub use fake_world::{FakeWorld, Snapshot};
pub use faults::Faults;
#[cfg(feature = "world")]
pub use world::World;

use std::{
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that something was not tried, and why, past the capture of tests that succeed: such lines are
/// counted where all tests are run.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {why}");
}

/// Now, by the machine's clock.
pub fn now() -> mainstay_model::Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    mainstay_model::Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
