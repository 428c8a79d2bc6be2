//! The client: signs requests, sends them, and repeats what [`crate::retry`] lets it repeat.
//!
//! A client is a handle; clones share connections, account and the tunnel endpoint that was found. Nothing here
//! follows a redirect: the tunnel uses 308 as a signal.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, StatusCode, Url};
use rustls::RootCertStore;
use tracing::{debug, warn};

use crate::account::Account;
use crate::credentials::{CredentialsProvider, FixedCredentials, Keeper};
use crate::limits::{Limits, TableLimits};
use crate::request::{Answered, Failure, Refusal, Request, Service};
use crate::retry::{self, Next, Repeat, RetryLimits, Tally};
use crate::sign::string_to_sign;
use crate::timing::{SystemTiming, Timing};
use crate::{Error, Result};

/// What a client is made of.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use sluicebox_maxcompute::{Client, ClientOptions, EnvironmentCredentials};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = "https://service.cn-hangzhou.maxcompute.aliyun.com/api";
/// let mut options = ClientOptions::with_credentials(endpoint, "my_project", Arc::new(EnvironmentCredentials));
/// options.region = Some("cn-hangzhou".to_owned());
/// options.quota = Some("my_tunnel_quota".to_owned());
/// options.ca_certificates = Some(std::fs::read("/etc/ssl/company.pem")?);
/// let client = Client::new(options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The service, such as `https://service.cn-hangzhou.maxcompute.aliyun.com/api`.
    pub endpoint: String,
    /// The tunnel, such as `https://dt.cn-hangzhou.maxcompute.aliyun.com`; the service is asked when not given.
    pub tunnel_endpoint: Option<String>,
    /// The project that all calls are about.
    pub project: String,
    /// Where the account comes from.
    pub credentials: Arc<dyn CredentialsProvider>,
    /// The tunnel quota; the shared one when not given.
    pub quota: Option<String>,
    /// The region, such as `cn-hangzhou`. With it requests are signed by version 4, without by version 2.
    pub region: Option<String>,
    /// The name by which the service's logs know the client.
    pub user_agent: String,
    /// Time to make a connection.
    pub connect_timeout: Duration,
    /// Time without a byte of the answer; for a request with a body the time that a slow link needs is added.
    pub read_timeout: Duration,
    /// How often requests without an answer are repeated.
    pub retry: RetryLimits,
    /// Certificates in PEM that the servers' own must be signed by, instead of the system's roots: one or many.
    pub ca_certificates: Option<Vec<u8>>,
}

impl ClientOptions {
    /// What the official connector uses for both timeouts.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// Options for one account, with the defaults for all that is not given.
    pub fn new(endpoint: impl Into<String>, project: impl Into<String>, account: Account) -> Self {
        Self::with_credentials(endpoint, project, Arc::new(FixedCredentials::new(account)))
    }

    /// Options for an account that is loaded and renewed, with the defaults for all that is not given.
    pub fn with_credentials(
        endpoint: impl Into<String>,
        project: impl Into<String>,
        credentials: Arc<dyn CredentialsProvider>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            tunnel_endpoint: None,
            project: project.into(),
            credentials,
            quota: None,
            region: None,
            user_agent: concat!("sluicebox-maxcompute/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Self::DEFAULT_TIMEOUT,
            read_timeout: Self::DEFAULT_TIMEOUT,
            retry: RetryLimits::default(),
            ca_certificates: None,
        }
    }
}

/// Bytes per second that a link is granted to carry a body: an edge host behind a poor mobile link.
const SLOWEST_LINK: usize = 64 << 10;
/// Idle connections are closed before proxies and load balancers in between drop them silently, which would cost a
/// request an answer.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

/// A handle of the service for one project. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    options: ClientOptions,
    /// The service endpoint without a slash at its end.
    rest: String,
    /// The tunnel endpoint as configured, likewise.
    tunnel: Option<String>,
    /// The tunnel endpoint that the service named; forgotten when no connection to it can be made.
    found: RwLock<Option<String>>,
    credentials: Keeper,
    limits: Limits,
    timing: Arc<dyn Timing>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.inner.rest)
            .field("project", &self.project_name())
            .finish()
    }
}

