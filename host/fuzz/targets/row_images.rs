//! See `sluicebox_mysql::fuzzing::row_images`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::row_images(data));
