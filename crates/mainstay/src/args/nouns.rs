//! The nouns with few verbs: engine, storage, operation, project, token, audit.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use mainstay_model::role::Role;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Engine {
    #[command(subcommand)]
    pub verb: EngineVerb,
}

#[derive(Debug, Subcommand)]
pub enum EngineVerb {
    /// All engines, and whether they are installed here
    #[command(after_help = "Example:\n  mainstay engine list")]
    List,
    /// One engine: versions, modes, parameters
    #[command(after_help = "Example:\n  mainstay engine show ENGINE")]
    Show {
        /// As `mainstay engine list` names it
        engine: String,
    },
}

#[derive(Debug, Args)]
pub struct Storage {
    #[command(subcommand)]
    pub verb: StorageVerb,
}

#[derive(Debug, Subcommand)]
pub enum StorageVerb {
    Add(Box<AddStorage>),
    /// All storages of the project
    #[command(after_help = "Example:\n  mainstay storage list")]
    List,
    /// One storage
    #[command(after_help = "Example:\n  mainstay storage show local")]
    Show(OneStorage),
    /// Look whether it can be reached, written and read
    #[command(after_help = "Exits 1 where something is wrong.\n\nExample:\n  mainstay storage check local")]
    Check(OneStorage),
    Set(SetStorage),
    /// Begin new repositories with other master keys: somebody may have seen the old ones
    #[command(after_help = "\
Removing a recovery key does not take back the master key that was read with it. New backups go to new
repositories beside the old ones, the first of each cluster in full; the old ones stay as a storage of their own
until their backups have expired.

Examples:
  mainstay storage rekey cloud --dry-run
  mainstay storage rekey cloud")]
    Rekey(OneStorage),
    /// Forget a storage that holds no backup
    #[command(after_help = "Example:\n  mainstay storage remove second")]
    Remove(OneStorage),
}

/// Add a place for backups; it is looked at first
#[derive(Debug, Args)]
#[command(after_help = "\
Secrets are read from files, kept sealed, and never shown again.

Examples:
  mainstay storage add quick --kind snapshot
  mainstay storage add second --kind local --path /mnt/disk2/backups --region basement
  mainstay storage add cloud --kind s3 --endpoint https://s3.example.com --bucket backups --prefix shop \\
           --access-key AKIAEXAMPLE --secret-key-file ./secret
  mainstay storage add attic --kind sftp --host attic.example.com --user backup --path /srv/backups \\
           --host-key \"ssh-ed25519 AAAA…\" --ssh-key-file ~/.ssh/backup
  mainstay storage add vault --kind borg --repository ssh://backup@vault.example.com/srv/borg \\
           --host-key \"ssh-ed25519 AAAA…\" --ssh-key-file ~/.ssh/backup")]
pub struct AddStorage {
    /// 3 to 40 lower-case letters, digits and dashes
    pub name: String,
    #[command(flatten)]
    pub place: Place,
}

/// Where backups go: a kind, and what its kind needs.
#[derive(Debug, Args)]
pub struct Place {
    /// local: a directory on the server's machine; s3: a bucket of any S3-compatible server; sftp: a
    /// directory of another machine; borg: Borg repositories; snapshot: on the disk of the databases, by
    /// sharing blocks
    #[arg(long)]
    pub kind: String,
    /// A label for where it is
    #[arg(long, value_name = "LABEL")]
    pub region: Option<String>,
    /// local: the directory, absolute; sftp: the same on the other machine; snapshot: in the file system of
    /// the databases [default: in the data directory]
    #[arg(long, value_name = "DIR")]
    pub path: Option<String>,
    /// s3: http(s)://host[:port], without bucket
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// s3: the bucket; it must be there already
    #[arg(long)]
    pub bucket: Option<String>,
    /// s3: what all names begin with
    #[arg(long)]
    pub prefix: Option<String>,
    /// s3: the access key
    #[arg(long, value_name = "KEY")]
    pub access_key: Option<String>,
    /// s3: a file that holds the secret access key
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// s3: what requests are signed for [default: asked of the server]
    #[arg(long, value_name = "NAME")]
    pub s3_region: Option<String>,
    /// s3: whether the bucket is named in the path (on) or in the host (off) [default: auto]
    #[arg(long, value_name = "auto|on|off")]
    pub path_style: Option<String>,
    /// s3: certificates to trust beside the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// sftp: the other machine
    #[arg(long)]
    pub host: Option<String>,
    /// sftp: its port [default: 22]
    #[arg(long)]
    pub port: Option<u16>,
    /// sftp: the user there
    #[arg(long)]
    pub user: Option<String>,
    /// borg: ssh://user@host[:port]/path, or an absolute directory on the server's machine
    #[arg(long, value_name = "REPOSITORY")]
    pub repository: Option<String>,
    /// sftp, and borg over ssh: the host's public key as known_hosts has it; ssh-keyscan HOST prints it
    #[arg(long, value_name = "KEY")]
    pub host_key: Option<String>,
    /// sftp, and borg over ssh: a file that holds the private key that logs in
    #[arg(long, value_name = "FILE")]
    pub ssh_key_file: Option<PathBuf>,
    /// Bytes a second to and from it at most, for all that Mainstay does there together [default: no limit]
    #[arg(long, value_name = "20MB/s")]
    pub bandwidth: Option<String>,
    /// How many backups are written to it at a time; the others wait for their turn [default: no limit]
    #[arg(long, value_name = "N")]
    pub parallel: Option<u32>,
}

