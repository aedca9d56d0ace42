//! The routes on disk.
//!
//! Written before a route is put in force, so that what a restarted gateway serves is never
//! older than what clients have already seen: an old allow-list or an old primary coming back
//! would be worse than a `set` that fails because the disk is full.

use crate::policy::validate;
use mainstay_model::{ClusterId, Error, Result, route::ClusterRoute};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    routes: Vec<ClusterRoute>,
}

pub(crate) struct Saved {
    path: PathBuf,
    routes: BTreeMap<ClusterId, ClusterRoute>,
}

impl Saved {
    /// Reads what is there. A file that cannot be understood is kept aside for a person to look
    /// at; the agent tells the routes anew.
    pub(crate) fn load(path: &Path) -> Result<(Self, Vec<ClusterRoute>)> {
        private_parent(path)?;
        let routes = match fs::read(path) {
            Ok(bytes) => parse(&bytes).or_else(|why| set_aside(path, &why).map(|()| vec![]))?,
            Err(e) if e.kind() == ErrorKind::NotFound => vec![],
            Err(e) => return Err(Error::from(e).context(format!("the gateway's state file {} cannot be read", path.display()))),
        };
        let by_id = routes.iter().map(|r| (r.cluster.clone(), r.clone())).collect();
        Ok((Saved { path: path.into(), routes: by_id }, routes))
    }

    /// Durable when it returns; on failure the file and this copy are as before.
    pub(crate) async fn put(&mut self, route: &ClusterRoute) -> Result<()> {
        let mut routes = self.routes.clone();
        routes.insert(route.cluster.clone(), route.clone());
        self.replace(routes).await
    }

    pub(crate) async fn remove(&mut self, cluster: &ClusterId) -> Result<()> {
        let mut routes = self.routes.clone();
        routes.remove(cluster);
        self.replace(routes).await
    }

    async fn replace(&mut self, routes: BTreeMap<ClusterId, ClusterRoute>) -> Result<()> {
        let document = Document { version: VERSION, routes: routes.values().cloned().collect() };
        let bytes = serde_json::to_vec_pretty(&document).map_err(Error::internal)?;
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || write_atomically(&path, &bytes))
            .await
            .map_err(Error::internal)?
            .map_err(|e| Error::from(e).context(format!("the gateway's state file {} cannot be written", self.path.display())))?;
        self.routes = routes;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<ClusterRoute>, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if document.version != VERSION {
        return Err(format!("its version is {}, this gateway reads {VERSION}", document.version));
    }
    document.routes.iter().try_for_each(validate).map_err(|e| e.message)?;
    Ok(document.routes)
}

fn set_aside(path: &Path, why: &str) -> Result<()> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".unreadable-{seconds}"));
    tracing::error!(
        "the gateway's state file {} is not usable ({why}); it is kept as {} and no route is served until the agent tells them",
        path.display(),
        Path::new(&aside).display()
    );
    fs::rename(path, &aside).map_err(|e| Error::from(e).context("the unusable state file cannot be put aside"))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(parent(path))?.sync_all()
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the directory of `path`, for its owner alone, where it is missing.
pub(crate) fn private_parent(path: &Path) -> Result<()> {
    let dir = parent(path);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| Error::from(e).context(format!("cannot make {}", dir.display())))
}
