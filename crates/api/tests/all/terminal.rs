//! Terminals: who may, from which page, what ends them, how many there may be, and what is kept of them.

use crate::{
    people::{Browser, first, member, sign_in},
    support::{Served, serve_world},
};
use futures::{SinkExt, StreamExt};
use mainstay_api_types::{ConsoleAsked, ConsoleEnded, ConsoleError, ConsoleSaid};
use mainstay_client::{Client, Terminal, With};
use mainstay_model::{Kind, NodeId, console::SHOWN_ROWS, role::Role};
use reqwest::{Method, Upgraded};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::client::generate_key, protocol::Role as Side},
};

const NODE: &str = "/clusters/shop/nodes/shop-1";
const PATH: &str = "/clusters/shop/nodes/shop-1/terminal";

async fn shop() -> Served {
    let s = serve_world().await;
    s.does("POST", "/clusters", json!({ "name": "shop", "engine": "memo", "replicas": 1 })).await;
    s
}

fn client(s: &Served, token: &str) -> Client {
    Client::new(&s.url, Some(token)).unwrap()
}

async fn open(s: &Served, token: &str) -> mainstay_model::Result<Terminal> {
    let mut terminal = client(s, token).terminal(NODE, &With::default()).await?;
    assert!(matches!(terminal.next().await.unwrap(), Some(ConsoleSaid::Opened(_))));
    assert!(matches!(terminal.next().await.unwrap(), Some(ConsoleSaid::Prompt(_))));
    Ok(terminal)
}

fn line(text: &str) -> ConsoleAsked {
    ConsoleAsked::Line { text: text.into() }
}

/// All that comes of one line, without its prompt.
async fn ask(terminal: &mut Terminal, text: &str) -> Vec<ConsoleSaid> {
    terminal.tell(&line(text)).await.unwrap();
    let mut all = Vec::new();
    loop {
        match terminal.next().await.unwrap().unwrap_or_else(|| panic!("it ended: {all:?}")) {
            ConsoleSaid::Prompt(_) => return all,
            said => all.push(said),
        }
    }
}

fn values(said: &[ConsoleSaid]) -> Vec<String> {
    let of = |s: &ConsoleSaid| if let ConsoleSaid::Rows { rows } = s { rows.clone() } else { vec![] };
    said.iter().flat_map(of).flatten().flatten().collect()
}

