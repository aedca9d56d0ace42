//! Without Mainstay: a person with restic, a recovery key and the commands that a backup prints. The
//! commands are run as they are printed, with the placeholders filled in and a port of our own.

use crate::{
    bed::*,
    probes::{Session, Target},
};
use mainstay_drivers::{
    engine::Node,
    runtime::{Exec, ExecOutput, InstanceId, InstanceSpec, Signal},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

/// What a person knows: where things were restored to, and which port to use.
struct Person<'a> {
    bed: &'a Bed,
    dir: PathBuf,
    port: u16,
    server: PathBuf,
    instance: InstanceId,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_restic_alone_gets_the_data_back() {
    if !on_path("restic") {
        return skipped("restic is not installed; apt install restic");
    }
    everywhere(async |bed| {
        let node = bed.primary("by-hand").await;
        let mut client = bed.client(&node).await;
        client.set_up().await.unwrap();
        for n in 0..30 {
            client.write(n).await.unwrap();
        }
        let stored = bed.backup(&node).await;
        client.write(30).await.unwrap();
        bed.stop(&node).await;

        let key = bed.dir.path().join("recovery-key");
        std::fs::write(&key, RECOVERY).unwrap();
        let person = Person {
            bed,
            dir: bed.dir.path().join("by-hand"),
            port: free_port(Ipv4Addr::LOCALHOST.into()),
            server: bed.engine.service(&node).spec.program,
            instance: InstanceId("by-hand".into()),
        };
        let (key, dir) = (key.to_str().unwrap(), person.dir.to_str().unwrap());
        for line in bed.storage.manual_commands(&stored.snapshot, key, dir) {
            person.run(&line).await;
        }
        for line in bed.backups().manual_steps(&bed.installed.version) {
            person.run(&line.replace("DIR", dir)).await;
        }
        let numbers = person.session(&node).await.numbers().await.unwrap();
        assert_eq!(numbers, (0..30).collect());
        person.session(&node).await.write(100).await.expect("it takes writes");
    })
    .await;
}

impl Person<'_> {
    async fn run(&self, line: &str) {
        let mut words = words(line);
        if words.is_empty() {
            return;
        }
        let mut user = None;
        if words[0] == "sudo" {
            assert_eq!(words[1], "-u", "{line}");
            user = Some(words[2].clone());
            words.drain(..3);
        }
        let program = self.program(&words.remove(0));
        let is_server = program.file_name() == self.server.file_name();
        if program.parent() == self.server.parent() && (is_server || program.to_string_lossy().ends_with("-cli")) {
            // Somebody may use the usual port already: the user of this machine.
            let aim = (self.bed.probe.aim)(&program.to_string_lossy(), self.port);
            let place = if is_server { words.len() } else { 0 };
            words.splice(place..place, aim);
        }
        if program.ends_with("chown") {
            self.owned_by_who_runs_it(&mut words);
        }
        if is_server { self.serve(program, words, user).await } else { self.finish(line, program, words, user).await }
    }

    /// A package that is only unpacked has brought no user of its own.
    fn owned_by_who_runs_it(&self, words: &mut [String]) {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        for word in words {
            let Some(name) = word.strip_suffix(':') else { continue };
            if !users.lines().any(|l| l.split(':').next() == Some(name)) {
                *word = format!("{}:", self.bed.installed.user.as_deref().unwrap_or("root"));
            }
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        let places = [self.bed.installed.bin_dir.clone(), "/usr/bin".into(), "/bin".into()];
        // A package that is only unpacked lies elsewhere than where it would have been installed.
        let unpacked = Path::new(name).file_name().map(|file| self.bed.installed.bin_dir.join(file));
        let found = places.iter().map(|p| p.join(name)).chain(unpacked).find(|p| p.is_file());
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    fn env(&self) -> std::collections::BTreeMap<String, String> {
        let mut env = self.bed.installed.env.clone();
        env.insert("PATH".into(), "/usr/bin:/bin".into());
        env.insert("RESTIC_CACHE_DIR".into(), self.bed.dir.path().join("restic-cache").to_string_lossy().into_owned());
        env
    }

    async fn finish(&self, line: &str, program: PathBuf, args: Vec<String>, user: Option<String>) {
        let exec = Exec {
            program,
            args,
            env: self.env(),
            working_dir: "/".into(),
            user,
            stdin: vec![],
            timeout: Duration::from_secs(60),
            background: false,
        };
        let ExecOutput { status, stdout, stderr } = self.bed.runtime.exec(exec).await.unwrap();
        assert_eq!(status, 0, "{line}: {}{stderr}", String::from_utf8_lossy(&stdout));
    }

    async fn serve(&self, program: PathBuf, args: Vec<String>, user: Option<String>) {
        let log_dir = self.bed.dir.path().join("by-hand-log");
        self.bed.runtime.put_dir(user.as_deref(), &log_dir, 0o700).await.unwrap();
        let spec = InstanceSpec {
            program,
            args,
            env: self.env(),
            working_dir: "/".into(),
            user,
            log_file: log_dir.join("log"),
            stop_signal: Signal::Int,
            grace: Duration::from_secs(10),
            restarts: 0,
            offline: false,
            background: false,
        };
        self.bed.runtime.ensure(&self.instance, &spec).await.unwrap();
        let address: IpAddr = Ipv4Addr::LOCALHOST.into();
        eventually("the server listens", async || {
            let state = self.bed.runtime.inspect(&self.instance).await.unwrap().state;
            let log = self.bed.runtime.logs(&self.instance, 20).await.unwrap_or_default().join("\n");
            assert_eq!(state, mainstay_drivers::runtime::InstanceState::Running, "{log}");
            std::net::TcpStream::connect((address, self.port)).is_ok()
        })
        .await;
    }

    /// With what the customer knows: the passwords of that day.
    async fn session(&self, node: &Node) -> Box<dyn Session> {
        let user = &node.plan.accounts.user;
        let target = Target {
            address: Ipv4Addr::LOCALHOST.into(),
            port: self.port,
            user: user.user.clone(),
            password: user.password.reveal().into(),
            database: user.database.clone(),
        };
        let mut opened = self.bed.probe.open(&target).await;
        for _ in 0..200 {
            if opened.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            opened = self.bed.probe.open(&target).await;
        }
        let log = self.bed.runtime.logs(&self.instance, 20).await.unwrap_or_default().join("\n");
        opened.unwrap_or_else(|e| panic!("{e}\n{log}"))
    }
}

fn on_path(name: &str) -> bool {
    ["/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(name).is_file())
}

/// The words of a command as a shell would part them; what follows `#` is for people.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (vec![], None::<String>, false);
    if line.starts_with('#') {
        return words;
    }
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
