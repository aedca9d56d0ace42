//! An OpenSSH server of the test's own, on a free port, that lets one key in to SFTP.

use super::{OWN, RECOVERY};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::{ClusterId, ProjectId, Secret, StorageId};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub struct SftpServer {
    pub dir: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
}

#[expect(clippy::disallowed_methods, reason = "the tests need a real server")]
fn command(program: &str) -> Command {
    Command::new(program)
}

impl SftpServer {
    /// `None` where OpenSSH is not installed.
    pub fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() {
            mainstay_testkit::skipped("SFTP: sshd is not installed");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        for name in ["host", "user", "other"] {
            let key = dir.path().join(name);
            let made = command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(key).status().unwrap();
            assert!(made.success());
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).unwrap();
        // sshd does not start as root without it.
        let _ = fs::DirBuilder::new().mode(0o755).recursive(true).create("/run/sshd");
        let mut server = SftpServer { dir, port: 0, server: None };
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            server.port = port;
            if server.listen() {
                return Some(server);
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(server.dir.path().join("log")).unwrap_or_default());
    }

    /// On the port it had before.
    pub fn listen(&mut self) -> bool {
        let dir = self.dir.path();
        let config = format!(
            "ListenAddress 127.0.0.1:{1}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n",
            dir.display(),
            self.port
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let mut run = command("/usr/sbin/sshd");
        run.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stdin(Stdio::null()).stderr(log);
        let mut child = run.spawn().unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                self.server = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// The server and all connections it has.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        for child in children(server.id()) {
            if let Some(pid) = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("place")
    }

    pub fn spec(&self) -> StorageSpec {
        let user = String::from_utf8(command("id").arg("-un").output().unwrap().stdout).unwrap();
        let place = SftpPlace {
            host: "127.0.0.1".into(),
            port: self.port,
            user: user.trim().into(),
            path: self.path().to_str().unwrap().into(),
            host_key: fs::read_to_string(self.dir.path().join("host.pub")).unwrap().trim().into(),
        };
        StorageSpec {
            id: StorageId::new(),
            name: "far".into(),
            place: Place::Sftp(place),
            secret: Some(self.key("user")),
            limits: Default::default(),
            edition: 1,
        }
    }

    pub fn key(&self, name: &str) -> Secret {
        Secret::new(fs::read_to_string(self.dir.path().join(name)).unwrap())
    }

    pub fn reference(&self, chunking: Chunking) -> RepositoryRef {
        RepositoryRef {
            storage: self.spec(),
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            chunking,
            keys: RepositoryKeys { own: Secret::new(OWN), recovery: vec![Secret::new(RECOVERY)] },
        }
    }
}

/// Of a process, at any depth, by what /proc says of parents.
fn children(of: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        all.extend(parent.map(|parent| (pid, parent)));
    }
    let mut found = vec![of];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(all.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

impl Drop for SftpServer {
    fn drop(&mut self) {
        self.stop();
    }
}
