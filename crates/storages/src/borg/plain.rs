//! A repository without encryption, for what is no secret: the probe of a place, and the list of what
//! lies in it.

use super::{
    Borg,
    address::Address,
    archives::{Archive, LIST, all_of},
    child::{Call, Input, LOCK_PATIENCE, QUICK, words},
    trouble,
};
use crate::pool::Pool;
use mainstay_drivers::runtime::ExecOutput;
use mainstay_model::{Result, Secret};
use std::{sync::Arc, time::Instant};

#[derive(Clone)]
pub struct Plain {
    pub borg: Arc<Borg>,
    pub pool: Pool,
    pub address: Arc<Address>,
    pub login: Option<Secret>,
    /// As Borg is told it.
    pub url: String,
}

impl Plain {
    /// To a good end; while somebody else holds it, anew.
    pub async fn run(&self, head: &[&str], tail: &[String], stdin: &str) -> Result<ExecOutput> {
        let begun = Instant::now();
        loop {
            match self.run_once(head, tail, stdin).await {
                Err(e) if e.code == trouble::LOCKED && begun.elapsed() < LOCK_PATIENCE => {}
                done => return done,
            }
        }
    }

    async fn run_once(&self, head: &[&str], tail: &[String], stdin: &str) -> Result<ExecOutput> {
        let room = self.borg.room(&self.pool, &self.address, self.login.clone()).await?;
        let call = Call { room, args: words(head, tail), input: Input::Bytes(stdin.into()), timeout: QUICK, background: false };
        let out = self.borg.exec(call).await?;
        trouble::judge(head[0], &self.url, &out).map(|()| out)
    }

    /// One that is there is done.
    pub async fn make(&self) -> Result<()> {
        let made = self.run(&["init", "--make-parent-dirs", "--encryption=none"], std::slice::from_ref(&self.url), "").await;
        match made {
            Err(e) if e.inside.as_deref().is_some_and(|text| text.contains("already exists")) => Ok(()),
            done => done.map(drop),
        }
    }

    pub async fn archives(&self) -> Result<Vec<Archive>> {
        all_of(&self.run(&LIST, std::slice::from_ref(&self.url), "").await?)
    }

    pub fn archive(&self, name: &str) -> String {
        format!("{}::{name}", self.url)
    }
}
