//! The engines Mainstay knows. [`all`] is THE LIST: forms, help texts, tables in the documentation
//! and the conformance tests walk it, and no other crate names an engine. A new engine is one file
//! or folder here and one line there.

mod common;
mod postgres;
mod redis_family;

use mainstay_drivers::engine::Engine;
use std::sync::Arc;

/// Every engine, in the order people see them.
pub fn all() -> Vec<Arc<dyn Engine>> {
    vec![Arc::new(postgres::Postgres), Arc::new(redis_family::RedisFamily::REDIS), Arc::new(redis_family::RedisFamily::VALKEY)]
}

/// The engine of that name.
pub fn by_name(name: &str) -> Option<Arc<dyn Engine>> {
    all().into_iter().find(|e| e.info().name == name)
}
