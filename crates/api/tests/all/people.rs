//! People: first start, invitations, signing in and out, what ends a session, and who may do what where.

use crate::support::{Served, serve};
use mainstay_control::people;
use mainstay_model::role::Role;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const CSRF: (&str, &str) = ("x-mainstay-csrf", "1");

/// A browser: a cookie, and the header that pages of ours send.
pub struct Browser<'a> {
    s: &'a Served,
    pub cookie: String,
}

impl Browser<'_> {
    async fn send(&self, method: &str, path: &str, body: Value) -> Response {
        let body = (method != "GET" && !body.is_null()).then_some(body);
        self.s.send(method, path, None, body, &[("cookie", &self.cookie), CSRF]).await
    }
    pub async fn status(&self, method: &str, path: &str, body: Value) -> u16 {
        self.send(method, path, body).await.status().as_u16()
    }
    pub async fn json(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, body).await;
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap_or_default()
    }
}

async fn open(s: &Served, path: &str, body: Value) -> Response {
    s.send("POST", path, None, Some(body), &[CSRF]).await
}

fn browser<'a>(s: &'a Served, answer: &Response) -> Browser<'a> {
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("mainstay_session=mss_") && set.contains("HttpOnly; SameSite=Strict") && !set.contains("Secure"), "{set}");
    Browser { s, cookie: set.split(';').next().unwrap().to_string() }
}

pub async fn first(s: &Served) -> Browser<'_> {
    let token = people::ensure_first_link(&s.app).await.unwrap().unwrap();
    let body = json!({ "token": token.reveal(), "name": "Ada", "email": "ada@db.example", "password": PASSWORD });
    let answer = open(s, "/welcome", body).await;
    assert_eq!(answer.status(), 201);
    browser(s, &answer)
}

pub async fn sign_in<'a>(s: &'a Served, user: &str) -> Browser<'a> {
    let answer = open(s, "/session", json!({ "user": user, "password": PASSWORD })).await;
    assert_eq!(answer.status(), 200);
    browser(s, &answer)
}

/// Invites and accepts: a new person with a role in a project.
pub async fn member<'a>(by: &Browser<'a>, project: &str, name: &str, role: &str) -> Browser<'a> {
    let path = format!("/projects/{project}/invitations");
    let made = by.json("POST", &path, json!({ "email": format!("{name}@db.example"), "role": role })).await;
    let token = made["path"].as_str().unwrap().split_once("#token=").unwrap().1;
    let answer = open(by.s, "/welcome", json!({ "token": token, "name": name, "password": PASSWORD })).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    browser(by.s, &answer)
}

async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, answer.json::<Value>().await.unwrap_or_default()["code"].as_str().unwrap_or_default().into())
}

#[tokio::test]
async fn the_first_start_link_makes_one_administrator_once() {
    let s = serve().await;
    let old = people::ensure_first_link(&s.app).await.unwrap().unwrap();
    let token = people::ensure_first_link(&s.app).await.unwrap().unwrap();
    let body = |token: &str| json!({ "token": token, "name": "Ada", "email": "ada@db.example", "password": PASSWORD });
    // A new one takes the place of the one before; neither is a guess away.
    for bad in [old.reveal(), "msl_guess", ""] {
        assert_eq!(code(open(&s, "/welcome", body(bad)).await).await, (404, "link_used".into()), "{bad}");
        assert_eq!(open(&s, "/welcome/look", json!({ "token": bad })).await.status(), 404);
    }
    let shown: Value = open(&s, "/welcome/look", json!({ "token": token.reveal() })).await.json().await.unwrap();
    assert_eq!((shown["kind"].as_str(), shown["known"].as_bool()), (Some("first"), Some(false)), "{shown}");
    // What is wrong in the form does not use it up.
    for (field, value) in [("password", json!("short")), ("email", json!("nothing")), ("name", json!("a@b.example"))] {
        let mut bad = body(token.reveal());
        bad[field] = value;
        let answer: Value = open(&s, "/welcome", bad).await.json().await.unwrap();
        assert_eq!(answer["field"].as_str(), Some(field), "{answer}");
    }
    let answer = open(&s, "/welcome", body(token.reveal())).await;
    assert_eq!(answer.status(), 201);
    let ada = browser(&s, &answer);
    let me = ada.json("GET", "/me", Value::Null).await;
    assert_eq!((me["administrator"].as_bool(), me["roles"][0]["role"].as_str()), (Some(true), Some("owner")), "{me}");
    assert_eq!(code(open(&s, "/welcome", body(token.reveal())).await).await, (404, "link_used".into()));
    assert!(people::ensure_first_link(&s.app).await.unwrap().is_none(), "nobody else becomes the first");
    assert_eq!(s.admin("POST", "/users/first-link", json!({})).await.0, 409);
}

