//! A throw-away instance: what may be asked of it, what its own tools say, and that nothing of it gets
//! out of this host's network.

use crate::bed::*;
use mainstay_drivers::{
    engine::{ANSWER_BYTES, Node},
    runtime::{InstanceId, StopMode},
};
use mainstay_model::Kind;
use std::{net::TcpListener, time::Duration};

const WITHIN: Duration = Duration::from_secs(20);

async fn ask(bed: &Bed, node: &Node, question: &str) -> mainstay_model::Result<String> {
    bed.engine.questions().expect("every engine here can be asked").ask(node, question, WITHIN).await
}

/// The same on a served node and on a throw-away one.
async fn answers(bed: &Bed, node: &Node) {
    for (question, answer) in bed.probe.questions {
        assert_eq!(ask(bed, node, question).await.as_deref(), Ok(*answer), "{question}");
    }
    for question in bed.probe.no_questions {
        let e = ask(bed, node, question).await.expect_err(question);
        assert!(matches!(e.kind, Kind::Failed | Kind::Invalid), "{question}: {e:?}");
        assert!(!e.message.is_empty() && e.message.len() < ANSWER_BYTES, "{question}");
    }
    for (question, answer) in bed.probe.questions {
        assert_eq!(ask(bed, node, question).await.as_deref(), Ok(*answer), "{question}, after all that");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_answered_and_change_nothing() {
    everywhere(async |bed| {
        let node = bed.primary("asked").await;
        let mut client = bed.client(&node).await;
        client.set_up().await.unwrap();
        for n in 1..=3 {
            client.write(n).await.unwrap();
        }
        answers(bed, &node).await;
        let stored = bed.backup(&node).await;
        let (beside, instance) = throw_away(bed, &node, &stored.snapshot).await;
        answers(bed, &beside).await;
        let proof = bed.backups().prove(&beside, &stored.facts).await.unwrap();
        assert!(!proof.is_empty() && proof.iter().all(|c| !c.failed()), "{proof:?}");
        let log = bed.runtime.logs(&instance, 10_000).await.unwrap();
        let alarms: Vec<_> = log.iter().filter(|line| bed.backups().is_alarm(line)).collect();
        assert!(!log.is_empty() && alarms.is_empty(), "{alarms:?}");
        stays_inside(bed, &beside, &instance).await;
        bed.runtime.stop(&instance, StopMode::Kill).await.unwrap();
        bed.runtime.remove(&instance).await.unwrap();
    })
    .await;
}

/// Restored beside the node and running isolated, checked like every restore.
async fn throw_away(bed: &Bed, node: &Node, snapshot: &str) -> (Node, InstanceId) {
    let beside = bed.beside(node, "drill").await;
    let facts = bed.fetch(&beside, snapshot).await.unwrap();
    bed.backups().prepare(&beside, &facts).await.unwrap();
    let instance = InstanceId(format!("{}.drill", node.plan.id));
    bed.launch(&beside, &instance, Some(0)).await;
    bed.wait(&beside, &instance, is_ready).await;
    let checks = bed.backups().check(&beside, &facts).await.unwrap();
    assert!(checks.iter().all(|c| c.ok), "{checks:?}");
    (beside, instance)
}

/// Even its administrator cannot make it connect to somebody.
async fn stays_inside(bed: &Bed, beside: &Node, instance: &InstanceId) {
    if !rustix::process::geteuid().is_root() {
        return skipped("a network of its own for a throw-away instance: that needs root");
    }
    assert!(bed.runtime.inspect(instance).await.unwrap().is_offline);
    let ear = TcpListener::bind("127.0.0.1:0").unwrap();
    ear.set_nonblocking(true).unwrap();
    let mut at = beside.clone();
    at.plan.port = 1;
    let mut admin = bed.admin(&at).await;
    for statement in (bed.probe.call_out)(ear.local_addr().unwrap().port()) {
        // That it fails says little: that nobody calls says it all.
        if let Err(e) = admin.run(&statement).await {
            eprintln!("{statement}: {e}");
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(ear.accept().is_err(), "it called out");
}
