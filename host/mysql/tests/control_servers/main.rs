//! Catalog, statements, snapshot and preflight against real servers.
//!
//! `scripts/test` starts the servers and names them in `SLUICEBOX_TEST_MYSQL_ADDR` and `SLUICEBOX_TEST_MARIADB_ADDR`; a test
//! that finds no server fails.

mod chunks;
mod corpus;
mod ddl;
mod marks;
mod preflight;
mod server;
mod values;
