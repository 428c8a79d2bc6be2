//! Logging in: what the server's first packet says, and what to answer to each way of proving a password.
//!
//! Known: `mysql_native_password`, `caching_sha2_password` (the short way, and the long one), `sha256_password`,
//! `client_ed25519`. A password in clear goes out only over TLS. Without TLS the long way encrypts it with a key that the
//! peer sends: that protects against listeners, not against a false server, and happens only where the options accept an
//! unencrypted connection at all.

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::client_ed25519::ClientEd25519;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;
use mysql_common::auth::plugins::{ChallengeResponsePlugin, Context};
use openssl::rsa::{Padding, Rsa};

use crate::event::Cursor;
use crate::options::LineCompression;

const LONG_FLAG: u32 = 0x4;
const PROTOCOL_41: u32 = 0x200;
/// The server can deflate what is sent; sent back to ask for it.
const COMPRESS: u32 = 0x20;
/// The server offers TLS; sent back to ask for it.
pub(super) const SSL: u32 = 0x800;
/// The server can pack what is sent with Zstandard; sent back to ask for it.
const COMPRESS_ZSTD: u32 = 0x400_0000;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;
/// `utf8mb4_general_ci`, which every server since 5.5 knows.
const COLLATION: u8 = 45;
/// Largest packet that we take.
const PACKET_MAX: u32 = 1 << 30;
/// The servers' own default, and the fastest that still packs binlogs to about a third.
pub(super) const ZSTD_LEVEL: u8 = 3;
/// Bytes of every plugin's challenge but ed25519's.
const NONCE_BYTES: usize = 20;
/// Bytes of ed25519's.
const LONG_NONCE_BYTES: usize = 32;

/// The server's first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) thread_id: u32,
    pub(super) capabilities: u32,
    pub(super) nonce: Vec<u8>,
    pub(super) plugin: String,
}

impl Greeting {
    /// None when it is not version 10 of the protocol, which all servers since 3.21 speak.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(packet);
        if cursor.u8()? != 10 {
            return None;
        }
        cursor.until_zero()?;
        let thread_id = cursor.u32()?;
        let mut nonce = cursor.take(8)?.to_vec();
        cursor.take(1)?;
        let low = cursor.u16()?;
        cursor.take(3)?;
        let capabilities = u32::from(low) | u32::from(cursor.u16()?) << 16;
        let nonce_bytes = usize::from(cursor.u8()?);
        cursor.take(10)?;
        let rest = cursor.take(nonce_bytes.saturating_sub(8).max(13))?;
        nonce.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        let plugin = String::from_utf8_lossy(cursor.until_zero().unwrap_or(cursor.rest())).into_owned();
        Some(Self { thread_id, capabilities, nonce, plugin })
    }
}

/// What both sides do beyond the plain protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    pub(super) encrypted: bool,
    pub(super) compress: Option<LineCompression>,
}

/// What of the compression that is wished for the server can do.
pub(super) fn agreed(wish: Option<LineCompression>, capabilities: u32) -> Option<LineCompression> {
    let zlib = (capabilities & COMPRESS != 0).then_some(LineCompression::Zlib);
    match wish? {
        LineCompression::Zstd if capabilities & COMPRESS_ZSTD != 0 => Some(LineCompression::Zstd),
        LineCompression::Zlib | LineCompression::Zstd => zlib,
    }
}

fn head(wishes: Wishes) -> Vec<u8> {
    let mut capabilities = LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
    if wishes.encrypted {
        capabilities |= SSL;
    }
    match wishes.compress {
        Some(LineCompression::Zlib) => capabilities |= COMPRESS,
        Some(LineCompression::Zstd) => capabilities |= COMPRESS_ZSTD,
        None => {}
    }
    let mut out = capabilities.to_le_bytes().to_vec();
    out.extend(PACKET_MAX.to_le_bytes());
    out.push(COLLATION);
    out.extend([0; 23]);
    out
}

