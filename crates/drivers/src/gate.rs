//! Where several captures meet, so that their points are one.

use crate::Result;

/// A capture that takes part in a group does all it can without deciding its point, then comes to
/// the gate. It is let through when everybody has come and no member acknowledges writes; when it
/// has decided its point it says so, and once all have, writes go on.
///
/// Synchronous, like the [`Source`](crate::storage::Source) that calls it on a storage's thread.
pub trait Gate: Send + Sync {
    /// Blocks until the point may be decided. An error (somebody did not come, a hold failed, the
    /// backup was cancelled) ends the capture.
    fn pass(&self) -> Result<()>;
    /// The point is decided: what is written from now on is not in it.
    fn passed(&self);
}