#[tokio::test]
async fn nobody_is_told_whether_name_or_password_was_wrong() {
    let s = serve().await;
    first(&s).await;
    let mut answers = Vec::new();
    for (user, password) in [("Ada", "wrong horse battery"), ("nobody", PASSWORD), ("ada@db.example ", "x"), ("", "")] {
        let answer = open(&s, "/session", json!({ "user": user, "password": password })).await;
        assert!(!answer.headers().contains_key("set-cookie"));
        let mut problem: Value = answer.json().await.unwrap();
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push(problem);
    }
    assert!(
        answers.iter().all(|a| a == &answers[0] && a["status"] == 401 && a["detail"] == "user name or password is wrong"),
        "{answers:?}"
    );
    for right in ["ada", "ADA", " ada@db.example"] {
        sign_in(&s, right).await;
    }
}

#[tokio::test]
async fn guessing_passwords_ends_with_how_long_to_wait() {
    let s = serve().await;
    first(&s).await;
    let mut last = None;
    for _ in 0..30 {
        let answer = open(&s, "/session", json!({ "user": "Ada", "password": "wrong" })).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            last = Some(answer);
            break;
        }
    }
    let last = last.expect("limited");
    let wait: u64 = last.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // A session that is open goes on.
    assert_eq!(s.send("GET", "/clusters", Some(&s.admin), None, &[]).await.status(), 200);
}

#[tokio::test]
async fn a_session_does_nothing_that_the_page_did_not_ask_for() {
    let s = serve().await;
    let ada = first(&s).await;
    let post = |headers: Vec<(&'static str, String)>| {
        let s = &s;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
            code(s.send("POST", "/projects", None, Some(json!({ "name": "evil" })), &headers).await).await
        }
    };
    let cookie = ("cookie", ada.cookie.clone());
    let csrf = ("x-mainstay-csrf", "1".to_string());
    for forged in [
        vec![cookie.clone()],
        vec![cookie.clone(), csrf.clone(), ("origin", "https://evil.example".into())],
        vec![cookie.clone(), csrf.clone(), ("sec-fetch-site", "cross-site".into())],
    ] {
        assert_eq!(post(forged).await, (403, "csrf".into()));
    }
    // Signing in is protected as well: nobody is made to work in a stranger's account.
    let login = s.send("POST", "/session", None, Some(json!({ "user": "Ada", "password": PASSWORD })), &[]).await;
    assert_eq!(code(login).await, (403, "csrf".into()));
    let origin = ("origin", s.url.clone());
    assert_eq!(post(vec![cookie.clone(), csrf, origin]).await, (201, String::new()));
    // Looking needs the cookie alone, and a token needs no header.
    assert_eq!(s.send("GET", "/clusters", None, None, &[("cookie", &ada.cookie)]).await.status(), 200);
}