impl Client {
    /// Makes a client. Sends nothing; fails with [`Error::Options`] when the options make no sense.
    pub fn new(options: ClientOptions) -> Result<Self> {
        Self::with_timing(options, Arc::new(SystemTiming))
    }

    /// Makes a client that takes clock, dice and waits from `timing`.
    pub fn with_timing(options: ClientOptions, timing: Arc<dyn Timing>) -> Result<Self> {
        let rest = endpoint("endpoint", &options.endpoint, None)?;
        let scheme = rest.split(':').next();
        let tunnel = options.tunnel_endpoint.as_deref();
        let tunnel = tunnel.map(|text| endpoint("tunnel endpoint", text, scheme)).transpose()?;
        if options.project.is_empty() {
            return Err(Error::Options("the project has no name".to_owned()));
        }
        let encrypted = options.ca_certificates.is_some()
            || [Some(&rest), tunnel.as_ref()].into_iter().flatten().any(|url| url.starts_with("https"));
        let http = http_client(&options, encrypted)?;
        let credentials = Keeper::new(Arc::clone(&options.credentials));
        let (found, limits) = (RwLock::new(None), Limits::default());
        let inner = Inner { http, options, rest, tunnel, found, credentials, limits, timing };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The project that the client is for.
    pub fn project_name(&self) -> &str {
        &self.inner.options.project
    }

    /// Replaces the account of this client and its clones, as when a temporary token was renewed. The provider in the
    /// options is not asked any more.
    pub fn replace_account(&self, account: Account) {
        self.inner.credentials.replace(account);
    }

    pub(crate) fn timing(&self) -> &dyn Timing {
        self.inner.timing.as_ref()
    }

    /// What is counted of the table with this path.
    pub(crate) fn limits_of(&self, path: &str) -> Arc<TableLimits> {
        self.inner.limits.of(path, self.timing().now())
    }

    /// Sends a request until it is answered with a success, or the retries are used up.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answered> {
        let mut attempts = Attempts::begin(self, request).await;
        loop {
            match self.attempt(request).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => {
                    attempts.again(self, request, failure).await?;
                }
            }
        }
    }

    /// Sends a request once.
    pub(crate) async fn attempt(&self, request: &Request) -> std::result::Result<Answered, Failure> {
        match request.service {
            Service::Rest => self.exchange(&self.inner.rest, request).await,
            Service::Tunnel => {
                let base = self.tunnel_endpoint().await.map_err(Failure::Final)?;
                let answer = self.exchange(&base, request).await;
                if matches!(answer, Err(Failure::Broken { arrived: false, .. })) {
                    // The tunnel may have moved: the next attempt asks again.
                    *self.inner.found.write().unwrap_or_else(PoisonError::into_inner) = None;
                }
                answer
            }
        }
    }

    /// The tunnel endpoint: as configured, as found before, or as the service says now.
    async fn tunnel_endpoint(&self) -> Result<String> {
        if let Some(configured) = &self.inner.tunnel {
            return Ok(configured.clone());
        }
        if let Some(found) = self.inner.found.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(found);
        }
        let found = self.discover().await?;
        *self.inner.found.write().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    /// Asks the service where the tunnel is. The answer is a host without a scheme; that of the service is used.
    async fn discover(&self) -> Result<String> {
        let path = ["projects", self.project_name(), "tunnel"];
        let request = Request::rest(Method::GET, &path, "find the tunnel endpoint".to_owned())
            .query("service", "")
            .query_if("quotaName", self.inner.options.quota.as_deref());
        let mut attempts = Attempts::default();
        let answered = loop {
            match self.exchange(&self.inner.rest, &request).await {
                Ok(answered) => break answered,
                Err(failure) => {
                    attempts.again(self, &request, failure).await?;
                }
            }
        };
        let host = String::from_utf8_lossy(&answered.body);
        let scheme = self.inner.rest.split(':').next();
        let found = endpoint("tunnel endpoint", host.trim(), scheme)
            .map_err(|_| Error::malformed(&request.operation, "not a host"))?;
        debug!(endpoint = %found, "tunnel endpoint found");
        Ok(found)
    }

    /// Sends a request once to `base` and reads its answer whole.
    async fn exchange(&self, base: &str, request: &Request) -> std::result::Result<Answered, Failure> {
        let options = &self.inner.options;
        let carry = u64::try_from(request.body.len() / SLOWEST_LINK).unwrap_or(u64::MAX);
        let deadline = options.connect_timeout + options.read_timeout + Duration::from_secs(carry);
        let account = self.inner.credentials.account(self.timing().now()).await.map_err(Failure::Final)?;
        let sending = self.prepare(base, request, &account).send();
        let response = match tokio::time::timeout(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(fault)) if fault.is_builder() => {
                return Err(Failure::Final(Error::Options(format!("{}: {fault}", request.operation))));
            }
            Ok(Err(fault)) => {
                return Err(Failure::Broken {
                    arrived: !fault.is_connect(),
                    source: fault.without_url().into(),
                });
            }
            Err(elapsed) => return Err(Failure::Broken { arrived: true, source: elapsed.into() }),
        };
        let status = response.status();
        let headers = response.headers().clone();
        let body = self.read_body(request, response).await?;
        if status.is_success() {
            Ok(Answered { status: status.as_u16(), headers, body })
        } else {
            let mut refusal = Refusal::read(&request.operation, status.as_u16(), &headers, &body);
            if status == StatusCode::UNAUTHORIZED {
                refusal.renewed = self.inner.credentials.refused(&account, self.timing().now()).await;
            }
            Err(Failure::Answered(refusal))
        }
    }

    async fn read_body(
        &self,
        request: &Request,
        mut response: reqwest::Response,
    ) -> std::result::Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        loop {
            match tokio::time::timeout(self.inner.options.read_timeout, response.chunk()).await {
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() > request.answer_limit => {
                    let limit = format!("more than {} bytes", request.answer_limit);
                    return Err(Failure::Final(Error::malformed(&request.operation, limit)));
                }
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Err(fault)) => {
                    return Err(Failure::Broken { arrived: true, source: fault.without_url().into() });
                }
                Err(elapsed) => return Err(Failure::Broken { arrived: true, source: elapsed.into() }),
            }
        }
    }

    /// Adds what all requests have, and signs.
    fn prepare(&self, base: &str, request: &Request, account: &Account) -> reqwest::RequestBuilder {
        let options = &self.inner.options;
        let mut request = request.clone().query("curr_project", options.project.as_str());
        if request.service == Service::Tunnel {
            request = request.query_if("quotaName", options.quota.as_deref());
        }
        let now = DateTime::<Utc>::from(self.timing().now());
        request = request
            .header("date", now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
            .header("user-agent", options.user_agent.as_str())
            .header("x-odps-user-agent", options.user_agent.as_str());
        let query: Vec<_> = request.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let text = string_to_sign(request.method.as_str(), &request.path, &query, &headers);
        let proof = account.headers(&text, options.region.as_deref(), now);
        let url = format!("{base}{}", request.target());
        // Proxies and servers in between may insist on a length even where there is nothing.
        let says_empty =
            request.body.is_empty() && (request.method == Method::POST || request.method == Method::PUT);
        let mut builder = self.inner.http.request(request.method, url).body(request.body);
        if says_empty {
            builder = builder.header("content-length", "0");
        }
        for (name, value) in request.headers.into_iter().chain(proof) {
            builder = builder.header(name, value);
        }
        builder
    }
}

