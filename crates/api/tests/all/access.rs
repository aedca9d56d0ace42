//! Every route with every role: who may, and who may not; and the audit of both.

use crate::support::{Served, serve};
use mainstay_api::{Endpoint, Need};
use mainstay_model::{TokenId, role::Role};
use mainstay_store::tokens::TokenRow;
use serde_json::json;

/// The path with names that nobody has, so that nothing is done to anything.
fn concrete(endpoint: &Endpoint) -> String {
    // Of a project the rights are those in that very one.
    let path = endpoint.path.replace("/projects/{id}", "/projects/default");
    path.replace("{id}", "nobody")
        .replace("{node}", "nobody-1")
        .replace("{name}", "nothing")
        .replace("{user}", "nobody")
        .replace("{invitation}", "nothing")
}

/// A body that reads, for routes that refuse an empty one before they look further.
pub fn body(endpoint: &Endpoint) -> serde_json::Value {
    match endpoint.id {
        "createCluster" => json!({ "name": "x", "engine": "nothing" }),
        "planRestore" | "runRestore" => json!({ "backup": "nobody", "new": "abc" }),
        "addRecoveryKey" => json!({ "name": "laptop" }),
        "lookForBackups" => json!({ "storage": "nobody", "key": "x" }),
        "recoverCluster" => json!({ "storage": "nobody", "key": "x", "cluster": "abc" }),
        "addNotifier" => json!({ "name": "x", "kind": "pigeon" }),
        "addStorage" => json!({ "name": "x", "kind": "tape" }),
        "copyBackup" => json!({ "storage": "local" }),
        "createToken" => json!({ "name": "x", "role": "viewer" }),
        "signIn" => json!({ "user": "x", "password": "x" }),
        "lookAtLink" => json!({ "token": "x" }),
        "acceptLink" => json!({ "token": "x", "password": "x" }),
        "changePassword" => json!({ "current": "x", "new": "x" }),
        "createProject" => json!({ "name": "x" }),
        "addMember" => json!({ "user": "nobody", "role": "viewer" }),
        "setMemberRole" => json!({ "role": "viewer" }),
        "inviteMember" => json!({ "email": "x", "role": "viewer" }),
        "setAllowList" => json!({ "allow_list": [] }),
        "setAssertions" => json!({ "assertions": [] }),
        "setPointInTime" => json!({ "on": true }),
        "patchSettings" => json!({ "settings": {} }),
        _ => json!({}),
    }
}

async fn status(s: &Served, endpoint: &Endpoint, token: Option<&str>) -> u16 {
    let content = (endpoint.method.as_str() != "GET").then(|| body(endpoint));
    s.send(endpoint.method.as_str(), &concrete(endpoint), token, content, &[]).await.status().as_u16()
}

#[tokio::test]
async fn every_route_by_every_role() {
    let s = serve().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, s.token(role.as_str(), role, &s.project).await));
    }
    let mut rows = 0;
    for endpoint in mainstay_api::endpoints() {
        let nobody = status(&s, &endpoint, None).await;
        if endpoint.need == Need::Open {
            assert_eq!(nobody, 403, "{} without the header that pages of ours send", endpoint.id);
            continue;
        }
        assert_eq!(nobody, 401, "{} without a token", endpoint.id);
        for (role, token) in &tokens {
            let may = match endpoint.need {
                Need::Role(needed) => role.covers(needed),
                need => need == Need::Known,
            };
            let got = status(&s, &endpoint, Some(token)).await;
            assert_eq!(got != 403, may, "{} as {}: {got}", endpoint.id, role.as_str());
            assert!(got < 500 && got != 401, "{} as {}: {got}", endpoint.id, role.as_str());
            rows += 1;
        }
        let got = status(&s, &endpoint, Some(&s.admin)).await;
        assert!(got != 403 && got != 401 && got < 500, "{} as administrator: {got}", endpoint.id);
    }
    assert!(rows > 200, "the table has shrunk: {rows}");
}

