//! Durable operations: an ordered list of named steps that survives a crash at any point.
//!
//! This crate knows nothing of clusters. It keeps a journal in SQL, runs the steps of whatever
//! [`Operation`]s were registered, adopts what a dead runner left, unwinds what failed before its
//! point of no return and holds, visibly, what failed after it. `docs/adding-an-operation.md`
//! shows how one is written.

pub mod operation;

mod choices;
mod clock;
pub mod faults;
mod handle;
#[cfg(feature = "harness")]
pub mod harness;
mod interrupt;
mod journal;
mod lock;
mod next;
mod progress;
mod record;
mod recovery;
mod run;
mod runner;
mod schema;
mod step;
mod submit;
mod view;
mod watch;

pub use clock::{Clock, SystemClock};
pub use faults::{Faults, NoFaults, Point, Verdict, When};
pub use journal::{Database, Journal};
pub use lock::{Lock, Subject};
pub use operation::{Aside, Cx, End, Ended, Listener, Operation, Registry, Step, StepKind, Tx, Undo, unknown_step};
pub use runner::{Retry, Runner, RunnerOptions};
pub use submit::Submit;
pub use view::{Filter, Page, Status, StepStatus, StepView, View};
