//! What a console shows and how it is typed into.

pub mod keyboard;
pub mod paper;
pub mod statement;
