//! A small runtime for tests of engines: real processes, killed when the test ends however it ends.
#![allow(clippy::disallowed_methods, dead_code)]

use async_trait::async_trait;
use mainstay_drivers::{Error, Result, runtime::*};
use mainstay_model::Time;
use std::{
    collections::HashMap,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Child, sync::broadcast};

#[derive(Default)]
pub struct TestRuntime {
    running: Mutex<HashMap<InstanceId, (InstanceSpec, Child)>>,
    crashed: Mutex<HashMap<InstanceId, String>>,
}

impl Drop for TestRuntime {
    fn drop(&mut self) {
        for (_, child) in self.running.lock().unwrap().values() {
            signal_group(child, rustix::process::Signal::KILL);
        }
    }
}

fn signal_group(child: &Child, signal: rustix::process::Signal) {
    if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

pub fn ids(user: &str) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let text = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = text.lines().find(|l| l.starts_with(&format!("{user}:")))?;
    let n: Vec<_> = line.split(':').collect();
    Some((n[2].parse().unwrap(), n[3].parse().unwrap()))
}

fn command(program: &Path, args: &[String], user: Option<&str>) -> Command {
    use std::os::unix::process::CommandExt;
    let mut c = Command::new(program);
    c.args(args).env_clear().process_group(0);
    if let Some((uid, gid)) = user.and_then(ids) {
        c.uid(uid).gid(gid);
    }
    c
}

impl TestRuntime {
    /// The instance's main process, without a word to anybody.
    pub fn pid(&self, id: &InstanceId) -> Option<i32> {
        self.running.lock().unwrap().get(id).and_then(|(_, c)| c.id()).map(|p| p as i32)
    }

    pub async fn kill(&self, id: &InstanceId) {
        let taken = self.running.lock().unwrap().remove(id);
        if let Some((_, mut child)) = taken {
            signal_group(&child, rustix::process::Signal::KILL);
            child.wait().await.unwrap();
            self.crashed.lock().unwrap().insert(id.clone(), "killed by signal 9".into());
        }
    }
}

#[async_trait]
impl Runtime for TestRuntime {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn ensure(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<Instance> {
        if self.inspect(id).await?.state != InstanceState::Running {
            std::fs::create_dir_all(spec.log_file.parent().unwrap())?;
            let log = std::fs::File::options().create(true).append(true).open(&spec.log_file)?;
            let mut c = command(&spec.program, &spec.args, spec.user.as_deref());
            c.envs(&spec.env).current_dir(&spec.working_dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            let child = tokio::process::Command::from(c).spawn()?;
            self.crashed.lock().unwrap().remove(id);
            self.running.lock().unwrap().insert(id.clone(), (spec.clone(), child));
        }
        self.inspect(id).await
    }

    async fn stop(&self, id: &InstanceId, mode: StopMode) -> Result<()> {
        let taken = self.running.lock().unwrap().remove(id);
        let Some((spec, mut child)) = taken else { return Ok(()) };
        let signal = match (mode, spec.stop_signal) {
            (StopMode::Graceful, Signal::Int) => rustix::process::Signal::INT,
            (StopMode::Graceful, Signal::Term) => rustix::process::Signal::TERM,
            _ => rustix::process::Signal::KILL,
        };
        let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
        let _ = rustix::process::kill_process(pid, signal);
        if tokio::time::timeout(spec.grace, child.wait()).await.is_err() {
            signal_group(&child, rustix::process::Signal::KILL);
            child.wait().await?;
        }
        Ok(())
    }

    async fn reload(&self, id: &InstanceId) -> Result<()> {
        if let Some(pid) = self.pid(id).and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::HUP).map_err(std::io::Error::from)?;
        }
        Ok(())
    }

    async fn remove(&self, id: &InstanceId) -> Result<()> {
        self.stop(id, StopMode::Graceful).await
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Instance> {
        let mut running = self.running.lock().unwrap();
        let ended = running.get_mut(id).and_then(|(_, child)| child.try_wait().unwrap());
        if let Some(status) = ended {
            running.remove(id);
            self.crashed.lock().unwrap().insert(id.clone(), status.to_string());
        }
        let pid = running.get(id).and_then(|(_, c)| c.id()).map(|p| p as i32);
        let state = match (pid, self.crashed.lock().unwrap().get(id)) {
            (Some(_), _) => InstanceState::Running,
            (None, Some(detail)) => InstanceState::Crashed { detail: detail.clone() },
            (None, None) => InstanceState::Stopped,
        };
        Ok(Instance { id: id.clone(), state, pid, started_at: Some(Time::default()), restarted: 0, is_offline: false })
    }

    async fn list(&self) -> Result<Vec<Instance>> {
        Ok(vec![])
    }

    fn watch(&self) -> broadcast::Receiver<InstanceEvent> {
        broadcast::channel(1).1
    }

    async fn exec(&self, exec: Exec) -> Result<ExecOutput> {
        let mut c = command(&exec.program, &exec.args, exec.user.as_deref());
        c.envs(&exec.env).current_dir(&exec.working_dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(c).kill_on_drop(true).spawn()?;
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(&exec.stdin).await;
        drop(stdin);
        let out = tokio::time::timeout(exec.timeout, child.wait_with_output()).await.map_err(|_| Error::timed_out("tool"))??;
        Ok(ExecOutput {
            status: out.status.code().unwrap_or(-9),
            stdout: out.stdout,
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        })
    }

    async fn put_files(&self, user: Option<&str>, files: Vec<FileSpec>) -> Result<()> {
        for f in files {
            let tmp = f.path.with_file_name(format!(".{}.tmp", f.path.file_name().unwrap().to_string_lossy()));
            std::fs::write(&tmp, &f.content)?;
            std::fs::set_permissions(&tmp, PermissionsExt::from_mode(f.mode))?;
            if let Some((uid, gid)) = user.and_then(ids) {
                chown(&tmp, Some(uid), Some(gid))?;
            }
            std::fs::rename(&tmp, &f.path)?;
        }
        Ok(())
    }

    async fn put_dir(&self, user: Option<&str>, path: &Path, mode: u32) -> Result<()> {
        std::fs::create_dir_all(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
        if let Some((uid, gid)) = user.and_then(ids) {
            chown(path, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    async fn logs(&self, _id: &InstanceId, _lines: usize) -> Result<Vec<String>> {
        Ok(vec![])
    }

    async fn usage(&self, _id: &InstanceId) -> Result<Usage> {
        Ok(Usage::default())
    }

    async fn host(&self, _data_dir: &Path) -> Result<HostFacts> {
        Err(Error::unavailable("none", "not here"))
    }
}

/// An address and a port nobody listens on. Each test has a network of its own in 127/8.
pub fn free_port() -> (std::net::IpAddr, u16) {
    let b: [u8; 3] = rand::random();
    let address = std::net::Ipv4Addr::new(127, 64 + b[0] % 64, b[1], 1 + b[2] % 250);
    let port = std::net::TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
    (address.into(), port)
}

/// Calls until it is true or the time is over.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is().await {
        assert!(std::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}
