//! Arguments, one file a noun. What a flag means is said in its help; what it may be is checked
//! where it is used, by the server, so that scripts and people get the same answer.

pub mod assertions;
pub mod backup;
pub mod cluster;
pub mod group;
pub mod node;
pub mod notifier;
pub mod nouns;
pub mod people;
pub mod process;
pub mod recover;
pub mod restore;
pub mod schedule;

use crate::output::Format;
use clap::{Args as _, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// Managed database clusters on your own machines.
///
/// Deploys clusters, keeps them alive, backs them up, proves that the backups restore, and gets a
/// cluster back when something goes wrong.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    arg_required_else_help = true,
    after_help = "\
First steps:
  mainstay up                                   start it on this machine
  mainstay engine list                          what can be deployed here
  mainstay cluster create NAME --engine ENGINE  deploy
  mainstay backup create NAME                   make a backup
  mainstay restore run BACKUP --new OTHER       bring it back as a new cluster

Which server is meant: --server and --token; else MAINSTAY_SERVER and MAINSTAY_TOKEN; else the one of
this machine; else ~/.config/mainstay/context.json with {\"server\": \"…\", \"token\": \"…\"}.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict or busy, 5 not allowed,
6 timed out (the operation goes on), 7 server unreachable, 8 integrity check failed, 130 interrupted."
)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run Mainstay on this machine
    Up(process::Up),
    /// Stop Mainstay; with --engines its clusters too
    Down(process::Down),
    #[command(hide = true)]
    Gateway(process::Gateway),
    /// See the main job done, start to finish, on this machine
    Demo(process::Demo),
    /// What can be deployed
    Engine(nouns::Engine),
    /// Deploy clusters and work with them
    Cluster(cluster::Cluster),
    /// The nodes of a cluster
    Node(node::Node),
    /// Make backups and prove them
    Backup(backup::Backup),
    /// Bring backups back
    Restore(restore::Restore),
    /// Make backups by themselves
    Schedule(schedule::Schedule),
    /// Clusters that are backed up and restored as a whole
    Group(group::Group),
    /// Places backups go
    Storage(nouns::Storage),
    /// Who is told what happens, by e-mail or webhook
    Notifier(notifier::Notifier),
    /// What is wrong right now
    Alert(notifier::Alert),
    /// What is going on, and what went on
    Operation(nouns::Operation),
    /// Projects and their recovery keys
    Project(nouns::Project),
    /// Who may do what in a project
    Member(people::Member),
    /// People who can sign in to this installation
    User(people::User),
    /// Tokens for scripts and people
    Token(nouns::Token),
    /// Who did what, and when
    Audit(nouns::Audit),
    /// Bring clusters, or Mainstay itself, back from a storage and a recovery key alone
    Recover(Box<recover::Recover>),
    /// Print the description of the REST API (OpenAPI)
    Openapi,
}

// What every verb takes, before or after it. No doc comment: it would become the description of each
// command that takes it.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Common {
    /// How to print the result
    #[arg(long, short, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
    /// Address of the server, such as http://127.0.0.1:8420
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// API token
    #[arg(long)]
    pub token: Option<String>,
    /// Certificates to trust the server by, beside the system's, PEM [else MAINSTAY_SERVER_CA]
    #[arg(long, value_name = "FILE")]
    pub server_ca: Option<PathBuf>,
    /// Project that names are looked up in [default: default]
    #[arg(long)]
    pub project: Option<String>,
    /// Talk to the Mainstay of this data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Wait for the end and show progress (this is the default)
    #[arg(long, conflicts_with = "no_wait")]
    pub wait: bool,
    /// Print the operation and do not wait for it
    #[arg(long)]
    pub no_wait: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Answer every question with yes
    #[arg(long, short)]
    pub yes: bool,
    /// Wait at most this long: 90, 90s, 15m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
}

impl Common {
    /// What was said before the noun holds where nothing was said after it.
    pub fn or(self, outer: Common) -> Common {
        Common {
            output: self.output.or(outer.output),
            server: self.server.or(outer.server),
            token: self.token.or(outer.token),
            server_ca: self.server_ca.or(outer.server_ca),
            project: self.project.or(outer.project),
            data_dir: self.data_dir.or(outer.data_dir),
            wait: self.wait || outer.wait,
            no_wait: self.no_wait || outer.no_wait,
            dry_run: self.dry_run || outer.dry_run,
            yes: self.yes || outer.yes,
            timeout: self.timeout.or(outer.timeout),
        }
    }
}

/// The nouns whose verbs talk to a server.
const NOUNS: [&str; 17] = [
    "engine",
    "cluster",
    "node",
    "backup",
    "restore",
    "schedule",
    "storage",
    "operation",
    "project",
    "member",
    "user",
    "token",
    "audit",
    "recover",
    "group",
    "notifier",
    "alert",
];

impl Args {
    /// The common options are accepted before a noun, after it and after its verb.
    pub fn command_line() -> clap::Command {
        let common = |noun: clap::Command| match noun.has_subcommands() {
            true => Common::augment_args(noun).mut_args(|a| a.global(true)),
            false => Common::augment_args(noun),
        };
        NOUNS.into_iter().fold(Args::command(), |command, noun| command.mut_subcommand(noun, common))
    }

    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
        let matches = Args::command_line().try_get_matches_from(line)?;
        let mut args = Args::from_arg_matches(&matches)?;
        if let Some((noun, inner)) = matches.subcommand()
            && NOUNS.contains(&noun)
        {
            args.common = Common::from_arg_matches(inner)?.or(args.common);
        }
        Ok(args)
    }
}

/// Seconds, or with a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let seconds = number.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f)).filter(|s| (1..=31_536_000).contains(s));
    seconds.map(Duration::from_secs).ok_or_else(|| "a whole number of seconds, or with a unit: 90, 90s, 15m, 2h; a year at most".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, clap::Error> {
        Args::read(std::iter::once("mainstay").chain(line.split(' ')).map(OsString::from))
    }

    #[test]
    fn the_commands_are_sound() {
        Args::command_line().debug_assert();
    }

    #[test]
    fn every_noun_says_what_it_is() {
        let help = Args::command_line().render_help().to_string();
        assert!(help.contains("Deploy clusters and work with them") && !help.contains("What every verb takes"), "{help}");
    }

    #[test]
    fn every_noun_is_listed() {
        let local = ["up", "down", "gateway", "demo", "openapi"];
        let all: Vec<String> = Args::command().get_subcommands().map(|c| c.get_name().to_string()).collect();
        assert!(all.iter().all(|c| local.contains(&c.as_str()) != NOUNS.contains(&c.as_str())), "{all:?}");
    }

    #[test]
    fn common_options_stand_anywhere() {
        for line in ["--server http://a cluster list", "cluster --server http://a list", "cluster list --server http://a"] {
            assert_eq!(read(line).unwrap().common.server.as_deref(), Some("http://a"), "{line}");
        }
        assert_eq!(read("--output yaml cluster list -o json").unwrap().common.output, Some(Format::Json));
        assert!(read("cluster list --wait --no-wait").is_err());
        assert!(read("recover --from /a --key k -o json").is_ok() && read("recover --from /a").is_err());
    }

    #[test]
    fn durations() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "0", "-1", "1d", "m", "99999999999999999999", "1.5"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
