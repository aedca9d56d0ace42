//! A mark tells our processes from everybody else's when no pid is known of them: after a crash
//! between a start and its record, or when a child left its parent's session (PostgreSQL's
//! backends all do).
//!
//! It is carried in two ways, because programs destroy either. A variable in the environment is
//! what Redis and PostgreSQL overwrite with their process title. A standard input that is an
//! empty, sealed memory file by the mark's name reads like `/dev/null` and is inherited by every
//! child, but some children are given another input.

use super::doing::Doing;
use mainstay_drivers::runtime::InstanceId;
use mainstay_model::Result;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::{ffi::OsString, fs, os::fd::OwnedFd, os::unix::ffi::OsStringExt, path::Path};

const INSTANCE: &str = "MAINSTAY_INSTANCE";
const TOOL: &str = "MAINSTAY_TOOL";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    key: &'static str,
    value: OsString,
}

/// What a look at one process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Marked,
    Unmarked,
    /// We may not look: root without the right to trace, inside a container.
    Hidden,
}

pub(crate) fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

impl Mark {
    /// The mark of one incarnation of an instance.
    pub fn instance(id: &InstanceId, nonce: &str) -> Self {
        Mark { key: INSTANCE, value: format!("{id}:{nonce}").into() }
    }

    /// The mark of one run of a tool. It begins with [`Mark::tools`] of the same directory.
    pub fn tool(state_dir: &Path) -> Self {
        let mut mark = Mark::tools(state_dir);
        mark.value.push(nonce());
        mark
    }

    /// What the marks of all tools of one runtime begin with.
    pub fn tools(state_dir: &Path) -> Self {
        let mut value = state_dir.as_os_str().to_owned();
        value.push(":");
        Mark { key: TOOL, value }
    }

    pub fn env(&self) -> (&'static str, &OsString) {
        (self.key, &self.value)
    }

    /// An empty standard input that carries the mark.
    pub fn stdin(&self) -> Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create(self.file_name(), flags).doing(|| "could not make an empty standard input")?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).doing(|| "could not seal an empty standard input")?;
        Ok(file)
    }

    pub fn on(&self, pid: i32) -> Sight {
        let by_input = match fs::read_link(format!("/proc/{pid}/fd/0")) {
            Ok(target) if target.as_os_str() == self.link().as_os_str() => return Sight::Marked,
            Ok(_) => Sight::Unmarked,
            Err(e) => hidden_if_denied(&e),
        };
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environ) if self.is_in(&environ) => Sight::Marked,
            Ok(_) => by_input,
            Err(e) => hidden_if_denied(&e),
        }
    }

    fn is_in(&self, environ: &[u8]) -> bool {
        let value = self.value.clone().into_vec();
        let mut variables = environ.split(|b| *b == 0);
        variables.any(|v| v.strip_prefix(self.key.as_bytes()).and_then(|v| v.strip_prefix(b"=")).is_some_and(|v| v.starts_with(&value)))
    }

    fn file_name(&self) -> String {
        format!("mainstay:{}", self.value.to_string_lossy())
    }

    fn link(&self) -> OsString {
        format!("/memfd:{} (deleted)", self.file_name()).into()
    }
}

fn hidden_if_denied(e: &std::io::Error) -> Sight {
    if e.kind() == std::io::ErrorKind::PermissionDenied { Sight::Hidden } else { Sight::Unmarked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_an_environment_and_only_there() {
        let mark = Mark::instance(&InstanceId("nd_a".into()), "77");
        assert!(mark.is_in(b"PATH=/bin\0MAINSTAY_INSTANCE=nd_a:77\0"));
        assert!(!mark.is_in(b"MAINSTAY_INSTANCE=nd_a:78\0"));
        assert!(!mark.is_in(b"X=MAINSTAY_INSTANCE=nd_a:77\0"));
        let tools = Mark::tools(Path::new("/var/x"));
        assert!(tools.is_in(b"MAINSTAY_TOOL=/var/x:9\0"));
        assert!(!tools.is_in(b"MAINSTAY_TOOL=/var/xy:9\0"));
    }

    #[test]
    fn this_process_carries_no_mark() {
        assert_eq!(Mark::instance(&InstanceId("nd_a".into()), "1").on(std::process::id().cast_signed()), Sight::Unmarked);
    }
}
