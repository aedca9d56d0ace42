//! Real conversations: an SMTP server and an HTTP server of the test's own, good and bad ones.

mod http;
mod smtp;

use http::Receiver;
use mainstay_drivers::notifier::{Channel, Email, Notifier, NotifierSpec, Notifiers, Webhook};
use mainstay_model::{
    Error, Kind, NoticeId, ProjectId, Secret, Time,
    notice::{Notice, NoticeKind},
};
use mainstay_notifiers::{OpenNotifiers, sign};
use smtp::{Sink, Speaks};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

const SECRET: &str = "a secret of the test's own";
const NOW: Time = Time::from_micros(1_795_000_000_123_456);

fn notice() -> Notice {
    Notice {
        id: NoticeId::new(),
        project: ProjectId::new(),
        kind: NoticeKind::BackupFailed,
        at: NOW,
        cluster: Some("shop".into()),
        object_kind: "backup".into(),
        object: "bk_1".into(),
        good: false,
        title: "shop: the backup failed".into(),
        text: "Nothing was stored: naïve \"quotes\" </b>.\r\n.\r\nMAIL FROM:<evil@example.com>".into(),
    }
}

fn webhook(url: String) -> Arc<dyn Notifier> {
    let channel = Channel::Webhook(Webhook { url, ca: None });
    OpenNotifiers.open(&NotifierSpec { name: "hook".into(), channel, secret: Some(Secret::new(SECRET)) }, vec![]).unwrap()
}

fn email(smtp: String, ca: Option<String>, login: Option<(&str, &str)>) -> Arc<dyn Notifier> {
    let channel = Channel::Email(Email {
        smtp,
        from: "Mainstay <mainstay@example.com>".into(),
        to: vec!["ops@example.com".into(), "Boss <boss@example.com>".into()],
        username: login.map(|l| l.0.into()),
        ca,
    });
    OpenNotifiers.open(&NotifierSpec { name: "mail".into(), channel, secret: login.map(|l| Secret::new(l.1)) }, vec![]).unwrap()
}

fn no_secret_in(e: &Error) {
    let all = format!("{e:?}");
    assert!(!all.contains(SECRET) && !all.contains("hunter2") && !all.contains("/token-in-path"), "{all}");
}

// ---- webhook ----

#[tokio::test]
async fn a_webhook_is_signed_over_its_time_and_body() {
    let receiver = Receiver::answering("200 OK").await;
    let (hook, notice) = (webhook(receiver.url("/token-in-path")), notice());
    assert_eq!(hook.send(&notice, NOW).await.unwrap(), "200 OK");
    assert_eq!(hook.send(&notice, NOW.plus_seconds(60)).await.unwrap(), "200 OK");
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].line, "POST /token-in-path HTTP/1.1");
    assert_eq!(got[0].header("mainstay-signature"), sign(SECRET, NOW, &got[0].body));
    // Sent again, it is signed for the later time and is otherwise the same message.
    assert_eq!(got[1].header("mainstay-signature"), sign(SECRET, NOW.plus_seconds(60), &got[1].body));
    assert_eq!(got[0].body, got[1].body);
    for request in &got {
        assert_eq!(request.header("mainstay-delivery"), notice.id.as_str());
        assert_eq!(request.header("mainstay-event"), "backup_failed");
    }
    let body: serde_json::Value = serde_json::from_slice(&got[0].body).unwrap();
    assert_eq!(body["text"], notice.text);
    assert_eq!(
        (&body["cluster"], &body["event"], &body["delivery"]),
        (&"shop".into(), &"backup_failed".into(), &notice.id.as_str().into())
    );
    let changed = [&got[0].body[..], b" "].concat();
    assert_ne!(got[0].header("mainstay-signature"), sign(SECRET, NOW, &changed), "another body");
    assert_ne!(got[0].header("mainstay-signature"), sign("another secret, as long", NOW, &got[0].body), "another secret");
}

