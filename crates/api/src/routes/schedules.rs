//! Schedules.

use super::{clusters::find, etag, groups, page, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    plan,
    schedules::{self, ScheduleView, SetSchedule},
};
use mainstay_model::{
    Error, Result,
    schedule::{Owner, Schedule, Timing},
};

/// How many runs a preview shows where nothing was said.
const PREVIEW: u64 = 5;

pub fn routes() -> Noun {
    let switch = |path, id, summary| Endpoint::new(Post, path, id, summary, ADMIN).reply::<dto::Schedule>().guarded();
    of_groups(Noun::new("schedules"))
        .route(
            Endpoint::new(Get, "/schedules", "listSchedules", "Schedules of a project, oldest first", VIEWER)
                .list::<dto::Schedule>()
                .query(&[("cluster", "Only of this cluster."), ("group", "Only of this group.")]),
            list,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/schedules", "listClusterSchedules", "Schedules of a cluster, oldest first", VIEWER)
                .list::<dto::Schedule>(),
            of_cluster,
        )
        .route(
            Endpoint::new(
                Post,
                "/clusters/{id}/schedules",
                "setSchedule",
                "Make a cluster's schedule, or change the one of that name",
                ADMIN,
            )
            .body::<dto::SetSchedule>()
            .reply::<dto::Schedule>(),
            set,
        )
        .route(
            Endpoint::new(Post, "/clusters/{id}/schedules/preview", "previewSchedule", "When a schedule would run; nothing is set", VIEWER)
                .body::<dto::SetSchedule>()
                .reply::<dto::SchedulePreview>()
                .silent()
                .query(&[("count", "1 to 100; 5 where absent.")]),
            preview,
        )
        .route(Endpoint::new(Get, "/schedules/{id}", "showSchedule", "One schedule", VIEWER).reply::<dto::Schedule>(), show)
        .route(
            Endpoint::new(Delete, "/schedules/{id}", "removeSchedule", "Remove a schedule; the backups it made stay", ADMIN)
                .status(204)
                .guarded(),
            remove,
        )
        .route(switch("/schedules/{id}/pause", "pauseSchedule", "Make no backups until it is resumed"), pause)
        .route(switch("/schedules/{id}/resume", "resumeSchedule", "Make backups again; none is made up for"), resume)
}

/// A group's, which come in one run for all members.
fn of_groups(noun: Noun) -> Noun {
    noun.route(
        Endpoint::new(Get, "/groups/{id}/schedules", "listGroupSchedules", "Schedules of a group, oldest first", VIEWER)
            .list::<dto::Schedule>(),
        of_group,
    )
    .route(
        Endpoint::new(
            Post,
            "/groups/{id}/schedules",
            "setGroupSchedule",
            "Make a group's schedule, or change the one of that name; each run is one backup of all members",
            ADMIN,
        )
        .body::<dto::SetSchedule>()
        .reply::<dto::Schedule>(),
        set_of_group,
    )
    .route(
        Endpoint::new(
            Post,
            "/groups/{id}/schedules/preview",
            "previewGroupSchedule",
            "When a group's schedule would run; nothing is set",
            VIEWER,
        )
        .body::<dto::SetSchedule>()
        .reply::<dto::SchedulePreview>()
        .silent()
        .query(&[("count", "1 to 100; 5 where absent.")]),
        preview_of_group,
    )
}

pub(crate) fn view(v: ScheduleView) -> dto::Schedule {
    let run = |(run, status): (mainstay_model::schedule::ScheduleRun, _)| dto::ScheduleRun {
        at: run.nominal,
        status: run.status,
        reason: run.reason,
        backup: run.backup.map(|b| b.to_string()),
        group_backup: run.group_backup.map(|b| b.to_string()),
        backup_status: status,
    };
    let timing = &v.schedule.timing;
    let (cluster, group) = owned(&v.schedule);
    dto::Schedule {
        id: v.schedule.id.to_string(),
        name: v.schedule.name.to_string(),
        cluster,
        group,
        enabled: v.schedule.enabled,
        days: timing.days.iter().copied().collect(),
        hours: timing.hours.iter().copied().collect(),
        every_day: timing.is_every_day(),
        every_hour: timing.is_every_hour(),
        time_zone: timing.time_zone.clone(),
        retention: v.schedule.retention,
        storages: v.storages,
        copy_retention: v.copy_retention,
        overlap: v.schedule.overlap,
        next_runs: v.next_runs,
        last_runs: v.last_runs.into_iter().map(run).collect(),
        waiting: v.schedule.waiting,
        created_at: v.schedule.created_at,
    }
}

/// The names of its cluster or its group: one of the two.
fn owned(s: &Schedule) -> (Option<String>, Option<String>) {
    let name = Some(s.owner.name().to_string());
    if s.owner.group().is_some() { (None, name) } else { (name, None) }
}

