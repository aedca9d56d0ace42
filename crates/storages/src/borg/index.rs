//! Which repositories lie on another host. `borg serve` lists none, and whoever has lost everything but
//! the place and a key has no catalogue to ask. So a small repository beside them, without encryption,
//! holds an empty archive for each, named `<project>.<cluster>`, as the directories are: no more than their paths tell anyway.
//! Nothing in it is believed; what it names has still to be opened with a key.

use super::{address::Address, plain::Plain, trouble};
use mainstay_drivers::storage::{Spot, directory_name, parse_directory};
use mainstay_model::{Error, Kind, ProjectId, Result, backup::Check};

const NAME: &str = "mainstay-index";

pub struct Index(Plain);

impl Index {
    /// `None` where the place itself can be listed.
    pub fn of(there: &Plain) -> Option<Index> {
        match *there.address {
            Address::Local(_) => None,
            Address::Ssh { .. } => Some(Index(Plain { url: there.address.url(NAME), ..there.clone() })),
        }
    }

    /// A place without one holds no repositories of ours, or only such that were not written to since
    /// there are indexes.
    pub async fn list(&self) -> Result<Vec<Spot>> {
        match self.0.archives().await {
            Ok(all) => Ok(all.iter().filter_map(|archive| parse(&archive.name)).collect()),
            Err(e) if e.kind == Kind::NotFound => Err(Error::conflict(
                "not_listable",
                format!(
                    "there is no list of repositories at {}: nothing was backed up there, or only by a Mainstay before it kept one; \
                     list the place on its own host and restore with borg by hand",
                    self.0.url
                ),
            )),
            Err(e) => Err(e),
        }
    }

    /// Written down once; what is there already is done.
    pub async fn note(&self, at: &Spot) -> Result<()> {
        match self.0.archives().await {
            Ok(all) if all.iter().any(|archive| parse(&archive.name).as_ref() == Some(at)) => return Ok(()),
            Err(e) if e.kind == Kind::NotFound => self.0.make().await?,
            found => drop(found?),
        }
        // Of the empty directory it runs in: only the name matters.
        self.0.run(&["create", "--files-cache=disabled"], &[self.0.archive(&name(at)), ".".into()], "").await.map(drop)
    }

    pub async fn forget(&self, at: &Spot) -> Result<()> {
        match self.0.run(&["delete"], &[self.0.archive(&name(at))], "").await {
            Err(e) if e.kind == Kind::NotFound || trouble::is_append_only(&e) => Ok(()),
            done => done.map(drop),
        }
    }

    pub async fn row(&self) -> Check {
        match self.list().await {
            Ok(all) => Check::new("index", true, format!("{} repositories are listed, for whoever recovers from here", all.len())),
            Err(e) if e.code == "not_listable" => Check::new("index", true, "the first backup begins the list of repositories"),
            Err(e) => Check::new(
                "index",
                false,
                format!(
                    "the list of repositories cannot be read, and a recovery from nothing needs it; remove {} and it is made anew ({e})",
                    self.0.url
                ),
            ),
        }
    }
}

fn name((project, cluster, edition): &Spot) -> String {
    format!("{project}.{}", directory_name(cluster, *edition))
}

fn parse(name: &str) -> Option<Spot> {
    let (project, directory) = name.split_once('.')?;
    let (cluster, edition) = parse_directory(directory)?;
    Some((ProjectId::parse(project)?, cluster, edition))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::ClusterId;

    #[test]
    fn only_what_mainstay_writes_is_a_name() {
        let (project, cluster) = (ProjectId::new(), ClusterId::new());
        for edition in [1, 2] {
            let at = (project.clone(), cluster.clone(), edition);
            assert_eq!(parse(&name(&at)), Some(at));
        }
        for other in ["", ".", "a.b", "../x.cl_1", &format!("{project}."), project.as_str()] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
