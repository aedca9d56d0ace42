//! Notifiers: who is told, and of what.

use crate::{App, notices, plan::notices::Draft};
use mainstay_drivers::notifier::{Channel, Notifier, NotifierSpec};
use mainstay_model::{Error, Kind, Name, NotifierId, ProjectId, Result, Secret, notice::Events, notice::NoticeKind};
use mainstay_operations::Tx;
use mainstay_store::{
    self as store,
    notifiers::NotifierRow,
    outbox::{Counts, Delivery},
};
use std::{net::SocketAddr, sync::Arc};

/// Most of one project: each of them is another sending of each message.
const MAX: usize = 20;
/// How many undelivered messages are shown with a notifier.
const SHOWN: i64 = 20;

/// What `notifier add` was given.
#[derive(Debug, Clone)]
pub struct NewNotifier {
    pub name: String,
    pub channel: Channel,
    pub secret: Option<Secret>,
    pub events: Events,
}

/// What `notifier set` was given; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub events: Option<Events>,
    pub enabled: Option<bool>,
    pub secret: Option<Secret>,
}

/// A notifier and how its messages fare.
#[derive(Debug, Clone)]
pub struct NotifierView {
    pub row: NotifierRow,
    pub counts: Counts,
    /// Newest first.
    pub undelivered: Vec<Delivery>,
}

/// A server that does not answer today may be added all the same; an address that nothing may be
/// sent to may not.
pub async fn add(app: &App, project: &ProjectId, new: NewNotifier) -> Result<NotifierRow> {
    let name = Name::parse(&new.name)?;
    let spec = NotifierSpec { name: new.name, channel: new.channel, secret: new.secret };
    let notifier = app.notifiers.open(&spec, own_addresses(app).await?)?;
    match notifier.check().await {
        Err(e) if e.kind == Kind::Invalid => return Err(e),
        Err(e) => tracing::info!("notifier {name} is added although it cannot send now: {e}"),
        Ok(()) => {}
    }
    let row = NotifierRow {
        id: NotifierId::new(),
        project: project.clone(),
        name,
        kind: spec.channel.kind().into(),
        target: notifier.target(),
        events: new.events,
        enabled: true,
        created_at: app.now(),
        delivered_at: None,
        failing: None,
    };
    let mut tx = app.store.begin_write().await?;
    if store::notifiers::list(&mut tx, project).await?.len() >= MAX {
        return Err(Error::conflict("too_many_notifiers", format!("a project has at most {MAX} notifiers; remove one first")));
    }
    store::notifiers::insert(&mut tx, app.store.sealer(), &row, &sealed(&spec)?).await?;
    store::commit(tx).await?;
    Ok(row)
}

fn sealed(spec: &NotifierSpec) -> Result<Secret> {
    serde_json::to_string(spec).map(Secret::new).map_err(Error::internal)
}

async fn spec(app: &App, id: &NotifierId) -> Result<NotifierSpec> {
    let text = store::notifiers::spec(&mut *app.store.read().await?, app.store.sealer(), id).await?;
    // The error would quote what it could not read, which is secret.
    serde_json::from_str(text.reveal()).map_err(|_| Error::integrity(format!("where notifier {id} sends to does not read")))
}

/// Ready to send.
pub(crate) async fn open(app: &App, id: &NotifierId) -> Result<Arc<dyn Notifier>> {
    app.notifiers.open(&spec(app, id).await?, own_addresses(app).await?)
}

/// Everywhere that Mainstay, and what it runs, listens.
async fn own_addresses(app: &App) -> Result<Vec<SocketAddr>> {
    let mut own = app.options.own_addresses.clone();
    let mut conn = app.store.read().await?;
    for cluster in store::clusters::all_alive(&mut conn).await? {
        let nodes = store::nodes::of_cluster(&mut conn, &cluster.id).await?;
        let all = std::iter::once(&cluster.read_write).chain(&cluster.read_only).chain(nodes.iter().map(|n| &n.address));
        own.extend(all.filter_map(|a| Some(SocketAddr::new(a.host.parse().ok()?, a.port))));
    }
    Ok(own)
}