/// The attempts of one request.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    tally: Tally,
    /// Whether one of them may still arrive, or has arrived unnoticed.
    echo: bool,
}

/// What a failed attempt says about the next one.
#[derive(Debug)]
pub(crate) struct Again {
    /// The status that was answered, if any.
    pub(crate) status: Option<u16>,
    /// The new place of the slot that was written to.
    pub(crate) routed_server: Option<String>,
}

impl Attempts {
    /// Begins, when the service does not want the table to be left alone. Later attempts wait for themselves.
    pub(crate) async fn begin(client: &Client, request: &Request) -> Self {
        if let Some(limits) = &request.limits {
            let hold = limits.hold(client.timing().now(), retry::LONGEST_PAUSE);
            if !hold.is_zero() {
                client.timing().sleep(retry::jittered(hold, client.timing().dice())).await;
            }
        }
        Self::default()
    }

    /// Whether an attempt that failed may have arrived, or may still do so.
    pub(crate) fn echo_possible(&self) -> bool {
        self.echo
    }

    /// Waits until the request may be sent again, or fails with what the caller is to know.
    pub(crate) async fn again(
        &mut self,
        client: &Client,
        request: &Request,
        failure: Failure,
    ) -> Result<Again> {
        let limits = client.inner.options.retry;
        let Some(outcome) = failure.outcome() else {
            return Err(failure.into_error(&request.operation));
        };
        self.echo |= outcome.leaves_echo();
        let dice = client.timing().dice();
        match retry::decide(limits, request.repeat, outcome, &mut self.tally, dice) {
            Next::Stop => Err(match failure.into_error(&request.operation) {
                Error::Unreachable { operation, maybe_arrived: _, source } => {
                    Error::Unreachable { operation, maybe_arrived: self.echo, source }
                }
                other => other,
            }),
            Next::Again(wait) => {
                let (status, routed_server) = match &failure {
                    Failure::Answered(refusal) => {
                        (Some(refusal.answer.status), refusal.routed_server.clone())
                    }
                    Failure::Broken { .. } | Failure::Final(_) => (None, None),
                };
                if let (true, Some(limits)) = (outcome.is_throttled(), &request.limits) {
                    limits.throttled(client.timing().now(), wait);
                }
                let error = failure.into_error(&request.operation);
                let wait_ms = wait.as_millis();
                warn!(operation = %request.operation, %error, wait_ms, "request failed, repeating");
                client.timing().sleep(wait).await;
                Ok(Again { status, routed_server })
            }
        }
    }
}

