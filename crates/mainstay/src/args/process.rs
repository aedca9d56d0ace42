//! `up`, `down`, `gateway`, `demo`.

use clap::Args;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Databases and their endpoints go on when Mainstay stops; `mainstay down --engines` stops them too.

Examples:
  mainstay up
  mainstay up --data-dir /srv/mainstay --listen 127.0.0.1:9000
  mainstay up --endpoint-address 10.0.0.5       clients on other machines reach the clusters there
  mainstay up --listen 10.0.0.5:8420            HTTPS, with a certificate of this installation's own CA
  mainstay up --listen 10.0.0.5:8420 --tls-cert full.pem --tls-key key.pem")]
pub struct Up {
    /// Where everything is kept [default: $XDG_DATA_HOME/mainstay, as root /var/lib/mainstay]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the API and the dashboard; beyond this machine it is HTTPS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420")]
    pub listen: SocketAddr,
    /// Open the clusters' endpoints on this address of the machine, one port each
    #[arg(long, value_name = "IP")]
    pub endpoint_address: Option<IpAddr>,
    /// User that engines run as, when Mainstay runs as root [default: the one of the engine's package]
    #[arg(long, value_name = "USER")]
    pub engine_user: Option<String>,
    /// Look for engines in this folder of unpacked packages too; may be repeated
    #[arg(long = "engine-dir", value_name = "DIR", env = "MAINSTAY_ENGINE_DIRS", value_delimiter = ':')]
    pub engine_dirs: Vec<PathBuf>,
    /// How much of a cluster's kept log waits here for a storage that is away, in MiB; then its oldest goes
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(32..))]
    pub log_spool: u64,
    /// The address browsers and scripts use, where it is not --listen
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Certificate for HTTPS, PEM, with those between it and its root
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Make good for a copy that failed after this many seconds, and then after four times as long each time
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub copy_again_after: u32,
    /// What to log, such as debug or info,mainstay_control=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mainstay down                stops Mainstay; databases and endpoints go on
  mainstay down --engines      stops them too; the next `mainstay up` starts them again")]
pub struct Down {
    /// The data directory of the Mainstay to stop [default: as for up]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Stop the databases and the gateway as well
    #[arg(long)]
    pub engines: bool,
    /// Nothing is asked; taken so that scripts can say it everywhere
    #[arg(long, short, hide = true)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Gateway {
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Deploys a PostgreSQL cluster and one of the Redis family, writes through their endpoints, backs up,
damages, restores in place and to a new cluster, compares, and prints what it measured. On a terminal
it stays until Ctrl-C, so that you can look around; nothing is left behind in the end.")]
pub struct Demo {
    /// An empty or new directory to work in [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Look for engines in this folder of unpacked packages too; may be repeated
    #[arg(long = "engine-dir", value_name = "DIR", env = "MAINSTAY_ENGINE_DIRS", value_delimiter = ':')]
    pub engine_dirs: Vec<PathBuf>,
    /// Rows to write
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub rows: u32,
}
