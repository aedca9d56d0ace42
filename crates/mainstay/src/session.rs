//! One command's conversation with a server: reads, verbs, confirmations and waiting, all as the
//! common flags say, so that a verb's file only says what is special about it.

use crate::{
    args::Common,
    context::{self, Environment},
    exit::{Failure, Outcome},
    follow,
    output::{self, Format, Show, note},
};
use mainstay_api_types::{Operation, Plan};
use mainstay_client::{Client, With};
use mainstay_model::{Error, Kind, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
};

/// The operation that was begun: what is said of it when the command ends before it does.
pub type Begun = Arc<Mutex<Option<String>>>;

pub struct Session {
    pub client: Client,
    pub common: Common,
    begun: Begun,
    has_token: bool,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

/// A verb as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    body: serde_json::Value,
    if_match: Option<String>,
    key: String,
}

impl Ask {
    fn new<B: Serialize>(method: Method, path: String, body: &B) -> Ask {
        let body = serde_json::to_value(body).unwrap_or_default();
        let key = format!("{:032x}", rand::random::<u128>());
        Ask { method, path, body, if_match: None, key }
    }
    pub fn post<B: Serialize>(path: impl Into<String>, body: &B) -> Ask {
        Ask::new(Method::Post, path.into(), body)
    }
    pub fn put<B: Serialize>(path: impl Into<String>, body: &B) -> Ask {
        Ask::new(Method::Put, path.into(), body)
    }
    pub fn patch<B: Serialize>(path: impl Into<String>, body: &B) -> Ask {
        Ask::new(Method::Patch, path.into(), body)
    }
    pub fn delete<B: Serialize>(path: impl Into<String>, body: &B) -> Ask {
        Ask::new(Method::Delete, path.into(), body)
    }
    pub fn if_match(self, hash: &str) -> Ask {
        Ask { if_match: Some(hash.into()), ..self }
    }
}

/// The body of verbs that take nothing.
pub fn nothing() -> serde_json::Value {
    serde_json::json!({})
}

impl Session {
    pub fn open(common: Common, begun: Begun) -> Result<Session> {
        let target = context::resolve(&common, &Environment::read())?;
        let unread =
            |e: std::io::Error, file: &std::path::Path| Error::invalid("server_ca", format!("{} does not read: {e}", file.display()));
        let ca = target.server_ca.as_deref().map(|file| std::fs::read(file).map_err(|e| unread(e, file))).transpose()?;
        let client = Client::trusting(&target.server, target.token.as_ref().map(|t| t.reveal()), ca.as_deref())?;
        Ok(Session { client, common, begun, has_token: target.token.is_some() })
    }

    /// The query every request has.
    pub fn with(&self, more: &[(&str, &str)]) -> With {
        let mut with = With::query(more);
        with.query.extend(self.common.project.iter().map(|p| ("project".to_string(), p.clone())));
        with
    }

    pub async fn get<T: DeserializeOwned>(&self, path: impl AsRef<str>) -> Outcome<T> {
        self.get_with(path, &[]).await
    }

    pub async fn get_with<T: DeserializeOwned>(&self, path: impl AsRef<str>, query: &[(&str, &str)]) -> Outcome<T> {
        self.heard(self.client.get(path.as_ref(), &self.with(query)).await)
    }

    pub async fn list<T: DeserializeOwned>(&self, path: impl AsRef<str>, query: &[(&str, &str)]) -> Outcome<Vec<T>> {
        self.heard(self.client.all(path.as_ref(), &self.with(query)).await)
    }

    pub fn show<T: Show>(&self, value: &T) -> Outcome<()> {
        output::show(value, self.format())
    }

    pub fn format(&self) -> Format {
        self.common.output.unwrap_or_default()
    }

    /// A verb that is over when it is answered. With `--dry-run` it is only put in words.
    pub async fn at_once<T: DeserializeOwned>(&self, ask: Ask, would: &str) -> Outcome<Option<T>> {
        if self.common.dry_run {
            let plan = Plan {
                kind: "immediate".into(),
                summary: vec![format!("would {would}")],
                steps: vec![],
                warnings: vec![],
                numbers: Default::default(),
            };
            self.show(&plan)?;
            return Ok(None);
        }
        self.send(&ask, false).await.map(Some)
    }

