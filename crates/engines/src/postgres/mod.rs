//! PostgreSQL, every version from 15 on that is installed.
//!
//! A primary streams its log to replicas through slots named after them. A hand-over is a clean
//! stop, a look that nothing is missing, and a promotion; a backup is the data directory itself,
//! read while it changes, with the log that makes it consistent; a restore is that directory
//! brought up out of everybody's reach, judged by PostgreSQL's own tools, and only then served.

mod accounts;
mod bootstrap;
mod capture;
mod config;
mod configure;
mod connect;
mod console;
mod discover;
mod failover;
mod hold;
mod parameters;
mod probe;
mod prove;
mod questions;
mod replicate;
mod restore;
mod segments;
mod survey;
mod tools;

use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    console::Console,
    engine::{
        AccountKeeper, Backups, Chunking, Configured, Consistency, Engine, Failover, Incremental, Info, Installed, Node, Questions,
        Service, Upstream,
    },
    progress::Progress,
    runtime::Runtime,
    segments::Segments,
};
use mainstay_model::{Time, cluster::Mode, engine::Parameter, node::Observed};
use std::path::PathBuf;

pub(crate) struct Postgres;

#[async_trait]
impl Engine for Postgres {
    fn info(&self) -> Info {
        Info {
            name: "postgres",
            title: "PostgreSQL",
            default_port: 5432,
            modes: &[Mode::Single, Mode::PrimaryReplica],
            install_hint: "install the package postgresql (15 or later) of your distribution or of apt.postgresql.org",
            // Pages of 8 KiB change in place: whole chunks of them stay equal between backups.
            chunking: Chunking::Fixed(64 * 1024),
            url_scheme: "postgresql",
            download_extension: "tar.zst",
        }
    }

    async fn discover(&self, runtime: &dyn Runtime, extra: &[PathBuf]) -> Vec<Installed> {
        discover::discover(runtime, extra).await
    }

    fn parameters(&self, version: &str) -> Vec<Parameter> {
        parameters::all(version)
    }

    fn service(&self, node: &Node) -> Service {
        config::service(node)
    }

    async fn bootstrap(&self, node: &Node) -> Result<()> {
        bootstrap::bootstrap(node).await
    }

    async fn join(&self, node: &Node, upstream: &Upstream, progress: &Progress) -> Result<()> {
        replicate::join(node, upstream, progress).await
    }

    async fn leave(&self, node: &Node, leaving: &Upstream) -> Result<()> {
        replicate::leave(node, leaving).await
    }

    async fn probe(&self, node: &Node, now: Time) -> Observed {
        probe::probe(node, now).await
    }

    async fn configure(&self, node: &Node) -> Result<Configured> {
        configure::configure(node).await
    }

    async fn started(&self, node: &Node) -> Result<()> {
        configure::started(node).await
    }

    fn failover(&self) -> Option<&dyn Failover> {
        Some(self)
    }
    fn backups(&self) -> Option<&dyn Backups> {
        Some(self)
    }
    fn accounts(&self) -> Option<&dyn AccountKeeper> {
        Some(self)
    }
    fn incremental(&self) -> Option<&dyn Incremental> {
        Some(self)
    }
    fn consistency(&self) -> Option<&dyn Consistency> {
        Some(self)
    }
    fn questions(&self) -> Option<&dyn Questions> {
        Some(self)
    }
    fn segments(&self) -> Option<&dyn Segments> {
        Some(self)
    }
    fn console(&self) -> Option<&dyn Console> {
        Some(self)
    }
}