async fn ended(terminal: &mut Terminal) -> ConsoleEnded {
    let end = async {
        loop {
            match terminal.next().await.unwrap() {
                Some(ConsoleSaid::Ended(ended)) => return ended,
                Some(_) => {}
                None => panic!("it ended without a word"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), end).await.expect("it ends")
}

// ---- a browser's own handshake ----

async fn handshake(s: &Served, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = reqwest::Client::new().request(Method::GET, format!("{}/api/v1{PATH}", s.url));
    for (name, value) in [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    request.header("sec-websocket-key", generate_key()).send().await.unwrap()
}

struct Page(WebSocketStream<Upgraded>);

impl Page {
    async fn open(b: &Browser<'_>, s: &Served) -> Page {
        let answer = handshake(s, &[("cookie", &b.cookie), ("origin", &s.url)]).await;
        assert_eq!(answer.status(), 101, "{}", answer.text().await.unwrap());
        let mut page = Page(WebSocketStream::from_raw_socket(answer.upgrade().await.unwrap(), Side::Client, None).await);
        while page.next().await["type"] != "prompt" {}
        page
    }
    async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await.expect("it says something");
            if let Message::Text(text) = message.expect("it goes on").unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }
    async fn ended(&mut self) -> String {
        loop {
            let said = self.next().await;
            if said["type"] == "ended" {
                return said["code"].as_str().unwrap().into();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_go_through_and_are_counted_and_not_kept() {
    let s = shop().await;
    let token = s.token("ada", Role::Admin, &s.project).await;
    let mut terminal = open(&s, &token).await.unwrap();
    let done = ask(&mut terminal, "write secret-one;").await;
    assert!(matches!(&done[..], [ConsoleSaid::Done(d)] if d.tag.as_deref() == Some("WRITE 1")), "{done:?}");
    assert_eq!(ask(&mut terminal, "rows").await, [], "it is unfinished");
    assert_eq!(values(&ask(&mut terminal, ";").await), ["secret-one"]);
    let failed = ask(&mut terminal, "fail now;").await;
    assert!(matches!(&failed[..], [ConsoleSaid::Error(ConsoleError { place: Some(p), .. })] if p.text == "fail now"), "{failed:?}");
    let several = ask(&mut terminal, "rows; fail; rows; rows;").await;
    assert!(matches!(several.last(), Some(ConsoleSaid::Notice { text }) if text == "2 more of this line were not run"), "{several:?}");
    let many = ask(&mut terminal, "many 5000;").await;
    let Some(ConsoleSaid::Done(done)) = many.last() else { panic!("{many:?}") };
    assert!(values(&many).len() == SHOWN_ROWS && done.rows == Some(5000) && done.cut.is_some(), "{done:?}");
    // A transaction that is open ends with the terminal.
    ask(&mut terminal, "begin; write secret-two;").await;
    drop(terminal);
    let mut again = open(&s, &token).await.unwrap();
    assert_eq!(values(&ask(&mut again, "rows;").await), ["secret-one"]);
    again.tell(&line("quit;")).await.unwrap();
    assert_eq!(ended(&mut again).await.code, "closed");
    let rows = loop {
        let rows = s.audit("object=shop&action=closeTerminal").await;
        if rows.len() == 2 {
            break rows;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(rows.iter().all(|r| r[0] == "token:ada" && r[2] == "done" && r[4].contains("shop-1") && r[4].contains("seconds")), "{rows:?}");
    assert!(rows[1][4].ends_with("statements 8"), "{rows:?}");
    let opened = s.audit("object=shop&action=openTerminal").await;
    assert!(opened.len() == 2 && opened.iter().all(|r| r[2] == "done" && r[4].contains("shop-1")), "{opened:?}");
    assert!(!s.get("/audit").await.to_string().contains("secret-"), "what was typed is in the audit");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_get_one() {
    let s = shop().await;
    let other = s.other_project().await;
    for (role, project, kind) in
        [(Role::Viewer, &s.project, Kind::Forbidden), (Role::Operator, &s.project, Kind::Forbidden), (Role::Owner, &other, Kind::NotFound)]
    {
        let token = s.token(&format!("{}-{}", role.as_str(), project.name), role, project).await;
        assert_eq!(open(&s, &token).await.err().expect("refused").kind, kind, "{}", role.as_str());
    }
    assert_eq!(open(&s, "mst_nobody").await.err().unwrap().kind, Kind::Unauthenticated);
    let admin = s.token("adm", Role::Admin, &s.project).await;
    for nowhere in ["/clusters/nobody/nodes/shop-1", "/clusters/shop/nodes/shop-9"] {
        let e = client(&s, &admin).terminal(nowhere, &With::default()).await.err().unwrap();
        assert_eq!(e.kind, Kind::NotFound, "{nowhere}");
    }
    assert_eq!(s.problem("GET", PATH, Value::Null).await.1, "not_a_websocket");
    assert_eq!(s.problem("GET", &format!("{PATH}?shell=true"), Value::Null).await.0, 422);
    let refused = s.audit("action=openTerminal&result=refused").await;
    assert!(refused.iter().any(|r| r[0] == "token:viewer-default"), "{refused:?}");
    assert!(open(&s, &admin).await.is_ok());
    s.does("POST", "/clusters/shop/stop", json!({})).await;
    let stopped = open(&s, &admin).await.err().unwrap();
    assert!(stopped.kind == Kind::Conflict && stopped.message.contains("start it first"), "{stopped}");
}

/// A page of somebody else can make a browser open a WebSocket here, with our cookie: what it cannot do is
/// say that it is ours.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_sites_page_gets_one() {
    let s = shop().await;
    let ada = first(&s).await;
    let (cookie, token) = (("cookie", ada.cookie.as_str()), format!("Bearer {}", s.admin));
    let other_port = "http://127.0.0.1:1";
    for headers in [
        vec![cookie, ("origin", "https://evil.example")],
        vec![cookie, ("origin", "null")],
        vec![cookie, ("origin", other_port)],
        vec![cookie],
        vec![cookie, ("x-mainstay-csrf", "1")],
        vec![cookie, ("origin", &s.url), ("sec-fetch-site", "cross-site")],
        vec![("authorization", &token), ("origin", "https://evil.example")],
    ] {
        let answer = handshake(&s, &headers).await;
        let status = answer.status().as_u16();
        assert_eq!((status, answer.json::<Value>().await.unwrap()["code"].as_str()), (403, Some("csrf")), "{headers:?}");
    }
    let renamed = handshake(&s, &[cookie, ("host", "evil.example"), ("origin", "http://evil.example")]).await;
    assert_eq!(renamed.status(), 421);
    assert_eq!(handshake(&s, &[("origin", &s.url)]).await.status(), 401);
    assert!(s.audit("action=openTerminal&result=done").await.is_empty());
    Page::open(&ada, &s).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_what_let_it_be_opened() {
    let s = shop().await;
    let ada = first(&s).await;
    let id = ada.json("GET", "/me", Value::Null).await["id"].as_str().unwrap().to_string();
    let bob = member(&ada, "default", "bob", "admin").await;

    let mut page = Page::open(&bob, &s).await;
    page.say(r#"{"type":"line","text":"sleep;"}"#).await;
    assert_eq!(bob.status("DELETE", "/session", Value::Null).await, 204);
    assert_eq!(page.ended().await, "not_allowed", "signed out, also while a statement runs");

    let (one, two) = (sign_in(&s, "bob").await, sign_in(&s, "bob").await);
    let mut page = Page::open(&one, &s).await;
    two.json("POST", "/me/password", json!({ "current": "correct horse battery", "new": "correct horse battery" })).await;
    assert_eq!(page.ended().await, "not_allowed", "the password was changed elsewhere");

    let mut page = Page::open(&two, &s).await;
    ada.json("PATCH", "/projects/default/members/bob", json!({ "role": "operator" })).await;
    // Nobody has to wait for it to be noticed: a line that comes first is not asked.
    page.say(r#"{"type":"line","text":"write too-late;"}"#).await;
    assert_eq!(page.ended().await, "not_allowed", "the role was lowered");

    ada.json("PATCH", "/projects/default/members/bob", json!({ "role": "admin" })).await;
    let mut page = Page::open(&two, &s).await;
    ada.json("DELETE", "/projects/default/members/bob", Value::Null).await;
    assert_eq!(page.ended().await, "not_allowed", "the membership ended");

    let made = ada.json("POST", "/tokens", json!({ "name": "abc", "role": "admin" })).await;
    let mut terminal = open(&s, made["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(values(&ask(&mut terminal, "rows;").await), Vec::<String>::new(), "nothing was written too late");
    let token = made["id"].as_str().unwrap();
    assert_eq!(ada.status("DELETE", &format!("/tokens/{token}"), Value::Null).await, 204);
    assert_eq!(ended(&mut terminal).await.code, "not_allowed", "the token was revoked");

    let mut page = Page::open(&ada, &s).await;
    let carol = member(&ada, "default", "carol", "owner").await;
    ada.json("PATCH", "/users/carol", json!({ "administrator": true })).await;
    carol.json("PATCH", &format!("/users/{id}"), json!({ "disabled": true })).await;
    assert_eq!(page.ended().await, "not_allowed", "the person was disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_node_and_with_the_server() {
    let mut s = shop().await;
    let admin = s.admin.clone();
    let mut terminal = open(&s, &admin).await.unwrap();
    s.does("POST", "/clusters/shop/stop", json!({})).await;
    let end = ended(&mut terminal).await;
    assert!(end.code == "node_gone" && end.reason.contains("shop-1"), "{end:?}");
    s.does("POST", "/clusters/shop/start", json!({})).await;
    let mut terminal = open(&s, &admin).await.unwrap();
    terminal.tell(&line("sleep;")).await.unwrap();
    s.stop.cancel();
    assert_eq!(ended(&mut terminal).await.code, "server_stops");
    tokio::time::timeout(Duration::from_secs(10), &mut s.ended).await.expect("the server ends").unwrap().unwrap();
    let rows = s.app.terminals.open();
    assert_eq!(rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_and_no_more() {
    let s = shop().await;
    let token = s.token("one", Role::Admin, &s.project).await;
    let mut mine = Vec::new();
    for _ in 0..5 {
        mine.push(open(&s, &token).await.unwrap());
    }
    let e = open(&s, &token).await.err().expect("one too many");
    assert!(e.kind == Kind::TooMany && e.message.contains("5 terminals"), "{e}");
    let other = s.token("two", Role::Admin, &s.project).await;
    for _ in 0..5 {
        mine.push(open(&s, &other).await.unwrap());
    }
    let third = s.token("three", Role::Admin, &s.project).await;
    let e = open(&s, &third).await.err().expect("the node is full");
    assert!(e.kind == Kind::TooMany && e.message.contains("shop-1"), "{e}");
    // What ends makes room.
    mine.clear();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while open(&s, &token).await.is_err() {
        assert!(std::time::Instant::now() < end, "no room was made");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_again_and_again_is_slowed_down() {
    let s = shop().await;
    let token = s.token("fast", Role::Admin, &s.project).await;
    for _ in 0..40 {
        if let Err(e) = open(&s, &token).await {
            assert_eq!(e.kind, Kind::TooMany);
            if e.message.contains("opened in a minute") {
                return;
            }
        }
    }
    panic!("never slowed down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_runs_is_interrupted() {
    let s = shop().await;
    let mut terminal = open(&s, &s.admin).await.unwrap();
    terminal.tell(&line("sleep; write no;")).await.unwrap();
    let said = loop {
        terminal.tell(&ConsoleAsked::Cancel).await.unwrap();
        match tokio::time::timeout(Duration::from_millis(200), terminal.next()).await {
            Ok(said) if matches!(&said, Ok(Some(ConsoleSaid::Prompt(_) | ConsoleSaid::Notice { .. }))) => {}
            Ok(said) => break said.unwrap().unwrap(),
            Err(_) => {}
        }
    };
    assert!(matches!(&said, ConsoleSaid::Error(e) if e.message == "it was interrupted"), "{said:?}");
    // Prompts of interrupts that found nothing may still come; the answer is told by what it is.
    let rows = loop {
        let said = ask(&mut terminal, "rows;").await;
        if said.iter().any(|s| matches!(s, ConsoleSaid::Columns { .. })) {
            break said;
        }
    };
    assert_eq!(values(&rows), Vec::<String>::new(), "what came after it was not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_line_is_refused_and_what_is_too_large_ends_it() {
    let s = shop().await;
    let ada = first(&s).await;
    let mut page = Page::open(&ada, &s).await;
    for bad in ["", "{}", "[]", r#"{"type":"shell"}"#, r#"{"type":"line"}"#, r#"{"type":"line","text":"a","user":"root"}"#, "\u{0}"] {
        page.say(bad).await;
        assert_eq!(page.next().await["code"], "refused", "{bad}");
    }
    let long = json!({ "type": "line", "text": "x".repeat(70_000) }).to_string();
    page.say(&long).await;
    let said = page.next().await;
    assert!(said["code"] == "refused" && said["message"].as_str().unwrap().contains("64 KiB"), "{said}");
    assert_eq!(page.next().await["type"], "prompt");
    let huge = json!({ "type": "line", "text": "x".repeat(2_000_000) }).to_string();
    let _ = page.0.send(Message::text(huge)).await;
    let rest: Vec<_> = tokio::time::timeout(Duration::from_secs(10), page.0.collect()).await.expect("it ends");
    assert!(!rest.iter().any(|m| matches!(m, Ok(Message::Text(t)) if t.contains("\"prompt\""))), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_says_that_it_is_one() {
    let s = shop().await;
    let mut terminal = client(&s, &s.admin).terminal("/clusters/shop/nodes/shop-2", &With::default()).await.unwrap();
    let Some(ConsoleSaid::Opened(opened)) = terminal.next().await.unwrap() else { panic!("not opened") };
    assert!(!opened.writable && opened.node == "shop-2" && opened.user == "default", "{opened:?}");
    terminal.next().await.unwrap();
    let refused = ask(&mut terminal, "write x;").await;
    assert!(matches!(&refused[..], [ConsoleSaid::Error(e)] if e.message.contains("takes no writes")), "{refused:?}");
    // What a client of the node sees is what a terminal sees.
    let node = s.get("/clusters/shop").await["nodes"][0]["id"].as_str().and_then(NodeId::parse).unwrap();
    s.world.as_ref().unwrap().memo.write(&node, "kept").unwrap();
    assert_eq!(values(&ask(&mut terminal, "rows;").await), ["kept"]);
}