/// Asks for TLS.
pub(super) fn ssl_request(compress: Option<LineCompression>) -> Vec<u8> {
    head(Wishes { encrypted: true, compress })
}

/// Names the account and answers the greeting's challenge.
pub(super) fn login(user: &str, answer: &[u8], plugin: &str, wishes: Wishes) -> Option<Vec<u8>> {
    let mut out = head(wishes);
    out.extend(user.as_bytes());
    out.push(0);
    out.push(u8::try_from(answer.len()).ok()?);
    out.extend(answer);
    out.extend(plugin.as_bytes());
    out.push(0);
    if wishes.compress == Some(LineCompression::Zstd) {
        // The level at which the server is to pack.
        out.push(ZSTD_LEVEL);
    }
    Some(out)
}

/// The server wants another way of proving: its name, and the challenge.
pub(crate) fn parse_switch(packet: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut cursor = Cursor::new(packet.get(1..)?);
    let plugin = String::from_utf8_lossy(cursor.until_zero()?).into_owned();
    // Some end it with a zero; one of ed25519's, which are any bytes, may be a zero itself.
    let nonce = match cursor.rest() {
        [nonce @ .., 0] if matches!(nonce.len(), NONCE_BYTES | LONG_NONCE_BYTES) => nonce,
        nonce => nonce,
    };
    Some((plugin, nonce.to_vec()))
}

/// The first answer to a plugin's challenge. `Err`: why there is none.
pub(crate) fn answer(
    plugin: &str,
    nonce: &[u8],
    password: &[u8],
    encrypted: bool,
) -> Result<Vec<u8>, String> {
    let bad_nonce = || format!("the server's challenge for `{plugin}` has {} bytes", nonce.len());
    match plugin {
        "mysql_native_password" => {
            let nonce = nonce.get(..NONCE_BYTES).ok_or_else(bad_nonce)?;
            Ok(scramble_native(nonce, password).map_or_else(Vec::new, |s| s.to_vec()))
        }
        "caching_sha2_password" => {
            let nonce = nonce.first_chunk().ok_or_else(bad_nonce)?;
            Ok(scramble_sha256(nonce, password).map_or_else(Vec::new, |s| s.to_vec()))
        }
        "sha256_password" if password.is_empty() => Ok(Vec::new()),
        "sha256_password" if encrypted => Ok(with_zero(password)),
        // Asks for the server's key.
        "sha256_password" => Ok(vec![1]),
        "client_ed25519" => {
            let response =
                ClientEd25519::default().run(Password(password), nonce).map_err(|e| e.to_string())?;
            Ok(response.data().unwrap_or_default().to_vec())
        }
        other => Err(format!("the account proves its password with `{other}`, which is not known here")),
    }
}

struct Password<'a>(&'a [u8]);

impl Context for Password<'_> {
    fn pass(&self) -> &[u8] {
        self.0
    }
    fn is_ipc_transport(&self) -> bool {
        false
    }
    fn is_tls_transport(&self) -> bool {
        true
    }
    fn scramble(&self) -> &[u8] {
        &[]
    }
    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

/// What to do with data that comes before the end of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The password is known there: OK follows.
    Wait,
    /// Send this.
    Send(Vec<u8>),
}

/// Answers data of `caching_sha2_password` and `sha256_password`; `data` is without its mark (1).
pub(crate) fn answer_more(
    plugin: &str,
    data: &[u8],
    nonce: &[u8],
    password: &[u8],
    encrypted: bool,
) -> Result<Next, String> {
    const FAST_OK: &[u8] = &[3];
    const FULL: &[u8] = &[4];
    match (plugin, data) {
        ("caching_sha2_password", FAST_OK) => Ok(Next::Wait),
        ("caching_sha2_password", FULL) if encrypted => Ok(Next::Send(with_zero(password))),
        // Asks for the server's key.
        ("caching_sha2_password", FULL) => Ok(Next::Send(vec![2])),
        ("caching_sha2_password" | "sha256_password", key)
            if key.starts_with(b"-----BEGIN") && !encrypted =>
        {
            encrypt(password, nonce, key).map(Next::Send)
        }
        _ => Err(format!("the server says something about `{plugin}` that is not known here")),
    }
}

