//! `mainstay up`: control plane and agent in one process. The agent is served on a Unix socket and
//! reached through it, as one on another host would be.

use super::{data_dir, gateway, shutdown_on_signals, tls};
use crate::output::{self, note};
use mainstay_agent::{Agent, Gateway, ensure_gateway};
use mainstay_control::{App, Options, Parts, people, tasks, tokens};
use mainstay_drivers::runtime::Runtime;
use mainstay_model::{Error, Result, Secret};
use mainstay_operations::{RunnerOptions, SystemClock};
use mainstay_store::Store;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Everything `up` was told, resolved and checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub endpoint_address: Option<IpAddr>,
    pub log_spool_bytes: u64,
    pub engine_user: Option<String>,
    pub engine_dirs: Vec<PathBuf>,
    pub public_url: Option<String>,
    /// Certificate and key, where HTTPS is served with one's own.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub copy_again_after: u32,
}

/// How long after a signal the process waits for what it is doing before it leaves it to be adopted.
const LINGER: Duration = Duration::from_secs(5);

/// Serves until a signal. Engines and the gateway go on after it.
pub async fn run(config: Config) -> Result<()> {
    let data_dir = config.data_dir.clone();
    serve(config, shutdown_on_signals()?, announce).await?;
    note(format!(
        "Mainstay stopped. Databases and their endpoints go on; `mainstay down --engines --data-dir {}` stops them.",
        data_dir.display()
    ));
    Ok(())
}

/// What is told once it serves.
pub struct Ready<'a> {
    pub address: SocketAddr,
    pub url: String,
    pub data_dir: &'a Path,
    /// Of the CA that has signed its certificate, where that is its own.
    pub fingerprint: Option<&'a str>,
    /// Lets the first administrator in, while there is nobody.
    pub first_link: Option<Secret>,
}

/// Serves until `shutdown`; says once where.
pub async fn serve(config: Config, shutdown: CancellationToken, ready: impl FnOnce(Ready<'_>) + Send) -> Result<()> {
    let data_dir = data_dir::prepare(&config.data_dir)?;
    let _lock = data_dir::Lock::take(&data_dir)?;
    super::recover::tidy(&data_dir)?;
    let sealer = data_dir::sealer(&data_dir)?;
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let tls = tls::prepare(&config, &data_dir, &host_name)?;
    let listener = listen(config.listen).await?;
    let agent = serve_agent(&config, &data_dir).await?;
    let store = Store::open(&mainstay_store::sqlite_url(&data_dir.join("mainstay.db"))?, sealer).await?;
    let app = open_app(&config, &data_dir, listener.local_addr()?, store.clone(), agent.socket.clone()).await?;
    let runner = app.runner.start(shutdown.clone()).await;
    let journal = stop_with_the_journal(&app, &shutdown);
    tasks::start(&app, &shutdown);
    write_token(&app, &data_dir).await?;
    let address = listener.local_addr()?;
    let url = url_here(address, tls.is_some());
    let (authority, fingerprint) = tls.as_ref().and_then(|t| t.own.as_ref()).map(|(file, print)| (file, print.as_str())).unzip();
    record_address(&data_dir, &url, authority.map(PathBuf::as_path))?;
    let first_link = people::ensure_first_link(&app).await?;
    let base = config.public_url.clone().unwrap_or(url);
    ready(Ready { address, url: base, data_dir: &data_dir, fingerprint, first_link });
    let options = mainstay_api::Options { public_url: config.public_url.clone(), tls: tls.map(|t| t.config) };
    let served = mainstay_api::serve(listener, app.clone(), options, shutdown.clone()).await;
    shutdown.cancel();
    let _ = tokio::time::timeout(LINGER, runner).await;
    // Steps that are ended by the shutdown still speak to the agent, so it outlives them.
    agent.end().await;
    store.close().await;
    match journal.await {
        Ok(Some(fatal)) => Err(fatal),
        _ => served,
    }
}

/// Without a journal nothing may be acknowledged: when its disk fails, the process ends. Databases
/// and their endpoints go on.
fn stop_with_the_journal(app: &Arc<App>, shutdown: &CancellationToken) -> JoinHandle<Option<Error>> {
    let (runner, shutdown) = (app.runner.clone(), shutdown.clone());
    tokio::spawn(async move {
        let fatal = shutdown.run_until_cancelled(runner.died()).await.flatten();
        shutdown.cancel();
        fatal
    })
}

/// Where the server is reached from this machine.
fn url_here(address: SocketAddr, tls: bool) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{}://{}", if tls { "https" } else { "http" }, SocketAddr::new(ip, address.port()))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let holder =
            mainstay_gateway::holder_of(address).map(|(pid, name)| format!(", held by {name} (process {pid})")).unwrap_or_default();
        Error::conflict("address_in_use", format!("cannot listen on {address}{holder}: {e}; choose another with --listen"))
    })
}

