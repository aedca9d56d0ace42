//! Drills with assertions of the user's own, on a real server.

use crate::support::{Mainstay, until};
use serde_json::Value;

fn check<'a>(backup: &'a Value, name: &str) -> &'a Value {
    let all = backup["checks"].as_array().unwrap();
    all.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no check {name}: {backup}"))
}

#[test]
fn what_is_asserted_is_proven_and_a_failure_has_consequences() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql(
        "pg-one",
        "create table orders(id int primary key, total numeric); insert into orders select g, g from generate_series(1, 3000) g",
    );
    let id = m.cli(&["backup", "create", "pg-one"])["id"].as_str().unwrap().to_string();
    m.psql("pg-one", "delete from orders");

    let orders = ["--query", "select count(*) from orders", "--expect", "at least 3000"];
    let add = |verb: &str, more: &[&str]| -> Vec<String> {
        let all = ["cluster", "assertions", "pg-one", verb, "orders"].into_iter().chain(orders).chain(more.iter().copied());
        all.map(String::from).collect()
    };
    let say = |args: Vec<String>| m.say(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let tried = say(add("--add", &["--try"]));
    assert_eq!((tried.code, tried.json()["checks"][0]["ok"].as_bool()), (1, Some(false)), "{}", tried.out);
    assert_eq!(m.cli(&["cluster", "assertions", "pg-one"])["assertions"], serde_json::json!([]), "a try keeps nothing");
    assert_eq!(say(add("--add", &["--dry-run"])).code, 0);
    assert_eq!(say(add("--add", &[])).code, 0);
    assert_eq!(say(add("--add", &[])).code, 4, "there is one of that name");
    let bad = m.say(&["cluster", "assertions", "pg-one", "--add", "bad", "--query", "select 1", "--expect", "roughly 3"]);
    assert!(bad.code == 2 && bad.err.contains("expect"), "{} {}", bad.code, bad.err);

    let drilled = m.cli(&["backup", "drill", &id]);
    assert_eq!(drilled["proof"], "drilled", "{drilled}");
    for name in ["assertion:orders", "amcheck", "log", "table_counts", "file_list"] {
        assert_eq!(check(&drilled, name)["ok"], true, "{name}: {drilled}");
    }
    let root = rustix::process::geteuid().is_root();
    assert_eq!(check(&drilled, "no_network")["ok"], root, "{drilled}");

    // Now it is not what the user says it has to be.
    m.cli(&["cluster", "assertions", "pg-one", "--set", "orders", "--query", orders[1], "--expect", "at least 3001"]);
    let failed = m.say(&["backup", "drill", &id]);
    assert!(failed.code == 8 && failed.err.contains("at least 3001"), "{} {}", failed.code, failed.err);
    let shown = m.cli(&["backup", "show", &id]);
    assert_eq!((shown["status"].as_str(), check(&shown, "assertion:orders")["ok"].as_bool()), (Some("failed"), Some(false)), "{shown}");
    let history = m.cli(&["backup", "drills", "pg-one"]);
    assert_eq!((history[0]["result"].as_str(), history[1]["result"].as_str()), (Some("failed"), Some("passed")), "{history}");
    until("a new backup is made", || {
        let all = m.cli(&["backup", "list", "pg-one"]);
        all.as_array().unwrap().iter().any(|b| b["status"] == "completed" && b["description"].as_str().unwrap().contains(&id))
    });
    until("it is told that nothing is deleted", || {
        m.cli(&["cluster", "show", "pg-one"])["warnings"].to_string().contains("until a drill passes")
    });

    // The assertion was wrong: mended, the same backup passes.
    m.cli(&["cluster", "assertions", "pg-one", "--remove", "orders"]);
    assert_eq!(m.cli(&["backup", "drill", &id])["proof"], "drilled");
}
