//! Sessions of Mainstay's own. The administrator logs in through the private socket only; the
//! replication role is the one account of ours that a peer may use over the network.

use super::config::{ADMIN, REPLICATION, port};
use mainstay_drivers::{
    Result,
    engine::{Exposure, Node, Upstream},
};
use mainstay_model::Error;
use std::{ops::Deref, time::Duration};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

/// A connected client. Dropping it says good-bye, and the server lets go of everything the session holds: a
/// running base backup, temporary slots. One that is still busy is cut off.
pub(super) struct Session {
    client: Client,
    pump: Option<JoinHandle<()>>,
}

/// What a server may take to hear of a good-bye. A connection that is cut before leaves two lines in its log.
const GOOD_BYE: Duration = Duration::from_millis(200);

impl Deref for Session {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut pump) = self.pump.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return pump.abort() };
        // The client is gone by the time this runs, and with nothing left to ask the connection ends by itself.
        runtime.spawn(async move {
            if tokio::time::timeout(GOOD_BYE, &mut pump).await.is_err() {
                pump.abort();
            }
        });
    }
}

/// The administrator on the node's own socket.
pub(super) async fn admin(node: &Node) -> Result<Session> {
    open(&admin_config(node, "postgres")).await.map_err(|e| reading(&format!("node {}", node.plan.name), &e))
}

/// The administrator in one of the node's databases, or `None` where it was dropped meanwhile.
pub(super) async fn admin_in(node: &Node, database: &str) -> Result<Option<Session>> {
    match open(&admin_config(node, database)).await {
        Ok(session) => Ok(Some(session)),
        Err(e) if e.code() == Some(&SqlState::INVALID_CATALOG_NAME) => Ok(None),
        Err(e) => Err(reading(&format!("node {}", node.plan.name), &e)),
    }
}

/// The cluster's user in the cluster's database, able to write nothing. On a served node over the network
/// as any client of it, for the private socket is the administrator's; on an isolated one there is only
/// that socket.
pub(super) async fn as_user(node: &Node, within: Duration) -> Result<Session> {
    let user = &node.plan.accounts.user;
    let mut config = Config::new();
    match node.exposure {
        Exposure::Served => config.host(node.plan.address.to_string()),
        Exposure::Isolated => config.host_path(&node.paths.sockets),
    };
    config.port(port(node)).user(&user.user).password(user.password.reveal()).application_name("mainstay assertions");
    config.dbname(user.database.as_deref().unwrap_or(&user.user)).connect_timeout(Duration::from_secs(5));
    let limits = format!(
        "-c default_transaction_read_only=on -c statement_timeout={} -c lock_timeout=5000 -c client_min_messages=warning \
         -c idle_in_transaction_session_timeout=60000",
        within.as_millis()
    );
    config.options(&limits);
    open(&config).await.map_err(|e| reading(&format!("node {}", node.plan.name), &e))
}

pub(super) async fn try_admin(node: &Node) -> std::result::Result<Session, tokio_postgres::Error> {
    open(&admin_config(node, "postgres")).await
}

/// The replication role on a peer. It may look at slots, and nothing of the user's.
pub(super) async fn peer(node: &Node, upstream: &Upstream) -> Result<Session> {
    let mut config = Config::new();
    config.host(upstream.address.to_string()).port(upstream.port).user(REPLICATION).dbname("postgres");
    config.password(node.plan.accounts.replication.reveal()).application_name(&node.plan.name).options(OPTIONS);
    config.connect_timeout(Duration::from_secs(5));
    open(&config).await.map_err(|e| reading(&format!("node {}", upstream.name), &e))
}

/// Users may set time-outs for everybody and may make functions with the names of PostgreSQL's own:
/// neither may reach a session of ours.
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0 \
                       -c idle_in_transaction_session_timeout=0 -c client_min_messages=warning";

fn admin_config(node: &Node, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(&node.paths.sockets).port(port(node)).user(ADMIN).dbname(database);
    config.password(node.plan.accounts.admin.reveal()).application_name("mainstay").options(OPTIONS);
    config.connect_timeout(Duration::from_secs(2));
    config
}

async fn open(config: &Config) -> std::result::Result<Session, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let pump = tokio::spawn(async move {
        // How a connection ended is told to whoever waits for an answer on it.
        let _ = connection.await;
    });
    Ok(Session { client, pump: Some(pump) })
}

/// What a failed connect means to a caller.
fn reading(whom: &str, e: &tokio_postgres::Error) -> Error {
    let said = words(e);
    match e.code() {
        Some(&SqlState::CANNOT_CONNECT_NOW) => Error::unavailable("engine_starting", format!("{whom} is starting: {said}")),
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            Error::failed("engine_login", format!("{whom} refused Mainstay's login: {said}; ensure its accounts again"))
        }
        _ => Error::unavailable("engine_unreachable", format!("{whom} does not answer: {said}")),
    }
}

/// A statement that failed. The server's words carry no values of ours.
pub(super) fn sql(doing: &str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |e| match e.as_db_error() {
        Some(_) => Error::failed("engine_refused", format!("{doing}: {}", words(&e))),
        None => Error::unavailable("engine_lost", format!("{doing}: the connection to PostgreSQL ended: {}", words(&e))),
    }
}

fn words(e: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (e.as_db_error(), e.source()) {
        (Some(db), _) => db.message().to_string(),
        (None, Some(source)) => source.to_string(),
        (None, None) => e.to_string(),
    }
}

/// An SQL identifier in quotes.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL string constant that means the same whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    if text.contains('\\') { format!(" E{}", quoted.replace('\\', "\\\\")) } else { quoted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_inside_their_quotes() {
        assert_eq!(ident("a\"; DROP ROLE x; --"), "\"a\"\"; DROP ROLE x; --\"");
        assert_eq!(literal("o'clock"), "'o''clock'");
        assert_eq!(literal(r"\'; DROP"), r" E'\\''; DROP'");
    }
}