/// What each role may not, said once more by hand: a slip in the table must not pass for its test.
#[test]
fn the_table_says_what_was_agreed() {
    let need = |id: &str| mainstay_api::endpoints().into_iter().find(|e| e.id == id).unwrap_or_else(|| panic!("{id}")).need;
    let agreed = [
        (
            Need::Role(Role::Viewer),
            "listClusters showCluster listBackups showBackup listSchedules showSchedule previewSchedule planRestore listOperations watchOperation \
             followChanges listPlans listStorages listNotifiers showNotifier listAlerts showAlert listDrills listAssertions \
             listGroups showGroup listGroupBackups showGroupBackup listGroupSchedules previewGroupSchedule",
        ),
        (
            Need::Role(Role::Operator),
            "createBackup copyBackup verifyBackup drillBackup pinBackup undeleteBackup testNotifier acknowledgeAlert \
             backUpGroup restoreGroup pinGroupBackup unpinGroupBackup \
             runRestore rebootNode startCluster restartCluster",
        ),
        (
            Need::Role(Role::Admin),
            "createCluster stopCluster rotateCredentials showCredentials setAllowList patchSettings addNode removeNode promoteNode \
             resyncCluster createGroup setGroup deleteGroup setGroupSchedule setSchedule pauseSchedule resumeSchedule removeSchedule downloadBackup deleteBackup setBackupPolicy applyBackupPolicy undoRestore setAssertions tryAssertions openTerminal \
             listAudit exportAudit",
        ),
        (
            Need::Role(Role::Owner),
            "deleteCluster undeleteCluster exportRecoveryKey exportRecoveryKit addRecoveryKey rotateRecoveryKey removeRecoveryKey inviteMember listInvitations withdrawInvitation setMemberRole removeMember lookForBackups recoverCluster addStorage removeStorage addNotifier setNotifier removeNotifier listTokens createToken revokeToken",
        ),
        (Need::Known, "showMe patchMe changePassword listSessions endSession endOtherSessions signOut listProjects"),
        (Need::Open, "signIn lookAtLink acceptLink"),
        (Need::Administrator, "listUsers showUser patchUser deleteUser createPasswordLink createFirstLink createProject addMember"),
        (Need::Administrator, "verifyAudit listControlPlaneBackups backUpControlPlane"),
    ];
    for (expected, ids) in agreed {
        for id in ids.split_whitespace() {
            assert_eq!(need(id), expected, "{id}");
        }
    }
}

#[tokio::test]
async fn acts_and_refusals_are_in_the_audit_and_the_chain_holds() {
    let s = serve().await;
    s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await;
    let viewer = s.token("viewer-one", Role::Viewer, &s.project).await;
    let admin = s.token("admin-one", Role::Admin, &s.project).await;
    assert_eq!(s.send("POST", "/clusters/shop/stop", Some(&viewer), None, &[]).await.status(), 403);
    assert_eq!(s.send("POST", "/clusters/shop/stop", None, None, &[]).await.status(), 401);
    s.admin("PATCH", "/clusters/shop", json!({ "protected": true })).await;
    s.admin("POST", "/projects/default/recovery-key", json!({})).await;

    let of_shop = s.audit("object=shop").await;
    let shows = |actor: &str, action: &str, result: &str| {
        of_shop.iter().find(|r| r[..3] == [actor, action, result]).unwrap_or_else(|| panic!("{actor} {action} {result}: {of_shop:?}"))
    };
    assert!(shows("token:administrator", "createCluster", "done")[4].contains("op_"));
    assert!(shows("token:viewer-one", "stopCluster", "refused")[4].contains("needs the role admin"));
    assert!(shows("token:administrator", "patchCluster", "done")[4].contains(r#"{"protected":true}"#));
    assert!(s.audit("result=refused&action=stopCluster").await.iter().any(|r| r[0] == "anonymous" && r[3] == "shop"));

    let everything = s.get("/audit").await.to_string();
    let key = mainstay_control::projects::recovery_key(&s.app, &s.project.id).await.unwrap();
    assert!(everything.contains("exportRecoveryKey") && !everything.contains(key.reveal()), "a secret in the audit");
    assert!(everything.contains("127.0.0.1"));
    // An admin of the project sees what was refused in it.
    let seen: serde_json::Value = s.send("GET", "/audit?result=refused", Some(&admin), None, &[]).await.json().await.unwrap();
    assert!(seen.to_string().contains("viewer-one"), "{seen}");
    let (status, verified) = s.admin("POST", "/audit/verify", json!({})).await;
    assert!(status == 200 && verified["rows"].as_u64().unwrap() >= 5, "{verified}");
}

/// Nobody was asked who they are, and still it is known that somebody tried.
#[tokio::test]
async fn what_is_turned_away_at_the_door_is_written_down() {
    let s = serve().await;
    let foreign = s.send("POST", "/clusters", Some(&s.admin), Some(json!({})), &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.status(), 403);
    let renamed = s.send("GET", "/clusters", Some(&s.admin), None, &[("host", "evil.example")]).await;
    assert_eq!(renamed.status(), 421);
    let all = s.audit("action=turnedAway").await;
    assert_eq!(all.len(), 2, "{all:?}");
    for (row, part) in all.iter().zip(["host evil.example", "origin https://evil.example"]) {
        assert!(row[0] == "anonymous" && row[2] == "refused" && row[4].contains(part), "{row:?}");
        assert!(!row[4].contains("mst_"), "{row:?}");
    }
}

#[tokio::test]
async fn a_kit_holds_what_logs_in_and_the_audit_does_not() {
    let s = serve().await;
    s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await;
    let (status, kit) = s.admin("POST", "/projects/default/recovery-kit", json!({})).await;
    assert!(status == 200 && kit["format"] == "mainstay-recovery-kit/1", "{kit}");
    let key = mainstay_control::projects::recovery_key(&s.app, &s.project.id).await.unwrap();
    assert!(kit["key"] == key.reveal() && kit["storages"][0]["name"] == "local", "{kit}");
    let everything = s.get("/audit").await.to_string();
    assert!(everything.contains("exportRecoveryKit") && !everything.contains(key.reveal()), "a secret in the audit");
    assert_eq!(s.get("/projects/default").await["recovery_key_exported"], true);
}

#[tokio::test]
async fn the_audit_is_found_by_address_and_taken_along_as_a_file() {
    let s = serve().await;
    s.admin("POST", "/tokens", json!({ "name": "abc", "role": "viewer" })).await;
    assert!(!s.audit("from=127.0.0.1").await.is_empty());
    assert!(s.audit("from=192.0.2.1").await.is_empty());
    assert_eq!(s.problem("GET", "/audit?from=here", serde_json::Value::Null).await.0, 422);
    let get = |query: &'static str| s.send("GET", query, Some(&s.admin), None, &[]);
    let file = get("/audit/export?action=createToken").await;
    assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"audit.csv\"");
    let text = file.text().await.unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("\"createToken\"") && text.contains("\"127.0.0.1\""), "{text}");
    let rows: serde_json::Value = get("/audit/export?format=json&result=done").await.json().await.unwrap();
    assert!(rows.as_array().unwrap().iter().any(|r| r["action"] == "exportAudit"), "taking it along is in it too: {rows}");
    assert_eq!(get("/audit/export?format=pdf").await.status(), 422);
}

