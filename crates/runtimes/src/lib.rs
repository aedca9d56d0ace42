//! Runtimes: where engines run. Each is a driver behind the one contract of
//! `mainstay_drivers::runtime`; the list below is all the rest of the product knows of them, and
//! what the conformance tests walk.

pub mod layers;
pub mod process;

pub use layers::trace::Traced;
pub use process::{Options, ProcessRuntime};

use mainstay_drivers::{Result, runtime::Runtime};
use std::{path::PathBuf, sync::Arc};

/// One way of running engines.
pub struct Driver {
    /// As in [`Runtime::name`].
    pub name: &'static str,
    /// Opens it on a directory that holds its records. Needs a Tokio runtime around it.
    pub open: fn(PathBuf) -> Result<Arc<dyn Runtime>>,
}

/// The list. A new runtime is one file and one line here.
pub fn all() -> Vec<Driver> {
    vec![Driver { name: "process", open: |state_dir| Ok(ProcessRuntime::new(state_dir, Options::default())?) }]
}
