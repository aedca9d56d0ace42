//! People are told: a real receiver, a signature it can check, and a receiver that hangs, is gone, or
//! comes back after Mainstay was killed.

use crate::support::Mainstay;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

const SECRET: &str = "a secret of the end-to-end suite";

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let named = |l: &&str| l.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|l| l.split_once(": ")).map_or("", |(_, v)| v)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// As any receiver would: recomputed from the secret, the time in the header and the body.
    fn is_signed(&self) -> bool {
        let said = self.header("mainstay-signature");
        let t: i64 = said.strip_prefix("t=").and_then(|s| s.split(',').next()).unwrap().parse().unwrap();
        said == mainstay_notifiers::sign(SECRET, mainstay_model::Time::from_micros(t * 1_000_000), &self.body)
    }
}

/// Answers 204 and keeps what it got, or says nothing at all.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn start(port: u16, hangs: bool) -> Receiver {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, stop) = (Arc::new(Mutex::new(vec![])), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (got.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut held = vec![];
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if hangs {
                    held.push(stream);
                } else if let Some(request) = answer(stream) {
                    kept.lock().unwrap().push(request);
                }
            }
        });
        Receiver { port, got, stop, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/1", self.port)
    }

    /// Waits until `count` messages of the event have come, and returns their delivery ids.
    fn has(&self, event: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let got = self.got.lock().unwrap();
            let ids: Vec<String> =
                got.iter().filter(|r| r.header("mainstay-event") == event).map(|r| r.header("mainstay-delivery").into()).collect();
            if ids.len() >= count {
                return ids;
            }
            let all: Vec<_> = got.iter().map(|r| r.header("mainstay-event").to_string()).collect();
            assert!(Instant::now() < deadline, "no {count} of {event}: {all:?}");
            drop(got);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut bytes, mut chunk) = (vec![], [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let request = Request { head: String::from_utf8_lossy(&bytes[..end]).into_owned(), body: bytes[end + 4..].to_vec() };
            if request.body.len() >= request.header("content-length").parse().ok()? {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok()?;
                return Some(request);
            }
        }
        match stream.read(&mut chunk).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

#[test]
fn people_are_told() {
    let mut m = Mainstay::start();
    let kv = m.kv();
    m.cli(&["cluster", "create", "shop", "--engine", kv]);
    m.cli(&["backup", "create", "shop"]);
    let begun = Instant::now();
    m.cli(&["backup", "create", "shop"]);
    let alone = begun.elapsed();

    let receiver = Receiver::start(0, false);
    let hanging = Receiver::start(0, true);
    let (secret, own) = (m.dir.join("hook.secret"), m.url.clone());
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let secret = secret.to_str().unwrap();
    let added = m.cli(&["notifier", "add", "ops", "--kind", "webhook", "--url", &receiver.url(), "--secret-file", secret]);
    assert!(added["target"] == format!("http://127.0.0.1:{}/…", receiver.port) && added["events"][0] == "all", "{added}");
    let drawn = m.cli(&["notifier", "add", "deaf", "--kind", "webhook", "--url", &hanging.url(), "--events", "backup_succeeded"]);
    assert!(drawn["secret"].as_str().is_some_and(|s| s.len() >= 32), "{drawn}");
    let said = m.say(&["notifier", "add", "own", "--kind", "webhook", "--url", &own]);
    assert!(said.code == 2 && said.err.contains("Mainstay itself listens"), "{} {}", said.code, said.err);

    // A receiver that hangs delays no backup and no other receiver.
    let begun = Instant::now();
    let backup = m.cli(&["backup", "create", "shop"]);
    assert!(begun.elapsed() < alone * 20 + Duration::from_secs(60), "{:?} instead of {alone:?}", begun.elapsed());
    receiver.has("backup_succeeded", 1);
    let (told, signed) = {
        let got = receiver.got.lock().unwrap();
        (got[0].json(), got[0].is_signed())
    };
    assert!(signed, "{told}");
    assert_eq!((&told["object"], &told["cluster"], &told["good"]), (&backup["id"], &"shop".into(), &true.into()));
    assert_eq!(m.cli(&["notifier", "show", "deaf"])["pending"], 1);

    assert_eq!(m.cli(&["notifier", "test", "ops"])["said"], "204 No Content");
    receiver.has("test", 1);

    // Nobody is there, Mainstay is killed, both come back: it is told all the same.
    let port = receiver.port;
    drop(receiver);
    m.cli(&["backup", "create", "shop"]);
    let tested = m.say(&["notifier", "test", "ops"]);
    assert!(tested.code == 1 && tested.json()["ok"] == false, "{} {}", tested.code, tested.err);
    m.kill();
    let receiver = Receiver::start(port, false);
    m.up();
    let ids = receiver.has("backup_succeeded", 1);
    assert!(ids[0].starts_with("nt_"), "{ids:?}");

    m.cli(&["notifier", "remove", "deaf"]);
    let log = m.log();
    assert!(!log.contains(SECRET) && !log.contains("/hooks/1"), "what is secret was logged");
    assert_eq!(m.cli(&["alert", "list", "shop"]), serde_json::json!([]));
}
