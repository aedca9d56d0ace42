//! The REST API: parse, authorise, call `control`, shape the answer. The only room that speaks HTTP.
//!
//! Every route is one row in its noun's file: method, path, who may, what goes in and out. The
//! router, the authorisation and the OpenAPI document are made from the same rows, so that none of
//! them can know a route that the others do not.

mod audit;
mod auth;
mod body;
mod cookies;
mod dashboard;
mod docs;
mod endpoint;
mod feed;
mod guard;
mod hosts;
mod idempotency;
mod kit;
mod problem;
mod rate;
mod routes;
mod terminal;
mod tls;
mod views;

pub use endpoint::{Endpoint, Need};
pub use routes::new_storage;
pub use views::found;

use axum::{
    Router,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use mainstay_control::App;
use mainstay_model::{Error, Result};
use rate::Rate;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where the API lies below the server's address.
pub const BASE: &str = "/api/v1";

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Sets the Host and Origin that are taken besides loopback.
    pub public_url: Option<String>,
    /// Serves HTTPS with it, and plain HTTP without.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What handlers and guards share.
#[derive(Clone)]
pub struct Shared {
    pub app: Arc<App>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) hosts: Arc<hosts::Hosts>,
    /// Attempts with a token that lets nobody in.
    pub(crate) failures: Arc<Rate<IpAddr>>,
    /// Acts without a known caller.
    pub(crate) strangers: Arc<Rate<IpAddr>>,
    /// Passwords tried, by address and by the name they are tried for.
    pub(crate) tries: Arc<Rate<IpAddr>>,
    pub(crate) tries_for: Arc<Rate<String>>,
    /// Terminals opened, by who opens them.
    pub(crate) openings: Arc<Rate<String>>,
    pub(crate) touched: Arc<auth::Touched>,
    pub(crate) feed: Arc<feed::Feed>,
    /// Browsers reach it by HTTPS.
    pub(crate) secure: bool,
}

/// Every route there is.
pub fn endpoints() -> Vec<Endpoint> {
    routes::all().into_iter().flat_map(|n| n.endpoints).collect()
}

/// The document of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    docs::document(&routes::all())
}

/// `listen` is the address it will be served at, which is one of its names.
pub fn router(app: Arc<App>, options: &Options, listen: Option<SocketAddr>, shutdown: CancellationToken) -> Router {
    let shared = Shared {
        app,
        shutdown,
        hosts: Arc::new(hosts::Hosts::new(options.public_url.as_deref(), listen)),
        failures: Arc::new(Rate::new(FAILURES)),
        strangers: Arc::new(Rate::new(FAILURES)),
        tries: Arc::new(Rate::new(TRIES)),
        tries_for: Arc::new(Rate::new(TRIES_FOR)),
        openings: Arc::new(Rate::new(OPENINGS)),
        secure: options.tls.is_some() || options.public_url.as_ref().is_some_and(|url| url.starts_with("https://")),
        touched: Arc::default(),
        feed: Arc::default(),
    };
    feed::start(&shared);
    guard::router(shared)
}

/// Failed attempts of one address a minute.
const FAILURES: u32 = 30;
/// Wrong passwords from one address a minute.
const TRIES: u32 = 20;
/// Wrong passwords for one name a minute, from wherever: more than one address may use up, so that
/// nobody is kept out by a neighbour who guesses.
const TRIES_FOR: u32 = 200;

/// Terminals that one person or token opens a minute.
const OPENINGS: u32 = 30;

/// How long answers under way may take after a shutdown. A download that nobody reads on must not
/// keep the process.
const LINGER: Duration = Duration::from_secs(5);

/// Serves until `shutdown`. Streams end with it too.
pub async fn serve(listener: TcpListener, app: Arc<App>, options: Options, shutdown: CancellationToken) -> Result<()> {
    {
        let mut tx = app.store.begin_write().await?;
        mainstay_store::idempotency::abandon_all(&mut tx).await?;
        mainstay_store::commit(tx).await?;
    }
    let router = router(app.clone(), &options, listener.local_addr().ok(), shutdown.clone());
    let served = match options.tls {
        Some(config) => run(tls::Tls::new(listener, config), router, shutdown).await,
        None => run(listener, router, shutdown).await,
    };
    // What was upgraded is not waited for by the server itself.
    app.terminals.held.close();
    let _ = tokio::time::timeout(LINGER, app.terminals.held.wait()).await;
    served
}

async fn run<L>(listener: L, router: Router, shutdown: CancellationToken) -> Result<()>
where
    L: Listener<Addr = SocketAddr>,
    tls::Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let service = router.into_make_service_with_connect_info::<tls::Peer>();
    let late = shutdown.clone();
    let served = axum::serve(listener, service).with_graceful_shutdown(async move { shutdown.cancelled().await });
    tokio::select! {
        served = async { served.await } => served.map_err(|e| Error::failed("serve", format!("the API stopped serving: {e}"))),
        () = async { late.cancelled().await; tokio::time::sleep(LINGER).await } => Ok(()),
    }
}