#[tokio::test]
async fn sessions_end_by_hand_with_the_password_and_with_the_person() {
    let s = serve().await;
    let ada = first(&s).await;
    let (one, two) = (sign_in(&s, "ada").await, sign_in(&s, "ada").await);
    let list = one.json("GET", "/me/sessions", Value::Null).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), items.iter().filter(|i| i["current"] == true).count()), (3, 1), "{list}");

    // Signing out ends it for good, not only in the browser.
    assert_eq!(ada.status("DELETE", "/session", Value::Null).await, 204);
    assert_eq!(ada.status("GET", "/me", Value::Null).await, 401);

    let wrong = two.send("POST", "/me/password", json!({ "current": "no", "new": "another good password" })).await;
    let wrong: Value = wrong.json().await.unwrap();
    assert_eq!((wrong["status"].as_u64(), wrong["field"].as_str()), (Some(422), Some("current")), "{wrong}");
    let ended = two.json("POST", "/me/password", json!({ "current": PASSWORD, "new": "another good password" })).await;
    assert_eq!(ended["ended"], 1);
    assert_eq!((one.status("GET", "/me", Value::Null).await, two.status("GET", "/me", Value::Null).await), (401, 200));
    assert_eq!(open(&s, "/session", json!({ "user": "ada", "password": PASSWORD })).await.status(), 401);
    assert!(!s.get("/audit").await.to_string().contains("another good"), "a password in the audit");

    let bob = member(&two, "default", "bob", "viewer").await;
    let other = sign_in(&s, "bob").await;
    assert_eq!(bob.json("DELETE", "/me/sessions", json!({})).await["ended"], 1);
    assert_eq!(other.status("GET", "/me", Value::Null).await, 401);
    two.json("PATCH", "/users/bob", json!({ "disabled": true })).await;
    assert_eq!(bob.status("GET", "/me", Value::Null).await, 401);
    assert_eq!(open(&s, "/session", json!({ "user": "bob", "password": PASSWORD })).await.status(), 401);
    two.json("PATCH", "/users/bob", json!({ "disabled": false })).await;
    let bob = sign_in(&s, "bob").await;
    two.json("DELETE", "/projects/default/members/bob", Value::Null).await;
    assert_eq!(bob.status("GET", "/clusters", Value::Null).await, 401, "who has no role left is signed out");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_or_old() {
    use mainstay_model::Time;
    let s = serve().await;
    let ada = first(&s).await;
    let (user, _) = mainstay_store::users::named(&mut s.app.store.read().await.unwrap(), "ada").await.unwrap().unwrap();
    let session = people::sessions(&s.app, &user.id).await.unwrap().remove(0);
    assert!(session.expires_at <= s.app.now().plus_days(7));
    let touch = |at: Time| {
        let (s, id) = (&s, session.id.clone());
        async move {
            let mut tx = s.app.store.begin_write().await.unwrap();
            mainstay_store::sessions::touch(&mut tx, &id, at).await.unwrap();
            mainstay_store::commit(tx).await.unwrap();
        }
    };
    touch(s.app.now().plus_seconds(-people::IDLE_SECONDS + 60)).await;
    assert_eq!(ada.status("GET", "/me", Value::Null).await, 200);
    touch(s.app.now().plus_seconds(-people::IDLE_SECONDS - 1)).await;
    assert_eq!(ada.status("GET", "/me", Value::Null).await, 401);
    people::forget(&s.app).await.unwrap();
    assert!(mainstay_store::sessions::get(&mut s.app.store.read().await.unwrap(), &session.id).await.unwrap().is_none());
}

