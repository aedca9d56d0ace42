//! Notifiers that keep what they are sent. Where they send to says what they do: `ok`,
//! `refuses`, `hangs`.

use crate::lock;
use async_trait::async_trait;
use mainstay_drivers::notifier::{Channel, Notifier, NotifierSpec, Notifiers};
use mainstay_model::{Error, Result, Time, notice::Notice};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Fine,
    /// Nobody answers.
    Away,
    /// Takes messages and never says so.
    Mute,
}

#[derive(Default)]
pub struct FakeNotifiers {
    sent: Arc<Mutex<Vec<(String, Notice)>>>,
    mood: Arc<Mutex<Mood>>,
}

struct Fake {
    name: String,
    does: String,
    sent: Arc<Mutex<Vec<(String, Notice)>>>,
    mood: Arc<Mutex<Mood>>,
}

impl FakeNotifiers {
    /// What arrived at the notifier of this name, in order.
    pub fn sent(&self, name: &str) -> Vec<Notice> {
        lock(&self.sent).iter().filter(|(n, _)| n == name).map(|(_, notice)| notice.clone()).collect()
    }

    /// How those that are `ok` are from now on.
    pub fn are(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }
}

impl Notifiers for FakeNotifiers {
    fn kinds(&self) -> Vec<&'static str> {
        vec!["webhook"]
    }

    fn open(&self, spec: &NotifierSpec, _: Vec<SocketAddr>) -> Result<Arc<dyn Notifier>> {
        let Channel::Webhook(hook) = &spec.channel else { return Err(Error::invalid("kind", "only webhooks here")) };
        Ok(Arc::new(Fake { name: spec.name.clone(), does: hook.url.clone(), sent: self.sent.clone(), mood: self.mood.clone() }))
    }
}

#[async_trait]
impl Notifier for Fake {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        format!("fake that is {}", self.does)
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn send(&self, notice: &Notice, _: Time) -> Result<String> {
        match self.does.as_str() {
            "hangs" => std::future::pending().await,
            "refuses" => Err(Error::failed("refused", "it does not want that")),
            _ => self.hear(notice).await,
        }
    }
}

impl Fake {
    async fn hear(&self, notice: &Notice) -> Result<String> {
        let mood = *lock(&self.mood);
        if mood == Mood::Away {
            return Err(Error::unavailable("away", "nobody answers"));
        }
        lock(&self.sent).push((self.name.clone(), notice.clone()));
        if mood == Mood::Mute {
            std::future::pending::<()>().await;
        }
        Ok("taken".into())
    }
}
