//! Schedules from a second terminal.

use crate::support::Mainstay;
use serde_json::json;

#[test]
fn set_looked_at_and_removed() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    let born = m.cli(&["schedule", "list", "kv-one"]);
    assert_eq!((born[0]["name"].as_str(), born[0]["hours"].as_array()), (Some("default"), Some(&vec![json!(3)])), "{born}");

    let office = ["--days", "mon,fri", "--hours", "9,17", "--time-zone", "America/New_York", "--retention-days", "2", "--keep-last", "5"];
    let set = m.cli(&[&["schedule", "set", "kv-one", "--name", "office"][..], &office[..]].concat());
    let kept = (&set["days"], &set["hours"], &set["time_zone"], &set["retention"], &set["storages"]);
    let wanted = (json!(["mon", "fri"]), json!([9, 17]), json!("America/New_York"), json!({ "days": 2, "keep_last": 5 }), json!(["local"]));
    assert_eq!(kept, (&wanted.0, &wanted.1, &wanted.2, &wanted.3, &wanted.4), "{set}");
    assert_eq!((set["next_runs"].as_array().map(Vec::len), set["enabled"].as_bool()), (Some(5), Some(true)));
    let every = m.cli(&["schedule", "set", "kv-one", "--name", "office", "--days", "every", "--hours", "every"]);
    assert_eq!((&every["id"], every["every_day"].as_bool(), every["every_hour"].as_bool()), (&set["id"], Some(true), Some(true)));

    let preview = m.cli(&["schedule", "preview", "kv-one", "--hours", "3", "--time-zone", "Asia/Kolkata", "--count", "2"]);
    assert!(preview["next_runs"][1].as_str().unwrap().contains("T21:30:00"), "{preview}");
    assert_eq!(m.cli(&["schedule", "show", "kv-one"])["time_zone"], born[0]["time_zone"], "a preview sets nothing");
    let would = m.cli(&["schedule", "set", "kv-one", "--hours", "7", "--dry-run"]);
    assert!(would["sentence"].as_str().unwrap().contains("at 07:00"), "{would}");

    let paused = m.cli(&["schedule", "pause", "kv-one", "--name", "office"]);
    assert_eq!((paused["enabled"].as_bool(), &paused["next_runs"]), (Some(false), &json!([])));
    let id = set["id"].as_str().unwrap();
    assert_eq!(m.cli(&["schedule", "resume", id])["enabled"], true);
    assert_eq!(m.cli(&["schedule", "show", id])["name"], "office");
    m.cli(&["schedule", "remove", id]);
    assert_eq!(m.cli(&["schedule", "list"]).as_array().map(Vec::len), Some(1));
    assert_eq!(m.say(&["schedule", "show", id]).code, 3);
    assert_eq!(m.say(&["schedule", "set", "kv-one", "--time-zone", "Mars/Olympus"]).code, 2);
    assert_eq!(m.cli(&["backup", "drills", "kv-one"]), json!([]));
}

#[test]
fn of_a_group() {
    let m = Mainstay::start();
    for name in ["kv-one", "kv-two", "kv-three"] {
        m.cli(&["cluster", "create", name, "--engine", m.kv()]);
    }
    m.cli(&["group", "create", "store", "kv-one", "kv-two"]);
    let set = m.cli(&["schedule", "set", "--group", "store", "--days", "every", "--hours", "2", "--retention-days", "14"]);
    assert_eq!((&set["group"], &set["cluster"], &set["hours"]), (&json!("store"), &json!(null), &json!([2])), "{set}");
    assert_eq!(m.cli(&["schedule", "list", "--group", "store"]), json!([set]));
    assert_eq!(m.cli(&["schedule", "show", "--group", "store"]), set);
    assert_eq!(m.cli(&["schedule", "list"]).as_array().map(Vec::len), Some(4));
    assert_eq!(m.say(&["schedule", "set", "kv-one", "--group", "store"]).code, 2, "one of the two");
    assert_eq!(m.say(&["schedule", "set", "--hours", "2"]).code, 2, "and not none");
    assert_eq!(m.cli(&["schedule", "pause", "--group", "store"])["enabled"], false);
    assert_eq!(m.cli(&["schedule", "resume", set["id"].as_str().unwrap()])["enabled"], true);
    let seen = m.cli(&["schedule", "preview", "--group", "store", "--hours", "every"]);
    assert_eq!(seen["next_runs"].as_array().map(Vec::len), Some(5));

    let first = m.cli(&["group", "backup", "store"]);
    let changed = m.cli(&["group", "set", "store", "--add", "kv-three", "--remove", "kv-one"]);
    assert_eq!(changed["members"], json!(["kv-two", "kv-three"]));
    assert_eq!(m.say(&["group", "set", "store", "--remove", "kv-one"]).code, 3);
    assert_eq!(m.say(&["group", "set", "store"]).code, 2);
    let second = m.cli(&["group", "backup", "store"]);
    let members = |b: &serde_json::Value| b["parts"].as_array().unwrap().iter().map(|p| p["cluster"].clone()).collect::<Vec<_>>();
    assert_eq!((members(&first), members(&second)), (vec![json!("kv-one"), json!("kv-two")], vec![json!("kv-two"), json!("kv-three")]));
    // The older one is of those it was made of.
    m.cli(&["group", "restore", first["id"].as_str().unwrap(), "--new-suffix", "-old"]);
    assert_eq!(m.cli(&["cluster", "show", "kv-one-old"])["status"], "running");

    let id = second["id"].as_str().unwrap();
    assert_eq!(m.cli(&["group", "pin", id])["pinned"], true);
    let part = m.cli(&["backup", "show", second["parts"][0]["backup_id"].as_str().unwrap()]);
    assert_eq!((&part["pinned"], &part["group_backup"]), (&json!(true), &json!(id)));
    assert_eq!(m.cli(&["group", "unpin", id])["pinned"], false);
    m.cli(&["schedule", "remove", "--group", "store"]);
    assert_eq!(m.cli(&["schedule", "list", "--group", "store"]), json!([]));
}
