//! Objects as their routes answer them.

use crate::{Shared, routes, views};
use mainstay_control::{alerts, backups, clusters, groups, notifiers, people, restores, retention, schedules, storages};
use mainstay_model::{Error, Kind, OperationId, ProjectId, Result};
use mainstay_operations::Filter;
use serde::Serialize;
use serde_json::Value;

/// Operations that may move without anybody saying so.
pub fn active() -> Filter {
    Filter { active_only: true, ..Filter::default() }
}

pub async fn operation(s: &Shared, id: &OperationId) {
    let Ok(view) = s.app.runner.get(id).await else { return };
    let Some(project) = view.project.as_deref().and_then(ProjectId::parse) else { return };
    if let Ok(object) = value(views::operation(view)) {
        s.feed.put("operation", id.as_str(), &project, &object);
    }
}

/// Tells of one object as it is now. What cannot be read is not told of; the next change tries again.
pub async fn tell(s: &Shared, noun: &str, id: &str, project: &ProjectId) {
    match object(s, noun, id, project).await {
        Ok(Some(object)) => s.feed.put(noun, id, project, &object),
        Ok(None) => {}
        Err(e) if e.kind == Kind::NotFound => s.feed.remove(noun, id, project),
        Err(e) => tracing::debug!("{noun} {id} could not be shown: {e}"),
    }
}

fn value(of: impl Serialize) -> Result<Value> {
    serde_json::to_value(of).map_err(Error::internal)
}

/// THE LIST of nouns that are told of; `None` for one that nobody shows.
async fn object(s: &Shared, noun: &str, id: &str, project: &ProjectId) -> Result<Option<Value>> {
    let app = &s.app;
    let shown = match noun {
        "cluster" => {
            let cluster = clusters::resolve(app, project, id).await?;
            value(views::cluster(clusters::as_last_seen(app, cluster).await?, &routes::host(s).await))?
        }
        "backup" => {
            let backup = backups::resolve(app, project, id).await?;
            let why = retention::explain(app, std::slice::from_ref(&backup)).await?.remove(0);
            value(views::backup(backup, why))?
        }
        "schedule" => {
            let schedule = schedules::resolve(app, project, id).await?;
            value(routes::schedule(schedules::view(app, schedule).await?))?
        }
        "restore" => value(views::restore(restores::resolve(app, project, id).await?))?,
        "storage" => value(views::storage(&storages::resolve(app, project, id).await?))?,
        "group" => value(views::group(groups::show(app, project, id).await?))?,
        "alert" => value(views::alert(alerts::resolve(app, project, id).await?))?,
        "notifier" => {
            let row = notifiers::resolve(app, project, id).await?;
            value(routes::notifier(notifiers::view(app, row).await?))?
        }
        "member" => {
            let missing = || Error::not_found("member", id);
            let all = people::members(app, project).await?;
            value(routes::member(all.into_iter().find(|m| m.user.id.as_str() == id).ok_or_else(missing)?))?
        }
        _ => return Ok(None),
    };
    Ok(Some(shown))
}
