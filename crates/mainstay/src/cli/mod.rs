//! The verbs, one file a noun: what is asked of the server, and how its answers are shown.

mod access;
mod alert;
mod assertions;
mod audit;
mod backup;
mod bin;
mod cluster;
pub mod connect;
mod console;
mod control_plane;
mod download;
mod drill;
mod engine;
mod group;
mod kit;
mod log;
mod member;
mod node;
mod notifier;
mod operation;
mod plan;
mod project;
pub mod recover;
mod recovery_key;
mod restore;
mod schedule;
mod storage;
mod token;
mod user;

use crate::{args::Command, exit::Outcome, session::Session};
use mainstay_model::Error;

/// Runs a verb that talks to a server.
pub async fn run(s: &Session, command: Command) -> Outcome {
    match command {
        Command::Engine(a) => engine::run(s, a.verb).await,
        Command::Cluster(a) => cluster::run(s, a.verb).await,
        Command::Node(a) => node::run(s, a.verb).await,
        Command::Backup(a) => backup::run(s, a.verb).await,
        Command::Restore(a) => restore::run(s, a.verb).await,
        Command::Schedule(a) => schedule::run(s, a.verb).await,
        Command::Group(a) => group::run(s, a.verb).await,
        Command::Storage(a) => storage::run(s, a.verb).await,
        Command::Notifier(a) => notifier::run(s, a.verb).await,
        Command::Alert(a) => alert::run(s, a.verb).await,
        Command::Operation(a) => operation::run(s, a.verb).await,
        Command::Project(a) => project::run(s, a.verb).await,
        Command::Member(a) => member::run(s, a.verb).await,
        Command::User(a) => user::run(s, a.verb).await,
        Command::Token(a) => token::run(s, a.verb).await,
        Command::Audit(a) => audit::run(s, a.verb).await,
        Command::Up(_) | Command::Down(_) | Command::Gateway(_) | Command::Demo(_) | Command::Recover(_) | Command::Openapi => {
            Err(Error::internal("a command that has no server came here").into())
        }
    }
}
