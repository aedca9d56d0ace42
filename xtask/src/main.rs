//! Checks of the structure that the compiler does not make: who may depend on whom, who may say
//! what, and how long things may get. `cargo run -p xtask -- check`; seconds, no dependencies.

mod arrows;
mod lengths;
mod rooms;
mod source;

use std::path::Path;

fn main() {
    if std::env::args().nth(1).as_deref() != Some("check") {
        eprintln!("usage: cargo run -p xtask -- check");
        std::process::exit(2);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let mut faults = arrows::check(root);
    let files = source::read(&root.join("crates"));
    faults.extend(rooms::check(&files));
    faults.extend(lengths::check(root, &files));
    for fault in &faults {
        eprintln!("{fault}");
    }
    println!("structure: {} files read, {} faults", files.len(), faults.len());
    std::process::exit(i32::from(!faults.is_empty()));
}
