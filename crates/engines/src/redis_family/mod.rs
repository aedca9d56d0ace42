//! Redis and Valkey: one engine under two names. They differ in what their programs and their
//! package's user are called; replication, persistence and commands are the same.
//!
//! Three ideas carry this folder. **The role lies beside the append-only log**, as a file that the
//! configuration includes: a server whose log was lost has lost its role too and refuses to start,
//! instead of coming up empty and having its replicas copy the emptiness. **A backup is the
//! replication stream**: we attach as a replica that wants the snapshot alone. **A restored file
//! becomes a log before it is served**, because a server that keeps a log ignores the snapshot
//! file and would start with nothing.

mod accounts;
mod capture;
mod config;
mod connect;
mod console;
mod discover;
mod failover;
mod hold;
mod info;
mod parameters;
mod probe;
mod questions;
mod rdb;
mod replicate;
mod restore;
mod role;
mod stream;
mod walk;

use crate::common::version_key;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    console::Console,
    engine::{
        AccountKeeper, Backups, Chunking, Configured, Consistency, Engine, Failover, Info, Installed, Node, Questions, Service, Upstream,
    },
    progress::Progress,
    runtime::Runtime,
};
use mainstay_model::{Time, cluster::Mode, engine::Parameter, node::Observed};
use std::path::PathBuf;

/// What tells the members of the family apart.
pub(crate) struct Flavour {
    /// The engine's name, and what its programs' names begin with.
    name: &'static str,
    /// As `--version` says it first.
    title: &'static str,
    install_hint: &'static str,
    /// The field of `INFO` that holds the member's own version.
    version_field: &'static str,
    /// OS users to run as, the first that exists.
    users: &'static [&'static str],
    /// The first version with a log in several files and with snapshots for replicas that want nothing else.
    oldest: [u32; 2],
}

const REDIS: Flavour = Flavour {
    name: "redis",
    title: "Redis",
    install_hint: "install the package redis-server (7.0 or later) of your distribution or of packages.redis.io",
    version_field: "redis_version",
    users: &["redis", "valkey", "nobody"],
    oldest: [7, 0],
};

const VALKEY: Flavour = Flavour {
    name: "valkey",
    title: "Valkey",
    install_hint: "install the package valkey-server of your distribution (Debian 12: from its backports), or unpack it and name the folder",
    version_field: "valkey_version",
    users: &["valkey", "redis", "nobody"],
    oldest: [7, 2],
};

impl Flavour {
    /// The default of the `lazyfree` settings, which Valkey 8 turned around.
    fn frees_lazily(&self, version: &str) -> &'static str {
        let turned = self.name == VALKEY.name && version_key(version) >= vec![8];
        if turned { "yes" } else { "no" }
    }
}

pub(crate) struct RedisFamily {
    flavour: &'static Flavour,
}

impl RedisFamily {
    pub(crate) const REDIS: RedisFamily = RedisFamily { flavour: &REDIS };
    pub(crate) const VALKEY: RedisFamily = RedisFamily { flavour: &VALKEY };
}

#[async_trait]
impl Engine for RedisFamily {
    fn info(&self) -> Info {
        Info {
            name: self.flavour.name,
            title: self.flavour.title,
            default_port: 6379,
            modes: &[Mode::Single, Mode::PrimaryReplica],
            install_hint: self.flavour.install_hint,
            // A snapshot is written in the order of a hash table: little of it stays where it was,
            // so that small chunks would cost their index and find nothing.
            chunking: Chunking::Fixed(1024 * 1024),
            url_scheme: "redis",
            download_extension: "rdb",
        }
    }

    async fn discover(&self, runtime: &dyn Runtime, extra: &[PathBuf]) -> Vec<Installed> {
        discover::discover(self.flavour, runtime, extra).await
    }

    fn parameters(&self, version: &str) -> Vec<Parameter> {
        parameters::all(self.flavour.frees_lazily(version))
    }

    fn service(&self, node: &Node) -> Service {
        config::service(self.flavour, node)
    }

    async fn bootstrap(&self, node: &Node) -> Result<()> {
        replicate::bootstrap(node).await
    }

    async fn join(&self, node: &Node, upstream: &Upstream, _progress: &Progress) -> Result<()> {
        replicate::join(node, upstream).await
    }

    /// A replica that is gone leaves nothing behind: the primary forgets it with its connection.
    async fn leave(&self, _node: &Node, _leaving: &Upstream) -> Result<()> {
        Ok(())
    }

    async fn probe(&self, node: &Node, now: Time) -> Observed {
        probe::probe(node, now).await
    }

    async fn configure(&self, node: &Node) -> Result<Configured> {
        config::configure(self.flavour, node).await
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
    fn consistency(&self) -> Option<&dyn Consistency> {
        Some(self)
    }
    fn questions(&self) -> Option<&dyn Questions> {
        Some(self)
    }
    fn console(&self) -> Option<&dyn Console> {
        Some(self)
    }
}
