//! A connection up to the point where statements can be sent.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::auth::{self, Greeting, Next};
use super::channel::{Channel, Socket, Stop};
use super::compressed::Compressed;
use super::packet::Packets;
use super::refusal::{Peer, Refusal};
use super::tls;
use crate::{ConnectOptions, LineCompression, MysqlError};

/// Rounds of a login: a plugin switch, a key, an answer; a server that wants more than this plays.
const LOGIN_ROUNDS: usize = 8;
const COM_QUERY: u8 = 3;

/// A logged-in connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) packets: Packets,
    pub(super) context: Context,
    thread_id: u32,
}

/// What errors say of the connection.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) peer: Peer,
    pub(super) stop: Stop,
}

impl Context {
    /// An input or output error during login or a statement.
    pub(super) fn broke(&self, error: &io::Error) -> MysqlError {
        if self.stop.is_stopped() {
            return MysqlError::Stopped;
        }
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        // A server that ends a connection while it is being encrypted says so in clear.
        if matches!(tls, Some(rustls::Error::DecryptError | rustls::Error::InvalidMessage(_))) {
            return self.unreachable(&error.to_string());
        }
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => self.refused(error),
            _ => self.unreachable(&error.to_string()),
        }
    }

    pub(super) fn unreachable(&self, reason: &str) -> MysqlError {
        MysqlError::Unreachable { server: self.peer.server.clone(), reason: reason.to_owned() }
    }

    fn refused(&self, reason: impl std::fmt::Display) -> MysqlError {
        let Peer { server, user } = self.peer.clone();
        MysqlError::Refused { server, user, reason: reason.to_string() }
    }
}

impl Connection {
    /// Connects, encrypts as demanded, and logs in, all within the options' deadline per step.
    pub(crate) fn open(options: &ConnectOptions, stop: &Stop) -> Result<Self, MysqlError> {
        let peer = Peer { server: options.address(), user: options.user.clone() };
        let context = Context { peer, stop: stop.clone() };
        let socket = dial(options).map_err(|e| context.unreachable(&e.to_string()))?;
        let prepare = || -> io::Result<()> {
            socket.set_read_timeout(Some(options.connect_timeout))?;
            socket.set_write_timeout(Some(options.connect_timeout))?;
            stop.watch(&socket)
        };
        prepare().map_err(|e| context.broke(&e))?;
        let packets = Packets::new(Channel::Plain(socket));
        let (packets, greeting) = greet(packets, options, &context)?;
        let mut connection = Self { packets, context, thread_id: greeting.thread_id };
        let Some(compression) = connection.log_in(options, greeting)? else { return Ok(connection) };
        let Self { packets, context, thread_id } = connection;
        let wrap = |channel| Ok(Channel::Compressed(Box::new(Compressed::new(channel, compression))));
        let packets = packets.replace_channel(wrap).map_err(|e| context.broke(&e))?;
        Ok(Self { packets, context, thread_id })
    }

