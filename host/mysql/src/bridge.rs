//! Encryption, and a proof of the password, of our own under the SQL driver.
//!
//! The driver cannot verify a certificate's authority without its host name, and MySQL's own certificates have no names. So
//! for `VERIFY_CA` the connection is encrypted here, with the verifier that the binlog reader uses, and the driver talks to
//! it over a Unix socket that only this process can reach. Order: connect, read the greeting, let the driver in and take its
//! login, encrypt (nothing of the login but its capabilities has left us before the server is trusted), pass the login
//! on, then copy bytes. Encrypting takes one packet that the driver knows nothing of, so packet numbers differ by one
//! until the login is answered.
//!
//! Nor does the driver know `sha256_password`. Where an account has it, the server's question is answered here, and the driver
//! sees only what comes of it. That works over an unencrypted connection too: the password goes out under the server's key.
//!
//! The socket stands in a directory that only this user can enter, and vanishes once the driver is in.

use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::wire::{self, Next};

/// The plugin that the driver does not know.
pub(crate) const SHA256: &str = "sha256_password";
/// `CLIENT_SSL`.
const SSL: u32 = 0x800;
/// The head of a login, which by itself asks for encryption: capabilities, largest packet, collation. MySQL takes the
/// capabilities from there and not from the login that follows.
const LOGIN_HEAD_BYTES: usize = 32;
/// Packets of a login are some hundred bytes; a key or a certificate some thousand.
const MOST_LOGIN_BYTES: usize = 64 * 1024;

/// A packet and its number.
struct Packet {
    number: u8,
    payload: Vec<u8>,
}

/// Where the driver is to connect; the directory goes with this value.
pub(crate) struct Door {
    directory: PathBuf,
    failure: oneshot::Receiver<io::Error>,
}

impl Door {
    /// The socket's path.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("sql")
    }

    /// Why there is no encryption, when the driver was not answered: it saw no more than a connection that closed.
    pub(crate) async fn cause(&mut self) -> Option<io::Error> {
        (&mut self.failure).await.ok()
    }

    fn make(failure: oneshot::Receiver<io::Error>) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("sluicebox-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        // What is there already is somebody else's, or left from a process of our number that was killed; both are an error
        // but for the second, whose empty directory or socket may go.
        remove(&directory);
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(Self { directory, failure })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        remove(&self.directory);
    }
}

fn remove(directory: &Path) {
    // Errors mean that it is gone, or not ours.
    let _ = std::fs::remove_file(directory.join("sql"));
    let _ = std::fs::remove_dir(directory);
}

