//! The agent as the control plane meets it: through its socket, in a fake world, killed and opened
//! again as tests please.

mod group;
mod guards;
mod host;
mod life;
mod looks;
mod loops;
mod restore;
