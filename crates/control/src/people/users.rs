//! Users of the installation. One enabled administrator stays.

use super::{members, passwords, wrong};
use crate::App;
use mainstay_model::{
    Error, Kind, Result, SessionId, UserId,
    user::{self, User, key},
};
use mainstay_operations::Tx;
use mainstay_store as store;
use serde_json::{Map, Value};

/// What an administrator changes. `None` is left as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub administrator: Option<bool>,
    pub disabled: Option<bool>,
}

/// What a person changes of their own.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub name: Option<String>,
    pub email: Option<String>,
    /// Changing the address needs it: whoever finds an open browser must not take the account over.
    pub password: Option<String>,
    pub preferences: Option<Map<String, Value>>,
}

/// Whether `named` means them: id, name or e-mail address.
pub(super) fn is(user: &User, named: &str) -> bool {
    let named = key(named);
    user.id.as_str() == named || key(&user.name) == named || key(&user.email) == named
}

pub async fn list(app: &App) -> Result<Vec<User>> {
    store::users::list(&mut *app.store.read().await?).await
}

pub async fn find(app: &App, named: &str) -> Result<User> {
    list(app).await?.into_iter().find(|u| is(u, named)).ok_or_else(|| Error::not_found("user", named))
}

async fn keep_an_administrator(tx: &mut Tx, leaving: &User) -> Result<()> {
    let others = store::users::list(tx).await?;
    let others = others.iter().any(|u| u.administrator && u.disabled_at.is_none() && u.id != leaving.id);
    if !leaving.administrator || leaving.disabled_at.is_some() || others {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, "last_admin", format!("{} is the last administrator; make someone else one first", leaving.name)))
}

pub async fn change(app: &App, id: &UserId, change: Change) -> Result<User> {
    let mut tx = app.store.begin_write().await?;
    let before = store::users::get(&mut tx, id).await?;
    let disabled_at = match change.disabled {
        Some(true) => before.disabled_at.or_else(|| Some(app.now())),
        Some(false) => None,
        None => before.disabled_at,
    };
    let after = User { administrator: change.administrator.unwrap_or(before.administrator), disabled_at, ..before.clone() };
    let is_off = after.disabled_at.is_some();
    if is_off || !after.administrator {
        keep_an_administrator(&mut tx, &before).await?;
    }
    if is_off {
        members::may_leave(&mut tx, id).await?;
        store::sessions::end_of_user(&mut tx, id, None).await?;
    }
    store::users::update(&mut tx, &after).await?;
    store::commit(tx).await?;
    Ok(after)
}

/// Memberships, sessions and tokens go too; the audit keeps the name.
pub async fn delete(app: &App, id: &UserId) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    let user = store::users::get(&mut tx, id).await?;
    keep_an_administrator(&mut tx, &user).await?;
    members::may_leave(&mut tx, id).await?;
    store::tokens::revoke_made_by(&mut tx, id, app.now()).await?;
    store::users::delete(&mut tx, id).await?;
    store::commit(tx).await
}

pub async fn set_profile(app: &App, id: &UserId, new: Profile) -> Result<User> {
    let before = store::users::get(&mut *app.store.read().await?, id).await?;
    let email = new.email.as_deref().map(user::email).transpose()?.unwrap_or_else(|| before.email.clone());
    if email != before.email {
        let needed = || Error::invalid("password", "changing the e-mail address needs your password");
        prove(app, id, new.password.as_deref().ok_or_else(needed)?).await?;
    }
    let mut tx = app.store.begin_write().await?;
    let now = store::users::get(&mut tx, id).await?;
    let after = User {
        name: new.name.as_deref().map(user::name).transpose()?.unwrap_or_else(|| now.name.clone()),
        email,
        preferences: new.preferences.map(user::preferences).transpose()?.unwrap_or_else(|| now.preferences.clone()),
        ..now
    };
    store::users::update(&mut tx, &after).await?;
    store::commit(tx).await?;
    Ok(after)
}

async fn prove(app: &App, id: &UserId, password: &str) -> Result<()> {
    let hash = store::users::password(&mut *app.store.read().await?, id).await?;
    if passwords::verify(password, Some(&hash)).await? { Ok(()) } else { Err(wrong()) }
}

/// All other sessions end: whoever had the old password may be in one. How many did.
pub async fn set_password(app: &App, id: &UserId, session: &SessionId, current: &str, new: &str) -> Result<u64> {
    prove(app, id, current).await?;
    user::password(new).map_err(|e| e.with_field("new"))?;
    let hash = passwords::hash(new).await?;
    let mut tx = app.store.begin_write().await?;
    store::users::set_password(&mut tx, id, &hash).await?;
    let ended = store::sessions::end_of_user(&mut tx, id, Some(session)).await?;
    store::commit(tx).await?;
    Ok(ended)
}
