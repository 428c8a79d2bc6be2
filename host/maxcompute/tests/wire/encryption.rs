//! HTTPS with a given authority. The certificates were made for these tests and are trusted nowhere else.

use std::sync::Arc;

use sluicebox_maxcompute::{Account, Client, ClientOptions, Error, RetryLimits, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const AUTHORITY: &[u8] = include_bytes!("../tls/authority.pem");
const CERTIFICATE: &[u8] = include_bytes!("../tls/server.pem");
const KEY: &[u8] = include_bytes!("../tls/server.key");

const ANSWER: &str = "<Project><Name>behind TLS</Name></Project>";

/// Starts a server with a certificate for `localhost`, and returns its port.
async fn start() -> (u16, JoinHandle<()>) {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust us hangs up in the middle of the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let length = ANSWER.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(format!("{head}{ANSWER}").as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    (port, task)
}

fn options(port: u16) -> ClientOptions {
    let account = Account::new("id", Secret::new("key"));
    let mut options = ClientOptions::new(format!("https://localhost:{port}/api"), "mc_proj", account);
    options.retry = RetryLimits { times: 0, ..RetryLimits::default() };
    options
}

#[tokio::test]
async fn a_given_authority_is_trusted_and_no_other_one() {
    let (port, task) = start().await;
    let mut trusting = options(port);
    trusting.ca_certificates = Some(AUTHORITY.to_vec());
    let project = Client::new(trusting).unwrap().project().await.unwrap();
    assert_eq!(project.name, "behind TLS");

    let mut wary = options(port);
    wary.ca_certificates = Some(CERTIFICATE.to_vec());
    let error = Client::new(wary).unwrap().project().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { maybe_arrived: false, .. }), "{error}");
    task.abort();
}

#[test]
fn what_is_no_certificate_makes_no_client() {
    for pem in [&b""[..], b"text", KEY] {
        let mut broken = options(1);
        broken.ca_certificates = Some(pem.to_vec());
        assert!(matches!(Client::new(broken), Err(Error::Options(_))), "{}", String::from_utf8_lossy(pem));
    }
}

/// Port of the server that [`asks_with_the_roots_of_its_environment`] asks.
const PORT: &str = "SLUICEBOX_TEST_TLS_PORT";

/// Which roots the system has is read from a process's environment, so the question is asked by a process of its own.
#[tokio::test]
async fn the_systems_roots_are_trusted_where_none_is_given() {
    let (port, task) = start().await;
    let folder = tempfile::tempdir().unwrap();
    for (certificate, trusted) in [(AUTHORITY, true), (CERTIFICATE, false)] {
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, certificate).unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--exact", "encryption::asks_with_the_roots_of_its_environment"]);
        child
            .env("SSL_CERT_FILE", &roots)
            .env("SSL_CERT_DIR", folder.path().join("none"))
            .env(PORT, port.to_string());
        let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("1 passed") || printed.contains("1 failed"), "{printed}");
        assert_eq!(output.status.success(), trusted, "{printed}");
        assert_eq!(printed.contains("Unreachable"), !trusted, "{printed}");
    }
    task.abort();
}

#[tokio::test]
#[ignore = "asked by the test above, in an environment of its own"]
async fn asks_with_the_roots_of_its_environment() {
    let port = std::env::var(PORT).unwrap().parse().unwrap();
    let project = Client::new(options(port)).unwrap().project().await.unwrap();
    assert_eq!(project.name, "behind TLS");
}
