//! What of a cluster can be set: engine parameters and the allow-list.

use super::{
    clusters::{On, entries, find, tag},
    with_etag,
};
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
    http::{HeaderMap, HeaderValue},
};
use mainstay_api_types as dto;
use mainstay_control::{
    clusters::{self, alive, running},
    counts, engines, ops, plan,
};
use mainstay_model::{AllowEntry, Error, allow_list::MAX_ENTRIES, cluster::Cluster};

pub fn routes() -> Noun {
    Noun::new("settings")
        .route(
            Endpoint::new(Get, "/clusters/{id}/settings", "showSettings", "What is set and what can be", VIEWER).reply::<dto::Settings>(),
            settings,
        )
        .route(
            Endpoint::new(Patch, "/clusters/{id}/settings", "patchSettings", "Change engine parameters", ADMIN)
                .body::<dto::PatchSettings>()
                .operation()
                .dry()
                .guarded(),
            patch_settings,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/allow-list", "showAllowList", "Who may connect", VIEWER).reply::<dto::AllowList>(),
            allow_list,
        )
        .route(
            Endpoint::new(Put, "/clusters/{id}/allow-list", "setAllowList", "Say who may connect", ADMIN)
                .body::<dto::SetAllowList>()
                .operation()
                .dry()
                .guarded(),
            set_allow_list,
        )
}

async fn settings(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let entry = engines::get(&s.app, &cluster.engine).await?;
    Ok(with_etag(&tag(&cluster), Json(dto::Settings { settings: cluster.settings.clone(), parameters: entry.parameters })))
}

async fn patch_settings(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::PatchSettings>,
) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let check = async |cluster: &Cluster| {
        running(cluster)?;
        let entry = engines::get(&s.app, &cluster.engine).await?;
        let set = b.settings.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))).collect();
        plan::settings::validate(&entry.parameters, &set)
    };
    let names: Vec<&str> = b.settings.keys().map(String::as_str).collect();
    let summary = format!("changes {}; nodes restart where a parameter needs it", names.join(", "));
    let act = async |cluster: &Cluster| clusters::configure(&s.app, &c.actor, cluster, b.settings.clone()).await;
    on.run::<ops::configure::Configure, _, _>(&summary, check, act).await
}

async fn allow_list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let open = is_open(&cluster.allow_list);
    Ok(with_etag(&tag(&cluster), Json(dto::AllowList { allow_list: cluster.allow_list, open })))
}

fn is_open(list: &[AllowEntry]) -> bool {
    list.is_empty() || list.iter().any(|e| e.cidr.prefix_len() == 0)
}

const LOCKED_OUT: &str = "your own address is not on this list: you can no longer connect to the cluster from here";
const OPEN: &str = "this list leaves the endpoint open to all";

async fn set_allow_list(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::SetAllowList>,
) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    if b.allow_list.len() > MAX_ENTRIES {
        return Err(Error::invalid("allow_list", format!("at most {MAX_ENTRIES} entries; these are {}", b.allow_list.len())).into());
    }
    let list = entries(b.allow_list)?;
    let act = async |cluster: &Cluster| clusters::set_allow_list(&s.app, &c.actor, cluster, list.clone()).await;
    let summary = format!("{} entries decide who may connect; sessions that no longer fit are cut", list.len());
    let check = async |cluster: &Cluster| {
        alive(cluster)?;
        match q.is_true("dry_run") {
            true => {
                Ok::<_, Error>(vec![("connections_cut", counts::route(&s.app, &cluster.id).await.and_then(|route| route.cut_by(&list)))])
            }
            false => Ok(vec![]),
        }
    };
    let mut answer = on.counted::<ops::set_allow_list::SetAllowList, _, _>(&summary, check, act).await?;
    let warnings = [(clusters::locks_out(&list, c.actor.from), LOCKED_OUT), (is_open(&list), OPEN)];
    for (_, warning) in warnings.into_iter().filter(|(holds, _)| *holds) {
        answer.headers_mut().append("x-mainstay-warning", HeaderValue::from_static(warning));
    }
    Ok(answer)
}
