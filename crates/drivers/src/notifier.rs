//! Notifiers: channels that tell people what happened.
//!
//! A channel may be slow, wrong or gone; its user sends again later. So a message carries an id by
//! which whoever gets it twice can tell, and an error says whether trying again makes sense.

use crate::Result;
use async_trait::async_trait;
use mainstay_model::{Secret, Time, notice::Notice};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};

/// One notifier as configured by a user. All of it is kept sealed: the address of a webhook is
/// often all that is needed to post to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifierSpec {
    pub name: String,
    pub channel: Channel,
    /// The password of `email`, what the messages of `webhook` are signed with.
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Channel {
    Email(Email),
    Webhook(Webhook),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Email {
    /// `smtps://host[:port]` for TLS from the first byte, `smtp://host[:port]` for STARTTLS.
    pub smtp: String,
    pub from: String,
    pub to: Vec<String>,
    pub username: Option<String>,
    /// PEM certificates to trust beside the system's.
    pub ca: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// `http(s)://…`
    pub url: String,
    /// PEM certificates to trust beside the system's.
    pub ca: Option<String>,
}

impl Channel {
    pub fn kind(&self) -> &'static str {
        match self {
            Channel::Email(_) => "email",
            Channel::Webhook(_) => "webhook",
        }
    }
}

#[async_trait]
pub trait Notifier: Send + Sync {
    fn name(&self) -> &str;

    /// Where it sends to, without anything that would let others send there.
    fn target(&self) -> String;

    /// Looks whether it could send now, and sends nothing. An address that may not be reached is
    /// [`mainstay_model::Kind::Invalid`].
    async fn check(&self) -> Result<()>;

    /// Sends one message and returns what the other side said. A second call sends it again, under
    /// the same id. Ends within half a minute. An error that is not transient will come again.
    async fn send(&self, notice: &Notice, now: Time) -> Result<String>;
}

/// Opens notifiers.
pub trait Notifiers: Send + Sync {
    /// The kinds it can open.
    fn kinds(&self) -> Vec<&'static str>;

    /// Refuses what is not well-formed. `own` are Mainstay's own addresses, which are never sent to.
    fn open(&self, spec: &NotifierSpec, own: Vec<SocketAddr>) -> Result<Arc<dyn Notifier>>;
}
