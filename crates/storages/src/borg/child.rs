//! Running `borg`: one process group for each run, killed when nobody waits for it any more.

use super::{
    Repo,
    address::Address,
    lock,
    pipe::{Line, Over},
    room::{Room, private_dir, trouble as io_trouble},
    trouble,
};
use crate::{
    pool::{Lane, Pool},
    source::cancelled,
};
use mainstay_drivers::runtime::{Exec, ExecOutput, Runtime};
use mainstay_model::{Error, Result, Secret};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Includes waiting for another's lock.
pub const QUICK: Duration = Duration::from_secs(30 * 60);
/// Moving data ends by itself or is cancelled; this only keeps a forgotten run from lasting for ever.
pub const LONG: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long Borg waits for a lock another process holds. It breaks a lock by itself only when its
/// owner was on this very host and is gone; after that it sleeps a tenth of this before it goes on.
const LOCK_WAIT: &str = "5";
/// How long we begin anew while somebody else holds it.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(300);
const SETTLE: Duration = Duration::from_secs(5);

const PLACES: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// Only the one key, only the one host, and nobody to ask. Borg takes them as one line of words, and
/// runs below the room that holds both files.
const SSH: [&str; 20] = [
    "-F",
    "none",
    "-T",
    "-i",
    "../key",
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "BatchMode=yes",
    "-o",
    "StrictHostKeyChecking=yes",
    "-o",
    "UserKnownHostsFile=../known_hosts",
    "-o",
    "GlobalKnownHostsFile=/dev/null",
    "-o",
    "ConnectTimeout=20",
    "-o",
    "ServerAliveInterval=15",
    "-oServerAliveCountMax=4",
];