pub async fn resolve(app: &App, project: &ProjectId, id_or_name: &str) -> Result<NotifierRow> {
    let mut conn = app.store.read().await?;
    let row = match NotifierId::parse(id_or_name) {
        Some(id) => store::notifiers::get(&mut conn, &id).await?,
        None => store::notifiers::by_name(&mut conn, project, id_or_name).await?,
    };
    if &row.project == project { Ok(row) } else { Err(Error::not_found("notifier", id_or_name)) }
}

pub async fn view(app: &App, row: NotifierRow) -> Result<NotifierView> {
    let mut conn = app.store.read().await?;
    let counts = store::outbox::counts(&mut conn, &row.id).await?;
    let undelivered = store::outbox::undelivered(&mut conn, &row.id, SHOWN).await?;
    Ok(NotifierView { row, counts, undelivered })
}

pub async fn list(app: &App, project: &ProjectId) -> Result<Vec<NotifierView>> {
    let rows = store::notifiers::list(&mut *app.store.read().await?, project).await?;
    let mut views = Vec::new();
    for row in rows {
        views.push(view(app, row).await?);
    }
    Ok(views)
}

/// Where it sends to stays: another address is another notifier, which a secret must be given to
/// anew.
pub async fn set(app: &App, row: &NotifierRow, changes: Changes) -> Result<NotifierRow> {
    let spec = match changes.secret {
        None => None,
        secret => Some(NotifierSpec { secret, ..spec(app, &row.id).await? }),
    };
    if let Some(spec) = &spec {
        app.notifiers.open(spec, vec![])?;
    }
    let mut tx = app.store.begin_write().await?;
    let mut row = store::notifiers::get(&mut tx, &row.id).await?;
    row.events = changes.events.unwrap_or(row.events);
    row.enabled = changes.enabled.unwrap_or(row.enabled);
    at_once(app, &mut row);
    store::notifiers::update(&mut tx, &row).await?;
    if let Some(spec) = &spec {
        store::notifiers::set_spec(&mut tx, app.store.sealer(), &row.id, &sealed(spec)?).await?;
    }
    store::commit(tx).await?;
    Ok(row)
}

/// Something was mended, perhaps: what waits is tried now.
fn at_once(app: &App, row: &mut NotifierRow) {
    if let Some(failing) = &mut row.failing {
        failing.next_at = app.now();
    }
}

pub async fn remove(app: &App, row: &NotifierRow) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    crate::alerts::over(&mut tx, app.now(), mainstay_model::alert::AlertKind::NotifierUnwell, row.id.as_str()).await?;
    store::notifiers::delete(&mut tx, &row.id).await?;
    store::commit(tx).await
}

/// Sends a message now, past the queue, and returns what the other side said.
pub async fn test(app: &App, row: &NotifierRow) -> Result<String> {
    let draft = Draft {
        kind: NoticeKind::Test,
        cluster: None,
        object_kind: "notifier",
        object: row.id.to_string(),
        good: true,
        title: "a test message".into(),
        text: format!("Somebody asked Mainstay to send this, to see whether the notifier {} works. It does.", row.name),
    };
    let notice = notices::notice(&row.project, draft, app.now());
    let said = open(app, &row.id).await?.send(&notice, app.now()).await?;
    let mut tx: sqlx::Transaction<'static, sqlx::Any> = app.store.begin_write().await?;
    works(app, &mut tx, row).await?;
    store::commit(tx).await?;
    Ok(said)
}

async fn works(app: &App, tx: &mut Tx, row: &NotifierRow) -> Result<()> {
    let mut row = store::notifiers::get(tx, &row.id).await?;
    if row.failing.is_some() {
        at_once(app, &mut row);
        store::notifiers::update(tx, &row).await?;
    }
    Ok(())
}
