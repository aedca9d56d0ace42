//! Durable operations: an ordered list of named steps that survives a crash at any point.
//!
//! This crate knows nothing of clusters. It keeps a journal in SQL, runs the steps of whatever
//! [`Operation`]s were registered, adopts what a dead runner left, unwinds what failed before its
//! point of no return and holds, visibly, what failed after it. `docs/adding-an-operation.md`
//! shows how one is written.

pub mod operation;

pub use operation::{Cx, Operation, Registry, Step, StepKind, Tx, Undo};