fn find(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// How this process runs Borg.
pub struct Borg {
    runtime: Arc<dyn Runtime>,
    base: PathBuf,
    program: Option<PathBuf>,
    host_id: Mutex<Option<String>>,
}

impl Borg {
    /// `base` is a directory of its own for Borg's caches and for pipes; one process at a time uses it.
    pub fn new(runtime: Arc<dyn Runtime>, base: PathBuf) -> Self {
        Borg { runtime, base, program: find("borg"), host_id: Mutex::default() }
    }

    /// With another program than the host's, or none.
    pub fn with_program(self, program: Option<PathBuf>) -> Self {
        Borg { program, ..self }
    }

    pub fn is_here(&self) -> bool {
        self.program.is_some()
    }

    fn program(&self) -> Result<&Path> {
        let say =
            "Borg is not installed on this host; run: apt-get install borgbackup (version 1.2 or later of 1.x), then start the agent again";
        self.program.as_deref().ok_or_else(|| Error::unavailable("borg_missing", say))
    }

    /// What Borg's locks know us by: never equal on two hosts, the same after a restart.
    fn host_id(&self) -> Result<String> {
        let mut known = lock(&self.host_id);
        if let Some(id) = &*known {
            return Ok(id.clone());
        }
        let runs = self.runs();
        match fs::remove_dir_all(&runs) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io_trouble("removing", &runs, &e)),
            _ => {}
        }
        private_dir(&runs)?;
        private_dir(&self.base.join("home"))?;
        let path = self.base.join("host-id");
        let id = match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
            _ => {
                let id = format!("mainstay-{:032x}", rand::random::<u128>());
                fs::write(&path, &id).map_err(|e| io_trouble("writing", &path, &e))?;
                id
            }
        };
        Ok(known.insert(id).clone())
    }

    fn runs(&self) -> PathBuf {
        self.base.join("runs")
    }

    pub async fn room(&self, pool: &Pool, address: &Arc<Address>, login: Option<Secret>) -> Result<Arc<Room>> {
        self.program()?;
        self.host_id()?;
        let (runs, address) = (self.runs(), address.clone());
        pool.run(Lane::Ask, move |_| Ok(Arc::new(Room::open(&runs, &address, login.as_ref())?))).await
    }

    /// Everything it may know: nothing is inherited, and no question can be asked of anybody.
    fn env(&self, encrypted: bool) -> Result<BTreeMap<String, String>> {
        let ssh = format!("ssh {}", SSH.join(" "));
        let mut env: BTreeMap<String, String> = [
            ("PATH", PLACES.join(":").as_str()),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("BORG_BASE_DIR", &self.base.join("home").to_string_lossy()),
            ("BORG_HOST_ID", &self.host_id()?),
            ("BORG_RSH", &ssh),
            ("BORG_RELOCATED_REPO_ACCESS_IS_OK", "no"),
            ("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", if encrypted { "no" } else { "yes" }),
            ("BORG_DELETE_I_KNOW_WHAT_I_AM_DOING", "YES"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        if encrypted {
            env.insert("BORG_PASSPHRASE_FD".into(), "0".into());
        }
        Ok(env)
    }

    pub async fn version(&self, room: Arc<Room>) -> Result<String> {
        let out = self
            .exec(Call {
                room,
                args: vec!["--version".into()],
                input: Input::Bytes(vec![]),
                timeout: Duration::from_secs(60),
                background: false,
            })
            .await?;
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    pub async fn exec(&self, call: Call) -> Result<ExecOutput> {
        let common = ["--log-json", "--lock-wait", LOCK_WAIT].map(String::from);
        let exec = Exec {
            program: self.program()?.to_owned(),
            args: common.into_iter().chain(call.args).collect(),
            env: self.env(matches!(call.input, Input::Passphrase(_)))?,
            working_dir: call.room.tree(),
            user: None,
            stdin: match call.input {
                Input::Passphrase(secret) => secret.reveal().as_bytes().to_vec(),
                Input::Bytes(bytes) => bytes,
            },
            timeout: call.timeout,
            background: call.background,
        };
        let mut out = self.runtime.exec(exec).await?;
        if out.status != 0 && out.stderr.contains("ConnectionClosed") {
            out.stderr.push_str(&self.why_closed(&call.room).await?);
        }
        Ok(out)
    }

    /// Borg tells that a connection was closed, and only with luck why: ssh itself does.
    async fn why_closed(&self, room: &Room) -> Result<String> {
        let (Some(login), Some(program)) = (&room.login, find("ssh")) else { return Ok(String::new()) };
        let exec = Exec {
            program,
            args: SSH.iter().map(|&word| word.to_owned()).chain(login.iter().cloned()).chain(["borg".into(), "--version".into()]).collect(),
            env: self.env(true)?,
            working_dir: room.tree(),
            user: None,
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
            background: false,
        };
        let out = self.runtime.exec(exec).await?;
        Ok(if out.status == 0 { String::new() } else { format!("\n{}", out.stderr) })
    }
}

pub struct Call {
    pub room: Arc<Room>,
    pub args: Vec<String>,
    pub input: Input,
    pub timeout: Duration,
    /// For a backup: it comes last in line.
    pub background: bool,
}

/// What it reads from its standard input.
pub enum Input {
    /// What opens the repository.
    Passphrase(Secret),
    /// For a repository without encryption.
    Bytes(Vec<u8>),
}

pub fn words(head: &[&str], tail: &[String]) -> Vec<String> {
    head.iter().map(|&w| w.to_owned()).chain(tail.iter().cloned()).collect()
}

impl Repo {
    pub async fn room(&self) -> Result<Arc<Room>> {
        self.borg.room(&self.pool, &self.address, self.login.clone()).await
    }

    pub fn call(&self, room: &Arc<Room>, args: Vec<String>, timeout: Duration) -> Call {
        Call { room: room.clone(), args, input: Input::Passphrase(self.passphrase.clone()), timeout, background: false }
    }

    /// Runs Borg to a good end.
    pub async fn run(&self, head: &[&str], tail: &[String], timeout: Duration) -> Result<ExecOutput> {
        let begun = Instant::now();
        loop {
            match self.run_once(head, tail, timeout).await {
                Err(e) if e.code == trouble::LOCKED && begun.elapsed() < LOCK_PATIENCE => {}
                done => return done,
            }
        }
    }

    async fn run_once(&self, head: &[&str], tail: &[String], timeout: Duration) -> Result<ExecOutput> {
        let room = self.room().await?;
        let out = self.borg.exec(self.call(&room, words(head, tail), timeout)).await?;
        trouble::judge(head[0], &self.url, &out)?;
        Ok(out)
    }

    /// Runs Borg while `work`, on a thread, talks with it through pipes of `room`; both must come to
    /// a good end. When either fails the other is ended.
    pub async fn beside<T: Send + 'static>(
        &self,
        room: &Arc<Room>,
        args: Vec<String>,
        (lane, over): (Lane, Over),
        work: impl FnOnce(&Line) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let verb = args[0].clone();
        let line = Line::new(over);
        let talking = line.clone();
        let worker = self.pool.run(lane, move |_| work(&talking));
        let child = self.borg.exec(Call { background: lane.is_last(), ..self.call(room, args, LONG) });
        tokio::pin!(worker, child);
        let (mut worked, mut ran) = (None, None);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while worked.is_none() || ran.is_none() {
            tokio::select! {
                biased;
                said = &mut worker, if worked.is_none() => {
                    let failed = said.as_ref().is_err_and(|e| !trouble::is_broken_pipe(e));
                    worked = Some(said);
                    if failed {
                        break;
                    }
                }
                out = &mut child, if ran.is_none() => {
                    line.end();
                    let good = out.as_ref().is_ok_and(|out| out.status == 0);
                    ran = Some(out);
                    if !good {
                        break;
                    }
                }
                _ = tick.tick() => if line.is_over() {
                    break;
                }
            }
        }
        line.end();
        if worked.is_none() {
            // It hears of the end by its pipes. A source that hangs is left behind.
            worked = tokio::time::timeout(SETTLE, &mut worker).await.ok();
        }
        verdict(&verb, &self.url, worked, ran)
    }
}

/// The first cause: our side's own error, then what Borg says, then that the two lost each other.
fn verdict<T>(verb: &str, url: &str, worked: Option<Result<T>>, ran: Option<Result<ExecOutput>>) -> Result<T> {
    match worked {
        Some(Err(e)) if !trouble::is_broken_pipe(&e) => return Err(e),
        _ => {}
    }
    match (worked, ran) {
        (_, Some(Err(e))) => Err(e),
        (Some(worked), Some(Ok(out))) => trouble::judge(verb, url, &out).and(worked),
        (None, Some(Ok(out))) => trouble::judge(verb, url, &out).and(Err(cancelled())),
        (_, None) => Err(cancelled()),
    }
}
