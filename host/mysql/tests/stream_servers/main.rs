//! The binlog stream and its decoder against real servers.
//!
//! `scripts/test` starts the servers and names them in `SLUICEBOX_TEST_MYSQL_ADDR` and `SLUICEBOX_TEST_MARIADB_ADDR`; a test
//! that finds no server fails. Each test has a database of its own, so that they can run side by side.

mod charsets;
mod connect;
mod follow;
mod json;
mod large;
mod refuse;
mod resume;
mod support;
mod swaps;
mod types;
mod versions;