    /// A verb that is an operation, followed to its good end unless the flags say otherwise. `None`
    /// says that what there is to show was shown: the plan, or the operation itself.
    pub async fn perform(&self, ask: Ask) -> Outcome<Option<Operation>> {
        if self.common.dry_run {
            self.show(&self.send::<Plan>(&ask, true).await?)?;
            return Ok(None);
        }
        let operation: Operation = self.send(&ask, false).await?;
        self.finish(operation).await
    }

    /// Sees an operation that was just begun to its end.
    pub async fn finish(&self, operation: Operation) -> Outcome<Option<Operation>> {
        self.remember(&operation.id);
        if self.common.no_wait {
            self.show(&operation)?;
            note(format!("follow it with: mainstay operation watch {}", operation.id));
            return Ok(None);
        }
        let ended = follow::to_the_end(&self.client, operation).await?;
        if ended.status == mainstay_api_types::OperationStatus::Succeeded { Ok(Some(ended)) } else { Err(Failure::of_operation(&ended)) }
    }

    pub fn is_dry_run(&self) -> bool {
        self.common.dry_run
    }

    pub fn remember(&self, operation: &str) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Some(operation.into());
    }

    pub async fn send<T: DeserializeOwned>(&self, ask: &Ask, dry_run: bool) -> Outcome<T> {
        let mut with = self.with(if dry_run { &[("dry_run", "true")] } else { &[] });
        with.if_match = ask.if_match.clone();
        with.idempotency_key = matches!(ask.method, Method::Post).then(|| format!("{}{}", ask.key, if dry_run { "d" } else { "" }));
        let c = &self.client;
        let answer = match ask.method {
            Method::Post => c.post(&ask.path, &ask.body, &with).await,
            Method::Put => c.put(&ask.path, &ask.body, &with).await,
            Method::Patch => c.patch(&ask.path, &ask.body, &with).await,
            Method::Delete => c.delete(&ask.path, &ask.body, &with).await,
        };
        self.heard(answer)
    }

    /// Passes on what was warned of. A refusal for want of a token is the caller's usage.
    pub fn heard<T>(&self, answer: Result<T>) -> Outcome<T> {
        for warning in self.client.take_warnings() {
            note(format!("warning: {warning}"));
        }
        answer.map_err(|e| match e.kind {
            Kind::Unauthenticated if !self.has_token => {
                Failure::usage(format!("no token for {}: name one with --token or MAINSTAY_TOKEN", self.client.server()))
            }
            _ => e.into(),
        })
    }

    /// Before something is lost: the name has to be typed, or `--yes` said. `ask` carries the name as
    /// its confirmation already; its plan is shown to whoever has to type.
    pub async fn confirm(&self, ask: &Ask, name: &str) -> Outcome<()> {
        if self.common.yes || self.common.dry_run {
            return Ok(());
        }
        if !can_ask() {
            return Err(Failure::usage(format!(
                "this needs a confirmation and there is no terminal to ask on; repeat it with --yes to confirm {name}"
            )));
        }
        let plan: Plan = self.send(ask, true).await?;
        note(plan.people());
        typed(name).await
    }

    /// The same where what would be lost was shown already.
    pub async fn confirm_shown(&self, name: &str) -> Outcome<()> {
        if self.common.yes || self.common.dry_run {
            return Ok(());
        }
        if !can_ask() {
            return Err(Failure::usage(format!(
                "this needs a confirmation and there is no terminal to ask on; repeat it with --yes to confirm {name}"
            )));
        }
        typed(name).await
    }
}

/// Both ends: the question is asked on standard error and answered on standard input.
fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

async fn typed(name: &str) -> Outcome<()> {
    let prompt = format!("Type {} to confirm", output::clean(name));
    let asked =
        tokio::task::spawn_blocking(move || dialoguer::Input::<String>::new().with_prompt(prompt).allow_empty(true).interact_text());
    let answer = asked.await.map_err(Error::internal)?.map_err(|e| Failure::usage(format!("the confirmation could not be read: {e}")))?;
    if answer.trim() == name { Ok(()) } else { Err(Failure::usage(format!("that is not {name}; nothing was done"))) }
}
