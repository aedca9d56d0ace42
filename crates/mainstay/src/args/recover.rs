//! `recover`

use super::nouns::Place;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
With nothing but --from and --key it lists what the storage holds. A recovery kit as --key names the
storages too: then --from is one of them, or left out. Where a server is named (--server, or
one that runs on --data-dir) it is asked, and paths are its machine's; else it is done here.

Examples:
  mainstay recover --from /mnt/backups --key recovery.key
  mainstay recover --from /mnt/backups --key recovery.key --cluster shop --as shop-again
  mainstay recover --from /mnt/backups --key recovery.key --control-plane --data-dir /srv/mainstay
  mainstay recover --key recovery.kit --control-plane --data-dir /srv/mainstay
  mainstay recover --kind s3 --endpoint https://s3.example.com --bucket backups --access-key AKIAEXAMPLE \\
           --secret-key-file ./secret --key recovery.key")]
#[command(mut_arg("kind", |kind| kind.required(false)))]
pub struct Recover {
    /// Where the backups lie: a directory, a storage of the kit, or one of the server, by its name
    #[arg(long, value_name = "STORAGE", conflicts_with = "kind")]
    pub from: Option<String>,
    /// The recovery key or kit, as `mainstay project recovery-key` wrote it
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Bring this cluster back, by its name or id, from its newest good backup
    #[arg(long, value_name = "NAME", conflicts_with = "control_plane")]
    pub cluster: Option<String>,
    /// This backup instead of the newest good one
    #[arg(long, value_name = "BACKUP")]
    pub backup: Option<String>,
    /// What the cluster is called from then on [default: as before]
    #[arg(long = "as", value_name = "NEW", requires = "cluster")]
    pub name: Option<String>,
    /// Bring Mainstay itself back into an empty --data-dir: what it remembers, and the key to it
    #[arg(long)]
    pub control_plane: bool,
    #[command(flatten)]
    pub place: Option<Place>,
}
