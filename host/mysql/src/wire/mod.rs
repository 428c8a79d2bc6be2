//! A connection to a server, made for one purpose: to receive a binlog as fast as it comes.
//!
//! Blocking, on a thread of its own: reading a dump is one loop over one socket, and shutting the socket down from
//! another thread stops it at once. TLS is rustls with ring, the compressed protocol deflates over whatever is below it, password scrambles and RSA come from `mysql_common`. Statements
//! can be sent too, as far as opening a dump needs them; everything else about a server goes through another client.

mod auth;
mod channel;
mod compressed;
mod connection;
mod dump;
mod packet;
mod refusal;
mod tls;

pub(crate) use auth::{Next, answer, answer_more, parse_switch};
pub(crate) use channel::Stop;
pub(crate) use connection::Connection;
pub(crate) use dump::{Dump, DumpStart, FIRST_OFFSET};
pub(crate) use tls::config as tls_config;

/// Everything that is read of a server before the first statement, for the module `fuzzing`.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_login_packet(packet: &[u8]) {
    let _ = refusal::Refusal::parse(packet);
    let challenge = match (auth::Greeting::parse(packet), auth::parse_switch(packet)) {
        (Some(greeting), _) => Some((greeting.plugin, greeting.nonce)),
        (None, switch) => switch,
    };
    let Some((plugin, nonce)) = challenge else { return };
    for (password, encrypted) in [(&b""[..], false), (b"secret", false), (b"secret", true)] {
        if let Ok(answer) = auth::answer(&plugin, &nonce, password, encrypted) {
            let in_clear = answer.windows(6).any(|part| part == b"secret");
            assert!(encrypted || !in_clear, "the password went out in clear to `{plugin}`");
        }
        // The challenge's bytes as what the server says next.
        let _ = auth::answer_more(&plugin, &nonce, &nonce, password, encrypted);
    }
}
