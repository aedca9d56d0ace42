//! Notifiers, and what they are told of.

use mainstay_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Notifier {
    pub id: String,
    pub name: String,
    /// `email`, `webhook`
    pub kind: String,
    /// Where it sends to, without what would let others send there.
    pub target: String,
    /// What it passes on; `all` includes what is yet to come.
    pub events: Vec<String>,
    /// Nothing new is given to one that is not.
    pub enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_delivered_at: Option<Time>,
    /// Since when nothing arrives; absent while all is well.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Time>,
    /// Why the newest attempt failed, while that is so.
    pub error: Option<String>,
    /// Messages on their way.
    pub pending: i64,
    /// Messages that were given up.
    pub dead: i64,
    /// The newest of both.
    pub undelivered: Vec<Undelivered>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Undelivered {
    /// The id it is sent under, each time.
    pub delivery: String,
    pub event: String,
    pub title: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// `pending`, `dead`
    pub status: String,
    pub tries: u32,
    pub error: Option<String>,
}

/// An `email` needs `smtp`, `from` and `to`; a `webhook` needs `url` and `secret`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNotifier {
    pub name: String,
    /// `email`, `webhook`
    pub kind: String,
    /// `http(s)://…`, which messages are posted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the messages of a webhook are signed with, 16 to 256 bytes. Never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `smtps://host[:port]`, or `smtp://host[:port]` for STARTTLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// PEM certificates to trust beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What it passes on; `all` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
}

/// What is absent stays. Another address is another notifier.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchNotifier {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Of a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Of an e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What became of a test message.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NotifierTest {
    pub notifier: String,
    /// It was taken.
    pub ok: bool,
    /// What the other side said, or why it could not be asked.
    pub said: String,
}
