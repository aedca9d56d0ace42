//! `mainstay member …`

use crate::{
    args::people::MemberVerb,
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, card, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{AddMember, Invitation, Invite, LinkMade, Member, SetRole};
use mainstay_client::segment;
use mainstay_model::role::Role;

pub async fn run(s: &Session, verb: MemberVerb) -> Outcome {
    match verb {
        MemberVerb::List => s.show(&s.list::<Member>(path(s, ""), &[]).await?)?,
        MemberVerb::Invite { email, role, expires } => invite(s, email, &role, expires).await?,
        MemberVerb::Invitations => s.show(&s.list::<Invitation>(project(s, "/invitations"), &[]).await?)?,
        MemberVerb::Withdraw { invitation } => withdraw(s, &invitation).await?,
        MemberVerb::Add { user, role } => add(s, user, &role).await?,
        MemberVerb::Role { user, role } => set_role(s, &user, &role).await?,
        MemberVerb::Remove { user } => remove(s, &user).await?,
    }
    Ok(Exit::Done)
}

fn project(s: &Session, rest: &str) -> String {
    format!("/projects/{}{rest}", segment(s.common.project.as_deref().unwrap_or(mainstay_model::project::DEFAULT)))
}

fn path(s: &Session, user: &str) -> String {
    let rest = if user.is_empty() { String::new() } else { format!("/{}", segment(user)) };
    project(s, &format!("/members{rest}"))
}

fn parsed(role: &str) -> Outcome<Role> {
    Role::parse(role).ok_or_else(|| Failure::usage(format!("no role {role}")))
}

async fn invite(s: &Session, email: String, role: &str, expires: Option<i64>) -> Outcome<()> {
    let would = format!("invite {email} with the role {role}");
    let ask = Ask::post(project(s, "/invitations"), &Invite { email, role: parsed(role)?, expires });
    if let Some(made) = s.at_once::<LinkMade>(ask, &would).await? {
        s.show(&made)?;
        note("this is the only time the link is shown; send it to the person it is for");
    }
    Ok(())
}

async fn withdraw(s: &Session, invitation: &str) -> Outcome<()> {
    let ask = Ask::delete(project(s, &format!("/invitations/{}", segment(invitation))), &nothing());
    if s.at_once::<serde_json::Value>(ask, &format!("make the invitation {invitation} useless")).await?.is_some() {
        note(format!("the link of {invitation} opens nothing any more"));
    }
    Ok(())
}

async fn add(s: &Session, user: String, role: &str) -> Outcome<()> {
    let would = format!("make {user} a member with the role {role}");
    let ask = Ask::post(path(s, ""), &AddMember { user, role: parsed(role)? });
    if let Some(member) = s.at_once::<Member>(ask, &would).await? {
        s.show(&member)?;
    }
    Ok(())
}

async fn set_role(s: &Session, user: &str, role: &str) -> Outcome<()> {
    let ask = Ask::patch(path(s, user), &SetRole { role: parsed(role)? });
    if let Some(member) = s.at_once::<Member>(ask, &format!("give {user} the role {role}")).await? {
        s.show(&member)?;
    }
    Ok(())
}

async fn remove(s: &Session, user: &str) -> Outcome<()> {
    let ask = Ask::delete(path(s, user), &nothing());
    if s.at_once::<serde_json::Value>(ask, &format!("take {user} out of the project")).await?.is_some() {
        note(format!("{user} is no member any more"));
    }
    Ok(())
}

impl Row for Member {
    const NONE: &'static str = "no members";
    const HEADER: &'static [&'static str] = &["name", "e-mail", "role", "since", "last seen", "id"];
    fn cells(&self) -> Vec<String> {
        let role = self.role.as_str();
        let role = if self.administrator { format!("{role}, administrator") } else { role.into() };
        let role = if self.disabled { format!("{role} (disabled)") } else { role };
        vec![self.name.clone(), self.email.clone(), role, local(self.added_at), or_dash(self.last_seen_at, local), self.id.clone()]
    }
}

impl Show for Member {
    fn people(&self) -> String {
        card(&[
            ("name", self.name.clone()),
            ("e-mail", self.email.clone()),
            ("role", self.role.as_str().into()),
            ("administrator", yes_no(self.administrator)),
            ("since", local(self.added_at)),
            ("id", self.id.clone()),
        ])
    }
}

impl Row for Invitation {
    const NONE: &'static str = "no invitations";
    const HEADER: &'static [&'static str] = &["id", "e-mail", "role", "made by", "expires"];
    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.email.clone(), self.role.as_str().into(), self.made_by.clone(), local(self.expires_at)]
    }
}

impl Show for LinkMade {
    fn people(&self) -> String {
        card(&[("link", self.url.clone()), ("expires", or_dash(self.expires_at, local))])
    }
}