fn with_zero(password: &[u8]) -> Vec<u8> {
    [password, &[0]].concat()
}

/// The password, mixed with the challenge so that no answer can be used twice, under the server's public key.
fn encrypt(password: &[u8], nonce: &[u8], key: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |e: openssl::error::ErrorStack| {
        format!("the password cannot be encrypted with the server's key: {e}")
    };
    let key = Rsa::public_key_from_pem(key).map_err(failed)?;
    if nonce.is_empty() {
        return Err("the server sent no challenge".to_owned());
    }
    let mixed: Vec<u8> = with_zero(password).iter().zip(nonce.iter().cycle()).map(|(p, n)| p ^ n).collect();
    let mut out = vec![0; usize::try_from(key.size()).map_err(|e| e.to_string())?];
    let length = key.public_encrypt(&mixed, &mut out, Padding::PKCS1_OAEP).map_err(failed)?;
    out.truncate(length);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_may_end_with_a_zero_of_its_own() {
        for (bytes, ended) in [(20, true), (20, false), (32, true), (32, false)] {
            let mut nonce = vec![7; bytes];
            if bytes == 32 {
                nonce[31] = 0;
            }
            let end: &[u8] = if ended { &[0] } else { &[] };
            let packet = [&b"\xfeclient_ed25519\0"[..], &nonce, end].concat();
            assert_eq!(parse_switch(&packet), Some(("client_ed25519".to_owned(), nonce)), "{bytes} {ended}");
        }
    }

    #[test]
    fn a_greeting_gives_challenge_and_plugin() {
        let mut packet = vec![10];
        packet.extend(b"9.7.4\0");
        packet.extend(7_u32.to_le_bytes());
        packet.extend(b"12345678\0\xff\xff\xff\x02\x00\xff\xdf\x15");
        packet.extend([0; 10]);
        packet.extend(b"abcdefghijkl\0caching_sha2_password\0");
        let greeting = Greeting::parse(&packet).expect("a greeting");
        assert_eq!((greeting.thread_id, &greeting.nonce[..]), (7, &b"12345678abcdefghijkl"[..]));
        assert_eq!(greeting.plugin, "caching_sha2_password");
        assert_eq!(greeting.capabilities & SSL, SSL);
        for length in 0..45 {
            assert_eq!(Greeting::parse(&packet[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_password_never_goes_out_in_clear_without_encryption() {
        let nonce = [7; NONCE_BYTES];
        for plugin in ["mysql_native_password", "caching_sha2_password", "sha256_password"] {
            let first = answer(plugin, &nonce, b"secret", false).expect("an answer");
            assert!(!first.windows(6).any(|w| w == b"secret"), "{plugin}");
            assert_eq!(answer(plugin, &nonce, b"", false), Ok(Vec::new()), "{plugin}");
        }
        let full = |encrypted| answer_more("caching_sha2_password", &[4], &nonce, b"secret", encrypted);
        assert_eq!(full(false), Ok(Next::Send(vec![2])));
        assert_eq!(full(true), Ok(Next::Send(b"secret\0".to_vec())));
    }

    #[test]
    fn a_broken_key_or_challenge_is_an_error() {
        for key in [&b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"[..], b"-----BEGIN x"] {
            assert!(answer_more("caching_sha2_password", key, &[1; 20], b"secret", false).is_err());
        }
        assert!(answer("caching_sha2_password", &[1; 8], b"secret", true).is_err());
        assert!(answer("mysql_clear_password", &[1; 20], b"secret", true).is_err());
    }
}
