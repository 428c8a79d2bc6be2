//! The `sluicebox` program.

fn main() {}