#[tokio::test]
async fn strangers_cannot_fill_the_audit() {
    let s = serve().await;
    for _ in 0..60 {
        s.send("POST", "/clusters", None, Some(json!({ "name": "abc", "engine": "ledger" })), &[]).await;
    }
    let rows = s.audit("actor=anonymous").await.len();
    assert!((1..=30).contains(&rows), "{rows}");
}

#[tokio::test]
async fn a_token_typed_in_place_of_its_id_is_written_nowhere() {
    let s = serve().await;
    let token = s.token("mistaken", Role::Viewer, &s.project).await;
    let response = s.send("DELETE", &format!("/tokens/{token}"), Some(&s.admin), None, &[]).await;
    assert_eq!(response.status(), 404);
    assert!(!response.text().await.unwrap().contains(&token));
    assert!(!s.get("/audit").await.to_string().contains(&token));
}

#[tokio::test]
async fn tokens_that_ended_open_nothing() {
    let s = serve().await;
    let (_, made) = s.admin("POST", "/tokens", json!({ "name": "short", "role": "viewer" })).await;
    let token = made["token"].as_str().unwrap().to_string();
    assert_eq!(s.send("GET", "/clusters", Some(&token), None, &[]).await.status(), 200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(s.send("DELETE", &format!("/tokens/{id}"), Some(&s.admin), None, &[]).await.status(), 204);
    assert_eq!(s.send("GET", "/clusters", Some(&token), None, &[]).await.status(), 401);

    let past = TokenRow {
        id: TokenId::new(),
        name: "past".into(),
        project: Some(s.project.id.clone()),
        role: Role::Owner,
        is_administrator: false,
        hash: mainstay_control::tokens::hash("mst_past"),
        created_at: s.app.now(),
        expires_at: Some(s.app.now().plus_seconds(-1)),
        last_used_at: None,
        revoked_at: None,
        made_by: None,
    };
    let mut tx = s.app.store.begin_write().await.unwrap();
    mainstay_store::tokens::insert(&mut tx, &past).await.unwrap();
    mainstay_store::commit(tx).await.unwrap();
    let refused = s.send("GET", "/clusters", Some("mst_past"), None, &[]).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
}

#[tokio::test]
async fn guessing_is_slow_and_locks_nobody_out() {
    let s = serve().await;
    let mut last = s.send("GET", "/clusters", Some("mst_guess"), None, &[]).await;
    for _ in 0..40 {
        last = s.send("GET", "/clusters", Some("mst_guess"), None, &[]).await;
    }
    assert_eq!(last.status(), 429);
    assert!(last.headers().contains_key("retry-after"));
    assert_eq!(s.send("GET", "/clusters", Some(&s.admin), None, &[]).await.status(), 200);
}

#[tokio::test]
async fn the_use_of_a_token_is_noted() {
    let s = serve().await;
    s.get("/clusters").await;
    for _ in 0..100 {
        if s.get("/tokens").await["items"][0]["last_used_at"].is_string() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never noted");
}
