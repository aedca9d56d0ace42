//! Groups, and their backups.

use super::{Would, accepted, backups::confirmed, etag, page, part, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OPERATOR, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    groups::{self, GroupBackupView, Into},
    ops::{back_up_group::BackUpGroup, restore_group::RestoreGroup},
};
use mainstay_model::{Error, Result, group::Group, role::Role};

pub fn routes() -> Noun {
    let pin = |path, id, summary| Endpoint::new(Post, path, id, summary, OPERATOR).reply::<dto::GroupBackup>();
    Noun::new("groups")
        .route(Endpoint::new(Get, "/groups", "listGroups", "Groups of a project, by name", VIEWER).list::<dto::Group>(), list)
        .route(
            Endpoint::new(Post, "/groups", "createGroup", "Name clusters that are backed up at one point", ADMIN)
                .body::<dto::CreateGroup>()
                .created::<dto::Group>(),
            create,
        )
        .route(Endpoint::new(Get, "/groups/{id}", "showGroup", "One group", VIEWER).reply::<dto::Group>(), show)
        .route(
            Endpoint::new(Patch, "/groups/{id}", "setGroup", "Change a group's members from its next backup on", ADMIN)
                .body::<dto::PatchGroup>()
                .reply::<dto::Group>()
                .guarded(),
            set,
        )
        .route(
            Endpoint::new(
                Delete,
                "/groups/{id}",
                "deleteGroup",
                "Forget a group and its schedules; its backups stay with their clusters",
                ADMIN,
            )
            .status(204)
            .guarded(),
            delete,
        )
        .route(
            Endpoint::new(Get, "/groups/{id}/backups", "listGroupBackups", "A group's backups, newest first", VIEWER)
                .list::<dto::GroupBackup>(),
            backups,
        )
        .route(
            Endpoint::new(Post, "/groups/{id}/backups", "backUpGroup", "Back up all members at one point", OPERATOR)
                .body::<dto::CreateBackup>()
                .operation()
                .dry(),
            back_up,
        )
        .route(
            Endpoint::new(Get, "/group-backups/{id}", "showGroupBackup", "One backup of a group", VIEWER).reply::<dto::GroupBackup>(),
            show_backup,
        )
        .route(pin("/group-backups/{id}/pin", "pinGroupBackup", "Never delete any part of it by policy"), pin_it)
        .route(pin("/group-backups/{id}/unpin", "unpinGroupBackup", "Let policies delete it again, as a whole"), unpin)
        .route(
            Endpoint::new(
                Post,
                "/group-backups/{id}/restore",
                "restoreGroup",
                "Restore all members together. In place it needs the role admin",
                OPERATOR,
            )
            .body::<dto::RestoreGroup>()
            .operation()
            .dry(),
            restore,
        )
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let shown = groups::list(&s.app, &c.project.id).await?.into_iter().map(views::group).collect();
    Ok(part(&q, shown, |g: &dto::Group| &g.id)?.into_response())
}

async fn create(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::CreateGroup>) -> Answer {
    let group = groups::create(&s.app, &c.project.id, &b.name, &b.members).await?;
    c.on("group", group.group.id.as_str(), group.group.name.as_str());
    let tag = etag(&group.group);
    Ok((StatusCode::CREATED, with_etag(&tag, Json(views::group(group)))).into_response())
}

pub(super) async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Group> {
    let group = groups::resolve(&s.app, &c.project.id, id).await?;
    c.on("group", group.id.as_str(), group.name.as_str());
    Ok(group)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let group = groups::show(&s.app, &c.project.id, &id).await?;
    let tag = etag(&group.group);
    Ok(with_etag(&tag, Json(views::group(group))))
}

async fn set(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(b): Body<dto::PatchGroup>,
) -> Answer {
    let group = get(&s, &c, &id).await?;
    still(&headers, &[&etag(&group)])?;
    let view = match &b.members {
        Some(members) => groups::set_members(&s.app, &group, members).await?,
        None => groups::show(&s.app, &c.project.id, &id).await?,
    };
    let tag = etag(&view.group);
    Ok(with_etag(&tag, Json(views::group(view))))
}

async fn pin_it(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let found = find(&s, &c, &id).await?;
    Ok(Json(views::group_backup(groups::set_pinned(&s.app, &found, true).await?)).into_response())
}

async fn unpin(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let found = find(&s, &c, &id).await?;
    Ok(Json(views::group_backup(groups::set_pinned(&s.app, &found, false).await?)).into_response())
}

async fn delete(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let group = get(&s, &c, &id).await?;
    still(&headers, &[&etag(&group)])?;
    groups::delete(&s.app, &group).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn backups(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let group = get(&s, &c, &id).await?;
    let found = groups::backups(&s.app, &c.project.id, Some(&group.id), &q.paging()?).await?;
    Ok(page(found, views::group_backup).into_response())
}

async fn back_up(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::CreateBackup>,
) -> Answer {
    let group = get(&s, &c, &id).await?;
    let new = super::backups::new_backup(b)?;
    if q.is_true("dry_run") {
        let members = groups::show(&s.app, &c.project.id, &id).await?.members;
        let names: Vec<String> = members.iter().map(|m| m.name.to_string()).collect();
        let summary = format!("{} are backed up at one point; their writes wait for a moment", names.join(", "));
        return Would::of::<BackUpGroup>(summary).locking(group.id.as_str()).planned(&s).await;
    }
    let (whole, operation) = groups::back_up(&s.app, &c.actor, &group, new).await?;
    accepted(&s, &operation, Some(("group_backup", whole.id.as_str()))).await
}

async fn find(s: &Shared, c: &Caller, id: &str) -> Result<GroupBackupView> {
    let found = groups::resolve_backup(&s.app, &c.project.id, id).await?;
    c.on("group_backup", found.whole.id.as_str(), found.whole.group_name.as_str());
    Ok(found)
}

async fn show_backup(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    Ok(Json(views::group_backup(find(&s, &c, &id).await?)).into_response())
}

async fn restore(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::RestoreGroup>,
) -> Answer {
    let found = find(&s, &c, &id).await?;
    let into = match (b.in_place, b.new_suffix) {
        (true, None) => Into::Members,
        (false, Some(suffix)) => Into::New { suffix },
        _ => return Err(Error::invalid("in_place", "either in_place or new_suffix").into()),
    };
    if into == Into::Members {
        c.require(Role::Admin)?;
    }
    let plans = groups::plan_restore(&s.app, &c.project.id, &found, &into).await?;
    if q.is_true("dry_run") {
        let mut would = Would::of::<RestoreGroup>(format!("{} clusters are brought to one point", plans.len()));
        for planned in plans {
            would =
                would.also(format!("backup {} is restored to {}", planned.plan.backup, planned.plan.target)).warning(planned.plan.loses);
        }
        return would.planned(&s).await;
    }
    if into == Into::Members {
        confirmed(b.confirm.as_deref(), "name", found.whole.group_name.as_str())?;
    }
    let operation = groups::restore(&s.app, &c.actor, &found, plans).await?;
    accepted(&s, &operation, None).await
}
