//! The contracts between Mainstay and the outside: engines, runtimes, storages, notifiers, endpoint. Traits and
//! their plain data, and how work for them gives way to others ([`background`]), nothing else; implementations live in `engines`, `runtimes`, `storages` and `notifiers`.
//!
//! Every verb is `ensure`-shaped: a second call with the same arguments finds its work done and
//! changes nothing. What only some implementations can do is an accessor to a narrow trait, and
//! its presence is the capability.

pub mod background;
pub mod console;
mod edition;
pub mod endpoint;
pub mod engine;
pub mod gate;
pub mod notifier;
mod place;
pub mod progress;
pub mod runtime;
pub mod segments;
pub mod storage;

pub use mainstay_model::{Error, Result};
