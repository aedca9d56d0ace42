//! A bucket with object lock: a backup is locked until it expires, says so, and is not deleted before.

use crate::support::{Mainstay, until};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

struct Moto(Child, u16);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn moto() -> Option<Moto> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/moto/bin/moto_server");
    if !program.exists() {
        mainstay_testkit::skipped("object lock: scripts/setup.sh test fetches a server that has it");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Moto(command.spawn().unwrap(), port);
    until("the S3 server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut ask = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let signed = "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let text = format!(
        "PUT /vault HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {signed}\r\nx-amz-bucket-object-lock-enabled: true\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    ask.write_all(text.as_bytes()).unwrap();
    let mut reply = String::new();
    let _ = ask.read_to_string(&mut reply);
    assert!(reply.contains(" 200 "), "{reply}");
    Some(server)
}

#[test]
fn a_backup_is_locked_until_it_expires() {
    let Some(server) = moto() else { return };
    let m = Mainstay::start();
    let secret = m.dir.join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let endpoint = format!("http://127.0.0.1:{}", server.1);
    let place = ["--endpoint", &endpoint, "--bucket", "vault", "--access-key", "AK", "--secret-key-file", secret.to_str().unwrap()];
    m.cli(&[&["storage", "add", "vault", "--kind", "s3"][..], &place].concat());
    m.cli(&["cluster", "create", "memo", "--engine", m.kv()]);
    m.redis("memo", &["set", "a", "1"]);
    let made = m.cli(&["backup", "create", "memo", "--storage", "vault", "--retention-days", "3"]);
    let id = made["id"].as_str().unwrap();
    let kept = m.cli(&["backup", "create", "memo", "--storage", "local", "--retention-days", "3"]);
    let show = || m.cli(&["backup", "show", id]);
    let lock = |b: &Value| b["copies"][0]["locked_until"].as_str().map(str::to_owned);
    until("the backup is locked", || lock(&show()).is_some());
    let shown = show();
    assert!(shown["keep_reason"].as_str().unwrap().contains("locked until"), "{shown}");
    assert_eq!((&shown["copies"][0]["lock_error"], shown["method"].as_str()), (&Value::Null, Some("Manual external (S3)")), "{shown}");
    let refused = m.say(&["backup", "delete", id, "--yes"]);
    assert!(refused.code == 4 && refused.err.contains("locked until"), "{} {}", refused.code, refused.err);
    m.cli(&["backup", "verify", id]);
    m.cli(&["backup", "delete", kept["id"].as_str().unwrap(), "--yes"]);
}
