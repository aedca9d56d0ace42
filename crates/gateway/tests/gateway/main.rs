//! The gateway over real sockets, each test on loopback addresses of its own.

mod admission;
mod control;
mod load;
mod switching;
mod world;
