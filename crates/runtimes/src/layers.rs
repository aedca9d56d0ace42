//! Wrappers around a runtime: what cuts across all verbs lives here instead of inside a driver.

pub mod trace;