/// Of what was set, not of what has run since.
fn tag(s: &Schedule) -> String {
    etag(&(&s.id, &s.timing, &s.retention, &s.storages, &s.copy_retention, s.overlap, s.enabled))
}

fn shown(v: ScheduleView) -> axum::response::Response {
    with_etag(&tag(&v.schedule), Json(view(v)))
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Schedule> {
    let schedule = schedules::resolve(&s.app, &c.project.id, id).await?;
    c.on("schedule", schedule.id.as_str(), &format!("{} of {}", schedule.name, schedule.owner.name()));
    Ok(schedule)
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let owner = match (q.get("cluster"), q.get("group")) {
        (Some(_), Some(_)) => return Err(Error::invalid("group", "either cluster or group").into()),
        (Some(name), None) => Some(Owner::from(&find(&s, &c, name).await?)),
        (None, Some(name)) => Some(Owner::from(&groups::get(&s, &c, name).await?)),
        (None, None) => None,
    };
    Ok(page(schedules::list(&s.app, &c.project.id, owner.as_ref(), &q.paging()?).await?, view).into_response())
}

async fn of_cluster(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let owner = Owner::from(&find(&s, &c, &id).await?);
    Ok(page(schedules::list(&s.app, &c.project.id, Some(&owner), &q.paging()?).await?, view).into_response())
}

async fn of_group(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let owner = Owner::from(&groups::get(&s, &c, &id).await?);
    Ok(page(schedules::list(&s.app, &c.project.id, Some(&owner), &q.paging()?).await?, view).into_response())
}

/// What was typed, told apart from what was left out.
fn wish(b: dto::SetSchedule) -> Result<SetSchedule> {
    let days = match (b.days, b.every_day) {
        (Some(_), true) => return Err(Error::invalid("every_day", "either days or every_day")),
        (None, true) => Some(Timing::every_day()),
        (days, false) => days.map(|days| days.into_iter().collect()),
    };
    let hours = match (b.hours, b.every_hour) {
        (Some(_), true) => return Err(Error::invalid("every_hour", "either hours or every_hour")),
        (None, true) => Some(Timing::every_hour()),
        (hours, false) => hours.map(|hours| hours.into_iter().collect()),
    };
    if b.retention.is_some() && (b.retention_days.is_some() || b.keep_last.is_some()) {
        return Err(Error::invalid("retention", "either retention, or retention_days and keep_last"));
    }
    let (retention, retention_days, keep_last) = (b.retention, b.retention_days, b.keep_last);
    let (name, time_zone, storages, copy_retention, overlap) = (b.name, b.time_zone, b.storages, b.copy_retention, b.overlap);
    Ok(SetSchedule { name, days, hours, time_zone, retention, retention_days, keep_last, storages, copy_retention, overlap })
}

async fn set(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, Body(b): Body<dto::SetSchedule>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    Ok(shown(schedules::set(&s.app, &cluster, wish(b)?).await?))
}

async fn set_of_group(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    Body(b): Body<dto::SetSchedule>,
) -> Answer {
    let group = groups::get(&s, &c, &id).await?;
    Ok(shown(schedules::set(&s.app, &group, wish(b)?).await?))
}

async fn preview(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::SetSchedule>,
) -> Answer {
    previewed(&s, Owner::from(&find(&s, &c, &id).await?), &q, b).await
}

async fn preview_of_group(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::SetSchedule>,
) -> Answer {
    previewed(&s, Owner::from(&groups::get(&s, &c, &id).await?), &q, b).await
}

async fn previewed(s: &Shared, owner: Owner, q: &Query, b: dto::SetSchedule) -> Answer {
    let count = usize::try_from(q.number("count")?.unwrap_or(PREVIEW)).unwrap_or(usize::MAX);
    let (schedule, next_runs) = schedules::preview(&s.app, owner, wish(b)?, count).await?;
    let (cluster, group) = owned(&schedule);
    let preview = dto::SchedulePreview {
        name: schedule.name.to_string(),
        cluster,
        group,
        sentence: schedule.timing.to_string(),
        on_the_wall: next_runs.iter().map(|t| plan::schedule::on_the_wall(&schedule.timing, *t)).collect::<Result<_>>()?,
        time_zone: schedule.timing.time_zone,
        next_runs,
    };
    Ok(Json(preview).into_response())
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let schedule = get(&s, &c, &id).await?;
    Ok(shown(schedules::view(&s.app, schedule).await?))
}

async fn remove(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let schedule = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&schedule)])?;
    schedules::remove(&s.app, &schedule).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn pause(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    switched(&s, &c, &id, &headers, false).await
}

async fn resume(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    switched(&s, &c, &id, &headers, true).await
}

async fn switched(s: &Shared, c: &Caller, id: &str, headers: &HeaderMap, enabled: bool) -> Answer {
    let schedule = get(s, c, id).await?;
    still(headers, &[&tag(&schedule)])?;
    Ok(shown(schedules::set_enabled(&s.app, &schedule, enabled).await?))
}