    /// The server's number for this connection.
    pub(crate) fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// Logs in; tells how everything behind the answer is compressed.
    fn log_in(
        &mut self,
        options: &ConnectOptions,
        greeting: Greeting,
    ) -> Result<Option<LineCompression>, MysqlError> {
        let private = self.packets.channel().is_private();
        let password = options.password.reveal().as_bytes();
        let Greeting { mut plugin, mut nonce, capabilities, .. } = greeting;
        // A server may name a plugin that its accounts need not have: any known one will do, it switches then.
        let first = auth::answer(&plugin, &nonce, password, private).or_else(|_| {
            "mysql_native_password".clone_into(&mut plugin);
            auth::answer(&plugin, &nonce, password, private)
        });
        let first = first.map_err(|reason| self.context.refused(reason))?;
        let compress = auth::agreed(options.compress, capabilities);
        let encrypted = self.packets.channel().is_encrypted();
        let login = auth::login(&options.user, &first, &plugin, auth::Wishes { encrypted, compress });
        self.send(&login.ok_or_else(|| self.context.refused("the answer to its challenge is too long"))?)?;
        for _ in 0..LOGIN_ROUNDS {
            let packet = self.packets.receive().map_err(|e| self.context.broke(&e))?;
            let answer = match packet.first() {
                Some(0) => return Ok(compress),
                Some(0xff) => return Err(Refusal::parse(packet).at_login(&self.context.peer)),
                Some(0xfe) => {
                    let switch = auth::parse_switch(packet);
                    let old = "it wants the password form of before 4.1, which is not safe";
                    (plugin, nonce) = switch.ok_or_else(|| self.context.refused(old))?;
                    auth::answer(&plugin, &nonce, password, private).map(Next::Send)
                }
                Some(1) => auth::answer_more(&plugin, &packet[1..], &nonce, password, private),
                _ => Err("it answers the login with something unknown".to_owned()),
            };
            match answer.map_err(|reason| self.context.refused(reason))? {
                Next::Wait => {}
                Next::Send(answer) => self.send(&answer)?,
            }
        }
        Err(self.context.refused("it wants one proof of the password after another"))
    }

    pub(super) fn send(&mut self, payload: &[u8]) -> Result<(), MysqlError> {
        self.packets.send(payload).map_err(|e| self.context.broke(&e))
    }

    /// Runs a statement that answers without rows.
    pub(crate) fn execute(&mut self, statement: &str, doing: &str) -> Result<(), MysqlError> {
        self.packets.start_command();
        self.send(&[&[COM_QUERY], statement.as_bytes()].concat())?;
        self.expect_ok(doing)
    }

    pub(super) fn expect_ok(&mut self, doing: &str) -> Result<(), MysqlError> {
        let packet = self.packets.receive().map_err(|e| self.context.broke(&e))?;
        match packet.first() {
            Some(0) => Ok(()),
            Some(0xff) => Err(Refusal::parse(packet).at_statement(&self.context.peer, doing)),
            _ => Err(self.context.unreachable(&format!("the answer to {doing} is out of step"))),
        }
    }
}

/// Reads the greeting, and encrypts where that is decided.
fn greet(
    mut packets: Packets,
    options: &ConnectOptions,
    context: &Context,
) -> Result<(Packets, Greeting), MysqlError> {
    let packet = packets.receive().map_err(|e| context.broke(&e))?;
    if packet.first() == Some(&0xff) {
        return Err(Refusal::parse(packet).at_login(&context.peer));
    }
    let greeting =
        Greeting::parse(packet).ok_or_else(|| context.refused("it does not speak MySQL's protocol"))?;
    let offered = greeting.capabilities & auth::SSL != 0;
    // What is preferred over a Unix socket is none: nobody could read along.
    let offered = offered && !options.is_local();
    let encrypt = tls::decide(options.tls.mode, offered)
        .ok_or_else(|| context.refused("encryption is demanded and the server offers none"))?;
    if !encrypt {
        return Ok((packets, greeting));
    }
    let compress = auth::agreed(options.compress, greeting.capabilities);
    packets.send(&auth::ssl_request(compress)).map_err(|e| context.broke(&e))?;
    let wrap = |channel| match channel {
        Channel::Plain(socket) => tls::encrypt(socket, &options.host, &options.tls),
        encrypted @ (Channel::Tls(_) | Channel::Compressed(_)) => Ok(encrypted),
    };
    let packets = packets.replace_channel(wrap).map_err(|e| context.broke(&e))?;
    Ok((packets, greeting))
}

/// Tries each address of the host in turn until the deadline.
fn dial(options: &ConnectOptions) -> io::Result<Socket> {
    if options.is_local() {
        return UnixStream::connect(&options.host).map(Socket::Unix);
    }
    let deadline = Instant::now() + options.connect_timeout;
    let addresses: Vec<SocketAddr> = (options.host.as_str(), options.port).to_socket_addrs()?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(Socket::Tcp(socket));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
