//! Buckets of another server: the ordinary life of a repository there, and object lock, which nobody with the
//! access key can get around.

mod common;

use common::{moto::Moto, *};
use jiff::Timestamp;
use mainstay_drivers::storage::*;
use mainstay_storages::OpenStorages;
use reqwest::Method;
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

fn source(seed: u64) -> Box<dyn Source> {
    list([file("a", noise(seed, 400_000)), file("b", noise(seed + 1, 1000))])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ordinary_life_of_a_repository() {
    let Some(server) = Moto::start().await else { return };
    server.bucket("plain", false).await;
    let reference = server.reference("plain");
    let storages = OpenStorages::with_keep_delete(Duration::ZERO).with_parts(5 << 20);
    let storage = storages.open(&reference, true).await.unwrap();
    let (mut steps, mut files) = sample();
    let large = noise(11, 24 << 20);
    steps.push(file("zz-large", large.clone()));
    files.insert("zz-large".into(), large);
    let stored = storage.put(&label(), list(steps), &quiet()).await.unwrap();
    let sink = Collect::default();
    storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
    assert!(sink.0.lock().unwrap().files == files, "what came back is not what was stored");
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    assert_eq!(storages.discover(&reference.storage).await.unwrap(), [(reference.project.clone(), reference.cluster.clone(), 1)]);
    assert_eq!(storage.lock(&stored.snapshot, DAY).await.unwrap(), None, "a bucket without object lock locks nothing");
    let kept = storage.put(&label(), source(3), &quiet()).await.unwrap();
    storage.delete(std::slice::from_ref(&stored.snapshot)).await.unwrap();
    storage.prune().await.unwrap();
    storage.prune().await.unwrap();
    storage.verify(&kept.snapshot, Depth::Data, &quiet()).await.unwrap();
    storages.remove(&reference).await.unwrap();
    assert_eq!(server.versions("plain").await, []);

    let report = storages.check(&reference.storage).await.unwrap();
    let failed: Vec<_> = report.rows.iter().filter(|r| r.failed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(report.rows.iter().any(|r| r.name == "object_lock" && r.optional), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_outlives_whoever_has_the_key() {
    let Some(server) = Moto::start().await else { return };
    server.bucket("vault", true).await;
    let reference = server.reference("vault");
    let storages = OpenStorages::with_keep_delete(Duration::ZERO);
    let report = storages.check(&reference.storage).await.unwrap();
    for name in ["object_lock", "versioning"] {
        assert!(report.rows.iter().any(|r| r.name == name && r.ok), "{report:#?}");
    }
    let probes = server.versions("vault").await.len();
    let storage = storages.open(&reference, true).await.unwrap();
    let first = storage.put(&label(), source(1), &quiet()).await.unwrap();
    let until = storage.lock(&first.snapshot, 3 * DAY).await.unwrap().expect("this bucket locks");
    let wanted = Timestamp::now().as_second() + 3 * 86_400;
    assert!((until.micros() / 1_000_000 - wanted).abs() < 60, "{until}");

    // Every object of the repository: none can be removed for good, though the key may remove.
    let all: Vec<_> = server.versions("vault").await.into_iter().filter(|(key, _)| !key.contains("probe")).collect();
    assert!(all.len() >= 5 && probes > 0, "config, keys, pack, index and record: {all:?}");
    for (key, version) in &all {
        let refused = server.ask(Method::DELETE, &format!("vault/{key}?versionId={version}"), None).await;
        assert_eq!(refused.status(), 403, "{key}");
    }
    // Longer, never shorter; and a younger backup locks the older packs that it builds on.
    assert_eq!(storage.lock(&first.snapshot, DAY).await.unwrap().map(|t| t < until), Some(true));
    let held = |key: String| {
        let server = &server;
        async move {
            let head = server.ask(Method::HEAD, &format!("vault/{key}"), None).await;
            let text =
                head.headers().get("x-amz-object-lock-retain-until-date").unwrap_or_else(|| panic!("{key}")).to_str().unwrap().to_owned();
            text.parse::<Timestamp>().unwrap().as_second()
        }
    };
    let packs: Vec<&String> = all.iter().map(|(key, _)| key).filter(|key| key.contains("/data/")).collect();
    for pack in &packs {
        assert!(held((*pack).clone()).await >= until.micros() / 1_000_000);
    }
    let second = storage.put(&label(), source(1), &quiet()).await.unwrap();
    let later = storage.lock(&second.snapshot, 9 * DAY).await.unwrap().unwrap().micros() / 1_000_000;
    let mut longer = 0;
    for pack in packs {
        longer += usize::from(held(pack.clone()).await >= later);
    }
    assert!(longer > 0, "the pack with the content is one of the younger backup too");

    // Retention and pruning go on; the bytes stay behind the marks.
    storage.delete(&[first.snapshot, second.snapshot]).await.unwrap();
    storage.prune().await.unwrap();
    storage.prune().await.unwrap();
    let left = server.versions("vault").await;
    assert!(all.iter().all(|object| left.contains(object)), "{left:?}");
    let third = storage.put(&label(), source(5), &quiet()).await.unwrap();
    storage.verify(&third.snapshot, Depth::Data, &quiet()).await.unwrap();
}
