//! The dashboard is built apart, by `make web`: no build of Rust starts another tool. A release without
//! it would be one that shows nobody anything, so it is none.

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    let is_there = dist.join("index.html").exists();
    if is_there {
        println!("cargo::rerun-if-changed={}", dist.display());
    } else {
        println!("cargo::rerun-if-changed=build.rs");
    }
    if !is_there && std::env::var("PROFILE").is_ok_and(|p| p == "release") {
        println!("cargo::error=the dashboard is not built: run `make web` (it needs Node 20 or later), then build again");
    }
}
