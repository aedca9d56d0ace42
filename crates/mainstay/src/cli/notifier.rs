//! `mainstay notifier …`

use crate::{
    args::notifier::{Add, NotifierVerb, Set},
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, card, grid, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AddNotifier, Notifier, NotifierTest, PatchNotifier, Undelivered};
use mainstay_client::segment;
use mainstay_model::Secret;
use serde::Serialize;
use std::path::{Path, PathBuf};

pub async fn run(s: &Session, verb: NotifierVerb) -> Outcome {
    match verb {
        NotifierVerb::Add(a) => add(s, a).await?,
        NotifierVerb::List => s.show(&s.list::<Notifier>("/notifiers", &[]).await?)?,
        NotifierVerb::Show(a) => s.show(&s.get::<Notifier>(path(&a.notifier)).await?)?,
        NotifierVerb::Test(a) => return test(s, &a.notifier).await,
        NotifierVerb::Set(a) => set(s, a).await?,
        NotifierVerb::Remove(a) => remove(s, &a.notifier).await?,
    }
    Ok(Exit::Done)
}

fn path(name: &str) -> String {
    format!("/notifiers/{}", segment(name))
}

fn read(file: &Path) -> Outcome<String> {
    std::fs::read_to_string(file).map_err(|e| Failure::usage(format!("{} cannot be read: {e}", file.display())))
}

/// A secret from a file, without the line break editors put after it.
fn secret(file: &Option<PathBuf>) -> Outcome<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let text = read(file)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::usage(format!("{} is empty", file.display())));
    }
    Ok(Some(text.into()))
}

/// What was added, and the secret that was drawn for it here: the server never shows one.
#[derive(Serialize)]
struct Added {
    #[serde(flatten)]
    notifier: Notifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

async fn add(s: &Session, a: Add) -> Outcome<()> {
    let given = secret(&a.secret_file)?;
    let draw = || Secret::generate(40, rand::random::<u8>).reveal().to_string();
    let drawn = (a.kind == "webhook" && given.is_none()).then(draw);
    let body = AddNotifier {
        name: a.name,
        kind: a.kind,
        url: a.url,
        secret: given.or_else(|| drawn.clone()),
        smtp: a.smtp,
        from: a.from,
        to: a.to,
        username: a.username,
        password: secret(&a.password_file)?,
        ca: a.ca_file.as_deref().map(read).transpose()?,
        events: a.events,
    };
    let would = format!("add notifier {}", body.name);
    let Some(notifier) = s.at_once::<Notifier>(Ask::post("/notifiers", &body), &would).await? else { return Ok(()) };
    let added = Added { notifier, secret: drawn };
    s.show(&added)?;
    if added.secret.is_some() {
        note("this is the only time the secret is shown; the receiver checks signatures with it");
    }
    note(format!("next: mainstay notifier test {}", added.notifier.name));
    Ok(())
}

async fn test(s: &Session, name: &str) -> Outcome {
    let ask = Ask::post(format!("{}/test", path(name)), &nothing());
    let Some(report) = s.at_once::<NotifierTest>(ask, &format!("send a test message to notifier {name}")).await? else {
        return Ok(Exit::Done);
    };
    s.show(&report)?;
    match report.ok {
        true => Ok(Exit::Done),
        false => Err(Failure::new(Exit::Failed, format!("the test message was not taken: {}", report.said))),
    }
}

async fn set(s: &Session, a: Set) -> Outcome<()> {
    let body = PatchNotifier {
        events: a.events,
        enabled: (a.pause || a.resume).then_some(a.resume),
        secret: secret(&a.secret_file)?,
        password: secret(&a.password_file)?,
    };
    let would = format!("change notifier {}", a.notifier);
    if let Some(notifier) = s.at_once::<Notifier>(Ask::patch(path(&a.notifier), &body), &would).await? {
        s.show(&notifier)?;
    }
    Ok(())
}

async fn remove(s: &Session, name: &str) -> Outcome<()> {
    let notifier: Notifier = s.get(path(name)).await?;
    let removed = s.at_once::<serde_json::Value>(Ask::delete(path(name), &nothing()), &format!("remove notifier {name}")).await?;
    if removed.is_some() {
        s.show(&notifier)?;
        note(format!("notifier {} is removed", notifier.name));
    }
    Ok(())
}

/// One word for how it fares.
fn status(n: &Notifier) -> &'static str {
    match (n.enabled, &n.failing_since, n.last_delivered_at) {
        (false, ..) => "paused",
        (_, Some(_), _) => "failing",
        (_, None, Some(_)) => "works",
        (_, None, None) => "nothing sent yet",
    }
}

impl Row for Notifier {
    const NONE: &'static str = "no notifiers";
    const HEADER: &'static [&'static str] = &["name", "kind", "target", "events", "status", "pending", "dead", "last delivered"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.kind.clone(),
            self.target.clone(),
            self.events.join(", "),
            status(self).into(),
            self.pending.to_string(),
            self.dead.to_string(),
            or_dash(self.last_delivered_at, local),
        ]
    }
}

fn row(u: &Undelivered) -> Vec<String> {
    let error = u.error.clone().unwrap_or_else(|| "-".into());
    vec![local(u.at), u.event.clone(), u.status.clone(), u.tries.to_string(), u.title.clone(), error]
}

impl Show for Notifier {
    fn people(&self) -> String {
        let card = card(&[
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("kind", self.kind.clone()),
            ("target", self.target.clone()),
            ("events", self.events.join(", ")),
            ("status", status(self).into()),
            ("error", self.error.clone().unwrap_or_else(|| "-".into())),
            ("last delivered", or_dash(self.last_delivered_at, local)),
            ("pending", self.pending.to_string()),
            ("dead", self.dead.to_string()),
            ("added", local(self.created_at)),
        ]);
        if self.undelivered.is_empty() {
            return card;
        }
        let header = ["time", "event", "status", "tries", "title", "error"];
        format!("{card}\n\nnot delivered:\n{}", grid(&header, self.undelivered.iter().map(row)))
    }
}

impl Show for Added {
    fn people(&self) -> String {
        let secret = self.secret.as_ref().map(|s| format!("\n\n{}", card(&[("secret", s.clone())])));
        format!("{}{}", self.notifier.people(), secret.unwrap_or_default())
    }
}

impl Show for NotifierTest {
    fn people(&self) -> String {
        card(&[("notifier", self.notifier.clone()), ("taken", yes_no(self.ok)), ("said", self.said.clone())])
    }
}
