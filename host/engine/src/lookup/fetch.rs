//! Getting the bytes of a reference table, if they may have changed.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use sluicebox_model::ByteSize;

use crate::config::LookupOrigin;

/// A server that has not answered whole by then is asked again at the next turn.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Where a table's bytes come from, and what is known of those that were taken last.
pub(super) enum Fetcher {
    File { path: PathBuf, seen: Option<Stamp> },
    Url(Box<Asked>),
}

/// A server, and by what its last answer is known again.
pub(super) struct Asked {
    client: Client,
    url: Url,
    headers: HeaderMap,
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// What changes with a file's content: whoever replaces it by a rename changes the number, whoever writes into it the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

impl Fetcher {
    /// Prepares asking.
    ///
    /// # Errors
    /// When a header is none, or there is no HTTP client.
    pub fn new(origin: &LookupOrigin) -> Result<Self, String> {
        match origin {
            LookupOrigin::File(path) => Ok(Self::File { path: path.clone(), seen: None }),
            LookupOrigin::Url { url, headers } => {
                let mut sent = HeaderMap::new();
                for (name, value) in headers {
                    let no_header = || format!("`{name}` is no header of HTTP, or its value is none");
                    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no_header())?;
                    let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| no_header())?;
                    value.set_sensitive(true);
                    sent.append(header, value);
                }
                let url = Url::parse(url.reveal()).map_err(|_| "it is no URL".to_owned())?;
                // reqwest takes the process's provider; another part of the program may have chosen one already.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = Client::builder()
                    .timeout(DEADLINE)
                    .redirect(follow(sent.is_empty()))
                    // It would tell the next server the URL, which can carry a token.
                    .referer(false)
                    .build();
                let client = client.map_err(|error| format!("no HTTP client: {}", error.without_url()))?;
                Ok(Self::Url(Box::new(Asked { client, url, headers: sent, etag: None, modified: None })))
            }
        }
    }

    /// The bytes; none when they are those that were taken last. What was taken counts as taken only after [`Fetcher::took`].
    ///
    /// # Errors
    /// Why there are none; a URL, which can carry a token, is not named.
    pub async fn fetch(&mut self, most: ByteSize) -> Result<Option<(Vec<u8>, Taken)>, String> {
        match self {
            Self::File { path, seen } => read(path, *seen, most),
            Self::Url(asked) => asked.fetch(most).await,
        }
    }

    /// What was fetched is in use: the same is not wanted again.
    pub fn took(&mut self, taken: Taken) {
        match (self, taken) {
            (Self::File { seen, .. }, Taken::File(stamp)) => *seen = Some(stamp),
            (Self::Url(asked), Taken::Url { etag, modified }) => {
                (asked.etag, asked.modified) = (etag, modified);
            }
            (Self::File { .. }, Taken::Url { .. }) | (Self::Url(_), Taken::File(_)) => {}
        }
    }
}

/// Servers that one question may be sent on to, in a row.
const MOST_REDIRECTS: usize = 10;

/// Where a server may send the question on to. Headers carry secrets that are meant for the server that is named, so with them it is only
/// that server; and what was asked over TLS is not asked in the clear.
fn follow(anywhere: bool) -> Policy {
    Policy::custom(move |attempt| {
        let Some(from) = attempt.previous().last() else { return attempt.follow() };
        let to = attempt.url();
        if from.origin() != to.origin() && (!anywhere || from.scheme() == "https" && to.scheme() != "https") {
            return attempt.error(
                "the server sends the question to another server, which must not see its headers or is asked in the clear: name that one in `url`",
            );
        }
        if attempt.previous().len() > MOST_REDIRECTS {
            return attempt.error("the server sends the question on and on");
        }
        attempt.follow()
    })
}

impl Asked {
    async fn fetch(&self, most: ByteSize) -> Result<Option<(Vec<u8>, Taken)>, String> {
        let mut request = self.client.get(self.url.clone()).headers(self.headers.clone());
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag.clone());
        }
        if let Some(modified) = &self.modified {
            request = request.header(IF_MODIFIED_SINCE, modified.clone());
        }
        download(request.send().await.map_err(plain)?, most).await
    }
}

/// By what the bytes that were fetched are known again.
pub(super) enum Taken {
    File(Stamp),
    Url { etag: Option<HeaderValue>, modified: Option<HeaderValue> },
}

fn read(path: &Path, seen: Option<Stamp>, most: ByteSize) -> Result<Option<(Vec<u8>, Taken)>, String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    // Taken before the bytes: what is written meanwhile changes it, and the file is read again.
    let stamp = stamp(&file.metadata().map_err(failed)?);
    if seen == Some(stamp) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(most.get().saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    within(bytes.len(), most)?;
    Ok(Some((bytes, Taken::File(stamp))))
}

fn stamp(metadata: &std::fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Stamp { modified: metadata.modified().ok(), size: metadata.len(), inode }
}

async fn download(mut answer: reqwest::Response, most: ByteSize) -> Result<Option<(Vec<u8>, Taken)>, String> {
    match answer.status() {
        StatusCode::NOT_MODIFIED => return Ok(None),
        StatusCode::OK => {}
        status => return Err(format!("the server answers {status}")),
    }
    let taken = Taken::Url {
        etag: answer.headers().get(ETAG).cloned(),
        modified: answer.headers().get(LAST_MODIFIED).cloned(),
    };
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(plain)? {
        bytes.extend_from_slice(&part);
        within(bytes.len(), most)?;
    }
    Ok(Some((bytes, taken)))
}

fn within(size: usize, most: ByteSize) -> Result<(), String> {
    if size > most.as_usize() { Err(format!("it has more than {most}, its `max-size`")) } else { Ok(()) }
}

fn plain(error: reqwest::Error) -> String {
    crate::describe(&error.without_url())
}
