//! Who has which role in which project.

use crate::{doc, error::error};
use mainstay_model::{Error, ProjectId, Result, Role, Time, UserId, user::User};
use sqlx::{AnyConnection, Row};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user: User,
    pub role: Role,
    pub added_at: Time,
}

/// In place of the role there was.
pub async fn put(conn: &mut AnyConnection, project: &ProjectId, user: &UserId, role: Role, now: Time) -> Result<()> {
    let sql = "INSERT INTO members (project, user_id, role, added_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (project, user_id) DO UPDATE SET role = excluded.role";
    let put = sqlx::query(sql).bind(project.as_str()).bind(user.as_str()).bind(role.as_str()).bind(now.micros());
    put.execute(conn).await.map(drop).map_err(error)
}

pub async fn remove(conn: &mut AnyConnection, project: &ProjectId, user: &UserId) -> Result<()> {
    let sql = "DELETE FROM members WHERE project = $1 AND user_id = $2";
    sqlx::query(sql).bind(project.as_str()).bind(user.as_str()).execute(conn).await.map(drop).map_err(error)
}

fn role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or_else(|| Error::integrity("a member's role in the store does not read"))
}

/// Of a project, oldest member first.
pub async fn of_project(conn: &mut AnyConnection, project: &ProjectId) -> Result<Vec<Member>> {
    let sql = "SELECT u.doc, m.role, m.added_at FROM members m JOIN users u ON u.id = m.user_id \
               WHERE m.project = $1 ORDER BY m.added_at, u.id";
    let rows = sqlx::query(sql).bind(project.as_str()).fetch_all(conn).await.map_err(error)?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(Member {
            user: doc::read(row)?,
            role: role(row.try_get(1).map_err(error)?)?,
            added_at: Time::from_micros(row.try_get(2).map_err(error)?),
        })
    };
    rows.iter().map(read).collect()
}

/// A user's roles by project.
pub async fn of_user(conn: &mut AnyConnection, user: &UserId) -> Result<Vec<(ProjectId, Role)>> {
    let sql = "SELECT project, role FROM members WHERE user_id = $1 ORDER BY project";
    let rows = sqlx::query(sql).bind(user.as_str()).fetch_all(conn).await.map_err(error)?;
    let read = |row: &sqlx::any::AnyRow| {
        let project = ProjectId::parse(row.try_get(0).map_err(error)?);
        let project = project.ok_or_else(|| Error::integrity("a membership in the store does not read"))?;
        Ok((project, role(row.try_get(1).map_err(error)?)?))
    };
    rows.iter().map(read).collect()
}
