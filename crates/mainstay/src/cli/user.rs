//! `mainstay user …`

use crate::{
    args::people::UserVerb,
    exit::{Exit, Outcome},
    output::{Row, Show, card, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{Confirm, LinkMade, Me, PatchUser, ProjectRole, User};
use mainstay_client::segment;

pub async fn run(s: &Session, verb: UserVerb) -> Outcome {
    match verb {
        UserVerb::List => s.show(&s.list::<User>("/users", &[]).await?)?,
        UserVerb::Show(a) => s.show(&s.get::<User>(path(&a.user)).await?)?,
        UserVerb::Me => s.show(&s.get::<Me>("/me").await?)?,
        UserVerb::Administrator { user, switch } => {
            let on = switch == "on";
            let would = format!("make {user} {} administrator", if on { "an" } else { "no" });
            patch(s, &user, PatchUser { administrator: Some(on), ..PatchUser::default() }, &would).await?;
        }
        UserVerb::Disable(a) => {
            let would = format!("let {} in no more", a.user);
            patch(s, &a.user, PatchUser { disabled: Some(true), ..PatchUser::default() }, &would).await?;
        }
        UserVerb::Enable(a) => {
            let would = format!("let {} in again", a.user);
            patch(s, &a.user, PatchUser { disabled: Some(false), ..PatchUser::default() }, &would).await?;
        }
        UserVerb::Remove(a) => remove(s, &a.user).await?,
        UserVerb::ResetPassword(a) => {
            let would = format!("make a link that sets a new password of {}", a.user);
            link(s, Ask::post(format!("{}/password-link", path(&a.user)), &nothing()), &would).await?;
        }
        UserVerb::FirstLink => {
            link(s, Ask::post("/users/first-link", &nothing()), "make a new link for the first administrator").await?;
        }
    }
    Ok(Exit::Done)
}

fn path(user: &str) -> String {
    format!("/users/{}", segment(user))
}

async fn patch(s: &Session, user: &str, body: PatchUser, would: &str) -> Outcome<()> {
    if let Some(user) = s.at_once::<User>(Ask::patch(path(user), &body), would).await? {
        s.show(&user)?;
    }
    Ok(())
}

async fn remove(s: &Session, user: &str) -> Outcome<()> {
    let found: User = s.get(path(user)).await?;
    let lost = format!("{} loses every session, membership and token", found.name);
    if !s.is_dry_run() {
        note(&lost);
    }
    s.confirm_shown(&found.name).await?;
    let ask = Ask::delete(path(&found.id), &Confirm { confirm: Some(found.name.clone()) });
    if s.at_once::<serde_json::Value>(ask, &format!("remove {}: {lost}", found.name)).await?.is_some() {
        note(format!("{} is removed", found.name));
    }
    Ok(())
}

async fn link(s: &Session, ask: Ask, would: &str) -> Outcome<()> {
    if let Some(made) = s.at_once::<LinkMade>(ask, would).await? {
        s.show(&made)?;
        note("this is the only time the link is shown");
    }
    Ok(())
}

fn roles(all: &[ProjectRole]) -> String {
    let each = all.iter().map(|r| format!("{} in {}", r.role.as_str(), r.project));
    each.collect::<Vec<_>>().join(", ")
}

impl Row for User {
    const NONE: &'static str = "no users; `mainstay user first-link` makes a link for the first administrator";
    const HEADER: &'static [&'static str] = &["name", "e-mail", "administrator", "roles", "last seen", "disabled", "id"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.email.clone(),
            yes_no(self.administrator),
            roles(&self.roles),
            or_dash(self.last_seen_at, local),
            or_dash(self.disabled_at, local),
            self.id.clone(),
        ]
    }
}

impl Show for User {
    fn people(&self) -> String {
        card(&[
            ("name", self.name.clone()),
            ("e-mail", self.email.clone()),
            ("administrator", yes_no(self.administrator)),
            ("roles", roles(&self.roles)),
            ("created", local(self.created_at)),
            ("last seen", or_dash(self.last_seen_at, local)),
            ("disabled", or_dash(self.disabled_at, local)),
            ("id", self.id.clone()),
        ])
    }
}

impl Show for Me {
    fn people(&self) -> String {
        card(&[
            ("kind", self.kind.clone()),
            ("name", self.name.clone()),
            ("administrator", yes_no(self.administrator)),
            ("roles", roles(&self.roles)),
            ("asked from", self.address.clone()),
        ])
    }
}
