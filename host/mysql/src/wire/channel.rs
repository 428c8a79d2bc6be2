//! The socket, plain or encrypted, and the switch that stops it from another thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use super::compressed::Compressed;

/// What connects us to the server.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    /// On this machine: nobody else can read what goes over it.
    Unix(UnixStream),
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }

    fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
            Self::Unix(socket) => socket.shutdown(Shutdown::Both),
        }
    }

    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_read_timeout(timeout),
            Self::Unix(socket) => socket.set_read_timeout(timeout),
        }
    }

    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_write_timeout(timeout),
            Self::Unix(socket) => socket.set_write_timeout(timeout),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Unix(socket) => socket.flush(),
        }
    }
}

/// The socket, plain or encrypted.
#[derive(Debug)]
pub(super) enum Channel {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
    /// One of the others, after a login that agreed on compression.
    Compressed(Box<Compressed>),
}

impl Channel {
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
            Self::Compressed(compressed) => compressed.inner().socket(),
        }
    }

    /// A new command begins.
    pub(super) fn start_command(&mut self) {
        if let Self::Compressed(compressed) = self {
            compressed.start_command();
        }
    }

    /// Whether something was taken from the socket that was not read yet.
    pub(super) fn has_ready(&self) -> bool {
        matches!(self, Self::Compressed(compressed) if compressed.has_ready())
    }

    pub(super) fn is_compressed(&self) -> bool {
        matches!(self, Self::Compressed(_))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(_) => true,
            Self::Compressed(compressed) => compressed.inner().is_encrypted(),
        }
    }

    /// Whether nobody between the two ends can read what is sent.
    pub(super) fn is_private(&self) -> bool {
        match self {
            Self::Plain(socket) => matches!(socket, Socket::Unix(_)),
            Self::Tls(_) => true,
            Self::Compressed(compressed) => compressed.inner().is_private(),
        }
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Compressed(compressed) => compressed.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Compressed(compressed) => compressed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Compressed(compressed) => compressed.flush(),
        }
    }
}

/// Stops whoever reads from the connection of the moment, and keeps new ones from being made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    socket: Mutex<Option<Socket>>,
}

impl Stop {
    /// Whether `stop` was called.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Shuts the socket down: a blocked read returns within moments.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        if let Some(socket) = self.socket().as_ref() {
            // An error means that the connection is gone already, which is as good.
            let _ = socket.shutdown();
        }
    }

    /// Watches this socket from here on. Whoever was stopped before finds it shut.
    pub(super) fn watch(&self, socket: &Socket) -> io::Result<()> {
        let copy = socket.try_clone()?;
        *self.socket() = Some(copy);
        // `stop` may have run between the two: it then saw the old socket.
        if self.is_stopped() {
            self.stop();
        }
        Ok(())
    }

    fn socket(&self) -> std::sync::MutexGuard<'_, Option<Socket>> {
        // The lock guards one assignment, so a panic elsewhere left it whole.
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
