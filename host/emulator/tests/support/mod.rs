//! A server to test against and a client that speaks plain HTTP to it, signing with its own code.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, Mac};
use serde_json::Value as Json;
use sluicebox_emulator::{Emulator, EmulatorOptions, Stats};

pub const PROJECT: &str = "mc_proj";

/// The date of a request that is sent now.
pub fn date_of(moment: std::time::SystemTime) -> String {
    let seconds = moment.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let time = chrono::DateTime::from_timestamp(seconds.try_into().unwrap(), 0).unwrap();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Folder of the recorded exchanges and bodies.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/maxcompute")
}

pub fn fixture_json(name: &str) -> Json {
    let path = fixtures().join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// A running emulator with its runtime and, unless told otherwise, a folder of its own.
pub struct Running {
    runtime: Option<tokio::runtime::Runtime>,
    emulator: Option<Emulator>,
    _folder: Option<tempfile::TempDir>,
    pub client: Client,
}

impl Running {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut EmulatorOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = EmulatorOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: folder.path().to_owned(),
            credentials: Vec::new(),
            discard: false,
            schemas: false,
            in_memory: false,
            lenient: false,
        };
        change(&mut options);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let emulator = runtime.block_on(Emulator::start(options)).unwrap();
        let client = Client::new(emulator.address());
        Self { runtime: Some(runtime), emulator: Some(emulator), _folder: Some(folder), client }
    }

    pub fn address(&self) -> SocketAddr {
        self.client.address
    }

    pub fn stats(&self) -> Stats {
        self.emulator.as_ref().unwrap().stats()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (runtime, emulator) = (self.runtime.take().unwrap(), self.emulator.take().unwrap());
        runtime.block_on(emulator.stop());
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, String::from_utf8_lossy(&self.body));
        self
    }

    /// A tunnel refusal's code, after checking the status.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()["Code"].as_str().unwrap().to_owned()
    }
}

#[derive(Debug, Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub id: String,
    pub key: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, id: "sluicebox".into(), key: "sluicebox".into() }
    }

    pub fn get(&self, target: &str) -> Reply {
        self.call("GET", target, &[], &[])
    }

    pub fn post(&self, target: &str) -> Reply {
        self.call("POST", target, &[], &[])
    }

    pub fn put(&self, target: &str, body: &[u8]) -> Reply {
        self.call("PUT", target, &[], body)
    }

    #[track_caller]
    pub fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_call(method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// One request on a connection of its own.
    pub fn try_call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.push(("Date".to_owned(), date_of(std::time::SystemTime::now())));
        let signature = sign(&self.key, &string_to_sign(method, target, &all));
        all.push(("Authorization".to_owned(), format!("ODPS {}:{signature}", self.id)));
        self.send(method, target, &all, body)
    }

    /// Sends headers as they are.
    pub fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> std::io::Result<Reply> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        socket.write_all(head.as_bytes())?;
        socket.write_all(body)?;
        read_reply(socket)
    }

    /// Runs a statement; its rows as text, or the error's text.
    pub fn sql(&self, statement: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let escaped = statement.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let body = format!(
            "<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>AnonymousSQLTask</Name><Config/>\
             <Query>{escaped}</Query></SQL></Tasks></Job></Instance>"
        );
        let target = format!("/api/projects/{PROJECT}/instances?curr_project={PROJECT}");
        let created = self.call("POST", &target, &[("Content-Type", "application/xml")], body.as_bytes());
        assert_eq!(created.status, 201, "{}", created.text());
        let id = created.headers["location"].rsplit('/').next().unwrap().to_owned();
        let status = self.get(&format!("/api/projects/{PROJECT}/instances/{id}?taskstatus")).ok().text();
        let result = self.get(&format!("/api/projects/{PROJECT}/instances/{id}?result")).ok().text();
        let text = result_text(&result);
        if status.contains("<Status>Failed</Status>") { Err(text) } else { Ok(parse_csv(&text)) }
    }

    #[track_caller]
    pub fn run(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        self.sql(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Opens a session; its document.
    #[track_caller]
    pub fn open(&self, tail: &str) -> Json {
        self.post(&format!("/projects/{PROJECT}/tables/{tail}")).ok().json()
    }

    /// All rows of an ordinary table as a record stream.
    #[track_caller]
    pub fn download(&self, table: &str, extra: &str) -> Vec<u8> {
        let session = self.open(&format!("{table}?downloads{extra}"));
        let (id, count) = (session["DownloadID"].as_str().unwrap(), &session["RecordCount"]);
        let range = format!(
            "/projects/{PROJECT}/tables/{table}?data&downloadid={id}&rowrange=%280%2C{count}%29{extra}"
        );
        self.get(&range).ok().body
    }
}

fn string_to_sign(method: &str, target: &str, headers: &[(String, String)]) -> String {
    let target = target.strip_prefix("/api").unwrap_or(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let find = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or(String::new(), |(_, value)| value.clone())
    };
    let mut lines = vec![method.to_owned(), find("content-md5"), find("content-type"), find("date")];
    let mut own: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name.to_lowercase().starts_with("x-odps-"))
        .map(|(name, value)| format!("{}:{value}", name.to_lowercase()))
        .collect();
    own.sort();
    lines.extend(own);
    let mut parameters: Vec<(String, String)> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (unescape(name), unescape(value)))
        .collect();
    parameters.sort();
    let texts: Vec<String> = parameters
        .into_iter()
        .map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") })
        .collect();
    lines.push(if texts.is_empty() { path.to_owned() } else { format!("{path}?{}", texts.join("&")) });
    lines.join("\n")
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

fn sign(key: &str, text: &str) -> String {
    let mut mac = <Hmac<sha1::Sha1> as Mac>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

fn read_reply(socket: TcpStream) -> std::io::Result<Reply> {
    let mut reader = BufReader::new(socket);
    let gone = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(gone)?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length").and_then(|length| length.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(Reply { status, headers, body })
}

/// The text of a result document.
fn result_text(document: &str) -> String {
    let (head, rest) = document.split_once("<Result ").unwrap().1.split_once('>').unwrap();
    let inner = rest.split_once("</Result>").unwrap().0;
    if head.contains("Transform=\"Base64\"") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(inner).unwrap();
        return String::from_utf8(bytes).unwrap();
    }
    inner.replace("<![CDATA[", "").replace("]]>", "")
}

/// Rows below the header; `\N` is null.
fn parse_csv(text: &str) -> Vec<Vec<Option<String>>> {
    let mut rows = vec![Vec::new()];
    let mut rest = text;
    while !rest.is_empty() {
        let cell = if let Some(after) = rest.strip_prefix("\\N") {
            rest = after;
            None
        } else {
            let mut cell = String::new();
            let mut inner = rest.strip_prefix('"').unwrap_or_else(|| panic!("not a cell: {rest}"));
            loop {
                let (part, after) = inner.split_once('"').unwrap();
                cell.push_str(part);
                match after.strip_prefix('"') {
                    Some(after) => {
                        cell.push('"');
                        inner = after;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            Some(cell)
        };
        rows.last_mut().unwrap().push(cell);
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b'\n') => {
                rest = &rest[1..];
                rows.push(Vec::new());
            }
            _ => {}
        }
    }
    rows.retain(|row| !row.is_empty());
    if !rows.is_empty() {
        rows.remove(0);
    }
    rows
}