/// Change how much of a storage backups may take
#[derive(Debug, Args)]
#[command(after_help = "\
It holds at once, also for what is under way.

Examples:
  mainstay storage set cloud --bandwidth 20MB/s --parallel 2
  mainstay storage set cloud --bandwidth none
  mainstay storage set cloud --access-key AKIA… --secret-key-file ./new.key")]
pub struct SetStorage {
    /// The storage's name or id
    pub storage: String,
    /// Bytes a second to and from it at most, 100kB/s or more; none takes the limit away
    #[arg(long, value_name = "20MB/s|none")]
    pub bandwidth: Option<String>,
    /// How many backups are written to it at a time; none takes the limit away
    #[arg(long, value_name = "N|none")]
    pub parallel: Option<String>,
    /// s3: another access key; its secret key comes with it
    #[arg(long, value_name = "KEY", requires = "secret_key_file")]
    pub access_key: Option<String>,
    /// s3: a file that holds the secret access key
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// s3: certificates to trust beside the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// sftp, and borg over ssh: the other machine's public key
    #[arg(long, value_name = "KEY")]
    pub host_key: Option<String>,
    /// sftp, and borg over ssh: a file that holds the private key that logs in
    #[arg(long, value_name = "FILE")]
    pub ssh_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct OneStorage {
    /// The storage's name or id
    pub storage: String,
}

#[derive(Debug, Args)]
pub struct Operation {
    #[command(subcommand)]
    pub verb: OperationVerb,
}

#[derive(Debug, Subcommand)]
pub enum OperationVerb {
    /// All operations, the newest first
    #[command(after_help = "Example:\n  mainstay operation list")]
    List,
    /// One operation and its steps
    #[command(after_help = "Example:\n  mainstay operation show op_…")]
    Show(OneOperation),
    /// Follow an operation to its end
    #[command(after_help = "Example:\n  mainstay operation watch op_…")]
    Watch(OneOperation),
    /// Stop it and undo what it did, before its point of no return
    #[command(after_help = "Example:\n  mainstay operation cancel op_…")]
    Cancel(OneOperation),
    /// Try the step again that it is stuck at
    #[command(after_help = "Example:\n  mainstay operation retry op_…")]
    Retry(OneOperation),
    /// Go on without the step that it is stuck at
    #[command(after_help = "Example:\n  mainstay operation skip op_…")]
    Skip(OneOperation),
    /// End it where it is, and let go of the cluster
    #[command(after_help = "Example:\n  mainstay operation abandon op_…")]
    Abandon(OneOperation),
}

#[derive(Debug, Args)]
pub struct OneOperation {
    /// The operation's id
    pub operation: String,
}

#[derive(Debug, Args)]
pub struct Project {
    #[command(subcommand)]
    pub verb: ProjectVerb,
}

#[derive(Debug, Subcommand)]
pub enum ProjectVerb {
    /// All projects
    #[command(after_help = "Example:\n  mainstay project list")]
    List,
    /// One project
    #[command(after_help = "Example:\n  mainstay project show default")]
    Show {
        /// The project's name or id
        name: String,
    },
    /// Make a project; who makes it owns it
    #[command(after_help = "Example:\n  mainstay project create shop")]
    Create {
        /// 3 to 40 lower-case letters, digits and dashes
        name: String,
    },
    RecoveryKey(RecoveryKey),
}

/// The keys that open every backup of the project without Mainstay
#[derive(Debug, Args)]
#[command(after_help = "\
Keep the file away from this machine: with it and a storage everything can be restored, by
`mainstay recover` or by restic, and without it nothing can, should this machine be lost. The key of the
project default opens Mainstay's own backups too.

With --with-storages the file is a recovery kit, and `mainstay recover --key KIT` needs nothing else. It
holds the passwords of the storages too: keep it like the databases themselves.

A key that is removed or rotated opens no repository any more, without anything being stored again; the
same goes for keys of another installation in repositories that were taken over from it.

Examples:
  mainstay project recovery-key default --file recovery.key
  mainstay project recovery-key default --file recovery.kit --with-storages
  mainstay project recovery-key default --add safe --file safe.key
  mainstay project recovery-key default --list
  mainstay project recovery-key default --rotate --file recovery.key")]
#[command(group = clap::ArgGroup::new("what").args(["add", "remove", "list", "rotate", "with_storages"]))]
pub struct RecoveryKey {
    /// The project's name or id
    pub name: String,
    /// Where to write it (mode 0600); an existing file is not overwritten
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "remove"], conflicts_with_all = ["list", "remove"])]
    pub file: Option<PathBuf>,
    /// Add a key of this name and write it
    #[arg(long, value_name = "NAME")]
    pub add: Option<String>,
    /// Take the key of this name away
    #[arg(long, value_name = "NAME")]
    pub remove: Option<String>,
    /// The names of all keys, and whether they were tried
    #[arg(long)]
    pub list: bool,
    /// Replace the project's first key and write the new one
    #[arg(long)]
    pub rotate: bool,
    /// Write a recovery kit: the key, and every storage with what logs in, Borg's keys, and the commands
    #[arg(long)]
    pub with_storages: bool,
}

