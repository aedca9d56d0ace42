//! The allow-list at the endpoint, and termination protection.

use crate::support::{Mainstay, Resp};
use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

#[test]
fn an_address_off_the_list_gets_no_byte_and_open_sessions_end() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    let credentials = m.credentials("kv-one");
    let mut open = Resp::connect(&credentials).unwrap();
    assert_eq!(open.call(&["SET", "a", "1"]).unwrap(), "+OK");
    m.cli(&["cluster", "allow", "kv-one", "--set", "203.0.113.0/24", "--yes"]);
    assert!(open.call(&["PING"]).is_err(), "a session that no longer matches goes on");
    let address: SocketAddr = format!("{}:{}", credentials.host, credentials.port).parse().unwrap();
    if let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut byte = [0u8; 1];
        let got = stream.read(&mut byte);
        assert!(!matches!(got, Ok(n) if n > 0), "a byte came through");
    }
    // Clients of the loopback block come from 127.0.0.1 unless they choose otherwise.
    m.cli(&["cluster", "allow", "kv-one", "--set", "127.0.0.0/8", "--yes"]);
    assert_eq!(m.redis("kv-one", &["get", "a"]), "1");
    let bad = m.say(&["cluster", "allow", "kv-one", "--set", "10.0.0.1/8", "--yes"]);
    assert!(bad.code == 2 && bad.err.contains("10.0.0.0/8"), "{} {}", bad.code, bad.err);
    m.cli(&["cluster", "allow", "kv-one", "--clear", "--yes"]);
    assert_eq!(m.cli(&["cluster", "show", "kv-one"])["allow_list"], serde_json::json!([]));
}

#[test]
fn a_protected_cluster_is_neither_stopped_nor_deleted() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    m.cli(&["cluster", "protect", "kv-one", "on"]);
    for verb in ["stop", "delete"] {
        let said = m.say(&["cluster", verb, "kv-one", "--yes"]);
        assert!(said.code == 4 && said.err.contains("protect"), "{verb}: {} {}", said.code, said.err);
    }
    m.cli(&["cluster", "protect", "kv-one", "off"]);
    let deleted = m.say(&["cluster", "delete", "kv-one", "--yes"]);
    assert_eq!(deleted.code, 0, "{}", deleted.err);
    let backups = m.cli(&["backup", "list"]);
    assert_eq!((backups[0]["kind"].as_str(), backups[0]["status"].as_str()), (Some("final"), Some("completed")), "{backups}");
    assert_eq!(m.remnants(), Vec::<String>::new());
    // From the final backup it comes back.
    m.cli(&["restore", "run", backups[0]["id"].as_str().unwrap(), "--new", "kv-one"]);
    assert_eq!(m.cli(&["cluster", "show", "kv-one"])["status"], "running");
    assert_eq!(m.say(&["cluster", "show", "nobody"]).code, 3);
}
