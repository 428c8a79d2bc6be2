//! See `sluicebox_mysql::fuzzing::login_packet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::login_packet(data));