#[tokio::test]
async fn webhooks_that_fail_say_how_and_whether_to_try_again() {
    for (answer, kind) in
        [("500 Oops", Kind::Unavailable), ("429 Slow", Kind::Unavailable), ("404 None", Kind::Failed), ("410 Gone", Kind::Failed)]
    {
        let receiver = Receiver::answering(answer).await;
        let e = webhook(receiver.url("/token-in-path")).send(&notice(), NOW).await.unwrap_err();
        assert_eq!(e.kind, kind, "{answer}: {e}");
        assert!(e.message.contains(&answer[..3]) && !e.message.contains("private words"), "{e}");
        no_secret_in(&e);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::answering("200 OK").await;
    let receiver = Receiver::answering(&format!("302 Found\r\nLocation: {}", other.url("/"))).await;
    let e = webhook(receiver.url("/")).send(&notice(), NOW).await.unwrap_err();
    assert_eq!(e.kind, Kind::Failed, "{e}");
    assert!(other.got().is_empty());
}

#[tokio::test]
async fn a_webhook_that_closes_or_is_not_there() {
    let receiver = Receiver::closing().await;
    let e = webhook(receiver.url("/token-in-path")).send(&notice(), NOW).await.unwrap_err();
    assert_eq!(e.kind, Kind::Unavailable, "{e}");
    no_secret_in(&e);
    let gone = receiver.gone().await;
    let e = webhook(gone).send(&notice(), NOW).await.unwrap_err();
    assert_eq!(e.kind, Kind::Unavailable, "{e}");
    no_secret_in(&e);
}

#[tokio::test]
async fn a_webhook_that_hangs_is_given_up() {
    let receiver = Receiver::hanging().await;
    let begun = Instant::now();
    let e = webhook(receiver.url("/token-in-path")).send(&notice(), NOW).await.unwrap_err();
    assert_eq!(e.kind, Kind::TimedOut, "{e}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    no_secret_in(&e);
}

#[tokio::test]
async fn nothing_is_sent_to_mainstay_itself() {
    let receiver = Receiver::answering("200 OK").await;
    let own: SocketAddr = receiver.address;
    let channel = Channel::Webhook(Webhook { url: format!("http://localhost:{}/", own.port()), ca: None });
    let spec = NotifierSpec { name: "hook".into(), channel, secret: Some(Secret::new(SECRET)) };
    let hook = OpenNotifiers.open(&spec, vec![own]).unwrap();
    for e in [hook.check().await.unwrap_err(), hook.send(&notice(), NOW).await.unwrap_err()] {
        assert_eq!((e.kind, e.code.as_str()), (Kind::Invalid, "address_blocked"), "{e}");
    }
    assert!(receiver.got().is_empty());
}

// ---- e-mail ----

/// What every message that arrived must be.
fn arrived(sink: &Sink, notice: &Notice) {
    let got = sink.got();
    assert_eq!(got.len(), 1, "{got:?}");
    let m = &got[0];
    assert_eq!(
        (m.from.as_str(), m.to.as_slice()),
        ("mainstay@example.com", &["ops@example.com".to_string(), "boss@example.com".into()][..])
    );
    assert!(m.data.contains("Subject: [Mainstay] shop: the backup failed"), "{}", m.data);
    assert!(m.data.contains(&format!("Message-ID: <{}@mainstay>", notice.id)), "{}", m.data);
}

#[tokio::test]
async fn mail_over_tls_with_a_login() {
    for speaks in [Speaks::Tls, Speaks::StartTls] {
        let sink = Sink::new(speaks).login("mainstay", "hunter2").start().await;
        let mail = email(sink.url(), Some(sink.ca()), Some(("mainstay", "hunter2")));
        let notice = notice();
        mail.check().await.unwrap();
        assert!(sink.got().is_empty(), "a check sends nothing");
        let said = mail.send(&notice, NOW).await.unwrap();
        assert!(said.starts_with("250") && said.contains("queued as 7"), "{speaks:?}: {said}");
        arrived(&sink, &notice);
        assert!(sink.got()[0].encrypted, "{speaks:?}");
    }
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    for speaks in [Speaks::Tls, Speaks::StartTls] {
        let (sink, other) = (Sink::new(speaks).start().await, Sink::new(speaks).start().await);
        let e = email(sink.url(), Some(other.ca()), None).send(&notice(), NOW).await.unwrap_err();
        assert!(matches!(e.kind, Kind::Failed | Kind::Unavailable), "{e}");
        assert!(sink.got().is_empty());
    }
}

#[tokio::test]
async fn plain_only_to_this_machine_and_never_when_a_certificate_is_named() {
    let sink = Sink::new(Speaks::Plain).start().await;
    let notice = notice();
    email(sink.url(), None, None).send(&notice, NOW).await.unwrap();
    arrived(&sink, &notice);
    let e = email(sink.url(), Some(sink.ca()), None).send(&notice, NOW).await.unwrap_err();
    assert_eq!(e.kind, Kind::Failed, "a server without STARTTLS: {e}");
    assert_eq!(sink.got().len(), 1);
}

#[tokio::test]
async fn mail_servers_that_refuse_put_off_close_or_hang() {
    let refused = |speaks| async move {
        let sink = Sink::new(speaks).start().await;
        let e = email(sink.url(), None, None).send(&notice(), NOW).await.unwrap_err();
        assert!(sink.got().is_empty());
        no_secret_in(&e);
        e
    };
    let e = refused(Speaks::Refuses).await;
    assert!(e.kind == Kind::Failed && e.message.contains("550") && e.message.contains("no such user"), "{e}");
    let e = refused(Speaks::PutsOff).await;
    assert!(e.kind == Kind::Unavailable && e.message.contains("451"), "{e}");
    assert_eq!(refused(Speaks::Closes).await.kind, Kind::Unavailable);
    let begun = Instant::now();
    assert!(refused(Speaks::Hangs).await.is_transient());
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    let sink = Sink::new(Speaks::Tls).login("mainstay", "other").start().await;
    let e = email(sink.url(), Some(sink.ca()), Some(("mainstay", "hunter2"))).check().await.unwrap_err();
    assert!(e.kind == Kind::Failed && e.message.contains("535"), "{e}");
    no_secret_in(&e);
}
