//! The machine: which addresses are this data directory's, which engines are installed, which
//! ports are free.

use crate::{
    Agent,
    disk::{blocking, read_json, write_json},
    dispatch::Act,
};
use mainstay_drivers::engine::{Engine, Installed};
use mainstay_model::{Error, Result, Secret, engine::EngineEntry};
use mainstay_rpc::verbs::{AccountNames, Describe, Description, EngineFacts, FindPort, FoundPort, NameAccounts};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Ports that are tried from the wished one upward.
const PORTS_TRIED: u16 = 100;
/// How long a list of the installed engines is shown before it is made anew. For running a node
/// any look will do: a version that is not found is looked for again at once.
const LISTED_FOR: Duration = Duration::from_secs(30);

/// What is drawn once in the life of a data directory, and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installation {
    /// Tells this data directory's nodes from all others'.
    pub id: String,
    /// `127.A.B.0`, A 64 to 127: the /24 its nodes and endpoints have their addresses in.
    pub block: Ipv4Addr,
}

impl Installation {
    pub fn open(file: &Path) -> Result<Installation> {
        if let Some(kept) = read_json(file)? {
            return Ok(kept);
        }
        let drawn = Installation { id: hex::encode(rand::random::<[u8; 16]>()), block: draw_block()? };
        write_json(file, &drawn)?;
        Ok(drawn)
    }
}

/// A block nobody listens in and that can be bound.
fn draw_block() -> Result<Ipv4Addr> {
    let taken = listening_blocks();
    for _ in 0..1_000 {
        let (a, b) = (rand::random_range(64..=127), rand::random_range(0..=255));
        let free = !taken.contains(&(a, b)) && TcpListener::bind((Ipv4Addr::new(127, a, b, 1), 0)).is_ok();
        if free {
            return Ok(Ipv4Addr::new(127, a, b, 0));
        }
    }
    Err(Error::failed("no_loopback_block", "no unused loopback block 127.64.0.0 to 127.127.255.0 could be bound on this machine"))
}

/// The blocks below 127/8 that something listens in, from the kernel's own table.
fn listening_blocks() -> Vec<(u8, u8)> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = |line: &str| u32::from_str_radix(line.split_whitespace().nth(1)?.split(':').next()?, 16).ok();
    let address = |n: u32| Ipv4Addr::from(n.to_ne_bytes());
    table.lines().filter_map(local).map(address).filter(Ipv4Addr::is_loopback).map(|a| (a.octets()[1], a.octets()[2])).collect()
}

/// The engines of this build, and what is installed of each.
#[derive(Default)]
pub(crate) struct InstalledEngines(Mutex<HashMap<&'static str, (Instant, Vec<Installed>)>>);

impl Agent {
    pub(crate) fn engine(&self, name: &str) -> Result<&Arc<dyn Engine>> {
        let found = self.parts.engines.iter().find(|e| e.info().name == name);
        found.ok_or_else(|| Error::not_found("engine", name))
    }

    /// What is installed of an engine, newest first; looked up again where the last look is older.
    async fn installed_of(&self, engine: &dyn Engine, at_most: Duration) -> Vec<Installed> {
        let name = engine.info().name;
        let known = self.installed.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((_, found)) = known.filter(|(at, _)| at.elapsed() < at_most) {
            return found;
        }
        let found = engine.discover(self.parts.runtime.as_ref(), &self.parts.engine_dirs).await;
        let entry = (Instant::now(), found.clone());
        self.installed.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, entry);
        found
    }

    /// The newest installed version that `version` means: `15` means 15.18, `15.1` does not.
    pub(crate) async fn installed(&self, engine: &dyn Engine, version: &str) -> Result<Installed> {
        for at_most in [Duration::MAX, Duration::ZERO] {
            let mut found = self.installed_of(engine, at_most).await;
            if let Some(at) = found.iter().position(|i| means(version, &i.version)) {
                let mut chosen = found.swap_remove(at);
                chosen.user = self.parts.engine_user.clone().or(chosen.user);
                return Ok(chosen);
            }
        }
        let info = engine.info();
        let sentence =
            format!("{} {} is not installed on this host; {}", info.title, mainstay_model::error::shown(version), info.install_hint);
        Err(Error::conflict("engine_not_installed", sentence))
    }

    pub(crate) async fn describe(&self, _: Describe, _: &Act) -> Result<Description> {
        let engines = futures::future::join_all(self.parts.engines.iter().map(|e| self.entry(e.as_ref()))).await;
        Ok(Description {
            version: self.parts.version.clone(),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            host: self.parts.runtime.host(&self.parts.data_dir).await?,
            engines,
            block: IpAddr::V4(self.installation.block),
            runtime: self.parts.runtime.name().into(),
            storage_kinds: self.parts.storages.kinds().into_iter().map(String::from).collect(),
            facts: self.parts.engines.iter().map(|e| (e.info().name.into(), facts(&**e))).collect(),
        })
    }

    async fn entry(&self, engine: &dyn Engine) -> EngineEntry {
        let (info, installed) = (engine.info(), self.installed_of(engine, LISTED_FOR).await);
        let can = [
            ("failover", engine.failover().is_some()),
            ("backups", engine.backups().is_some()),
            ("accounts", engine.accounts().is_some()),
            ("point_in_time", engine.segments().is_some()),
            ("terminal", engine.console().is_some()),
        ];
        EngineEntry {
            name: info.name.into(),
            title: info.title.into(),
            available: !installed.is_empty(),
            install_hint: info.install_hint.into(),
            modes: info.modes.to_vec(),
            capabilities: can.into_iter().filter(|(_, can)| *can).map(|(name, _)| name.to_string()).collect(),
            default_port: info.default_port,
            parameters: engine.parameters(installed.first().map_or("", |i| &i.version)),
            versions: installed.into_iter().map(|i| i.version).collect(),
        }
    }

    /// An engine without accounts of its own is known by the cluster's name all the same.
    pub(crate) async fn name_accounts(&self, verb: NameAccounts, _: &Act) -> Result<AccountNames> {
        let Some(accounts) = self.engine(&verb.engine)?.accounts() else {
            return Ok(AccountNames { user: verb.cluster.identifier(), database: None });
        };
        let named = accounts.credentials_for(&verb.cluster, Secret::new(""));
        Ok(AccountNames { user: named.user, database: named.database })
    }

    pub(crate) async fn find_port(&self, verb: FindPort, _: &Act) -> Result<FoundPort> {
        blocking(move || find_port(verb.address, verb.port)).await
    }
}

