//! A throw-away PostgreSQL server, shared by the tests that run at the same time.

use std::{
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Weak},
};
use tokio::sync::Mutex;

const BIN: &str = "/usr/lib/postgresql/15/bin";

pub struct Server {
    dir: tempfile::TempDir,
    child: Child,
    address: Ipv4Addr,
}

static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());

impl Server {
    pub async fn shared() -> Arc<Server> {
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}:5432/{database}", self.address)
    }

    fn start() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let (uid, gid) = postgres_user();
        std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
        let data = dir.path().join("data");
        let made = as_postgres("initdb", dir.path())
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let address = Ipv4Addr::new(127, rand::random_range(64..=127), rand::random(), rand::random_range(1..=254));
        let child = as_postgres("postgres", dir.path())
            .arg("-D")
            .arg(&data)
            .args(["-h", &address.to_string(), "-p", "5432", "-k", ""])
            .args(["-c", "fsync=off", "-c", "max_connections=200", "-c", "autovacuum=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Server { dir, child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = as_postgres("pg_ctl", self.dir.path());
        let _ = stop.args(["stop", "-m", "immediate", "-D"]).arg(self.dir.path().join("data")).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own server")]
fn as_postgres(program: &str, dir: &Path) -> Command {
    let (uid, gid) = postgres_user();
    let mut command = Command::new(Path::new(BIN).join(program));
    command.uid(uid).gid(gid).current_dir(dir).stdin(Stdio::null());
    command
}

fn postgres_user() -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|l| l.starts_with("postgres:")).expect("a postgres user");
    let fields: Vec<&str> = line.split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}
