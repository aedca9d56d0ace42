//! Statements that would take the cluster's user or its server out of Mainstay's hands, by the first words
//! that make them so. The server's own rights are the border; this is for the answer, which names the verb.

use super::super::config::{ADMIN, REPLICATION};

pub(super) struct About {
    pub cluster: String,
    pub user: String,
}

const KEPT: &str = "Mainstay's own accounts keep the cluster running and are not changed";

/// Why a statement is not asked, and what does it instead.
pub(super) fn refuses(about: &About, statement: &str) -> Option<String> {
    let words = words(statement);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let cluster = &about.cluster;
    match words.as_slice() {
        ["alter", "system", ..] => {
            Some(format!("settings of the server are changed with `mainstay cluster settings {cluster} --set NAME=VALUE`"))
        }
        ["alter", "role" | "user", name, rest @ ..] if is_user(about, name) && touches_login(rest) => Some(format!(
            "the password of {} is changed with `mainstay cluster rotate {cluster}`, or Mainstay would not know it",
            about.user
        )),
        ["alter" | "drop" | "reassign", "role" | "user" | "group" | "owned", rest @ ..] if rest.iter().any(|w| is_ours(w)) => {
            Some(KEPT.into())
        }
        ["grant" | "revoke", rest @ ..] if !rest.contains(&"on") && rest.iter().any(|w| is_ours(w)) => Some(KEPT.into()),
        ["set", "session", "authorization", ..] => {
            Some("a terminal is the cluster's user and stays it; roles it is a member of are taken with SET ROLE".into())
        }
        ["set", rest @ ..] if takes_role(rest) => Some("Mainstay's own accounts are nobody else's".into()),
        ["set", "client_encoding" | "names", ..] | ["set", "local" | "session", "client_encoding" | "names", ..] => {
            Some("a terminal speaks UTF-8".into())
        }
        ["copy", rest @ ..] => copies(rest, cluster),
        ["load", ..] => Some("a terminal loads no libraries".into()),
        _ => None,
    }
}

/// `SET [SESSION | LOCAL] ROLE mainstay…`.
fn takes_role(rest: &[&str]) -> bool {
    match rest {
        ["session" | "local", rest @ ..] => takes_role(rest),
        ["role", rest @ ..] => rest.iter().any(|w| is_ours(w)),
        _ => false,
    }
}

/// Programs and files of the host are the server's user's, whoever asks.
fn copies(rest: &[&str], cluster: &str) -> Option<String> {
    let to = rest.iter().rposition(|w| matches!(*w, "from" | "to"))?;
    match rest.get(to + 1).copied() {
        Some("program") => Some("a terminal starts no programs".into()),
        Some("stdout") => None,
        Some("stdin") => Some(format!(
            "data is not taken from a terminal: load it with a client of your own, at the address of `mainstay cluster credentials {cluster}`"
        )),
        _ => Some("a terminal reaches no files of the host: use COPY … TO STDOUT, or a client of your own".into()),
    }
}

fn is_user(about: &About, name: &str) -> bool {
    name == about.user || matches!(name, "current_user" | "session_user" | "current_role")
}

fn is_ours(word: &str) -> bool {
    [ADMIN, REPLICATION].contains(&word)
}

fn touches_login(rest: &[&str]) -> bool {
    rest.iter().any(|w| matches!(*w, "password" | "nologin" | "valid" | "rename" | "connection"))
}

/// The statement's words outside of quotes and comments, in lower case; quoted names as they are.
fn words(statement: &str) -> Vec<String> {
    /// Enough for what is looked for.
    const MOST: usize = 400;
    let (mut words, mut chars) = (Vec::new(), statement.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\'' => skip_to(&mut chars, '\''),
            '"' => words.push(chars.by_ref().take_while(|c| *c != '"').collect()),
            '-' if chars.peek() == Some(&'-') => skip_to(&mut chars, '\n'),
            '/' if chars.peek() == Some(&'*') => skip_comment(&mut chars),
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = c.to_lowercase().to_string();
                while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.extend(next.to_lowercase());
                }
                words.push(word);
            }
            _ => {}
        }
        if words.len() >= MOST {
            break;
        }
    }
    words
}

fn skip_to(chars: &mut impl Iterator<Item = char>, end: char) {
    chars.find(|c| *c == end);
}

fn skip_comment(chars: &mut impl Iterator<Item = char>) {
    let (mut depth, mut before) = (1, ' ');
    chars.next();
    for c in chars {
        match (before, c) {
            ('/', '*') => (depth, before) = (depth + 1, ' '),
            ('*', '/') => (depth, before) = (depth - 1, ' '),
            _ => before = c,
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(statement: &str) -> Option<String> {
        refuses(&About { cluster: "my-shop".into(), user: "my_shop".into() }, statement)
    }

    #[test]
    fn what_is_not_asked_names_the_verb() {
        for (statement, part) in [
            ("ALTER SYSTEM SET work_mem = '1GB';", "cluster settings my-shop"),
            ("alter /* x */ role my_shop\n password 'secret';", "cluster rotate my-shop"),
            ("ALTER USER \"my_shop\" NOLOGIN;", "cluster rotate my-shop"),
            ("ALTER ROLE CURRENT_USER WITH PASSWORD NULL;", "cluster rotate my-shop"),
            ("DROP ROLE mainstay_replication;", "own accounts"),
            ("GRANT mainstay_replication TO my_shop;", "own accounts"),
            ("SET ROLE mainstay;", "own accounts"),
            ("SET LOCAL ROLE 'x', \"mainstay_replication\";", "own accounts"),
            ("SET SESSION AUTHORIZATION mainstay;", "SET ROLE"),
            ("COPY t TO PROGRAM 'id';", "no programs"),
            ("COPY (SELECT 'from stdin') TO '/tmp/x';", "no files"),
            ("COPY t FROM STDIN;", "cluster credentials my-shop"),
            ("COPY t FROM '/etc/passwd';", "no files"),
            ("LOAD 'x';", "no libraries"),
            ("SET client_encoding = 'LATIN1';", "UTF-8"),
        ] {
            let why = refused(statement).unwrap_or_else(|| panic!("{statement}"));
            assert!(why.contains(part), "{statement}: {why}");
        }
    }

    #[test]
    fn everything_else_is_the_servers_to_judge() {
        for fine in [
            "SELECT pg_read_file('/etc/passwd');",
            "ALTER ROLE reader PASSWORD 'x';",
            "ALTER ROLE my_shop SET search_path = public;",
            "SET ROLE reader;",
            "SET work_mem = '1MB';",
            "COPY t TO STDOUT WITH CSV;",
            "COPY (SELECT a FROM t) TO STDOUT;",
            "INSERT INTO t VALUES ('alter system');",
            "SELECT 'SET ROLE mainstay';",
            "CREATE TABLE mainstays (a int);",
            "DROP TABLE mainstay;",
            "GRANT SELECT ON mainstay TO reader;",
            "",
        ] {
            assert_eq!(refused(fine), None, "{fine}");
        }
    }
}
