//! Commands that are Mainstay's, and what does them instead; and those that would change what the
//! connection speaks, or never answer. The access list of the user is the border, this is for the answer.

use mainstay_drivers::{Result, console::Listener};
use mainstay_model::console::{ConsoleDone, ConsoleSaid};

pub(super) struct About {
    pub cluster: String,
    pub node: String,
}

const HELP: &str = "\
A command is a line. Words with spaces stand in quotes; \"\\n\" and \"\\x00\" work inside double ones.
  MULTI … EXEC   one transaction; an open one ends with the terminal
  SELECT 1       another database
  Ctrl-C         lets a command go that waits, and kills a script that has not written
  exit, quit     ends the terminal";

pub(super) async fn help(to: &mut dyn Listener) -> Result<()> {
    to.say(ConsoleSaid::Text { text: HELP.into() }).await?;
    to.say(ConsoleSaid::Done(ConsoleDone::default())).await
}

/// What can be ended by `SCRIPT KILL` or `FUNCTION KILL`.
pub(super) fn is_script(name: &str) -> bool {
    ["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"].contains(&name)
}

/// Why a command is not sent, and what does it instead.
pub(super) fn refuses(about: &About, words: &[Vec<u8>]) -> Option<String> {
    let lower = |word: Option<&Vec<u8>>| word.map(|w| String::from_utf8_lossy(w).to_ascii_lowercase()).unwrap_or_default();
    let (name, sub) = (lower(words.first()), lower(words.get(1)));
    let About { cluster, node } = about;
    let instead = |verb: String| Some(format!("{} is Mainstay's to do: use `mainstay {verb}`", name.to_uppercase()));
    match name.as_str() {
        "config" => instead(format!("cluster settings {cluster}")),
        "acl" if !matches!(sub.as_str(), "whoami" | "cat" | "help" | "genpass") => instead(format!("cluster rotate {cluster}")),
        "replicaof" | "slaveof" | "failover" => instead(format!("node promote {cluster} NODE")),
        "shutdown" => instead(format!("cluster stop {cluster}")),
        "save" | "bgsave" | "bgrewriteaof" => instead(format!("backup create {cluster}")),
        "cluster" if sub != "info" => instead(format!("node list {cluster}")),
        "migrate" | "restore-asking" => Some(format!(
            "{} reaches other servers and is not for a terminal: use `mainstay backup create {cluster}` and `mainstay restore run`",
            name.to_uppercase()
        )),
        "monitor" => Some(format!(
            "MONITOR shows what every client sends and never ends: use `mainstay node metrics {cluster} {node}`, or SLOWLOG GET"
        )),
        "debug" | "module" | "sync" | "psync" | "replconf" | "pfdebug" | "pfselftest" => {
            Some(format!("{} is not for users of a cluster", name.to_uppercase()))
        }
        "subscribe" | "psubscribe" | "ssubscribe" => {
            Some("a subscription never ends: use a client of your own; PUBLISH and PUBSUB work here".into())
        }
        "auth" | "hello" | "reset" => Some("a terminal is the cluster's user and stays it".into()),
        "client" if matches!(sub.as_str(), "reply" | "tracking" | "caching") => {
            Some(format!("CLIENT {} changes what the connection answers and is not for a terminal", sub.to_uppercase()))
        }
        "client" if matches!(sub.as_str(), "kill" | "pause" | "unpause") => Some(format!(
            "CLIENT {} could end a hand-over: who may connect is said with `mainstay cluster allow {cluster}`",
            sub.to_uppercase()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Option<String> {
        let words = super::super::words::split(line).unwrap();
        refuses(&About { cluster: "shop".into(), node: "shop-1".into() }, &words)
    }

    #[test]
    fn what_is_not_sent_names_the_verb() {
        for (line, part) in [
            ("CONFIG SET dir /tmp", "cluster settings shop"),
            ("\"\\x63onfig\" get *", "cluster settings shop"),
            ("acl setuser x", "cluster rotate shop"),
            ("REPLICAOF no one", "node promote shop"),
            ("slaveof 10.0.0.1 6379", "node promote shop"),
            ("shutdown nosave", "cluster stop shop"),
            ("bgsave", "backup create shop"),
            ("migrate h 1 k 0 1", "restore run"),
            ("module load /x", "not for users"),
            ("debug sleep 100", "not for users"),
            ("monitor", "node metrics shop shop-1"),
            ("subscribe a", "client of your own"),
            ("hello 3", "stays it"),
            ("client reply off", "CLIENT REPLY"),
            ("client kill id 3", "cluster allow shop"),
        ] {
            let why = refused(line).unwrap_or_else(|| panic!("{line}"));
            assert!(why.contains(part), "{line}: {why}");
        }
        for fine in ["get config", "acl whoami", "client list", "eval 'return 1' 0", "flushdb", "cluster info", "publish a b", "multi"] {
            assert_eq!(refused(fine), None, "{fine}");
        }
    }
}
