//! Where the demo lives: a directory of its own, a server in this process, and the way to leave
//! nothing of either behind.

use crate::{
    output::note,
    process::{
        self, data_dir,
        down::{self, Stopped},
        up,
    },
};
use mainstay_model::{Error, Result};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long the server may take to stop.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Place {
    dir: PathBuf,
    /// The demo made it, so the demo removes it; one that was there is emptied again.
    made: bool,
    shutdown: CancellationToken,
    server: Mutex<Option<JoinHandle<Result<()>>>>,
}

pub struct Server {
    pub address: String,
    pub token: String,
}

impl Place {
    /// Only an empty or new directory: it will be removed with all that is in it.
    pub fn choose(wanted: Option<PathBuf>) -> Result<Place> {
        let random = || std::env::temp_dir().join(format!("mainstay-demo-{:08x}", rand::random::<u32>()));
        let dir = wanted.unwrap_or_else(random);
        let made = !dir.exists();
        if !made && std::fs::read_dir(&dir)?.next().is_some() {
            let why = format!("{} is not empty, and the demo removes what is in its directory; name an empty or new one", dir.display());
            return Err(Error::invalid("data_dir", why));
        }
        let dir = data_dir::prepare(&dir)?;
        process::log_to_file("info", std::fs::File::create(dir.join("demo.log"))?)?;
        Ok(Place { dir, made, shutdown: CancellationToken::new(), server: Mutex::new(None) })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The same server as `mainstay up`, on a free port.
    pub async fn serve(&self, engine_dirs: Vec<PathBuf>) -> Result<Server> {
        let config = up::Config {
            data_dir: self.dir.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            endpoint_address: None,
            log_spool_bytes: 4 << 30,
            engine_user: None,
            engine_dirs: engine_dirs.into_iter().filter(|d| !d.as_os_str().is_empty()).collect(),
            public_url: None,
            tls: None,
            copy_again_after: 600,
        };
        let (tell, told) = oneshot::channel();
        let serving = up::serve(config, self.shutdown.clone(), move |ready| {
            let _ = tell.send(ready.address);
        });
        // Kept at once: whoever cleans up has to find it, even where this is not waited for.
        *self.server() = Some(tokio::spawn(serving));
        let Ok(address) = told.await else {
            return Err(self.stop().await.err().unwrap_or_else(|| Error::internal("the server ended at once")));
        };
        let token = std::fs::read_to_string(up::token_path(&self.dir))?.trim().to_string();
        Ok(Server { address: format!("http://{address}"), token })
    }

    fn server(&self) -> MutexGuard<'_, Option<JoinHandle<Result<()>>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stop(&self) -> Result<()> {
        self.shutdown.cancel();
        let task = self.server().take();
        match task {
            Some(task) => tokio::time::timeout(PATIENCE, task)
                .await
                .map_err(|_| Error::timed_out("the server does not stop"))?
                .map_err(Error::internal)?,
            None => Ok(()),
        }
    }

    /// Again until nothing ran: a verb that was under way when the server stopped may have started
    /// something after the first look.
    async fn stop_engines(&self) -> Result<()> {
        for _ in 0..5 {
            if down::stop_engines(&self.dir).await? == (Stopped { engines: 0, gateways: 0 }) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Err(Error::timed_out("engines keep starting"))
    }

    /// The server, the engines, the gateway, the directory: in that order.
    pub async fn clean_up(self) -> Result<()> {
        if let Err(e) = self.stop().await {
            tracing::warn!("the server did not end well: {e}");
        }
        if self.dir.join("agent").exists() {
            self.stop_engines().await?;
        }
        if self.made {
            std::fs::remove_dir_all(&self.dir)?;
        } else {
            for entry in std::fs::read_dir(&self.dir)? {
                let path = entry?.path();
                if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
            }
        }
        note(format!("{} and everything in it is removed", self.dir.display()));
        Ok(())
    }
}

/// Ctrl-C, a polite kill, or the terminal going away.
pub async fn told_to_stop() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals: Vec<_> = kinds.into_iter().filter_map(|k| signal(k).ok()).collect();
    let waits = signals.iter_mut().map(|s| Box::pin(s.recv()));
    futures::future::select_all(waits).await;
}