#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    pub verb: TokenVerb,
}

pub(super) fn roles() -> PossibleValuesParser {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token; it is shown this once
    #[command(after_help = "Example:\n  mainstay token create nightly --role operator --expires 90")]
    Create {
        /// 3 to 40 lower-case letters, digits and dashes
        name: String,
        /// What it may do: each role includes the ones before it
        #[arg(long, value_parser = roles())]
        role: String,
        /// Days it is good for [default: for ever]
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
        expires: Option<i64>,
    },
    /// All tokens, without the secrets
    #[command(after_help = "Example:\n  mainstay token list")]
    List,
    /// Take a token back at once
    #[command(after_help = "Example:\n  mainstay token revoke tk_…")]
    Revoke {
        /// The token's id
        id: String,
    },
}

#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    pub verb: AuditVerb,
}

#[derive(Debug, Args)]
pub struct AuditFilters {
    /// Only by this one, such as user:Ada or token:nightly
    #[arg(long)]
    pub actor: Option<String>,
    /// Only this action, such as deleteCluster
    #[arg(long)]
    pub action: Option<String>,
    /// Only on this object: its id, or the name of a cluster or storage
    #[arg(long)]
    pub object: Option<String>,
    /// Only what ended so
    #[arg(long, value_parser = ["done", "refused", "failed"])]
    pub result: Option<String>,
    /// Only from this address
    #[arg(long, value_name = "IP")]
    pub from: Option<String>,
    /// From this moment on, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this moment
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Every act and every refused one, the newest first
    #[command(after_help = "Examples:\n  mainstay audit list --output json\n  mainstay audit list --actor user:Ada --result refused")]
    List(AuditFilters),
    /// Write the entries to a file
    #[command(after_help = "Example:\n  mainstay audit export --file audit.csv --since 2026-11-01T00:00:00Z")]
    Export {
        /// Where to; an existing file is replaced with --yes only
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// How
        #[arg(long, value_parser = ["csv", "json"], default_value = "csv")]
        format: String,
        #[command(flatten)]
        filters: AuditFilters,
    },
    /// Check that no entry was changed or taken out
    #[command(after_help = "Exits 8 where one was.\n\nExample:\n  mainstay audit verify")]
    Verify,
}
