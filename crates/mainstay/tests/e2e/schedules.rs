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
