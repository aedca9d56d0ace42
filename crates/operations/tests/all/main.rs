//! The journal and its runner over real stores, and the loops over toys with known faults.

mod adoption;
mod children;
mod ends;
mod harness;
mod locks;
mod postgres;
mod support;
mod toys;