fn facts(engine: &dyn Engine) -> EngineFacts {
    let info = engine.info();
    EngineFacts {
        chunking: info.chunking,
        url_scheme: info.url_scheme.into(),
        download_extension: info.download_extension.into(),
        consistent: engine.consistency().is_some(),
        questions: engine.questions().map(|q| q.form().to_string()),
    }
}

/// Whether the chosen version, by whole numbers, begins the full one.
fn means(chosen: &str, full: &str) -> bool {
    let (mut chosen, mut full) = (chosen.split('.'), full.split('.'));
    chosen.all(|part| full.next() == Some(part))
}

fn find_port(address: IpAddr, wished: u16) -> Result<FoundPort> {
    let mut holder = None;
    for port in wished..=wished.saturating_add(PORTS_TRIED) {
        // Bound the way engines bind (address reuse on): what this finds free they find free.
        match TcpListener::bind((address, port)) {
            Ok(_) => return Ok(FoundPort { port, holder }),
            Err(e) if e.kind() == ErrorKind::AddrInUse => {
                if port == wished {
                    holder = holder_of(SocketAddr::new(address, port));
                }
            }
            Err(e) => return Err(unusable(address, port, &e)),
        }
    }
    let by = holder.map(|h| format!(" ({wished} by {h})")).unwrap_or_default();
    let last = wished.saturating_add(PORTS_TRIED);
    Err(Error::conflict("port_in_use", format!("every port from {wished} to {last} at {address} is held{by}; choose another")))
}

fn unusable(address: IpAddr, port: u16, e: &std::io::Error) -> Error {
    match e.kind() {
        ErrorKind::AddrNotAvailable => Error::invalid("address", format!("{address} is no address of this host")),
        ErrorKind::PermissionDenied => Error::invalid("port", format!("port {port} may only be opened by root; choose one above 1023")),
        _ => Error::failed("port", format!("{address} port {port} cannot be opened: {e}")),
    }
}

fn holder_of(address: SocketAddr) -> Option<String> {
    mainstay_gateway::holder_of(address).map(|(pid, name)| format!("{} (pid {pid})", crate::text::clean(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_meant_by_whole_numbers() {
        assert!(means("15", "15.18") && means("7.0", "7.0.15") && means("7.0.15", "7.0.15"));
        assert!(!means("15.1", "15.18") && !means("1", "15.18") && !means("15.18.1", "15.18"));
    }

    #[test]
    fn a_held_port_is_passed_over() {
        let address: IpAddr = format!("127.{}.{}.7", rand::random_range(64..=127), rand::random_range(0..=255)).parse().unwrap();
        let held = TcpListener::bind((address, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let found = find_port(address, port).unwrap();
        assert_ne!(found.port, port);
        assert!(found.holder.unwrap().ends_with(&format!("(pid {})", std::process::id())));
        drop(held);
        assert_eq!(find_port(address, port).unwrap().port, port);
        assert_eq!(find_port("203.0.113.1".parse().unwrap(), port).unwrap_err().field.as_deref(), Some("address"));
    }

    #[test]
    fn the_block_is_drawn_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("installation.json");
        let first = Installation::open(&file).unwrap();
        assert!((64..=127).contains(&first.block.octets()[1]) && first.block.octets()[3] == 0);
        assert_eq!(Installation::open(&file).unwrap(), first);
    }
}
