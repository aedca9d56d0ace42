//! The OS user that files and processes are given to. Only root can give; anybody else works as
//! themselves, and the user named in a spec is ignored.

use mainstay_model::{Error, Result, error::shown};
use nix::unistd::User;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `None` means: as whoever we are.
pub(crate) fn resolve(user: Option<&str>) -> Result<Option<Owner>> {
    let Some(name) = user.filter(|_| is_root()) else { return Ok(None) };
    match User::from_name(name) {
        Ok(Some(user)) => Ok(Some(Owner { name: name.into(), uid: user.uid.as_raw(), gid: user.gid.as_raw() })),
        Ok(None) => Err(Error::failed(
            "no_such_user",
            format!(
                "this machine has no user \"{0}\"; install the engine's package, or create the user: useradd --system {0}",
                shown(name)
            ),
        )),
        Err(e) => Err(Error::failed("no_such_user", format!("the user \"{}\" cannot be looked up: {e}", shown(name)))),
    }
}