#[tokio::test]
async fn rights_are_those_of_each_project() {
    let s = serve().await;
    let ada = first(&s).await;
    ada.json("POST", "/projects", json!({ "name": "lab" })).await;
    let bob = member(&ada, "default", "bob", "viewer").await;
    // The same person, invited to another project: the password is theirs of today, not a new one.
    let made = ada.json("POST", "/projects/lab/invitations", json!({ "email": "BOB@db.example", "role": "owner" })).await;
    let token = made["path"].as_str().unwrap().split_once("#token=").unwrap().1;
    let shown: Value = open(&s, "/welcome/look", json!({ "token": token })).await.json().await.unwrap();
    assert_eq!((shown["known"].as_bool(), shown["project"].as_str()), (Some(true), Some("lab")));
    assert_eq!(open(&s, "/welcome", json!({ "token": token, "password": "not bobs password" })).await.status(), 401);
    assert_eq!(open(&s, "/welcome", json!({ "token": token, "password": PASSWORD })).await.status(), 201);

    let me = bob.json("GET", "/me", Value::Null).await;
    assert_eq!(me["roles"].as_array().unwrap().len(), 2, "{me}");
    let cluster = json!({ "name": "shop", "engine": "nothing" });
    assert_eq!(bob.status("POST", "/clusters?project=default", cluster.clone()).await, 403);
    assert_ne!(bob.status("POST", "/clusters?project=lab", cluster).await, 403);
    // An owner there is no owner here, whatever project the query names.
    assert_eq!(
        bob.status("POST", "/projects/default/invitations?project=lab", json!({ "email": "x@db.example", "role": "owner" })).await,
        403
    );
    let token = json!({ "name": "abc", "role": "owner", "project": "default" });
    assert_eq!(bob.status("POST", "/tokens?project=lab", token).await, 403);
    assert_eq!(bob.status("GET", "/users", Value::Null).await, 403);
    // What they are no member of is not there.
    ada.json("POST", "/projects", json!({ "name": "secret" })).await;
    for path in ["/projects/secret", "/projects/secret/members", "/clusters?project=secret"] {
        assert_eq!(bob.status("GET", path, Value::Null).await, 404, "{path}");
    }
    let seen = bob.json("GET", "/projects", Value::Null).await;
    assert_eq!(seen["items"].as_array().unwrap().len(), 2, "{seen}");
    // A project of their own has its own storage.
    let storages = ada.json("GET", "/storages?project=secret", Value::Null).await;
    assert!(storages["items"][0]["location"].as_str().unwrap().contains("local-pj_"), "{storages}");
}

#[tokio::test]
async fn the_last_owner_and_the_last_administrator_stay() {
    let s = serve().await;
    let ada = first(&s).await;
    let id = ada.json("GET", "/me", Value::Null).await["id"].as_str().unwrap().to_string();
    for (method, path, body, expected) in [
        ("PATCH", format!("/projects/default/members/{id}"), json!({ "role": "admin" }), "last_owner"),
        ("DELETE", format!("/projects/default/members/{id}"), Value::Null, "last_owner"),
        ("PATCH", "/users/ada".into(), json!({ "administrator": false }), "last_admin"),
        ("PATCH", "/users/ada".into(), json!({ "disabled": true }), "last_admin"),
        ("DELETE", "/users/ada".into(), json!({ "confirm": "Ada" }), "last_admin"),
        ("DELETE", "/users/ada".into(), json!({ "confirm": "ada" }), "confirmation_mismatch"),
    ] {
        assert_eq!(code(ada.send(method, &path, body).await).await.1, expected, "{method} {path}");
    }
    let bob = member(&ada, "default", "bob", "operator").await;
    ada.json("PATCH", "/projects/default/members/bob", json!({ "role": "owner" })).await;
    ada.json("PATCH", "/users/bob", json!({ "administrator": true })).await;
    // Now somebody else is both. A token goes with the rights of who made it.
    let made = ada.json("POST", "/tokens", json!({ "name": "abc", "role": "owner" })).await;
    let token = made["token"].as_str().unwrap().to_string();
    assert_eq!(s.send("GET", "/clusters", Some(&token), None, &[]).await.status(), 200);
    bob.json("PATCH", &format!("/projects/default/members/{id}"), json!({ "role": "viewer" })).await;
    assert_eq!(s.send("GET", "/clusters", Some(&token), None, &[]).await.status(), 401);
    assert_eq!(bob.status("DELETE", "/users/Ada", json!({ "confirm": "Ada" })).await, 204);
    assert_eq!(ada.status("GET", "/me", Value::Null).await, 401);
}