/// Checks an endpoint and takes the slash from its end. Without a scheme that of the other endpoint is put in front.
fn endpoint(what: &str, text: &str, scheme: Option<&str>) -> Result<String> {
    let text = text.trim().trim_end_matches('/');
    let url = match scheme {
        Some(scheme) if !text.contains("://") => format!("{scheme}://{text}"),
        _ => text.to_owned(),
    };
    let fault = |why: &str| Error::Options(format!("{what} `{text}` {why}"));
    let parsed = Url::parse(&url).map_err(|error| fault(&format!("is not a URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(fault("must begin with http:// or https://"));
    }
    if parsed.host_str().is_none() || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(fault("must be a host, with a port and a path at most"));
    }
    Ok(url)
}

fn http_client(options: &ClientOptions, encrypted: bool) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(Policy::none());
    if encrypted {
        // reqwest takes the process's provider; another part of the program may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Some(pem) = &options.ca_certificates {
            builder = builder.tls_certs_only(authorities(pem)?);
        }
    } else {
        // No certificate is ever checked, so the system's are not read: hosts without any can run, and start fast.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|fault| Error::Options(format!("no TLS: {fault}")))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        builder = builder.tls_backend_preconfigured(tls);
    }
    builder.build().map_err(|fault| Error::Options(format!("no HTTP client: {fault}")))
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>> {
    let fault = |why: String| Error::Options(format!("the CA certificates cannot be read: {why}"));
    let authorities = Certificate::from_pem_bundle(pem).map_err(|error| fault(error.to_string()))?;
    if authorities.is_empty() { Err(fault("no certificate in PEM".to_owned())) } else { Ok(authorities) }
}

impl Request {
    /// Marks a request that must not arrive twice.
    pub(crate) fn runs_again(mut self) -> Self {
        self.repeat = Repeat::RunsAgain;
        self
    }
}
