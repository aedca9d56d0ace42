//! Where backups go in the tests, beside directories: an S3 server behind a door that can be shut, and
//! an OpenSSH server that lets in to Borg and to SFTP. Both on loopback, both gone when the test ends.

use crate::support::{Said, said, until};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

pub const ACCESS: &str = "AKIAEXAMPLE";
pub const SECRET: &str = "a/secret+access=key-of-the-end-to-end-suite";
const BUCKET: &str = "backups";

/// A bucket of moto's S3 server. What it holds is in its memory, so it is the way to it that breaks.
pub struct Bucket {
    server: Child,
    behind: SocketAddr,
    door: Door,
    dir: PathBuf,
}

impl Bucket {
    /// `None` where the server is not installed; that is said.
    pub fn start(dir: &Path) -> Option<Bucket> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/moto/bin/moto_server");
        if !program.exists() {
            mainstay_testkit::skipped("S3: no server; scripts/fetch-moto.sh installs one");
            return None;
        }
        let dir = dir.join("s3");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("secret"), SECRET).unwrap();
        let behind = free_address();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut run = Command::new(program);
        run.args(["-H", "127.0.0.1", "-p", &behind.port().to_string()]).current_dir(&dir);
        let server = run.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let bucket = Bucket { server, behind, door: Door::open(behind), dir };
        until("the S3 server answers", || bucket.ask("GET", "/").is_some_and(|a| a.starts_with("HTTP/1.1 200")));
        assert!(bucket.ask("PUT", &format!("/{BUCKET}")).unwrap().starts_with("HTTP/1.1 200"));
        Some(bucket)
    }

    /// Past the door, and past Mainstay.
    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.behind).ok()?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.behind);
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub fn shut(&self) {
        self.door.shut.store(true, Ordering::SeqCst);
        for stream in self.door.passing.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn reopen(&self) {
        self.door.shut.store(false, Ordering::SeqCst);
    }

    /// Uploads in parts that were begun and neither ended nor aborted.
    pub fn unfinished_uploads(&self) -> usize {
        self.ask("GET", &format!("/{BUCKET}?uploads")).unwrap().matches("<UploadId>").count()
    }

    /// The flags of `storage add` and of `recover`.
    pub fn flags(&self) -> Vec<String> {
        let (endpoint, secret) = (format!("http://{}", self.door.address), self.dir.join("secret").display().to_string());
        ["--kind", "s3", "--endpoint", &endpoint, "--bucket", BUCKET, "--prefix", "deep/er", "--path-style", "on"]
            .into_iter()
            .chain(["--access-key", ACCESS, "--secret-key-file", &secret])
            .map(String::from)
            .collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.door.end();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Passes bytes on, or, shut, lets nobody in.
struct Door {
    address: SocketAddr,
    shut: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    passing: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    fn open(to: SocketAddr) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Door { address: listener.local_addr().unwrap(), shut: Arc::default(), over: Arc::default(), passing: Arc::default() };
        let (shut, over, passing) = (door.shut.clone(), door.over.clone(), door.passing.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                if !shut.load(Ordering::SeqCst)
                    && let Ok(beyond) = TcpStream::connect(to)
                {
                    passing.lock().unwrap().extend([stream.try_clone().unwrap(), beyond.try_clone().unwrap()]);
                    pass(stream, beyond);
                }
            }
        });
        door
    }

    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn pass(one: TcpStream, other: TcpStream) {
    for (mut from, mut to) in [(one.try_clone().unwrap(), other.try_clone().unwrap()), (other, one)] {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}

/// An sshd on an address of its own. One key leads to `borg serve`, another to SFTP.
pub struct SshHost {
    dir: PathBuf,
    address: SocketAddr,
    server: Option<Child>,
}

impl SshHost {
    /// `None` where it cannot be had; that is said.
    pub fn start(dir: &Path) -> Option<SshHost> {
        if !Path::new("/usr/sbin/sshd").exists() || !Path::new("/usr/bin/borg").exists() {
            mainstay_testkit::skipped("Borg over ssh: no sshd or no borg on this machine");
            return None;
        }
        let dir = dir.join("ssh");
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["host", "borg", "sftp"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(dir.join(name)).status();
            assert!(made.unwrap().success());
        }
        let public = |name: &str| std::fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap();
        let serve = format!("borg serve --restrict-to-path {}", dir.join("vault").display());
        let authorized = format!("command=\"{serve}\",restrict {}command=\"internal-sftp\",restrict {}", public("borg"), public("sftp"));
        std::fs::write(dir.join("authorized"), authorized).unwrap();
        // sshd does not start as root without it.
        let _ = std::fs::create_dir_all("/run/sshd");
        for _ in 0..20 {
            let mut host = SshHost { dir: dir.clone(), address: free_address(), server: None };
            if host.listen() {
                let known = format!("[127.0.0.1]:{} {}", host.address.port(), public("host"));
                std::fs::write(dir.join("known_hosts"), known).unwrap();
                return Some(host);
            }
        }
        panic!("sshd does not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
    }

    /// At the address it had before.
    pub fn listen(&mut self) -> bool {
        let config = format!(
            "ListenAddress {1}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n\
             MaxStartups 100\n",
            self.dir.display(),
            self.address
        );
        std::fs::write(self.dir.join("sshd_config"), config).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log")).unwrap();
        let mut run = Command::new("/usr/sbin/sshd");
        run.args(["-D", "-e", "-f"]).arg(self.dir.join("sshd_config")).stdin(Stdio::null()).stderr(log);
        let mut child = run.spawn().unwrap();
        for _ in 0..500 {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                self.server = Some(child);
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// The server and every session it has.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let sessions = children(server.id());
        let _ = server.kill();
        let _ = server.wait();
        for pid in sessions.into_iter().filter_map(|pid| rustix::process::Pid::from_raw(pid as i32)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    fn user() -> String {
        String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().into()
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn host_key(&self) -> String {
        std::fs::read_to_string(self.dir.join("host.pub")).unwrap().trim().into()
    }

    pub fn borg_flags(&self) -> Vec<String> {
        let repository = format!("ssh://{}@{}{}", Self::user(), self.address, self.file("vault"));
        ["--kind", "borg", "--repository", &repository, "--host-key", &self.host_key(), "--ssh-key-file", &self.file("borg")]
            .map(String::from)
            .to_vec()
    }

    pub fn sftp_flags(&self) -> Vec<String> {
        let (port, path) = (self.address.port().to_string(), self.file("attic"));
        ["--kind", "sftp", "--host", "127.0.0.1", "--port", &port, "--user", &Self::user(), "--path", &path]
            .into_iter()
            .chain(["--host-key", &self.host_key(), "--ssh-key-file", &self.file("sftp")])
            .map(String::from)
            .collect()
    }

    /// What a person puts where a printed command says `SSH_KEY_FILE`.
    pub fn identity(&self, key: &str) -> String {
        format!("{} -o UserKnownHostsFile={}", self.file(key), self.file("known_hosts"))
    }
}

impl Drop for SshHost {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Of a process, at any depth, by what /proc says of parents.
fn children(of: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
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

/// A person's shell, with a home of its own and what they type.
pub fn by_hand(home: &Path, commands: &[String], typed: &str) -> Said {
    std::fs::create_dir_all(home).unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", &commands.join("\n")]).current_dir(home).env("HOME", home).env("BORG_BASE_DIR", home);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RESTIC_PASSWORD", "BORG_PASSPHRASE"] {
        shell.env_remove(name);
    }
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(format!("{typed}\n").as_bytes());
    said(child.wait_with_output().unwrap())
}
