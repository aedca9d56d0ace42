//! A Mainstay of a test's own, and the tools a person would use.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub const BIN: &str = env!("CARGO_BIN_EXE_mainstay");

pub struct Mainstay {
    pub dir: PathBuf,
    pub url: String,
    /// What `up` is told beside where it is.
    flags: Vec<String>,
    up: Option<Child>,
}

/// What the command line said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.err))
    }
}

impl Mainstay {
    pub fn start() -> Self {
        Self::begin(&std::env::temp_dir(), &[])
    }

    /// With its data directory in a place that a test chose, for its file system.
    pub fn start_in(parent: &Path) -> Self {
        Self::begin(parent, &[])
    }

    /// With further flags to `up`.
    pub fn start_with(flags: &[&str]) -> Self {
        Self::begin(&std::env::temp_dir(), flags)
    }

    fn begin(parent: &Path, flags: &[&str]) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("mainstay-e2e-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut m =
            Mainstay { dir, url: format!("http://127.0.0.1:{port}"), flags: flags.iter().map(|f| f.to_string()).collect(), up: None };
        m.up();
        m
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Starts `up` and waits until it serves.
    pub fn up(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("up.log")).unwrap();
        let listen = self.url.strip_prefix("http://").unwrap();
        let mut command = Command::new(BIN);
        command.args(["up", "--data-dir"]).arg(self.data()).args(["--listen", listen]).args(&self.flags);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.up = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.ready() {
            let ended = self.up.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "up does not serve: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The most memory `up` ever had.
    pub fn peak_mib(&self) -> u64 {
        let pid = self.up.as_ref().expect("up runs").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("up.log")).unwrap_or_default()
    }

    fn ready(&self) -> bool {
        let Ok(mut s) = TcpStream::connect(self.url.strip_prefix("http://").unwrap()) else { return false };
        s.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let _ = s.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", &self.url[7..]).as_bytes());
        let mut reply = String::new();
        let _ = s.read_to_string(&mut reply);
        reply.starts_with("HTTP/1.1 200")
    }

    /// `kill -9` of the process, and only of it.
    pub fn kill(&mut self) {
        let mut child = self.up.take().expect("up runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let token = std::fs::read_to_string(self.data().join("admin.token")).unwrap();
        let mut command = Command::new(BIN);
        command.args(args).env("MAINSTAY_SERVER", &self.url).env("MAINSTAY_TOKEN", token.trim()).stdin(Stdio::null());
        command
    }

    pub fn say(&self, args: &[&str]) -> Said {
        said(self.command(args).args(["--output", "json"]).output().unwrap())
    }

    /// The verb has to succeed.
    pub fn cli(&self, args: &[&str]) -> Value {
        let s = self.say(args);
        assert_eq!(s.code, 0, "{args:?}: {} {}", s.err, s.log_hint(self));
        if let ["cluster", "create", name, ..] = args {
            // Or it would be backed up by itself while a test that runs at that hour counts on its peace.
            self.cli(&["schedule", "pause", name]);
        }
        if s.out.trim().is_empty() { Value::Null } else { s.json() }
    }

    pub fn credentials(&self, cluster: &str) -> Credentials {
        let c = self.cli(&["cluster", "credentials", cluster]);
        let text = |k: &str| c[k].as_str().unwrap_or_default().to_string();
        Credentials {
            user: text("user"),
            password: text("password"),
            database: text("database"),
            host: text("host"),
            port: c["port"].as_u64().unwrap() as u16,
        }
    }

    pub fn psql(&self, cluster: &str, sql: &str) -> String {
        let said = self.credentials(cluster).psql(sql);
        assert_eq!(said.code, 0, "psql {sql}: {}", said.err);
        said.out.trim().to_string()
    }

    pub fn redis(&self, cluster: &str, args: &[&str]) -> String {
        let said = self.credentials(cluster).redis(args);
        assert!(
            said.code == 0 && !said.out.starts_with("ERR") && !said.out.contains("NOAUTH"),
            "redis-cli {args:?}: {} {}",
            said.out,
            said.err
        );
        said.out.trim().to_string()
    }

    /// The Redis-family engine that is here: Valkey where there is one.
    pub fn kv(&self) -> &'static str {
        let engines = self.cli(&["engine", "list"]);
        let valkey = engines.as_array().unwrap().iter().any(|e| e["name"] == "valkey" && e["available"] == true);
        if valkey { "valkey" } else { "redis" }
    }

    pub fn nodes(&self, cluster: &str) -> Vec<Value> {
        self.cli(&["cluster", "show", cluster])["nodes"].as_array().unwrap().clone()
    }

    /// Pids of every process whose command line names this data directory.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let needle = self.data().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&needle) {
                found.push((pid, line));
            }
        }
        found
    }

    /// What the data directory holds of nodes and of things on their way out.
    pub fn remnants(&self) -> Vec<String> {
        let list = |d: &str| -> Vec<String> {
            let entries = std::fs::read_dir(self.data().join(d)).into_iter().flatten().flatten();
            entries.map(|e| format!("{d}/{}", e.file_name().to_string_lossy())).collect()
        };
        [list("nodes"), list("tmp")].concat()
    }
}

