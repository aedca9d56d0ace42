//! The cluster's accounts. Passwords reach the server as SCRAM verifiers computed here, so that no
//! log of statements, no error message and no dump ever holds one in the clear.

use super::{
    Postgres,
    config::{ADMIN, REPLICATION, pass_file_spec},
    connect::{Session, admin, ident, literal, sql},
};
use crate::common::version_key;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{AccountKeeper, Exposure, Node},
};
use mainstay_model::{ClusterName, Secret, credentials::Credentials};
use postgres_protocol::password::scram_sha_256;

/// Databases that are the server's or ours.
const RESERVED_DATABASES: [&str; 4] = ["postgres", "template0", "template1", "mainstay"];

/// Names the server keeps for its own roles, and ours.
fn is_reserved_role(name: &str) -> bool {
    name.starts_with("pg_") || ["public", "none", ADMIN, REPLICATION].contains(&name)
}

#[async_trait]
impl AccountKeeper for Postgres {
    fn credentials_for(&self, cluster: &ClusterName, password: Secret) -> Credentials {
        let name = cluster.identifier();
        let user = if is_reserved_role(&name) { format!("user_{name}") } else { name.clone() };
        let database = if RESERVED_DATABASES.contains(&name.as_str()) { format!("db_{name}") } else { name };
        Credentials { user, password, database: Some(database) }
    }

    /// On a replica only its password file: accounts come with the log.
    async fn ensure(&self, node: &Node) -> Result<()> {
        if node.exposure == Exposure::Served {
            node.runtime.put_files(node.installed.user.as_deref(), vec![pass_file_spec(node)]).await?;
        }
        let session = admin(node).await?;
        let replica: bool = session.query_one_scalar("SELECT pg_is_in_recovery()", &[]).await.map_err(sql("asking for the role"))?;
        if !replica {
            ensure_all(&session, node).await?;
        }
        Ok(())
    }
}

const REPLICATION_RIGHTS: &str = "LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE";
const USER_RIGHTS: &str = "LOGIN CREATEROLE CREATEDB NOSUPERUSER NOREPLICATION NOBYPASSRLS";

/// What an empty server needs to have all accounts.
pub(super) async fn first_statements(node: &Node) -> Result<Vec<String>> {
    let accounts = &node.plan.accounts;
    let user = &accounts.user.user;
    let mut statements = vec![
        role_statement("CREATE", REPLICATION, REPLICATION_RIGHTS, &accounts.replication).await?,
        role_statement("CREATE", user, USER_RIGHTS, &accounts.user.password).await?,
    ];
    statements.extend(accounts.user.database.iter().map(|database| create_database(database, user)));
    Ok(statements)
}

fn create_database(name: &str, owner: &str) -> String {
    format!("CREATE DATABASE {} OWNER {}", ident(name), ident(owner))
}

async fn role_statement(verb: &str, name: &str, rights: &str, password: &Secret) -> Result<String> {
    let verifier = verifier(password).await?;
    Ok(format!("{verb} ROLE {} WITH {rights} PASSWORD {}", ident(name), literal(&verifier)))
}

async fn ensure_all(session: &Session, node: &Node) -> Result<()> {
    let accounts = &node.plan.accounts;
    close_the_host(session, &node.plan.version).await?;
    ensure_role(session, REPLICATION, REPLICATION_RIGHTS, &accounts.replication).await?;
    let user = &accounts.user.user;
    ensure_role(session, user, USER_RIGHTS, &accounts.user.password).await?;
    if let Some(database) = &accounts.user.database {
        ensure_database(session, database, user).await?;
    }
    // Last: a failure before this leaves Mainstay's own login as it was.
    ensure_role(session, ADMIN, "LOGIN SUPERUSER", &accounts.admin).await
}

async fn ensure_role(session: &Session, name: &str, rights: &str, password: &Secret) -> Result<()> {
    let known: i64 =
        session.query_one_scalar("SELECT count(*) FROM pg_roles WHERE rolname = $1", &[&name]).await.map_err(sql("looking for a role"))?;
    let verb = if known == 0 { "CREATE" } else { "ALTER" };
    let statement = role_statement(verb, name, rights, password).await?;
    session.batch_execute(&statement).await.map_err(sql(&format!("setting up role {name}")))
}

/// Thousands of rounds of hashing are kept off the threads that serve others.
async fn verifier(password: &Secret) -> Result<String> {
    let password = password.clone();
    tokio::task::spawn_blocking(move || scram_sha_256(password.reveal().as_bytes())).await.map_err(mainstay_model::Error::internal)
}

async fn ensure_database(session: &Session, name: &str, owner: &str) -> Result<()> {
    let doing = format!("setting up database {name}");
    let known: Option<String> = session
        .query_opt_scalar("SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $1", &[&name])
        .await
        .map_err(sql(&doing))?;
    let statement = match known {
        None => create_database(name, owner),
        Some(now) if now != owner => format!("ALTER DATABASE {} OWNER TO {}", ident(name), ident(owner)),
        Some(_) => return Ok(()),
    };
    session.batch_execute(&statement).await.map_err(sql(&doing))
}

/// Before version 16 whoever may create roles may also grant themselves `pg_execute_server_program`
/// and with it become the operating-system user that owns every cluster of this host. A role marked
/// superuser can be granted by superusers only; the mark gives its members nothing. From 16 on the
/// server asks for the right to grant by itself.
async fn close_the_host(session: &Session, version: &str) -> Result<()> {
    const MARK: &str = "UPDATE pg_authid SET rolsuper = true WHERE NOT rolsuper
        AND rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')";
    if version_key(version).first().is_none_or(|major| *major >= 16) {
        return Ok(());
    }
    session.batch_execute(MARK).await.map_err(sql("closing the host to users"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_named_after_the_cluster_where_the_server_lets_them() {
        let of = |name: &str| {
            let c = Postgres.credentials_for(&ClusterName::parse(name).unwrap(), Secret::new("x"));
            (c.user, c.database.unwrap())
        };
        assert_eq!(of("my-shop"), ("my_shop".into(), "my_shop".into()));
        assert_eq!(of("pg-one"), ("user_pg_one".into(), "pg_one".into()));
        assert_eq!(of("postgres"), ("postgres".into(), "db_postgres".into()));
        assert_eq!(of("mainstay"), ("user_mainstay".into(), "db_mainstay".into()));
        assert_eq!(of("mainstay-replication").0, "user_mainstay_replication");
    }
}
