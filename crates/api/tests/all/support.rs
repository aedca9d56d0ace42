//! A served API, and callers of every kind.

use async_trait::async_trait;
use mainstay_control::{App, Options as ControlOptions, Parts, tokens};
use mainstay_drivers::{engine::Chunking, progress::Progress, runtime::HostFacts};
use mainstay_model::{Error, Result, cluster::Mode, engine::EngineEntry, project::Project, role::Role};
use mainstay_operations::{RunnerOptions, SystemClock};
use mainstay_rpc::{
    Call, Out, Performer, Verb,
    verbs::{AccountNames, Describe, Description, EngineFacts, NameAccounts, Probe, RouteStatuses},
};
use mainstay_store::{Sealer, Store};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Knows one engine, has no nodes, and refuses every effect: what is tested here comes before it.
struct Yes;

fn description() -> Description {
    let entry = EngineEntry {
        name: "ledger".into(),
        title: "Ledger".into(),
        versions: vec!["1.2".into()],
        available: true,
        install_hint: String::new(),
        modes: Mode::ALL.to_vec(),
        capabilities: vec![],
        default_port: 7000,
        parameters: vec![],
    };
    let facts = EngineFacts { chunking: Chunking::ContentDefined, url_scheme: "ledger".into(), download_extension: "tar.zst".into() };
    Description {
        version: "0".into(),
        host_name: "here".into(),
        host: HostFacts { cpus: 1, memory_bytes: 1, disk_total_bytes: 1, disk_free_bytes: 1, boot_id: "b".into(), is_root: false },
        engines: vec![entry],
        block: "127.99.99.0".parse().unwrap(),
        runtime: "none".into(),
        storage_kinds: vec!["local".into()],
        facts: BTreeMap::from([("ledger".to_string(), facts)]),
    }
}

#[async_trait]
impl Performer for Yes {
    async fn perform(&self, call: Call, _: Progress, _: Out) -> Result<String> {
        let reply = match call.verb.as_str() {
            Describe::NAME => serde_json::to_string(&description()),
            NameAccounts::NAME => serde_json::to_string(&AccountNames { user: "u".into(), database: None }),
            Probe::NAME | RouteStatuses::NAME => Ok("{}".into()),
            _ => return Err(Error::failed("refused", "this agent does nothing")),
        };
        reply.map_err(Error::internal)
    }
}

pub struct Served {
    pub app: Arc<App>,
    pub url: String,
    pub admin: String,
    pub project: Project,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub async fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let socket = dir.path().join("agent.sock");
    let (path, ended) = (socket.clone(), stop.clone());
    tokio::spawn(async move { mainstay_rpc::serve(&path, Arc::new(Yes), ended.cancelled_owned()).await });
    let url = mainstay_store::sqlite_url(&dir.path().join("db")).unwrap();
    let store = Store::open(&url, Sealer::generate().unwrap()).await.unwrap();
    let agent = mainstay_rpc::Agent::on_socket(socket).unwrap();
    let parts =
        Parts { store, agent, clock: Arc::new(SystemClock), options: ControlOptions::default(), runner_options: RunnerOptions::default() };
    let app = App::open(parts).await.unwrap();
    let admin = tokens::ensure_administrator(&app, None).await.unwrap().unwrap().reveal().to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(mainstay_api::serve(listener, app.clone(), mainstay_api::Options::default(), stop.clone()));
    let project = mainstay_control::projects::resolve(&app, "default").await.unwrap();
    Served { app, url, admin, project, stop, _dir: dir }
}

impl Served {
    pub async fn token(&self, name: &str, role: Role, project: &Project) -> String {
        let new = tokens::NewToken { name: name.into(), role, project: Some(project.id.clone()), expires_days: None };
        tokens::create(&self.app, new).await.unwrap().1.reveal().to_string()
    }

    pub async fn other_project(&self) -> Project {
        let project = Project { id: Default::default(), name: mainstay_model::Name::parse("other").unwrap(), created_at: self.app.now() };
        let mut tx = self.app.store.begin_write().await.unwrap();
        mainstay_store::projects::insert(&mut tx, &project).await.unwrap();
        mainstay_store::commit(tx).await.unwrap();
        project
    }

    /// `path` below `/api/v1`.
    pub async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>, headers: &[(&str, &str)]) -> Response {
        let method: Method = method.parse().unwrap();
        let mut request = reqwest::Client::new().request(method, format!("{}/api/v1{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    pub async fn admin(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.send(method, path, Some(&self.admin), Some(body), &[]).await;
        let status = response.status();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    pub async fn problem(&self, method: &str, path: &str, body: Value) -> (u16, String, Value) {
        let (status, problem) = self.admin(method, path, body).await;
        assert_eq!(problem["status"], json!(status.as_u16()), "{path}: {problem}");
        (status.as_u16(), problem["code"].as_str().unwrap_or_default().into(), problem)
    }
}
