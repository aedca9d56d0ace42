//! `mainstay cluster assertions …`

use clap::{ArgGroup, Args};

/// Show, change or try what the drills of a cluster have to prove
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("change"),
    after_help = "\
A question in the engine's own words (for SQL one query, for the Redis family one command that only reads)
and what its answer has to be: \"equals TEXT\", \"at least NUMBER\", \"at most NUMBER\", \"matches REGULAR
EXPRESSION\" or \"not empty\". Each is asked in every drill of the cluster, of the restored data, as the
cluster's user; one that does not hold fails the drill and with it the backup. --try asks now, of the data
that is live, and keeps nothing; it exits 1 where one does not hold.

Examples:
  mainstay cluster assertions shop
  mainstay cluster assertions shop --add orders --query \"SELECT count(*) FROM orders\" --expect \"at least 1000\"
  mainstay cluster assertions shop --try --add recent --query \"SELECT max(at) FROM orders\" --expect \"matches ^2026\"
  mainstay cluster assertions cache --set sessions --query DBSIZE --expect \"at least 1\"
  mainstay cluster assertions shop --try
  mainstay cluster assertions shop --remove orders"
)]
pub struct Assertions {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Show them (so does naming nothing else)
    #[arg(long, group = "change")]
    pub list: bool,
    /// One more, of this name
    #[arg(long, value_name = "NAME", group = "change", requires_all = ["query", "expect"])]
    pub add: Option<String>,
    /// One of this name, in place of the one there may be
    #[arg(long, value_name = "NAME", group = "change", requires_all = ["query", "expect"])]
    pub set: Option<String>,
    /// That one no more
    #[arg(long, value_name = "NAME", group = "change")]
    pub remove: Option<String>,
    /// What is asked
    #[arg(long, value_name = "Q")]
    pub query: Option<String>,
    /// What the answer has to be
    #[arg(long, value_name = "E")]
    pub expect: Option<String>,
    /// Ask now, of the data that is live: those that are kept, or the one that is named
    #[arg(long = "try", conflicts_with_all = ["list", "remove"])]
    pub try_now: bool,
}
