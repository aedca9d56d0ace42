//! Members of a project. A project that has owners keeps one.

use super::users;
use crate::App;
use mainstay_model::{Error, Kind, ProjectId, Result, Role, UserId, project::Project, user::User};
use mainstay_operations::Tx;
use mainstay_store::{self as store, members::Member};

pub async fn members(app: &App, project: &ProjectId) -> Result<Vec<Member>> {
    store::members::of_project(&mut *app.store.read().await?, project).await
}

/// A user's roles, by project.
pub async fn roles(app: &App, user: &UserId) -> Result<Vec<(Project, Role)>> {
    let mut conn = app.store.read().await?;
    let mut out = Vec::new();
    for (id, role) in store::members::of_user(&mut conn, user).await? {
        out.push((store::projects::get(&mut conn, &id).await?, role));
    }
    Ok(out)
}

/// Somebody who is a user already.
pub async fn add(app: &App, project: &Project, user: &User, role: Role) -> Result<Member> {
    let mut tx = app.store.begin_write().await?;
    if store::members::of_project(&mut tx, &project.id).await?.iter().any(|m| m.user.id == user.id) {
        let why = format!("{} is a member of {} already; `member role` changes the role", user.name, project.name);
        return Err(Error::conflict("already_member", why));
    }
    store::members::put(&mut tx, &project.id, &user.id, role, app.now()).await?;
    store::commit(tx).await?;
    found(app, &project.id, user.id.as_str()).await
}

/// By id, name or e-mail address, among the project's members only: who else there is, is nobody's
/// business here.
async fn found(app: &App, project: &ProjectId, named: &str) -> Result<Member> {
    let all = members(app, project).await?;
    all.into_iter().find(|m| users::is(&m.user, named)).ok_or_else(|| Error::not_found("member", named))
}

async fn keep_an_owner(tx: &mut Tx, project: &Project, leaving: &Member) -> Result<()> {
    let owners = store::members::of_project(tx, &project.id).await?;
    let others = owners.iter().any(|m| m.role == Role::Owner && m.user.id != leaving.user.id && m.user.disabled_at.is_none());
    if leaving.role != Role::Owner || others {
        return Ok(());
    }
    let why = format!("{} needs an owner; make someone else owner first", project.name);
    Err(Error::new(Kind::Conflict, "last_owner", why))
}

pub async fn set_role(app: &App, project: &Project, named: &str, role: Role) -> Result<Member> {
    let member = found(app, &project.id, named).await?;
    let mut tx = app.store.begin_write().await?;
    if role < Role::Owner {
        keep_an_owner(&mut tx, project, &member).await?;
    }
    store::members::put(&mut tx, &project.id, &member.user.id, role, app.now()).await?;
    store::tokens::revoke_above(&mut tx, &project.id, &member.user.id, Some(role), app.now()).await?;
    store::commit(tx).await?;
    Ok(Member { role, ..member })
}

/// Who is left with no project at all is signed out; tokens made in this one go too.
pub async fn remove(app: &App, project: &Project, named: &str) -> Result<Member> {
    let member = found(app, &project.id, named).await?;
    let mut tx = app.store.begin_write().await?;
    keep_an_owner(&mut tx, project, &member).await?;
    store::members::remove(&mut tx, &project.id, &member.user.id).await?;
    store::tokens::revoke_above(&mut tx, &project.id, &member.user.id, None, app.now()).await?;
    if !member.user.administrator && store::members::of_user(&mut tx, &member.user.id).await?.is_empty() {
        store::sessions::end_of_user(&mut tx, &member.user.id, None).await?;
    }
    store::commit(tx).await?;
    Ok(member)
}

/// What `user` may not leave behind: projects whose only owner they are.
pub(super) async fn may_leave(tx: &mut Tx, user: &UserId) -> Result<()> {
    for (id, _) in store::members::of_user(tx, user).await? {
        let project = store::projects::get(tx, &id).await?;
        let members = store::members::of_project(tx, &id).await?;
        if let Some(member) = members.into_iter().find(|m| &m.user.id == user) {
            keep_an_owner(tx, &project, &member).await?;
        }
    }
    Ok(())
}
