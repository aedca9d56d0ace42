//! The REST API: parse, authorise, call `control`, shape the answer. The only room that speaks HTTP.
//!
//! Every route is one row in its noun's file: method, path, who may, what goes in and out. The
//! router, the authorisation and the OpenAPI document are made from the same rows, so that none of
//! them can know a route that the others do not.

mod audit;
mod auth;
mod body;
mod docs;
mod endpoint;
mod guard;
mod idempotency;
mod problem;
mod routes;
mod views;

pub use endpoint::{Endpoint, Need};

use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo};
use mainstay_control::App;
use mainstay_model::{Error, Result};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Where the API lies below the server's address.
pub const BASE: &str = "/api/v1";

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Sets the Host and Origin that are taken besides loopback.
    pub public_url: Option<String>,
}

/// What handlers and guards share.
#[derive(Clone)]
pub struct Shared {
    pub app: Arc<App>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) hosts: Arc<guard::Hosts>,
    pub(crate) failures: Arc<auth::Failures>,
}

/// Every route there is.
pub fn endpoints() -> Vec<Endpoint> {
    routes::all().into_iter().flat_map(|n| n.endpoints).collect()
}

/// The document of the API, OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    docs::document(&routes::all())
}

pub fn router(app: Arc<App>, options: &Options, shutdown: CancellationToken) -> Router {
    let shared = Shared { app, shutdown, hosts: Arc::new(guard::Hosts::new(options)), failures: Arc::default() };
    guard::router(shared)
}

/// Serves until `shutdown`. Streams end with it too.
pub async fn serve(listener: TcpListener, app: Arc<App>, options: Options, shutdown: CancellationToken) -> Result<()> {
    {
        let mut tx = app.store.begin_write().await?;
        mainstay_store::idempotency::abandon_all(&mut tx).await?;
        mainstay_store::commit(tx).await?;
    }
    let service: IntoMakeServiceWithConnectInfo<Router, SocketAddr> =
        router(app, &options, shutdown.clone()).into_make_service_with_connect_info();
    let served = axum::serve(listener, service).with_graceful_shutdown(async move { shutdown.cancelled().await }).await;
    served.map_err(|e| Error::failed("serve", format!("the API stopped serving: {e}")))
}
