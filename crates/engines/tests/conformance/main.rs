//! What every engine owes, tried on every version of every engine of the list that is installed
//! here: real servers, the real runtime, a real repository. No engine is named; what differs between
//! them is how a number is written and read back, and that is a row in `probes.rs`.
//!
//! Each case runs the verbs in the order in which the agent and the control plane use them. An engine
//! without an installed version says so on a line that starts with `SKIPPED`.

mod accounts;
mod backups;
mod bed;
mod by_hand;
mod damage;
mod drill;
mod group;
mod handover;
mod incremental;
mod life;
mod load;
mod probes;
mod replicas;
mod restore;
mod segments;
mod settings;
mod states;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engines_that_are_not_here_are_told() {
    bed::tell_absent().await;
}
