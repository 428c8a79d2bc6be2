//! The socket, plain or encrypted, and the switch that stops it from another thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ClientConnection, StreamOwned};

/// The socket, plain or encrypted.
#[derive(Debug)]
pub(super) enum Channel {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Channel {
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Stops whoever reads from the connection of the moment, and keeps new ones from being made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    socket: Mutex<Option<TcpStream>>,
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
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Watches this socket from here on. Whoever was stopped before finds it shut.
    pub(super) fn watch(&self, socket: &TcpStream) -> io::Result<()> {
        let copy = socket.try_clone()?;
        *self.socket() = Some(copy);
        // `stop` may have run between the two: it then saw the old socket.
        if self.is_stopped() {
            self.stop();
        }
        Ok(())
    }

    fn socket(&self) -> std::sync::MutexGuard<'_, Option<TcpStream>> {
        // The lock guards one assignment, so a panic elsewhere left it whole.
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
