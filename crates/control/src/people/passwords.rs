//! Passwords as argon2id. One costs 19 MiB and some tens of milliseconds, so only two are worked on
//! at once: a flood of tries must not take the memory of what else runs here.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use mainstay_model::{Error, Result};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

static TURNS: Semaphore = Semaphore::const_new(2);
const PATIENCE: Duration = Duration::from_secs(10);
/// What the password of somebody who is not there is held against: it takes as long.
static NOBODY: OnceCell<String> = OnceCell::const_new();

pub async fn hash(password: &str) -> Result<String> {
    let password = password.to_string();
    in_turn(move || Argon2::default().hash_password(password.as_bytes()).map(|h| h.to_string()).map_err(Error::internal)).await?
}

/// `None` is nobody's password: never right, and no sooner known.
pub async fn verify(password: &str, hash: Option<&str>) -> Result<bool> {
    let known = hash.is_some();
    let hash = match hash {
        Some(hash) => hash.to_string(),
        None => NOBODY.get_or_try_init(|| self::hash("nobody has this password")).await?.clone(),
    };
    let password = password.to_string();
    let right = in_turn(move || -> Result<bool> {
        let hash = PasswordHash::new(&hash).map_err(|e| Error::integrity(format!("a password's hash does not read: {e}")))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    Ok(right.await?? && known)
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let busy = || Error::unavailable("sign_in_busy", "too many are signing in right now; try again in a moment");
    let turn = tokio::time::timeout(PATIENCE, TURNS.acquire()).await.map_err(|_| busy())?.map_err(Error::internal)?;
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal);
    drop(turn);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_kept_as_argon2id_and_known_again() {
        let (one, two) = (hash("correct horse").await.unwrap(), hash("correct horse").await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two, "each has a salt of its own");
        assert!(verify("correct horse", Some(&one)).await.unwrap());
        assert!(!verify("correct horsf", Some(&one)).await.unwrap());
        for nobody in ["nobody has this password", "correct horse"] {
            assert!(!verify(nobody, None).await.unwrap());
        }
        assert!(verify("correct horse", Some("$argon2id$broken")).await.is_err());
    }
}