impl Said {
    fn log_hint(&self, m: &Mainstay) -> String {
        let log = m.log();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        format!("\nup.log:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Mainstay {
    fn drop(&mut self) {
        let _ = Command::new(BIN).args(["down", "--engines", "--data-dir"]).arg(self.data()).stdin(Stdio::null()).output();
        if let Some(mut up) = self.up.take() {
            let _ = up.kill();
            let _ = up.wait();
        }
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.dir.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    pub password: String,
    pub database: String,
    pub host: String,
    pub port: u16,
}

impl Credentials {
    fn psql_command(&self) -> Command {
        let mut c = Command::new("psql");
        c.args(["-h", &self.host, "-p", &self.port.to_string(), "-U", &self.user, "-d", &self.database, "-Atq", "-v", "ON_ERROR_STOP=1"]);
        c.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "12");
        c
    }
    pub fn psql(&self, sql: &str) -> Said {
        said(self.psql_command().args(["-c", sql]).stdin(Stdio::null()).output().unwrap())
    }
    /// A `psql` that is fed line by line: one session.
    pub fn session(&self) -> Session {
        let mut child = self.psql_command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Session { child, out }
    }
    pub fn redis(&self, args: &[&str]) -> Said {
        let mut c = Command::new("redis-cli");
        c.args(["-h", &self.host, "-p", &self.port.to_string(), "--no-auth-warning", "--user", &self.user]);
        c.env("REDISCLI_AUTH", &self.password).args(args);
        said(c.stdin(Stdio::null()).output().unwrap())
    }
}

pub struct Session {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Session {
    /// One line of answer, or `None` when the session has ended.
    pub fn ask(&mut self, sql: &str) -> Option<String> {
        let stdin = self.child.stdin.as_mut()?;
        writeln!(stdin, "{sql};").and_then(|()| stdin.flush()).ok()?;
        let mut line = String::new();
        let n = self.out.read_line(&mut line).ok()?;
        (n > 0).then(|| line.trim().to_string())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `write(n)` one after the other until stopped, and keeps what was acknowledged. A write that
/// was not acknowledged may or may not be there: it is not counted.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Load {
    pub fn start(mut write: impl FnMut(u64) -> bool + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut acked = Vec::new();
            for n in 0.. {
                if flag.load(Ordering::Relaxed) {
                    break;
                }
                if write(n) {
                    acked.push(n);
                } else {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            acked
        });
        Load { stop, thread }
    }
    pub fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Inserts through the endpoint into `w(n)`, reconnecting whenever the session ends.
pub fn sql_load(c: Credentials) -> Load {
    let mut session = None;
    Load::start(move |n| {
        let s = session.get_or_insert_with(|| c.session());
        let acked = s.ask(&format!("insert into w values ({n}) returning n")).as_deref() == Some(n.to_string().as_str());
        if !acked {
            session = None;
        }
        acked
    })
}

/// A client of the Redis protocol with one session.
pub struct Resp {
    stream: BufReader<TcpStream>,
}

impl Resp {
    pub fn connect(c: &Credentials) -> std::io::Result<Self> {
        let stream = TcpStream::connect((c.host.as_str(), c.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let mut r = Resp { stream: BufReader::new(stream) };
        let reply = r.call(&["AUTH", &c.user, &c.password])?;
        if reply == "+OK" { Ok(r) } else { Err(std::io::Error::other(reply)) }
    }
    pub fn call(&mut self, parts: &[&str]) -> std::io::Result<String> {
        let mut out = format!("*{}\r\n", parts.len());
        for p in parts {
            out.push_str(&format!("${}\r\n{p}\r\n", p.len()));
        }
        self.stream.get_mut().write_all(out.as_bytes())?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_string())
    }
}

pub fn redis_load(c: Credentials) -> Load {
    let mut session: Option<Resp> = None;
    Load::start(move |n| {
        if session.is_none() {
            session = Resp::connect(&c).ok();
        }
        let Some(s) = session.as_mut() else { return false };
        let acked = s.call(&["SET", &format!("w:{n}"), "1"]).is_ok_and(|r| r == "+OK");
        if !acked {
            session = None;
        }
        acked
    })
}

/// Ends everything at once and removes the whole data directory, as a lost disk would.
pub fn lose(m: &mut Mainstay) {
    m.kill();
    for (pid, _) in m.processes() {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    until("everything has ended", || m.processes().is_empty());
    std::fs::remove_dir_all(m.data()).unwrap();
}

pub fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(60, what, holds);
}

/// For what `borg` on a busy machine takes part in: each of its starts takes seconds there.
pub fn until_within(seconds: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Files below `dir`, recursively.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out
}
