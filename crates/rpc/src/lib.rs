//! The agent's contract: typed verbs, carried by gRPC, with progress and one end.
//!
//! The control plane calls [`Agent::perform`]; an agent implements [`Performer`] and is served by
//! [`serve`]. Inside `mainstay up` both are in one process and still speak through a Unix socket, so
//! that there is one path, and it is the tested one.

mod client;
mod server;
pub mod verbs;

pub use client::{Agent, Chunks};
pub use server::{Call, Heard, Out, Performer, serve};
pub use verbs::Verb;

#[allow(clippy::all, clippy::pedantic)]
mod proto {
    tonic::include_proto!("mainstay.agent.v1");
}

/// Largest message either side takes. Log tails are the largest; bulk bytes come in chunks.
const MAX_MESSAGE: usize = 8 * 1024 * 1024;
