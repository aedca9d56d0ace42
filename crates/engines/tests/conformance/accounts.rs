//! Who may come in, and what they may do.

use crate::bed::*;
use mainstay_model::{Secret, credentials::Credentials};
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_own_their_data_and_nothing_else() {
    everywhere(async |bed| {
        let node = bed.primary("accounts").await;
        bed.keeper().ensure(&node).await.unwrap();
        let user = &node.plan.accounts.user;
        for statement in bed.probe.allowed {
            bed.client(&node).await.run(statement).await.unwrap_or_else(|e| panic!("{statement} is refused: {e}"));
        }
        for statement in bed.probe.forbidden {
            let told = bed.client(&node).await.run(statement).await;
            assert!(told.is_err(), "{statement} is allowed");
            bed.client(&node).await.set_up().await.unwrap_or_else(|e| panic!("{statement} did harm: {e}"));
        }
        let as_somebody = |name: &str, password: &str| Credentials {
            user: name.into(),
            password: Secret::new(password),
            database: user.database.clone(),
        };
        for (name, password) in [(user.user.as_str(), "wrong"), (&user.user, ""), ("nobody", user.password.reveal()), (bed.probe.admin, "")]
        {
            assert!(bed.probe.login(&node, &as_somebody(name, password)).await.is_err(), "{name} came in");
        }
        assert!(is_primary(&bed.look(&node).await));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_argument_log_or_readable_file() {
    everywhere(async |bed| {
        let node = bed.primary("secrets").await;
        drop(bed.client(&node).await);
        let accounts = &node.plan.accounts;
        let service = bed.engine.service(&node);
        let said = format!("{:?} {:?}", service.spec.args, service.spec.env);
        let log = std::fs::read_to_string(&service.spec.log_file).unwrap();
        for secret in [&accounts.user.password, &accounts.admin, &accounts.replication] {
            assert!(!said.contains(secret.reveal()) && !log.contains(secret.reveal()));
        }
        for file in &service.files {
            let mode = std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.path.display());
        }
        let mode = std::fs::metadata(&node.paths.data).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_leaves_sessions_alone_and_lasts() {
    everywhere(async |bed| {
        let (mut primary, before) = {
            let node = bed.primary("rotated").await;
            (node.clone(), node)
        };
        let mut replica = bed.replica(&primary, 2).await;
        let mut open = bed.client(&primary).await;
        open.set_up().await.unwrap();
        open.write(1).await.unwrap();
        for node in [&mut primary, &mut replica] {
            node.plan.accounts.user.password = Secret::new("n'ew \\pass\"word");
            node.plan.accounts.replication = Secret::new("new:repl\\ication");
        }
        // The primary first, then its replicas, as a rotation does.
        for node in [&primary, &replica] {
            bed.keeper().ensure(node).await.unwrap();
            bed.keeper().ensure(node).await.unwrap();
        }
        open.write(2).await.expect("an open session goes on");
        let refuses_old = async |node: &_| bed.probe.login(node, &before.plan.accounts.user).await.is_err();
        for _ in 0..2 {
            for node in [&primary, &replica] {
                let old = Credentials { ..before.plan.accounts.user.clone() };
                eventually("the old password is refused", async || bed.probe.login(node, &old).await.is_err()).await;
                eventually("the new one is not", async || bed.probe.login(node, &node.plan.accounts.user).await.is_ok()).await;
            }
            assert!(refuses_old(&primary).await);
            // A restart must not bring it back, and the replica must find its way with the new one.
            for node in [&primary, &replica] {
                bed.stop(node).await;
            }
            bed.run(&primary, is_primary).await;
            bed.run(&replica, is_in_step).await;
        }
        bed.same_numbers(&replica, &primary).await;
        assert_eq!(bed.numbers(&primary).await.len(), 2);
    })
    .await;
}