/// Connects, and lets one driver connection in through the door that is returned. Encrypts where there is a `config`. The rest is
/// done by a task that ends with either side.
pub(crate) async fn open(
    host: &str,
    port: u16,
    config: Option<ClientConfig>,
    password: &[u8],
) -> io::Result<Door> {
    let mut server = TcpStream::connect((host, port)).await?;
    server.set_nodelay(true)?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?;
    let greeting = read(&mut server).await?;
    // An error in place of a greeting goes to the driver, which knows what it means.
    let demanded = config.is_some() && greeting.payload.first() != Some(&0xff);
    if demanded && !offers_encryption(&greeting.payload) {
        return Err(io::Error::new(
            ErrorKind::Unsupported,
            "encryption is demanded and the server offers none",
        ));
    }
    let (failed, failure) = oneshot::channel();
    let door = Door::make(failure)?;
    let listener = UnixListener::bind(door.path())?;
    let (password, connector) = (password.to_vec(), config.map(|c| TlsConnector::from(Arc::new(c))));
    tokio::spawn(async move {
        let ended = match connector {
            None => match meet(listener, &greeting).await {
                Ok(Some((driver, login))) => {
                    drop(failed);
                    let relay = Relay { driver, server, ahead: 0, is_private: false, password };
                    relay.run(login).await
                }
                Ok(None) => Ok(()),
                Err(error) => return drop(failed.send(error)),
            },
            Some(connector) => match let_in(listener, server, &greeting, connector, name).await {
                Ok(Some((driver, server, login))) => {
                    drop(failed);
                    let relay = Relay { driver, server, ahead: 1, is_private: true, password };
                    relay.run(login).await
                }
                Ok(None) => Ok(()),
                // Nobody waits any more: the driver gave up first.
                Err(error) => return drop(failed.send(error)),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a bridged connection for SQL ended");
        }
    });
    Ok(door)
}

type Encrypted = (UnixStream, TlsStream<TcpStream>, Packet);

/// Takes the driver's login; none when there was no greeting to answer.
async fn meet(listener: UnixListener, greeting: &Packet) -> io::Result<Option<(UnixStream, Packet)>> {
    let (mut driver, _) = listener.accept().await?;
    drop(listener);
    write(&mut driver, greeting).await?;
    if greeting.payload.first() == Some(&0xff) {
        return Ok(None);
    }
    let login = read(&mut driver).await?;
    Ok(Some((driver, login)))
}

/// Takes the driver's login and encrypts; none when there was no greeting to answer.
async fn let_in(
    listener: UnixListener,
    mut server: TcpStream,
    greeting: &Packet,
    connector: TlsConnector,
    name: ServerName<'static>,
) -> io::Result<Option<Encrypted>> {
    let Some((driver, mut login)) = meet(listener, greeting).await? else { return Ok(None) };
    mark_encrypted(&mut login.payload)?;
    let head = login.payload.get(..LOGIN_HEAD_BYTES).unwrap_or_default().to_vec();
    write(&mut server, &Packet { number: login.number, payload: head }).await?;
    let server = connector.connect(name, server).await?;
    Ok(Some((driver, server, login)))
}

/// The two sides from the login on.
struct Relay<S> {
    driver: UnixStream,
    server: S,
    /// Packets between us and the server that the driver knows nothing of.
    ahead: u8,
    /// Whether nobody can read along on the way to the server.
    is_private: bool,
    password: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Passes the login on, then everything.
    async fn run(mut self, mut login: Packet) -> io::Result<()> {
        loop {
            login.number = login.number.wrapping_add(self.ahead);
            write(&mut self.server, &login).await?;
            // The server may send several packets before it is the driver's turn; only its own packets tell.
            loop {
                let mut answer = read(&mut self.server).await?;
                if let Some(nonce) = asks_for_sha256(&answer.payload) {
                    self.prove(answer.number, &nonce).await?;
                    continue;
                }
                answer.number = answer.number.wrapping_sub(self.ahead);
                write(&mut self.driver, &answer).await?;
                match answer.payload.as_slice() {
                    [0x00 | 0xff, ..] => {
                        return copy_bidirectional(&mut self.driver, &mut self.server).await.map(|_| ());
                    }
                    // The fast path of caching_sha2_password: the OK follows by itself.
                    [0x01, 0x03] => {}
                    _ => break,
                }
            }
            login = read(&mut self.driver).await?;
        }
    }

    /// Answers the server's question `number` for the password.
    async fn prove(&mut self, number: u8, nonce: &[u8]) -> io::Result<()> {
        let failed = |reason: String| io::Error::new(ErrorKind::Unsupported, reason);
        let first = wire::answer(SHA256, nonce, &self.password, self.is_private).map_err(failed)?;
        write(&mut self.server, &Packet { number: number.wrapping_add(1), payload: first }).await?;
        self.ahead = self.ahead.wrapping_add(2);
        if self.is_private || self.password.is_empty() {
            return Ok(());
        }
        let key = read(&mut self.server).await?;
        let data = key.payload.strip_prefix(&[1]).unwrap_or(&key.payload);
        let proof = wire::answer_more(SHA256, data, nonce, &self.password, false).map_err(failed)?;
        if let Next::Send(payload) = proof {
            write(&mut self.server, &Packet { number: key.number.wrapping_add(1), payload }).await?;
            self.ahead = self.ahead.wrapping_add(2);
        }
        Ok(())
    }
}

/// The challenge, where the server switches to the plugin that the driver does not know.
fn asks_for_sha256(answer: &[u8]) -> Option<Vec<u8>> {
    let is_switch = answer.first() == Some(&0xfe);
    let (plugin, nonce) = is_switch.then(|| wire::parse_switch(answer)).flatten()?;
    (plugin == SHA256).then_some(nonce)
}

/// Protocol 10: version text, zero, thread id, 8 bytes of challenge, zero, low half of the capabilities.
fn offers_encryption(greeting: &[u8]) -> bool {
    let capabilities = || {
        let version_end = greeting.iter().skip(1).position(|b| *b == 0)? + 2;
        let low = greeting.get(version_end + 13..version_end + 15)?;
        Some(u16::from_le_bytes([low[0], low[1]]))
    };
    capabilities().is_some_and(|low| u32::from(low) & SSL != 0)
}

/// The login says that it is encrypted, which the driver did not know.
fn mark_encrypted(login: &mut [u8]) -> io::Result<()> {
    let length = login.len();
    let Some(capabilities) = login.first_chunk_mut::<4>().filter(|_| length >= LOGIN_HEAD_BYTES) else {
        return Err(io::Error::new(ErrorKind::InvalidData, "the login is too short"));
    };
    *capabilities = (u32::from_le_bytes(*capabilities) | SSL).to_le_bytes();
    Ok(())
}

async fn read(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Packet> {
    let mut head = [0_u8; 4];
    from.read_exact(&mut head).await?;
    let [a, b, c, number] = head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
    if length > MOST_LOGIN_BYTES {
        return Err(io::Error::new(ErrorKind::InvalidData, "a packet of the login is too long"));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    Ok(Packet { number, payload })
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), packet: &Packet) -> io::Result<()> {
    let length =
        u32::try_from(packet.payload.len()).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
    let [a, b, c, _] = length.to_le_bytes();
    let mut whole = vec![a, b, c, packet.number];
    whole.extend(&packet.payload);
    to.write_all(&whole).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_whether_encryption_is_offered() {
        let greeting = |low: u16| {
            let mut payload = b"\x0a8.0.36\0\x01\0\0\0challeng\0".to_vec();
            payload.extend(low.to_le_bytes());
            payload
        };
        assert!(offers_encryption(&greeting(0xffff)));
        assert!(!offers_encryption(&greeting(0xf7ff)));
        assert!(!offers_encryption(b"\x0a8.0"));
    }

    #[test]
    fn the_login_is_marked_and_nothing_else_of_it_changes() {
        let mut login = vec![0x05; 40];
        mark_encrypted(&mut login).expect("a login");
        let mut want = vec![0x05; 40];
        want[1] = 0x0d;
        assert_eq!(login, want);
        assert!(mark_encrypted(&mut [0; 31]).is_err());
    }

    #[test]
    fn the_door_is_gone_with_its_owner() {
        let (_failed, failure) = oneshot::channel();
        let door = Door::make(failure).expect("a directory");
        let directory = door.directory.clone();
        assert!(directory.is_dir());
        drop(door);
        assert!(!directory.exists());
    }
}
