//! Who can open a repository: one restic key file for each password, all holding the same master
//! key, so that keys come and go without a byte of data being touched.
//!
//! A key file tells which password it is for by a fingerprint in its user name, keyed with the
//! master key. Without it every look would cost a key derivation for each pair of file and password.

use super::{
    Repo,
    backend::{Backend, unwrapped},
    blobs::read_object,
    seal::Seal,
};
use mainstay_drivers::storage::RepositoryKeys;
use mainstay_model::{Error, Result, Secret};
use rustic_core::{Credentials, FileType, Id, KeyOptions, Repository, repofile::KeyFile};
use std::collections::HashMap;

const PREFIX: &str = "mainstay-";

/// The options under which a password's key file is written.
pub fn options(fingerprint: Option<&str>) -> KeyOptions {
    let mut options = KeyOptions::default();
    options.hostname = Some("mainstay".into());
    options.username = Some(fingerprint.map_or("own".into(), |f| format!("{PREFIX}{f}")));
    options.with_created = true;
    options
}

/// Adds what is missing; with `exact`, then removes what is not in `keys`.
pub fn ensure(repo: &Repo, keys: &RepositoryKeys, exact: bool) -> Result<()> {
    let present = present(repo)?;
    let mut keep = Vec::new();
    for secret in std::iter::once(&keys.own).chain(&keys.recovery) {
        let fingerprint = repo.seal.fingerprint(secret.reveal());
        keep.push(match present.get(&fingerprint) {
            Some(id) => *id,
            None => add(repo, secret, &fingerprint)?,
        });
    }
    if !exact {
        return Ok(());
    }
    let all = repo.objects.list(FileType::Key)?;
    all.iter().filter(|o| !keep.contains(&o.id)).try_for_each(|o| repo.objects.remove(FileType::Key, &o.id))
}

/// Opens the repository anew with the password, from the key files that lie in the place now.
pub fn opens(repo: &Repo, secret: &Secret) -> Result<()> {
    let doing = "opening the repository with a recovery key";
    let backends = Backend::plain(&repo.objects);
    let open = || Repository::new(&super::options(), &backends)?.open(&Credentials::password(secret.reveal()));
    let opened = open().map_err(|e| match e.is_incorrect_password() {
        true => Error::forbidden("no key file of the repository opens with the key").with_code("wrong_key"),
        false => unwrapped(doing, e),
    })?;
    match Seal::new(opened.key()).fingerprint("") == repo.seal.fingerprint("") {
        true => Ok(()),
        false => Err(Error::integrity("a key file opens with the key, and holds another repository's master key")),
    }
}

/// Key files by fingerprint. One that is damaged opens nothing and counts as absent.
fn present(repo: &Repo) -> Result<HashMap<String, Id>> {
    let mut present = HashMap::new();
    for object in repo.objects.list(FileType::Key)? {
        let Ok(file) = key_file(repo, &object.id) else { continue };
        match file.username.as_deref().and_then(|name| name.strip_prefix(PREFIX)) {
            Some(fingerprint) => present.insert(fingerprint.to_owned(), object.id),
            None if repo.opened.1 == Some(object.id) => present.insert(repo.opened.0.clone(), object.id),
            None => None,
        };
    }
    Ok(present)
}

fn key_file(repo: &Repo, id: &Id) -> Result<KeyFile> {
    let bytes = read_object(repo.objects.as_ref(), FileType::Key, id)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::integrity(format!("a key file is not readable: {e}")))
}

/// Writes a key file and opens it once: a recovery key that was never tried is none.
fn add(repo: &Repo, secret: &Secret, fingerprint: &str) -> Result<Id> {
    let doing = "adding a key to the repository";
    let library = repo.library()?;
    let id = library.add_key(secret.reveal(), &options(Some(fingerprint))).map_err(|e| unwrapped(doing, e))?.into_inner();
    key_file(repo, &id)?.key_from_password(&secret.reveal()).map_err(|e| unwrapped(doing, e))?;
    Ok(id)
}
