//! A connection to a server, made for one purpose: to receive a binlog as fast as it comes.
//!
//! Blocking, on a thread of its own: reading a dump is one loop over one socket, and shutting the socket down from
//! another thread stops it at once. TLS is rustls with ring, password scrambles and RSA come from `mysql_common`. Statements
//! can be sent too, as far as opening a dump needs them; everything else about a server goes through another client.

mod auth;
mod channel;
mod connection;
mod dump;
mod packet;
mod refusal;
mod tls;

pub(crate) use channel::Stop;
pub(crate) use connection::Connection;
pub(crate) use dump::{Dump, DumpStart, FIRST_OFFSET};
pub(crate) use tls::config as tls_config;
