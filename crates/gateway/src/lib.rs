//! The client endpoint: one stable address a cluster that always leads to the right node.
//!
//! The gateway is a process of its own, because a session lives exactly as long as the process
//! that copies its bytes: agent and control plane may be killed or replaced while it runs. It
//! decides nothing. It is told a [`ClusterRoute`](mainstay_model::route::ClusterRoute) a cluster
//! over its control socket, writes it down before it obeys, and after a restart serves what was
//! written without being told again.
//!
//! # What is promised
//!
//! A route is applied whole. It is published in one swap ([`policy`]), and everything that acts
//! on it, an arriving connection or an open session, holds the very policy it was last judged by.
//! When the last holder of the old one lets go, nobody lives under it any more: only then does
//! `set` reply. So after the reply to a narrower allow-list or another primary there is no
//! session left that the new route would not admit, and there was no moment in which half of it
//! was in force.
//!
//! A peer that is not allowed is reset before a byte is read from it, and no backend hears of it.
//! While there is no target, connections wait with their bytes unread in the kernel: nothing is
//! ever replayed, and a hand-over inside the hold limit is a pause rather than an error.
//!
//! # What is bounded
//!
//! Each session costs two descriptors and two small buffers, and the number of sessions is capped
//! below what the descriptor limit allows, so that a flood of clients is turned away while open
//! sessions and the control socket go on.

mod client;
mod cluster;
mod control;
mod endpoint;
mod holder;
mod hub;
mod policy;
mod saved;
mod session;
mod wire;

pub use client::Client;
pub use holder::holder_of;

use mainstay_model::Result;
use std::{path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Descriptors kept free for listeners, the control socket, the state file and the log.
const RESERVED_DESCRIPTORS: u64 = 64;

#[derive(Debug, Clone)]
pub struct Options {
    /// The control socket. Its directory is made (0700) where it is missing.
    pub socket: PathBuf,
    /// Where routes are kept, so that a restarted gateway serves at once.
    pub state_file: PathBuf,
    /// Most sessions, waiting and open together; lowered to what the descriptor limit allows.
    pub max_sessions: usize,
}

/// Serves until `shutdown`, then stops accepting and ends every session. Fails with a conflict
/// where another gateway owns the socket; a port that is held is a problem in the status and no
/// reason to fail.
pub async fn run(options: Options, shutdown: CancellationToken) -> Result<()> {
    let control = control::Control::bind(&options.socket).await?;
    let (saved, routes) = saved::Saved::load(&options.state_file)?;
    let hub = Arc::new(hub::Hub::new(saved, affordable(options.max_sessions)));
    hub.restore(routes).await;
    tracing::info!("the gateway serves; its control socket is {}", options.socket.display());
    shutdown.run_until_cancelled(control.serve(hub.clone())).await;
    hub.close().await;
    Ok(())
}

/// The sessions this process has descriptors for, after raising the soft limit to the hard one.
fn affordable(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_ok();
    let descriptors = if raised { limit.maximum } else { limit.current };
    let room = descriptors.map_or(wanted as u64, |d| d.saturating_sub(RESERVED_DESCRIPTORS) / 2);
    if room < wanted as u64 {
        tracing::warn!("the descriptor limit has room for {room} sessions, not {wanted}; raise it (LimitNOFILE) for more");
    }
    room.clamp(1, wanted.max(1) as u64) as usize
}
