//! Borg repositories of a test: in a directory of its own, or behind an sshd of its own.

use super::{OWN, RECOVERY};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::{ClusterId, ProjectId, Secret, StorageId};
use mainstay_storages::{Borg, OpenStorages};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

#[expect(clippy::disallowed_methods, reason = "the tests compare with the real programs, and need a real server")]
pub fn command(program: &str) -> Command {
    Command::new(program)
}

pub fn is_installed(program: &str) -> bool {
    let there = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(program).exists());
    if !there {
        mainstay_testkit::skipped(&format!("Borg: {program} is not installed"));
    }
    there
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What an agent has: a runtime, and a directory for Borg.
pub fn agent(dir: &Path) -> Borg {
    let runtime = (mainstay_runtimes::all()[0].open)(dir.join("runtime")).unwrap();
    Borg::new(runtime, dir.join("borg"))
}

pub fn storages(dir: &Path) -> OpenStorages {
    OpenStorages::new().with_borg(agent(dir))
}

pub fn reference_to(place: BorgPlace, secret: Option<Secret>, chunking: Chunking) -> RepositoryRef {
    RepositoryRef {
        storage: StorageSpec {
            id: StorageId::new(),
            name: "far".into(),
            place: Place::Borg(place),
            secret,
            limits: Default::default(),
            edition: 1,
        },
        project: ProjectId::new(),
        cluster: ClusterId::new(),
        chunking,
        keys: RepositoryKeys { own: Secret::new(OWN), recovery: vec![Secret::new(RECOVERY)] },
    }
}

pub fn in_directory(path: &Path, chunking: Chunking) -> RepositoryRef {
    reference_to(BorgPlace { repository: path.to_str().unwrap().into(), host_key: None }, None, chunking)
}

pub fn directory_of(reference: &RepositoryRef) -> PathBuf {
    let Place::Borg(place) = &reference.storage.place else { panic!("no Borg repository") };
    Path::new(&place.repository).join(reference.project.as_str()).join(reference.cluster.as_str())
}

/// Borg as a person runs it, with caches of its own.
pub fn stock(dir: &Path, args: &[&str]) -> Output {
    let mut borg = command("borg");
    borg.args(args).env("BORG_BASE_DIR", dir.join("person")).env("BORG_PASSPHRASE", OWN).env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
    borg.output().unwrap()
}

/// An sshd on an address of its own that lets one key in, to `borg serve` below `repositories`.
pub struct Sshd {
    pub dir: tempfile::TempDir,
    server: Child,
    address: String,
    port: u16,
}

impl Sshd {
    pub fn start(append_only: bool) -> Option<Sshd> {
        if !is_installed("sshd") || !is_installed("ssh") || !is_installed("borg") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        for name in ["host", "user", "other"] {
            let made = command("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(dir.path().join(name))
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", text(&made));
        }
        // sshd will not start as root without it.
        let _ = fs::DirBuilder::new().mode(0o755).recursive(true).create("/run/sshd");
        let user = fs::read_to_string(dir.path().join("user.pub")).unwrap();
        let flag = if append_only { " --append-only" } else { "" };
        let forced = format!("borg serve --restrict-to-path {}{flag}", dir.path().join("repositories").display());
        fs::write(dir.path().join("authorized"), format!("command=\"{forced}\",restrict {user}")).unwrap();
        let (server, address, port) = Self::listen(dir.path());
        Some(Sshd { dir, server, address, port })
    }

    /// A port that was free a moment ago may be taken by now, so several are tried.
    fn listen(dir: &Path) -> (Child, String, u16) {
        for _ in 0..20 {
            let address = format!("127.{}.{}.{}", 64 + rand(63), rand(255), 1 + rand(253));
            let Ok(probe) = TcpListener::bind((address.as_str(), 0)) else { continue };
            let port = probe.local_addr().unwrap().port();
            drop(probe);
            let config = format!(
                "ListenAddress {address}:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\nStrictModes no\n\
                 UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
                dir.display()
            );
            fs::write(dir.join("sshd_config"), config).unwrap();
            let log = fs::File::create(dir.join("sshd.log")).unwrap();
            let mut server = command("/usr/sbin/sshd")
                .args(["-D", "-e", "-f"])
                .arg(dir.join("sshd_config"))
                .stderr(log)
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(60) && server.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect((address.as_str(), port)).is_ok() {
                    return (server, address, port);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = server.kill();
            let _ = server.wait();
        }
        panic!("sshd does not start: {}", fs::read_to_string(dir.join("sshd.log")).unwrap_or_default());
    }

    pub fn place(&self, host_key: &str) -> BorgPlace {
        let id = command("id").arg("-un").output().unwrap();
        let user = String::from_utf8(id.stdout).unwrap();
        let path = self.dir.path().join("repositories");
        BorgPlace {
            repository: format!("ssh://{}@{}:{}{}", user.trim(), self.address, self.port, path.display()),
            host_key: Some(fs::read_to_string(self.dir.path().join(format!("{host_key}.pub"))).unwrap().trim().into()),
        }
    }

    pub fn key(&self, name: &str) -> Secret {
        Secret::new(fs::read_to_string(self.dir.path().join(name)).unwrap())
    }

    pub fn reference(&self, chunking: Chunking) -> RepositoryRef {
        reference_to(self.place("host"), Some(self.key("user")), chunking)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn rand(below: u32) -> u32 {
    let id = StorageId::new().to_string();
    id.bytes().fold(0u32, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into())) % below
}

/// Processes whose command line holds `part`, as (pid, command line).
pub fn processes_with(part: &str) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(part) {
            found.push((pid, line));
        }
    }
    found
}

pub fn mode_of(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}
