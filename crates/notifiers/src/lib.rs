//! The channels that tell people: e-mail and signed webhook.
//!
//! What a user names here is where this machine connects to, so every address is looked at after it
//! was resolved, and exactly that address is connected to ([`outgoing`]). Names and messages that
//! come from users are text in both channels and nothing else.

mod email;
pub mod outgoing;
mod webhook;

pub use webhook::{DELIVERY, EVENT, SIGNATURE, sign};

use mainstay_drivers::notifier::{Channel, Notifier, NotifierSpec, Notifiers};
use mainstay_model::Result;
use outgoing::Outgoing;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// How long one message may take altogether.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest text of an address, a URL or a name a user may give.
const MAX_TEXT: usize = 2048;

#[derive(Debug, Clone, Copy, Default)]
pub struct OpenNotifiers;

impl Notifiers for OpenNotifiers {
    fn kinds(&self) -> Vec<&'static str> {
        vec!["email", "webhook"]
    }

    fn open(&self, spec: &NotifierSpec, own: Vec<SocketAddr>) -> Result<Arc<dyn Notifier>> {
        let outgoing = Outgoing::new(own);
        Ok(match &spec.channel {
            Channel::Email(e) => Arc::new(email::EmailNotifier::new(&spec.name, e, spec.secret.clone(), outgoing)?),
            Channel::Webhook(w) => Arc::new(webhook::WebhookNotifier::new(&spec.name, w, spec.secret.clone(), outgoing)?),
        })
    }
}
