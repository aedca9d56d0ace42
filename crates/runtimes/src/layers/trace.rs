//! Says every change of an instance's state as one sentence an operator can read. It changes
//! nothing and decides nothing, and it is silent where a call found its work done.

use async_trait::async_trait;
use mainstay_drivers::{Result, runtime::*};
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{sync::broadcast, task::AbortHandle};

pub struct Traced {
    inner: Arc<dyn Runtime>,
    /// The pid each instance was last said to run as.
    said: Mutex<HashMap<InstanceId, i32>>,
    listener: AbortHandle,
}

impl Traced {
    /// Must be called within a Tokio runtime: crashes are heard of in a task of their own.
    pub fn new(inner: Arc<dyn Runtime>) -> Self {
        let listener = tokio::spawn(listen(inner.watch())).abort_handle();
        Traced { inner, said: Mutex::default(), listener }
    }

    fn runs(&self, instance: &Instance) {
        let Some(pid) = instance.pid else { return };
        if self.said().insert(instance.id.clone(), pid) != Some(pid) {
            tracing::info!(instance = %instance.id, pid, "{} runs as process {pid}", instance.id);
        }
    }

    fn ended(&self, id: &InstanceId, how: &str) {
        if self.said().remove(id).is_some() {
            tracing::info!(instance = %id, "{id} is {how}");
        }
    }

    fn said(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, i32>> {
        self.said.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(mut events: broadcast::Receiver<InstanceEvent>) {
    loop {
        match events.recv().await {
            Ok(InstanceEvent::Exited { id, detail, will_restart: true }) => {
                tracing::warn!(instance = %id, "{id} {detail}; it is started again");
            }
            Ok(InstanceEvent::Exited { id, detail, will_restart: false }) => {
                tracing::error!(instance = %id, "{id} {detail}; it is not started again");
            }
            Ok(InstanceEvent::Restarted { id }) => tracing::info!(instance = %id, "{id} was started again"),
            Err(broadcast::error::RecvError::Lagged(missed)) => tracing::warn!("{missed} instance events were not seen"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

#[async_trait]
impl Runtime for Traced {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    async fn ensure(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<Instance> {
        let instance = self.inner.ensure(id, spec).await?;
        self.runs(&instance);
        Ok(instance)
    }
    async fn stop(&self, id: &InstanceId, mode: StopMode) -> Result<()> {
        self.inner.stop(id, mode).await?;
        self.ended(id, "stopped");
        Ok(())
    }
    async fn reload(&self, id: &InstanceId) -> Result<()> {
        self.inner.reload(id).await?;
        tracing::info!(instance = %id, "{id} was told to read its configuration again");
        Ok(())
    }
    async fn remove(&self, id: &InstanceId) -> Result<()> {
        self.inner.remove(id).await?;
        self.ended(id, "removed");
        Ok(())
    }
    async fn inspect(&self, id: &InstanceId) -> Result<Instance> {
        self.inner.inspect(id).await
    }
    async fn list(&self) -> Result<Vec<Instance>> {
        let instances = self.inner.list().await?;
        instances.iter().for_each(|instance| self.runs(instance));
        Ok(instances)
    }
    fn watch(&self) -> broadcast::Receiver<InstanceEvent> {
        self.inner.watch()
    }
    async fn exec(&self, exec: Exec) -> Result<ExecOutput> {
        self.inner.exec(exec).await
    }
    async fn put_files(&self, user: Option<&str>, files: Vec<FileSpec>) -> Result<()> {
        self.inner.put_files(user, files).await
    }
    async fn put_dir(&self, user: Option<&str>, path: &Path, mode: u32) -> Result<()> {
        self.inner.put_dir(user, path, mode).await
    }
    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>> {
        self.inner.logs(id, lines).await
    }
    async fn usage(&self, id: &InstanceId) -> Result<Usage> {
        self.inner.usage(id).await
    }
    async fn host(&self, data_dir: &Path) -> Result<HostFacts> {
        self.inner.host(data_dir).await
    }
}
