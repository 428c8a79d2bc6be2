//! Accounts that change while a client is in use.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicebox_maxcompute::{Account, Error, FileCredentials, Hints};

use crate::server::{Clock, Reply, Server, account, rotated_account};

const OLD: &str = r#"{"access_key_id":"LTAIexampleKeyId","access_key_secret":"exampleSecretKeyForDocs01"}"#;
const NEW: &str = r#"{"AccessKeyId":"LTAIrotatedKeyId","AccessKeySecret":"rotatedSecretKeyForDocs02"}"#;

/// A credentials file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("maxcompute-{name}-{}.json", std::process::id())))
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn project() -> Reply {
    Reply::new(200, "<Project><Name>mc_proj</Name></Project>")
}

/// Ids that the requests were signed with.
fn signers(server: &Server) -> Vec<String> {
    let id = |sent: &str| sent.strip_prefix("ODPS ").unwrap().split(':').next().unwrap().to_owned();
    server.seen().iter().map(|seen| id(seen.header("authorization").unwrap())).collect()
}

/// A server that accepts one account, which the test can change.
async fn server_accepting(account: &Account) -> (Server, Arc<Mutex<String>>) {
    let accepted = Arc::new(Mutex::new(account.access_id().to_owned()));
    let shared = Arc::clone(&accepted);
    let server = Server::start(move |seen| {
        let signature = seen.header("authorization").unwrap();
        if !signature.contains(shared.lock().unwrap().as_str()) {
            return Reply::new(401, "<Error><Code>Unauthorized</Code></Error>");
        }
        if seen.method == "POST" { Reply::new(201, "").with("Location", "http://x/i1") } else { project() }
    })
    .await;
    (server, accepted)
}

#[tokio::test]
async fn a_file_that_changes_is_read_again() {
    let file = File::new("changes");
    file.write(OLD);
    let server = Server::replaying(vec![project()]).await;
    let (client, clock): (_, Arc<Clock>) =
        server.client(|options| options.credentials = Arc::new(FileCredentials::new(&file.0)));
    client.project().await.unwrap();
    file.write(NEW);
    client.project().await.unwrap();
    clock.advance(Duration::from_secs(10));
    client.project().await.unwrap();
    // A moment in which the file is not there does not stop anybody.
    std::fs::remove_file(&file.0).unwrap();
    clock.advance(Duration::from_secs(60));
    client.project().await.unwrap();
    let (old, new) = (account(), rotated_account());
    let (old, new) = (old.access_id(), new.access_id());
    assert_eq!(signers(&server), [old, old, new, new]);
}

#[tokio::test]
async fn a_key_that_was_rotated_is_found_after_the_first_refusal() {
    let file = File::new("rotated");
    file.write(OLD);
    let (server, accepted) = server_accepting(&account()).await;
    let (client, clock) =
        server.client(|options| options.credentials = Arc::new(FileCredentials::new(&file.0)));
    client.project().await.unwrap();
    file.write(NEW);
    *accepted.lock().unwrap() = rotated_account().access_id().to_owned();
    // Even a statement is sent again: a request that was refused has done nothing.
    client.submit("drop table t", &Hints::none(), None).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    assert_eq!(clock.waits(), [0.0]);
}

#[tokio::test]
async fn an_account_that_stays_refused_is_an_error_at_once() {
    let (server, _) = server_accepting(&rotated_account()).await;
    let (client, clock) = server.client(|_| {});
    assert!(matches!(client.project().await, Err(Error::Refused(_))));
    assert_eq!(server.seen().len(), 1);
    assert!(clock.waits().is_empty());
    client.replace_account(rotated_account());
    client.project().await.unwrap();
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let server = Server::replaying(vec![project()]).await;
    let nowhere = Arc::new(FileCredentials::new("/no/such/file.json"));
    let (client, _) = server.client(|options| options.credentials = nowhere);
    let error = client.project().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { maybe_arrived: false, .. }), "{error}");
    assert!(error.to_string().contains("/no/such/file.json"), "{error}");
    assert!(server.seen().is_empty());
}
