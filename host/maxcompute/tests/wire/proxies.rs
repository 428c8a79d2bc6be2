//! Proxies of the environment. The environment belongs to the whole process, so the client runs in one of its own: this
//! test binary again, with only the ignored test here.

use std::process::Command;
use std::time::Duration;

use sluicebox_maxcompute::{Account, Client, ClientOptions, RetryLimits, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A host that no name server knows.
const NOWHERE: &str = "service.maxcompute.invalid";
/// Time for the other process to start and to ask.
const DEADLINE: Duration = Duration::from_secs(60);

async fn ask(endpoint: &str) {
    let account = Account::new("id", Secret::new("key"));
    let mut options = ClientOptions::new(endpoint, "mc_proj", account);
    options.retry = RetryLimits { times: 0, ..RetryLimits::default() };
    let project = Client::new(options).unwrap().project().await.unwrap();
    assert_eq!(project.name, "answered");
}

/// Answers one request and returns its first line.
async fn answer(listener: &TcpListener) -> String {
    let accepted = tokio::time::timeout(DEADLINE, listener.accept()).await.expect("a request in time");
    let (mut stream, _) = accepted.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let body = "<Project><Name>answered</Name></Project>";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{answer}{body}").as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

/// Runs the ignored test below with these variables; it must succeed.
fn run_child(endpoint: &str, proxy: &str, no_proxy: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "proxies::asks_as_the_environment_says", "--ignored", "--quiet"])
        .env("ENDPOINT_UNDER_TEST", endpoint)
        .env("HTTP_PROXY", proxy)
        .env("NO_PROXY", no_proxy)
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "run by the tests below, in an environment that they make"]
async fn asks_as_the_environment_says() {
    ask(&std::env::var("ENDPOINT_UNDER_TEST").unwrap()).await;
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_environment() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut child = run_child(&format!("http://{NOWHERE}/api"), &address, "");
    let line = answer(&proxy).await;
    assert_eq!(line, format!("GET http://{NOWHERE}/api/projects/mc_proj?curr_project=mc_proj HTTP/1.1"));
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn hosts_that_need_no_proxy_are_reached_directly() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = service.local_addr().unwrap();
    let mut child = run_child(&format!("http://{address}/api"), "http://127.0.0.1:1", "127.0.0.1");
    assert_eq!(answer(&service).await, "GET /api/projects/mc_proj?curr_project=mc_proj HTTP/1.1");
    assert!(child.wait().unwrap().success());
}
