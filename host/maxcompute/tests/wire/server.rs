//! A server that answers as a script says, notes what it was asked, and checks every signature; and the clock.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter};
use sluicebox_maxcompute::{
    Account, Body, Client, ClientOptions, Compression, RetryLimits, Secret, TableName, Timing, sign,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::fixture::{decode, split_target};

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// As in the request line.
    pub target: String,
    /// Decoded, without the query.
    pub path: String,
    /// Decoded and sorted.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    /// Method, path and parameters but `curr_project`, for comparing in one look.
    pub fn line(&self) -> String {
        let query: Vec<_> = self.query.iter().filter(|(name, _)| name != "curr_project").collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, query.join("&"))
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Reads the request and closes the connection.
    HangUp,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Answer { status, headers, body }
            }
            Self::HangUp => Self::HangUp,
        }
    }

    /// An error document as the tunnel writes it.
    pub fn fault(status: u16, code: &str) -> Self {
        Self::new(status, format!(r#"{{"Code":"{code}","Message":"scripted","RequestId":"r-1"}}"#))
    }
}

pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts a server whose answers come from `script`.
    pub async fn start(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = (Arc::clone(&seen), Arc::new(Mutex::new(script)));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, script) = shared.clone();
                connections.spawn(async move {
                    let mut stream = stream;
                    let mut pending = Vec::new();
                    while let Some(request) = read_request(&mut stream, &mut pending).await {
                        check_signature(&request);
                        let reply = (script.lock().unwrap())(&request);
                        seen.lock().unwrap().push(request);
                        if !answer(&mut stream, reply).await {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    /// Starts a server that gives these answers one after another, and the last one for ever.
    pub async fn replaying(replies: Vec<Reply>) -> Self {
        let mut replies = replies.into_iter();
        let mut last = None;
        Self::start(move |_| {
            last = replies.next().or_else(|| last.take());
            last.clone().expect("a reply")
        })
        .await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// [`Seen::line`] of all requests.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// A client of this server, with the tunnel at the same address unless it is to be found.
    pub fn client(&self, change: impl FnOnce(&mut ClientOptions)) -> (Client, Arc<Clock>) {
        let mut options = ClientOptions::new(format!("http://{}/api", self.address), "mc_proj", account());
        options.tunnel_endpoint = Some(self.address.clone());
        options.user_agent = "wire-test/1.0".to_owned();
        options.retry = RetryLimits { times: 3, wait: Duration::from_secs(5) };
        change(&mut options);
        let clock = Arc::new(Clock::default());
        (Client::with_timing(options, Arc::clone(&clock) as Arc<dyn Timing>).unwrap(), clock)
    }
}

/// An address of this machine at which nobody listens.
pub fn unused_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// An upsert of one row.
pub fn body() -> Body {
    let mut writer = RecordWriter::new();
    let mut body = RecordBody::new();
    let mut record = writer.record();
    record.bigint(0, 7);
    body.push(record.end_keyed(1, Operation::Upsert));
    body.seal(Compression::Zlib)
}

/// A table.
pub fn table() -> TableName {
    TableName::new(None, "t")
}

pub fn account() -> Account {
    Account::new("LTAIexampleKeyId", Secret::new("exampleSecretKeyForDocs01"))
}

/// The account of [`account`] after its key was rotated.
pub fn rotated_account() -> Account {
    Account::new("LTAIrotatedKeyId", Secret::new("rotatedSecretKeyForDocs02"))
}

/// A clock that moves only when it is told to, and waits that end at once and are noted.
#[derive(Debug, Default)]
pub struct Clock {
    waits: Mutex<Vec<Duration>>,
    passed: Mutex<Duration>,
}

impl Clock {
    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }

    /// The waits in seconds.
    pub fn waits(&self) -> Vec<f64> {
        self.waits.lock().unwrap().iter().map(Duration::as_secs_f64).collect()
    }
}

impl Timing for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_985_600) + *self.passed.lock().unwrap()
    }

    fn dice(&self) -> f64 {
        0.0
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.waits.lock().unwrap().push(wait);
        Box::pin(std::future::ready(()))
    }
}

async fn read_request(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Seen> {
    let head_end = loop {
        if let Some(at) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if !read_more(stream, pending).await {
            return None;
        }
    };
    let head = String::from_utf8(pending[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header =
        |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
    assert_eq!(header("transfer-encoding"), None, "bodies have a length");
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while pending.len() < head_end + 4 + length {
        if !read_more(stream, pending).await {
            return None;
        }
    }
    let body = pending[head_end + 4..head_end + 4 + length].to_vec();
    pending.drain(..head_end + 4 + length);
    let (path, mut query) = split_target(&target);
    query.sort();
    Some(Seen { method, target, path, query, headers, body })
}

async fn read_more(stream: &mut TcpStream, pending: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 8192];
    match stream.read(&mut buffer).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            pending.extend_from_slice(&buffer[..count]);
            true
        }
    }
}

async fn answer(stream: &mut TcpStream, reply: Reply) -> bool {
    let Reply::Answer { status, headers, body } = reply else { return false };
    let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    stream.write_all(&bytes).await.is_ok()
}

/// Computes the signature again from what was sent.
fn check_signature(request: &Seen) {
    let path = request.path.strip_prefix("/api").unwrap_or(&request.path);
    let pair = |pair: &(String, String)| (pair.0.clone(), pair.1.clone());
    let query: Vec<_> = request.query.iter().map(pair).collect();
    let query: Vec<_> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let text = sign::string_to_sign(&request.method, path, &query, &headers);
    let sent = request.header("authorization").expect("a signature");
    let region = sent.split('/').nth(2).filter(|_| sent.contains("aliyun_v4_request"));
    let accounts = [account(), rotated_account()];
    let known = accounts.iter().find(|account| sent.contains(account.access_id())).expect("a known account");
    let proof = known.headers(&text, region, Clock::default().now().into());
    assert_eq!(proof, [("authorization", sent.to_owned())], "{}", request.target);
    let date = request.header("date").expect("a date");
    assert!(date.starts_with("Sat, 09 Mar 2024 ") && date.ends_with(" GMT"), "{date}");
    assert_eq!(request.header("user-agent"), request.header("x-odps-user-agent"));
    assert_eq!(request.parameter("curr_project"), Some("mc_proj"));
    assert!(!decode(&request.target).is_empty());
}
