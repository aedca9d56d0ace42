//! Dual region: two storages far enough apart that no one place takes both.

use mainstay_model::{Error, Result};

/// The first two of these storages, each with its region label, whose labels differ.
pub fn two<'a>(storages: &[(&'a str, Option<&str>)]) -> Result<(&'a str, &'a str)> {
    let labelled: Vec<(&'a str, &str)> = storages.iter().filter_map(|(name, region)| Some((*name, (*region)?))).collect();
    let pair = labelled.first().and_then(|(one, here)| Some((*one, labelled.iter().find(|(_, region)| region != here)?.0)));
    pair.ok_or_else(|| {
        let found = match labelled.is_empty() {
            true => "none of the storages has a region label".into(),
            false => labelled.iter().map(|(name, region)| format!("{name} is in {region}")).collect::<Vec<_>>().join(", "),
        };
        let how = "two of them must be in different regions; add one with `mainstay storage add … --region LABEL`";
        Error::invalid("dual_region", format!("{found}; {how}")).with_code("one_region")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_storages_with_different_labels() {
        let all = [("local", None), ("a", Some("eu")), ("b", Some("eu")), ("c", Some("us")), ("d", Some("asia"))];
        assert_eq!(two(&all).unwrap(), ("a", "c"));
        let e = two(&all[..3]).unwrap_err();
        assert!(e.message.contains("a is in eu, b is in eu"), "{e}");
        assert!(two(&all[..1]).unwrap_err().message.starts_with("none of the storages"));
    }
}
