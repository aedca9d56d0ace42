//! `mainstay cluster …`

use clap::{
    ArgGroup, Args, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use mainstay_model::{backup::ReadFrom, cluster::Mode};

#[derive(Debug, Args)]
pub struct Cluster {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Create(Create),
    /// All clusters, or the deleted ones
    #[command(after_help = "Examples:\n  mainstay cluster list\n  mainstay cluster list --deleted --output json")]
    List {
        /// Those that were deleted
        #[arg(long)]
        deleted: bool,
    },
    /// One cluster: status, nodes, endpoints, and how recoverable it is
    #[command(after_help = "Example:\n  mainstay cluster show shop")]
    Show(Named),
    Delete(Delete),
    Undelete(Undelete),
    BackupPolicy(BackupPolicy),
    Assertions(super::assertions::Assertions),
    /// Stop all nodes of a cluster; its data stays
    #[command(after_help = "Example:\n  mainstay cluster stop shop")]
    Stop(Named),
    /// Start a stopped cluster
    #[command(after_help = "Example:\n  mainstay cluster start shop")]
    Start(Named),
    /// Restart the nodes one after the other; the primary last, after a hand-over
    #[command(after_help = "Example:\n  mainstay cluster restart shop")]
    Restart(Named),
    /// User, password and address (the look is recorded in the audit)
    #[command(after_help = "Example:\n  mainstay cluster credentials shop --output json")]
    Credentials(Named),
    /// Give the user a new password; open sessions stay
    #[command(after_help = "Example:\n  mainstay cluster rotate shop")]
    Rotate(Named),
    Connect(Connect),
    Settings(Settings),
    Allow(Allow),
    /// Termination protection: a protected cluster is neither deleted nor stopped
    #[command(after_help = "Example:\n  mainstay cluster protect shop on")]
    Protect(Switched),
    Pitr(Pitr),
    /// Automatic failover
    #[command(after_help = "Example:\n  mainstay cluster failover shop off")]
    Failover(Switched),
    /// Erase replicas and seed them again from the primary, one at a time
    #[command(after_help = "Examples:\n  mainstay cluster resync shop\n  mainstay cluster resync shop --node shop-2")]
    Resync {
        /// The cluster's name or id
        #[arg(value_name = "CLUSTER")]
        name: String,
        /// Only this replica; may be repeated [default: all]
        #[arg(long = "node", value_name = "NODE")]
        nodes: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Named {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
}

/// A console for the engine on a node, as the cluster's user
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal lines can be edited, and those of before come back with the arrow up; they are kept nowhere.
Ctrl-C ends the statement that runs; Ctrl-D or `exit` leaves. Otherwise statements are read from standard
input to the first error; with --output json each answers with one line of JSON.

Its start and its end are in the audit, what is typed is not. It ends after 15 min without input.

Examples:
  mainstay cluster connect shop
  mainstay cluster connect shop --node shop-2
  echo 'SELECT count(*) FROM orders;' | mainstay cluster connect shop --output json
  mainstay cluster connect shop <schema.sql")]
pub struct Connect {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Which node [default: the primary]
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub struct Switched {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    #[arg(value_enum)]
    pub state: Switch,
}

/// Keep the log as it is written, so that any moment can be restored
#[derive(Debug, Args)]
#[command(after_help = "\
The log goes, encrypted, into the storages as it is written. A window begins with a good backup, which is
made at once; `mainstay restore run --until` brings back any moment in it.

Examples:
  mainstay cluster pitr on shop
  mainstay cluster pitr on shop --storage local --storage far --keep-days 14
  mainstay cluster pitr show shop
  mainstay cluster pitr off shop")]
pub struct Pitr {
    #[arg(value_enum)]
    pub state: PitrState,
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Where the log is kept; may be repeated [default: those there are, or local]
    #[arg(long = "storage", value_name = "STORAGE")]
    pub storages: Vec<String>,
    /// How far back any moment can be restored to, at least [default: 7]
    #[arg(long, value_name = "N")]
    pub keep_days: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PitrState {
    On,
    Off,
    Show,
}

fn modes() -> PossibleValuesParser {
    PossibleValuesParser::new(Mode::ALL.map(Mode::as_str))
}

fn read_from() -> impl TypedValueParser<Value = ReadFrom> {
    let named = |name: String| if name == ReadFrom::Primary.as_str() { ReadFrom::Primary } else { ReadFrom::Replica };
    PossibleValuesParser::new([ReadFrom::Replica, ReadFrom::Primary].map(ReadFrom::as_str)).map(named)
}

/// Deploy a cluster
#[derive(Debug, Args)]
#[command(after_help = "\
A single node is a primary already: replicas can be added later with `mainstay node add`.

Examples:
  mainstay cluster create shop --engine ENGINE
  mainstay cluster create shop --engine ENGINE --replicas 2 --allow 10.0.0.0/8
  mainstay cluster create shop --engine ENGINE --dry-run")]
pub struct Create {
    /// 3 to 40 lower-case letters, digits and dashes; never changes
    pub name: String,
    /// What to deploy, as `mainstay engine list` names it
    #[arg(long, help = engine_help())]
    pub engine: String,
    /// Version, or the beginning of one [default: the newest installed]
    #[arg(long)]
    pub version: Option<String>,
    /// How its nodes work together [default: single, or primary-replica with --replicas]
    #[arg(long, value_parser = modes())]
    pub mode: Option<String>,
    /// Replicas next to the primary [default: 1 with primary-replica]
    #[arg(long, value_name = "N")]
    pub replicas: Option<u32>,
    /// Do not promote a replica by itself when the primary is lost
    #[arg(long)]
    pub no_auto_failover: bool,
    /// An engine parameter; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub settings: Vec<(String, String)>,
    /// Addresses and networks that may connect [default: all]
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',')]
    pub allow: Vec<String>,
}

fn engine_help() -> String {
    let names: Vec<&str> = mainstay_engines::all().iter().map(|e| e.info().name).collect();
    format!("What to deploy: {}; `mainstay engine list` says what is installed", names.join(", "))
}

/// Delete a cluster, by default after a final backup
#[derive(Debug, Args)]
#[command(after_help = "\
By default a final backup is made and checked first, and kept with the earlier ones; if it fails,
nothing is deleted. For 15 days `mainstay cluster undelete` brings the cluster back.

Examples:
  mainstay cluster delete shop
  mainstay cluster delete shop --skip-final-backup                  the backups go too
  mainstay cluster delete shop --skip-final-backup --keep-backups
  mainstay cluster delete shop --now                                one that was deleted, for good")]
pub struct Delete {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Make no final backup, and remove the backups there are
    #[arg(long)]
    pub skip_final_backup: bool,
    /// Leave the backups there are
    #[arg(long, requires = "skip_final_backup")]
    pub keep_backups: bool,
    /// Delete one that is in the recycle bin for good, with its backups
    #[arg(long, conflicts_with_all = ["skip_final_backup", "keep_backups"])]
    pub now: bool,
}

/// Bring a deleted cluster back, from its final backup
#[derive(Debug, Args)]
#[command(after_help = "\
It comes back with its id, nodes, settings, allow-list, credentials and schedules; its addresses may be
other ones. `mainstay cluster list --deleted` shows what can be brought back and until when.

Examples:
  mainstay cluster undelete shop
  mainstay cluster undelete shop --as shop-2                        its name is taken by now")]
pub struct Undelete {
    /// The name it had, or its id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Come back under another name
    #[arg(long = "as", value_name = "NAME")]
    pub as_name: Option<String>,
}

/// Show or change how long a cluster's backups are kept
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("change").multiple(true),
    after_help = "\
Schedules have a retention of their own; this is about backups made by hand, and about what holds for
all. With --dry-run a change is only shown as the list of what it deletes. What is deleted can be brought
back for 72 hours with `mainstay backup undelete`.

Examples:
  mainstay cluster backup-policy shop
  mainstay cluster backup-policy shop --manual-keep-last 5 --dry-run
  mainstay cluster backup-policy shop --manual-limit on
  mainstay cluster backup-policy shop --from primary
  mainstay cluster backup-policy shop --apply                       confirm that much goes at once")]
pub struct BackupPolicy {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Keep the newest N completed ones made by hand; 0 keeps them seven days again
    #[arg(long, value_name = "N", group = "change")]
    pub manual_keep_last: Option<u32>,
    /// At most one backup by hand in an hour
    #[arg(long, value_enum, value_name = "on|off", group = "change")]
    pub manual_limit: Option<Switch>,
    /// How many of the newest good ones always stay, at least 1
    #[arg(long, value_name = "N", group = "change")]
    pub min_keep: Option<u32>,
    /// Which node they are read from: a caught-up replica where there is one, or always the primary
    #[arg(long, value_name = "replica|primary", value_parser = read_from(), group = "change")]
    pub from: Option<ReadFrom>,
    /// Announce now what the rules no longer keep, however much it is
    #[arg(long, conflicts_with = "change")]
    pub apply: bool,
}

impl BackupPolicy {
    /// Nothing is to change.
    pub fn is_a_look(&self) -> bool {
        self.manual_keep_last.is_none() && self.manual_limit.is_none() && self.min_keep.is_none() && self.from.is_none()
    }
}

/// Show or change the engine's parameters
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mainstay cluster settings shop
  mainstay cluster settings shop --set NAME=VALUE --dry-run
  mainstay cluster settings shop --reset NAME")]
pub struct Settings {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// Set a parameter; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// Back to the default; may be repeated
    #[arg(long, value_name = "NAME")]
    pub reset: Vec<String>,
}

/// Show or change who may connect
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("change"),
    after_help = "\
An empty list is open to all. Sessions that no longer match are cut.

Examples:
  mainstay cluster allow shop
  mainstay cluster allow shop --set 10.0.0.0/8,192.0.2.7
  mainstay cluster allow shop --add 203.0.113.0/24 --note office
  mainstay cluster allow shop --clear"
)]
pub struct Allow {
    /// The cluster's name or id
    #[arg(value_name = "CLUSTER")]
    pub name: String,
    /// The whole list
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',', group = "change")]
    pub set: Option<Vec<String>>,
    /// One more
    #[arg(long, value_name = "CIDR", value_delimiter = ',', group = "change")]
    pub add: Option<Vec<String>>,
    /// One less
    #[arg(long, value_name = "CIDR", value_delimiter = ',', group = "change")]
    pub remove: Option<Vec<String>>,
    /// None: open to all
    #[arg(long, group = "change")]
    pub clear: bool,
    /// What the new entries are
    #[arg(long, default_value = "", hide_default_value = true)]
    pub note: String,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    if name.is_empty() { Err("the name is missing before the =".into()) } else { Ok((name.into(), value.into())) }
}
