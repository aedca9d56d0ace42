//! Which of a cluster's repositories in one place is meant: they lie beside each other, each with a master
//! key of its own, and are counted from 1.

use mainstay_model::{ClusterId, ProjectId};

pub fn first() -> u32 {
    1
}

/// A repository's directory, below its project's: `<cluster>`, and `<cluster>.2` for those that came after.
pub fn directory_name(cluster: &ClusterId, edition: u32) -> String {
    if edition <= 1 { cluster.to_string() } else { format!("{cluster}.{edition}") }
}

/// The cluster and the edition that such a name stands for.
pub fn parse_directory(name: &str) -> Option<(ClusterId, u32)> {
    let (cluster, edition) = match name.split_once('.') {
        None => (ClusterId::parse(name)?, 1),
        Some((cluster, edition)) => (ClusterId::parse(cluster)?, edition.parse().ok()?),
    };
    (directory_name(&cluster, edition) == name).then_some((cluster, edition))
}

/// Where a repository lies in its place: the project's id, the cluster's, the edition.
pub type Spot = (ProjectId, ClusterId, u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_in_one_way_only() {
        let cluster = ClusterId::new();
        for edition in [1, 2, 17] {
            assert_eq!(parse_directory(&directory_name(&cluster, edition)), Some((cluster.clone(), edition)));
        }
        for other in ["", ".2", "x.2", &format!("{cluster}."), &format!("{cluster}.1"), &format!("{cluster}.02"), &format!("{cluster}.2.3")]
        {
            assert_eq!(parse_directory(other), None, "{other}");
        }
    }
}