#[tokio::test]
async fn a_profile_is_ones_own() {
    let s = serve().await;
    let ada = first(&s).await;
    let me = ada.json("PATCH", "/me", json!({ "name": "Ada L", "preferences": { "theme": "dark" } })).await;
    assert_eq!((me["name"].as_str(), me["preferences"]["theme"].as_str()), (Some("Ada L"), Some("dark")));
    // Taking the account over needs the password, not only an open browser.
    let refused: Value = ada.send("PATCH", "/me", json!({ "email": "eve@db.example" })).await.json().await.unwrap();
    assert_eq!(refused["field"], "password", "{refused}");
    let me = ada.json("PATCH", "/me", json!({ "email": "ada@new.example", "password": PASSWORD })).await;
    assert_eq!((me["email"].as_str(), me["preferences"]["theme"].as_str()), (Some("ada@new.example"), Some("dark")));
    let large = json!({ "preferences": { "x": "y".repeat(9000) } });
    assert_eq!(ada.status("PATCH", "/me", large).await, 422);
    for mass in [json!({ "administrator": true }), json!({ "role": "owner" }), json!({ "id": "us_x" })] {
        assert_eq!(code(ada.send("PATCH", "/me", mass).await).await.1, "unknown_field");
    }
    let bob = member(&ada, "default", "bob", "viewer").await;
    assert_eq!(code(bob.send("PATCH", "/me", json!({ "name": "ADA L" })).await).await, (409, "user_taken".into()));
    // A token is nobody's profile.
    let (status, me) = s.admin("GET", "/me", Value::Null).await;
    assert_eq!((status.as_u16(), me["kind"].as_str(), me["session"].is_null()), (200, Some("token"), true), "{me}");
    assert_eq!(s.admin("PATCH", "/me", json!({ "name": "x" })).await.0, 409);
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_a_link() {
    let s = serve().await;
    let ada = first(&s).await;
    let bob = member(&ada, "default", "bob", "viewer").await;
    let link = |made: Value| made["path"].as_str().unwrap().split_once("#token=").unwrap().1.to_string();
    let old = link(ada.json("POST", "/users/bob/password-link", json!({})).await);
    let made = ada.json("POST", "/users/bob/password-link", json!({})).await;
    assert!(made["url"].as_str().unwrap().starts_with(&s.url), "{made}");
    let token = link(made);
    let new = "another good password";
    assert_eq!(open(&s, "/welcome", json!({ "token": old, "password": new })).await.status(), 404);
    assert_eq!(bob.status("GET", "/me", Value::Null).await, 200, "until it is used nothing ends");
    assert_eq!(open(&s, "/welcome", json!({ "token": token, "password": new })).await.status(), 201);
    assert_eq!(bob.status("GET", "/me", Value::Null).await, 401);
    assert_eq!(open(&s, "/session", json!({ "user": "bob", "password": PASSWORD })).await.status(), 401);
    assert_eq!(open(&s, "/session", json!({ "user": "bob", "password": new })).await.status(), 200);
}

#[tokio::test]
async fn who_signed_in_and_who_did_not_is_in_the_audit() {
    let s = serve().await;
    let ada = first(&s).await;
    open(&s, "/session", json!({ "user": "ada", "password": "hunter2hunter2" })).await;
    open(&s, "/session", json!({ "user": "hunter2hunter2", "password": "x" })).await;
    ada.json("POST", "/projects/default/invitations", json!({ "email": "bob@db.example", "role": "viewer" })).await;
    let rows = s.audit("").await;
    let has = |actor: &str, action: &str, result: &str, object: &str| {
        assert!(rows.iter().any(|r| r[..4] == [actor, action, result, object]), "{actor} {action}: {rows:?}");
    };
    has("user:Ada", "acceptLink", "done", "Ada");
    has("anonymous", "signIn", "refused", "Ada");
    has("user:Ada", "inviteMember", "done", "default");
    let text = s.get("/audit").await.to_string();
    assert!(!text.contains("hunter2") && !text.contains("msl_") && !text.contains("mss_"), "{text}");
    // A project's own admins do not read who signs in to the installation.
    let admin = s.token("reader", Role::Admin, &s.project).await;
    let seen: Value = s.send("GET", "/audit", Some(&admin), None, &[]).await.json().await.unwrap();
    assert!(!seen.to_string().contains("signIn"), "{seen}");
}
