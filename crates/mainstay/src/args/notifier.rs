//! `mainstay notifier …` and `mainstay alert …`

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Notifier {
    #[command(subcommand)]
    pub verb: NotifierVerb,
}

#[derive(Debug, Subcommand)]
pub enum NotifierVerb {
    /// Tell people what happens, by e-mail or to a webhook
    #[command(after_help = "\
Events: backup_failed, backup_partial, backup_overdue, backup_succeeded, drill_failed, restore_done,
promotion_done, resync_done, migration_done, failover, alert_raised, alert_cleared, storage_unwell, or all.

A webhook gets a POST of JSON with the headers Mainstay-Event, Mainstay-Delivery (the same however often a
message is sent: drop what was seen before) and Mainstay-Signature: t=SECONDS,v1=HEX, where HEX is
HMAC-SHA256 over \"SECONDS.BODY\" with the secret. Without --secret-file a secret is drawn and shown once.

Mail goes over smtps:// (TLS) or smtp:// (STARTTLS); plain only to this machine.

Examples:
  mainstay notifier add ops --kind webhook --url https://hooks.example.com/mainstay --secret-file hook.secret
  mainstay notifier add mail --kind email --smtp smtps://mail.example.com --from mainstay@example.com \\
      --to ops@example.com --username mainstay --password-file mail.password --events backup_failed,backup_overdue")]
    Add(Add),
    /// All notifiers of the project
    #[command(after_help = "Example:\n  mainstay notifier list")]
    List,
    /// One notifier, and what did not arrive
    #[command(after_help = "Example:\n  mainstay notifier show ops")]
    Show(OneNotifier),
    /// Send a message now, and print what the other side said
    #[command(after_help = "Exits 1 where it was not taken.\n\nExample:\n  mainstay notifier test ops")]
    Test(OneNotifier),
    /// Change what it passes on, or its secret
    #[command(after_help = "\
Where it sends to stays; for another address add another notifier.

Examples:
  mainstay notifier set ops --events backup_failed,backup_overdue
  mainstay notifier set ops --pause")]
    Set(Set),
    /// Remove it, and what it has not sent yet
    #[command(after_help = "Example:\n  mainstay notifier remove ops")]
    Remove(OneNotifier),
}

#[derive(Debug, Args)]
pub struct OneNotifier {
    /// The notifier's name or id
    pub notifier: String,
}

#[derive(Debug, Args)]
pub struct Add {
    /// 3 to 40 lower-case letters, digits and dashes
    pub name: String,
    /// email or webhook
    #[arg(long)]
    pub kind: String,
    /// webhook: where messages are posted to
    #[arg(long)]
    pub url: Option<String>,
    /// webhook: what messages are signed with, from a file [default: drawn, and shown once]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// email: smtps://host[:port], or smtp://host[:port] for STARTTLS
    #[arg(long, value_name = "URL")]
    pub smtp: Option<String>,
    /// email: the sender
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// email: who gets it; may be repeated
    #[arg(long, value_name = "ADDRESS", num_args = 1..)]
    pub to: Vec<String>,
    /// email: user at the mail server
    #[arg(long, value_name = "USER", requires = "password_file")]
    pub username: Option<String>,
    /// email: password at the mail server, from a file
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Trust the certificates in this file (PEM) beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// What it passes on, separated by commas [default: all]
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    pub events: Option<Vec<String>>,
}

#[derive(Debug, Args)]
pub struct Set {
    /// The notifier's name or id
    pub notifier: String,
    /// What it passes on, separated by commas
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    pub events: Option<Vec<String>>,
    /// Give it nothing new
    #[arg(long, conflicts_with = "resume")]
    pub pause: bool,
    /// Tell it things again
    #[arg(long)]
    pub resume: bool,
    /// webhook: another secret, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    pub secret_file: Option<PathBuf>,
    /// email: another password, from a file
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Alert {
    #[command(subcommand)]
    pub verb: AlertVerb,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum State {
    /// Those that hold
    #[default]
    Open,
    /// Those that are over
    Cleared,
    All,
}

#[derive(Debug, Subcommand)]
pub enum AlertVerb {
    /// Conditions that hold now, the newest first
    #[command(after_help = "Examples:\n  mainstay alert list\n  mainstay alert list shop --state all")]
    List {
        /// Only those of this cluster
        cluster: Option<String>,
        /// Which ones
        #[arg(long, value_enum, default_value_t)]
        state: State,
    },
    /// One alert
    #[command(after_help = "Example:\n  mainstay alert show al_…")]
    Show(OneAlert),
    /// Say that it was seen; it stays while it holds
    #[command(after_help = "Example:\n  mainstay alert acknowledge al_…")]
    Acknowledge(OneAlert),
}

#[derive(Debug, Args)]
pub struct OneAlert {
    /// The alert's id
    pub alert: String,
}
