//! A served API, and callers of every kind.

use async_trait::async_trait;
use mainstay_api_types::{Operation, OperationStatus};
use mainstay_client::Client;
use mainstay_control::{App, Options as ControlOptions, Parts, tokens};
use mainstay_drivers::{engine::Chunking, progress::Progress, runtime::HostFacts, storage::StorageReport};
use mainstay_model::{Error, Result, cluster::Mode, engine::EngineEntry, project::Project, role::Role};
use mainstay_operations::{RunnerOptions, SystemClock};
use mainstay_rpc::{
    Call, Out, Performer, Verb,
    verbs::{AccountNames, CheckStorage, Describe, Description, EngineFacts, NameAccounts, Probe, RouteStatuses},
};
use mainstay_store::{Sealer, Store};
use mainstay_testkit::FakeWorld;
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
    let facts = EngineFacts {
        chunking: Chunking::ContentDefined,
        url_scheme: "ledger".into(),
        download_extension: "tar.zst".into(),
        consistent: true,
        questions: Some("a word".into()),
    };
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
            CheckStorage::NAME => serde_json::to_string(&StorageReport { rows: vec![], free_bytes: None, total_bytes: None }),
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
    pub stop: CancellationToken,
    /// The server itself; ends some time after `stop`.
    pub ended: tokio::task::JoinHandle<Result<()>>,
    pub world: Option<FakeWorld>,
    _dir: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// With an agent that does nothing, and operations that wait for ever.
pub async fn serve() -> Served {
    over(Arc::new(Yes), None).await
}

/// With a real agent in a fake world, and operations that run.
pub async fn serve_world() -> Served {
    let world = FakeWorld::new();
    let parts = mainstay_agent::Parts {
        data_dir: world.data_dir(),
        engines: world.engines(),
        runtime: world.runtime.clone(),
        storages: world.storages.clone(),
        endpoint: world.endpoint.clone(),
        sockets_root: world.sockets_root(),
        engine_dirs: vec![],
        engine_user: None,
        clock: mainstay_testkit::now,
        version: "0.0.0".into(),
    };
    let agent = mainstay_agent::Agent::open(parts).await.unwrap();
    let served = over(agent, Some(world)).await;
    drop(served.app.runner.start(served.stop.clone()).await);
    served
}

async fn over(performer: Arc<dyn Performer>, world: Option<FakeWorld>) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let socket = dir.path().join("agent.sock");
    let (path, ended) = (socket.clone(), stop.clone());
    tokio::spawn(async move { mainstay_rpc::serve(&path, performer, ended.cancelled_owned()).await });
    let url = mainstay_store::sqlite_url(&dir.path().join("db")).unwrap();
    let store = Store::open(&url, Sealer::generate().unwrap()).await.unwrap();
    let agent = mainstay_rpc::Agent::on_socket(socket).unwrap();
    let options = ControlOptions { default_storage: dir.path().join("storage"), ..ControlOptions::default() };
    let parts = Parts {
        store,
        agent,
        clock: Arc::new(SystemClock),
        options,
        runner_options: RunnerOptions::default(),
        notifiers: Arc::new(mainstay_testkit::FakeNotifiers::default()),
    };
    let app = App::open(parts).await.unwrap();
    let admin = tokens::ensure_administrator(&app, None).await.unwrap().unwrap().reveal().to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ended = tokio::spawn(mainstay_api::serve(listener, app.clone(), mainstay_api::Options::default(), stop.clone()));
    let project = mainstay_control::projects::resolve(&app, "default").await.unwrap();
    Served { app, url, admin, project, stop, ended, world, _dir: dir }
}

impl Served {
    pub async fn token(&self, name: &str, role: Role, project: &Project) -> String {
        let new = tokens::NewToken { name: name.into(), role, project: Some(project.id.clone()), expires_days: None, made_by: None };
        tokens::create(&self.app, new).await.unwrap().1.reveal().to_string()
    }

    pub async fn other_project(&self) -> Project {
        let project = Project { id: Default::default(), name: mainstay_model::Name::parse("other").unwrap(), created_at: self.app.now() };
        let mut tx = self.app.store.begin_write().await.unwrap();
        mainstay_store::projects::insert(&mut tx, &project).await.unwrap();
        mainstay_store::commit(tx).await.unwrap();
        project
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(&self.admin)).unwrap()
    }

    /// Follows an accepted operation to its end.
    pub async fn ends(&self, accepted: Value) -> Operation {
        let id = accepted["id"].as_str().unwrap_or_else(|| panic!("no operation: {accepted}"));
        let mut events = self.client().watch(id).await.unwrap();
        let mut last = None;
        while let Some(state) = events.next().await.unwrap() {
            last = Some(state);
        }
        last.unwrap()
    }

    /// A verb of the administrator, to its good end.
    pub async fn does(&self, method: &str, path: &str, body: Value) -> Operation {
        let (status, accepted) = self.admin(method, path, body).await;
        assert_eq!(status, 202, "{method} {path}: {accepted}");
        let end = self.ends(accepted).await;
        assert_eq!(end.status, OperationStatus::Succeeded, "{method} {path}: {end:?}");
        end
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.admin("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Rows of the audit as actor, action, result, object's name and detail, newest first.
    pub async fn audit(&self, query: &str) -> Vec<[String; 5]> {
        let rows = self.get(&format!("/audit?{query}")).await;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_string();
        let fields = ["actor", "action", "result", "object_name", "detail"];
        rows["items"].as_array().unwrap().iter().map(|row| fields.map(|name| text(row, name))).collect()
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
        let body = (!body.is_null()).then_some(body);
        let response = self.send(method, path, Some(&self.admin), body, &[]).await;
        let status = response.status();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    pub async fn problem(&self, method: &str, path: &str, body: Value) -> (u16, String, Value) {
        let (status, problem) = self.admin(method, path, body).await;
        assert_eq!(problem["status"], json!(status.as_u16()), "{path}: {problem}");
        (status.as_u16(), problem["code"].as_str().unwrap_or_default().into(), problem)
    }
}
