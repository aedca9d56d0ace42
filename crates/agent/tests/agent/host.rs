//! An agent in an async runtime of its own, so that it can be killed like a process: its tasks are
//! gone at their next await, and the fake world around it goes on.

use mainstay_agent::{Agent, Parts};
use mainstay_drivers::runtime::InstanceId;
use mainstay_model::{ClusterId, Error, Result};
use mainstay_rpc::{Agent as Client, Verb};
use mainstay_testkit::FakeWorld;
use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub struct Host {
    pub world: FakeWorld,
    pub cluster: ClusterId,
    pub engine_user: Option<String>,
    process: Option<tokio::runtime::Runtime>,
    client: Option<Client>,
    agent: Option<Arc<Agent>>,
}

static SOCKETS: AtomicU64 = AtomicU64::new(0);

impl Host {
    pub async fn new() -> Host {
        let mut host = Host::stopped();
        host.open().await.unwrap();
        host
    }

    pub fn stopped() -> Host {
        let world = FakeWorld::new();
        Host { world, cluster: ClusterId::new(), engine_user: None, process: None, client: None, agent: None }
    }

    fn parts(&self) -> Parts {
        Parts {
            data_dir: self.world.data_dir(),
            engines: self.world.engines(),
            runtime: self.world.runtime.clone(),
            storages: self.world.storages.clone(),
            endpoint: self.world.endpoint.clone(),
            sockets_root: self.world.sockets_root(),
            engine_dirs: vec![],
            engine_user: self.engine_user.clone(),
            clock: mainstay_testkit::now,
            version: "0.0.0".into(),
        }
    }

    /// Starts an agent on the world's data directory.
    pub async fn open(&mut self) -> Result<()> {
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let socket = self.world.scratch().join(format!("{}.sock", SOCKETS.fetch_add(1, Ordering::Relaxed)));
        let parts = self.parts();
        let opened = process.spawn(async move { Agent::open(parts).await }).await.map_err(Error::internal)?;
        self.process = Some(process);
        let agent = opened?;
        self.agent = Some(agent.clone());
        let serving = socket.clone();
        self.process.as_ref().unwrap().spawn(async move { mainstay_rpc::serve(&serving, agent, std::future::pending()).await });
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.client = Some(Client::on_socket(socket)?);
        Ok(())
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        self.agent = None;
        self.client = None;
        if let Some(process) = self.process.take() {
            let end = move || process.shutdown_timeout(Duration::from_millis(300));
            tokio::task::spawn_blocking(end).await.unwrap();
        }
    }

    pub fn agent(&self) -> &Arc<Agent> {
        self.agent.as_ref().unwrap()
    }

    pub fn client(&self) -> Client {
        self.client.clone().unwrap()
    }

    /// Performs a verb at generation 1.
    pub async fn does<V: Verb>(&self, verb: V) -> Result<V::Reply> {
        self.does_at(1, verb).await
    }

    pub async fn does_at<V: Verb>(&self, generation: i64, verb: V) -> Result<V::Reply> {
        self.client().perform("op", generation, &verb, |_| {}).await
    }

    pub async fn fails<V: Verb>(&self, verb: V) -> Error {
        match self.does(verb).await {
            Err(e) => e,
            Ok(_) => panic!("{} succeeded", V::NAME),
        }
    }

    pub fn runs(&self, id: impl std::fmt::Display) -> bool {
        self.world.runtime.processes().get(&InstanceId(id.to_string())).is_some_and(|p| p.runs())
    }

    /// Names of instances that are recorded and belong to no served node.
    pub fn isolated(&self) -> Vec<String> {
        self.world.runtime.processes().into_keys().map(|id| id.0).filter(|id| id.contains('.')).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }
}
