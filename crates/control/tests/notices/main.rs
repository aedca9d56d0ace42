//! Who is told of what, and when: real control plane, real agent, real store, and notifiers that
//! take, refuse, hang or are gone.

mod alerts;
mod outbox;

use mainstay_control::{
    App,
    notifiers::{self, NewNotifier},
    tasks::deliver,
};
use mainstay_drivers::notifier::{Channel, Webhook};
use mainstay_model::{
    Secret,
    notice::{Events, Notice, NoticeKind},
};
use mainstay_store::notifiers::NotifierRow;
use mainstay_testkit::world::{Desk, project};
use std::{sync::Arc, time::Duration};

/// A notifier that does what `does` says, see the fake.
async fn notifier(app: &App, name: &str, does: &str, events: &[&str]) -> NotifierRow {
    let new = NewNotifier {
        name: name.into(),
        channel: Channel::Webhook(Webhook { url: does.into(), ca: None }),
        secret: Some(Secret::new("0123456789abcdef")),
        events: Events::parse(&events.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap(),
    };
    notifiers::add(app, &project(app).await.unwrap().id, new).await.unwrap()
}

/// What the notifier was told of since, once all that is due was delivered.
async fn told(world: &mainstay_testkit::World, desk: &Desk, name: &str) -> Vec<NoticeKind> {
    deliver::once(&desk.app).await.unwrap();
    world.notifiers.sent(name).iter().map(|n| n.kind).collect()
}

async fn view(app: &Arc<App>, row: &NotifierRow) -> notifiers::NotifierView {
    let row = notifiers::resolve(app, &row.project, row.id.as_str()).await.unwrap();
    notifiers::view(app, row).await.unwrap()
}

/// Looks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn ids(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|n| n.id.as_str()).collect()
}
