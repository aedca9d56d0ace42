//! Who may say what: words that belong to one room.

use crate::source::File;

struct Rule {
    word: &'static str,
    /// Rooms, or paths within one, in which the word is at home.
    home: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule { word: "sqlx::query", home: &["store", "operations"], why: "only the store and the journal speak SQL" },
    Rule { word: "StatusCode", home: &["api", "client"], why: "only the API speaks HTTP statuses" },
    Rule { word: "std::env::", home: &["mainstay", "testkit", "api/build.rs"], why: "only the binary reads arguments and environment" },
    Rule {
        word: "Command::new(",
        home: &["runtimes", "testkit/src/disk.rs"],
        why: "children are spawned by the runtime only, with an argument list",
    },
    Rule { word: "\"sh\"", home: &[], why: "no shell, anywhere" },
    Rule { word: "\"/bin/sh\"", home: &[], why: "no shell, anywhere" },
    Rule { word: "\"bash\"", home: &[], why: "no shell, anywhere" },
    Rule {
        word: "Timestamp::now",
        home: &[
            "mainstay",
            "operations/src/clock.rs",
            "storages",
            "runtimes",
            "engines",
            "gateway/src/saved.rs",
            "store/src/schema.rs",
            "testkit",
        ],
        why: "time is an argument",
    },
    Rule {
        word: "SystemTime::now",
        home: &["operations/src/clock.rs", "storages", "runtimes", "engines", "gateway/src/saved.rs", "store/src/schema.rs", "testkit"],
        why: "time is an argument",
    },
    Rule { word: "todo!(", home: &[], why: "no stub is left" },
    Rule { word: "unimplemented!(", home: &[], why: "no stub is left" },
];

/// Pure rooms: no async, no files, no sockets.
const PURE: &[&str] = &["model/src/", "control/src/plan/"];
const IMPURE: &[&str] = &["async fn", ".await", "std::fs", "std::net::Tcp", "tokio::"];

/// Engines are named in their own room alone, so that forms, help and tests enumerate the list.
const ENGINES: &[&str] = &["\"postgres\"", "\"redis\"", "\"valkey\""];
/// The store's own database is PostgreSQL or SQLite, whatever engines there are.
const MAY_NAME_ENGINES: &[&str] = &["engines", "mainstay/src/demo", "store/src/open.rs"];

pub fn check(files: &[File]) -> Vec<String> {
    files.iter().filter(|f| !f.is_test()).flat_map(faults_in).collect()
}

fn faults_in(file: &File) -> Vec<String> {
    let at_home = |homes: &[&str]| homes.iter().any(|h| file.room() == *h || file.path.starts_with(h));
    let pure = PURE.iter().any(|p| file.path.starts_with(p));
    let mut faults = Vec::new();
    for (line, code) in file.code() {
        let mut say = |what: &str, why: &str| faults.push(format!("crates/{}:{line}: {what}: {why}", file.path));
        for rule in RULES.iter().filter(|r| code.contains(r.word) && !at_home(r.home)) {
            say(rule.word, rule.why);
        }
        for word in IMPURE.iter().filter(|w| pure && code.contains(**w)) {
            say(word, "this room is pure: no async, clock or I/O");
        }
        for name in ENGINES.iter().filter(|n| code.contains(**n) && !at_home(MAY_NAME_ENGINES)) {
            say(name, "no engine is named outside its room");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, line: &str) -> File {
        File { path: path.into(), lines: vec![line.into()] }
    }

    #[test]
    fn words_outside_their_room_are_found() {
        for (path, line) in [
            ("control/src/app.rs", "sqlx::query(\"x\")"),
            ("agent/src/a.rs", "Command::new(\"x\")"),
            ("control/src/plan/x.rs", "async fn f() {}"),
            ("api/src/x.rs", "if engine == \"postgres\" {"),
            ("engines/src/x.rs", "run(\"sh\")"),
        ] {
            assert_eq!(check(&[file(path, line)]).len(), 1, "{path}: {line}");
        }
    }

    #[test]
    fn comments_and_home_rooms_are_fine() {
        for (path, line) in
            [("control/src/a.rs", "// sqlx::query"), ("store/src/a.rs", "sqlx::query(x)"), ("engines/src/x.rs", "\"postgres\"")]
        {
            assert_eq!(check(&[file(path, line)]), Vec::<String>::new());
        }
    }
}
