//! A new, empty primary. `initdb` is most of what a deploy waits for, so it runs without its own
//! fsync of every file, and one `syncfs` makes the result durable before it gets its name: a data
//! directory that is there is complete.

use super::{
    accounts,
    config::{ADMIN, private},
    tools::{SHORT, Tool, arg, remove_dir, remove_file, sibling, sync_file_system},
};
use mainstay_drivers::{Result, engine::Node};
use mainstay_model::Error;
use std::path::Path;

pub(super) async fn bootstrap(node: &Node) -> Result<()> {
    if is_complete(&node.paths.data) {
        return Ok(());
    }
    let fresh = sibling(&node.paths.data, ".new");
    remove_dir(&fresh).await?;
    let password = node.paths.run.join("initdb.password");
    let made = initdb(node, &fresh, &password).await;
    remove_file(&password).await?;
    made?;
    create_accounts(node, &fresh).await?;
    publish(&fresh, &node.paths.data).await
}

pub(super) fn is_complete(data: &Path) -> bool {
    data.join("PG_VERSION").is_file()
}

async fn initdb(node: &Node, fresh: &Path, password: &Path) -> Result<()> {
    let user = node.installed.user.as_deref();
    node.runtime.put_dir(user, &node.paths.run, 0o700).await?;
    let secret = private(password.to_owned(), format!("{}\n", node.plan.accounts.admin.reveal()));
    node.runtime.put_files(user, vec![secret]).await?;
    let mut args: Vec<String> = vec!["-D".into(), arg(fresh), "-U".into(), ADMIN.into()];
    args.extend(["--no-sync", "--data-checksums", "--no-instructions", "--auth=scram-sha-256"].map(String::from));
    args.push(format!("--pwfile={}", arg(password)));
    // Bytewise order does not change when the C library of a host does; an index sorted by one
    // host's rules is corrupt under another's.
    args.extend(["--encoding=UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C"].map(String::from));
    args.extend(["--lc-monetary=C", "--lc-numeric=C", "--lc-time=C", "--text-search-config=simple"].map(String::from));
    Tool { name: "initdb", args, env: vec![], stdin: vec![], timeout: SHORT }.succeed(node).await?;
    Ok(())
}

/// Accounts and database are made here already, by a server without clients and without fsync: the
/// hundreds of files of a database then become durable with the rest, and the first checkpoint, which
/// the first replica waits for, has nothing left to write. Only a head start: what does not succeed
/// here is done by the account keeper after the start.
async fn create_accounts(node: &Node, fresh: &Path) -> Result<()> {
    let statements = accounts::first_statements(node).await?;
    // One line is one statement in this mode.
    let stdin = statements.into_iter().filter(|s| !s.contains('\n')).fold(String::new(), |all, s| all + &s + "\n");
    let args = ["--single", "-F", "-c", "log_checkpoints=off", "-D", &arg(fresh), "postgres"].map(String::from).into();
    let out = Tool { name: "postgres", args, env: vec![], stdin: stdin.into_bytes(), timeout: SHORT }.run(node).await?;
    if out.status != 0 {
        tracing::warn!(node = %node.plan.name, status = out.status, "accounts were not created ahead of the first start");
    }
    Ok(())
}

/// Makes a finished directory durable, then gives it the name that means "complete".
pub(super) async fn publish(fresh: &Path, data: &Path) -> Result<()> {
    sync_file_system(fresh).await?;
    tokio::fs::rename(fresh, data)
        .await
        .map_err(|e| Error::from(e).context(format!("moving the new data directory to {}", data.display())))?;
    let parent = data.parent().unwrap_or(Path::new("/")).to_owned();
    tokio::task::spawn_blocking(move || Ok(std::fs::File::open(parent)?.sync_all()?)).await.map_err(Error::internal)?
}