/// The agent as it is served.
struct Serving {
    socket: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Serving {
    /// Nothing here watches over engines afterwards.
    async fn end(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(LINGER, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Opens the agent and serves it; what runs already is found again, never restarted.
async fn serve_agent(config: &Config, data_dir: &Path) -> Result<Serving> {
    let runtime = open_runtime(data_dir)?;
    let exe = std::env::current_exe()?;
    ensure_gateway(&*runtime, exe, data_dir).await?;
    let borg = mainstay_storages::Borg::new(runtime.clone(), data_dir.join("agent/borg"));
    let agent = Agent::open(mainstay_agent::Parts {
        data_dir: data_dir.into(),
        engines: mainstay_engines::all(),
        runtime,
        storages: Arc::new(
            mainstay_storages::OpenStorages::new()
                .with_borg(borg)
                .with_nodes(data_dir.join("nodes"))
                .with_uploads(data_dir.join("agent/uploads")),
        ),
        endpoint: Arc::new(Gateway(mainstay_gateway::Client::new(gateway::socket(data_dir)?))),
        sockets_root: data_dir::sockets_root()?,
        engine_dirs: config.engine_dirs.clone(),
        engine_user: config.engine_user.clone(),
        clock: now,
        version: env!("CARGO_PKG_VERSION").into(),
    })
    .await?;
    for found in agent.adopt().await? {
        tracing::info!("found node {} ({:?}, wanted {:?})", found.name, found.state, found.wanted);
    }
    let socket = data_dir::socket(data_dir, "agent.sock")?;
    let stop = CancellationToken::new();
    let (path, stopped) = (socket.clone(), stop.clone().cancelled_owned());
    let task = tokio::spawn(async move {
        if let Err(e) = mainstay_rpc::serve(&path, agent, stopped).await {
            tracing::error!("the agent can no longer be reached: {e}");
            std::process::exit(1);
        }
    });
    Ok(Serving { socket, stop, task })
}

/// The runtime of a data directory, also for `down`.
pub fn open_runtime(data_dir: &Path) -> Result<Arc<dyn Runtime>> {
    let driver = mainstay_runtimes::all().into_iter().next().ok_or_else(|| Error::internal("no runtime is built in"))?;
    Ok(Arc::new(mainstay_runtimes::Traced::new((driver.open)(data_dir.join("agent/instances"))?)))
}

pub fn now() -> mainstay_model::Time {
    jiff::Timestamp::now().into()
}

/// Where the storage `local` of a data directory lies.
pub fn local_storage(data_dir: &Path) -> PathBuf {
    data_dir.join("storages/local")
}

async fn open_app(config: &Config, data_dir: &Path, listen: SocketAddr, store: Store, socket: PathBuf) -> Result<Arc<App>> {
    let options = Options {
        endpoint_address: config.endpoint_address,
        log_spool_bytes: config.log_spool_bytes,
        own_addresses: vec![listen],
        default_storage: local_storage(data_dir),
        control_plane_copies: Some(data_dir.join(mainstay_agent::COPIES)),
        copy_again_seconds: config.copy_again_after.into(),
        ..Options::default()
    };
    let agent = mainstay_rpc::Agent::on_socket(socket)?;
    let notifiers = Arc::new(mainstay_notifiers::OpenNotifiers);
    App::open(Parts { store, agent, clock: Arc::new(SystemClock), options, runner_options: RunnerOptions::default(), notifiers }).await
}

pub fn token_path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.token")
}

/// The administrator's token, for the command line on this machine.
async fn write_token(app: &App, data_dir: &Path) -> Result<()> {
    let path = token_path(data_dir);
    let existing = std::fs::read_to_string(&path).ok();
    let fresh: Option<Secret> = tokens::ensure_administrator(app, existing.as_deref().map(str::trim)).await?;
    match fresh {
        Some(token) => data_dir::write_secret(&path, token.reveal().as_bytes()),
        None => Ok(()),
    }
}

/// For command lines that are given nothing but the machine they run on.
fn record_address(data_dir: &Path, url: &str, authority: Option<&Path>) -> Result<()> {
    let text = serde_json::json!({ "server": url, "pid": std::process::id(), "ca": authority });
    data_dir::write_secret(&data_dir.join("server.json"), text.to_string().as_bytes())
}

fn announce(ready: Ready<'_>) {
    let Ready { url, data_dir, fingerprint, first_link, .. } = ready;
    let mut lines =
        vec![format!("Mainstay serves at {url} (data directory {}, administrator's token in admin.token there)", data_dir.display())];
    lines.extend(fingerprint.map(|print| {
        format!(
            "Its certificate is signed by its own CA, {}/tls/ca.pem, SHA-256 {print}: compare it before you trust it",
            data_dir.display()
        )
    }));
    lines.extend(
        first_link
            .map(|link| format!("Set up the administrator in a browser, once and within an hour: {url}/welcome#token={}", link.reveal())),
    );
    // Whoever started it may have closed the other end; that stops nothing.
    let _ = output::write(&lines.join("\n"));
}
