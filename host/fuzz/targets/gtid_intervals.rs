//! See `sluicebox_mysql::fuzzing::gtid_intervals`.
#![no_main]

libfuzzer_sys::fuzz_target!(|intervals: Vec<(u8, u8, u16, u16)>| {
    // Each one is compared with each other.
    sluicebox_mysql::fuzzing::gtid_intervals(&intervals[..intervals.len().min(64)]);
});
