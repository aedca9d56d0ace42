//! Schedules.

use super::{clusters::find, etag, page, still, with_etag};
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
    retention::Retention,
    schedule::{Schedule, Timing},
};

/// How many runs a preview shows where nothing was said.
const PREVIEW: u64 = 5;

pub fn routes() -> Noun {
    let switch = |path, id, summary| Endpoint::new(Post, path, id, summary, ADMIN).reply::<dto::Schedule>().guarded();
    Noun::new("schedules")
        .route(
            Endpoint::new(Get, "/schedules", "listSchedules", "Schedules of a project, oldest first", VIEWER)
                .list::<dto::Schedule>()
                .query(&[("cluster", "Only of this cluster.")]),
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

pub(crate) fn view(v: ScheduleView) -> dto::Schedule {
    let run = |(run, status): (mainstay_model::schedule::ScheduleRun, _)| dto::ScheduleRun {
        at: run.nominal,
        status: run.status,
        reason: run.reason,
        backup: run.backup.map(|b| b.to_string()),
        backup_status: status,
    };
    let timing = &v.schedule.timing;
    dto::Schedule {
        id: v.schedule.id.to_string(),
        name: v.schedule.name.to_string(),
        cluster: v.schedule.cluster_name.to_string(),
        enabled: v.schedule.enabled,
        days: timing.days.iter().copied().collect(),
        hours: timing.hours.iter().copied().collect(),
        every_day: timing.is_every_day(),
        every_hour: timing.is_every_hour(),
        time_zone: timing.time_zone.clone(),
        retention: v.schedule.retention,
        storages: v.storages,
        next_runs: v.next_runs,
        last_runs: v.last_runs.into_iter().map(run).collect(),
        waiting: v.schedule.waiting,
        created_at: v.schedule.created_at,
    }
}

/// Of what was set, not of what has run since.
fn tag(s: &Schedule) -> String {
    etag(&(&s.id, &s.timing, &s.retention, &s.storages, s.enabled))
}

fn shown(v: ScheduleView) -> axum::response::Response {
    with_etag(&tag(&v.schedule), Json(view(v)))
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Schedule> {
    let schedule = schedules::resolve(&s.app, &c.project.id, id).await?;
    c.on("schedule", schedule.id.as_str(), &format!("{} of {}", schedule.name, schedule.cluster_name));
    Ok(schedule)
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let cluster = match q.get("cluster") {
        Some(name) => Some(find(&s, &c, name).await?),
        None => None,
    };
    Ok(page(schedules::list(&s.app, &c.project.id, cluster.as_ref(), &q.paging()?).await?, view).into_response())
}

async fn of_cluster(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    Ok(page(schedules::list(&s.app, &c.project.id, Some(&cluster), &q.paging()?).await?, view).into_response())
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
    let retention = match (b.retention, b.retention_days, b.keep_last) {
        (retention, None, None) => retention,
        (None, days, keep_last) => Some(Retention { days, keep_last, ..Retention::default() }),
        (Some(_), ..) => return Err(Error::invalid("retention", "either retention, or retention_days and keep_last")),
    };
    Ok(SetSchedule { name: b.name, days, hours, time_zone: b.time_zone, retention, storages: b.storages })
}

async fn set(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, Body(b): Body<dto::SetSchedule>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let set = schedules::set(&s.app, &cluster, wish(b)?).await?;
    Ok(shown(set))
}

async fn preview(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::SetSchedule>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let count = usize::try_from(q.number("count")?.unwrap_or(PREVIEW)).unwrap_or(usize::MAX);
    let (schedule, next_runs) = schedules::preview(&s.app, &cluster, wish(b)?, count).await?;
    let preview = dto::SchedulePreview {
        name: schedule.name.to_string(),
        cluster: schedule.cluster_name.to_string(),
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
