//! The providers: fixed values, the environment, a file, a command.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::{Credentials, CredentialsProvider, Loading, document};
use crate::{Account, Error, Result, Secret};

/// How often a file is looked at: a rotated key is in use soon, and reading a few hundred bytes costs nothing.
const FILE_CHECK: Duration = Duration::from_secs(10);
/// Bytes of a credentials file or a command's output. Tokens take one or two KiB.
const DOCUMENT_BYTES: usize = 64 << 10;
/// Characters of what a failing command wrote to its error output that are passed on.
const COMPLAINT_CHARS: usize = 500;

/// One account for good.
#[derive(Debug, Clone)]
pub struct FixedCredentials(Account);

impl FixedCredentials {
    /// Always gives this account.
    pub fn new(account: Account) -> Self {
        Self(account)
    }
}

impl CredentialsProvider for FixedCredentials {
    fn load(&self) -> Loading<'_> {
        Box::pin(std::future::ready(Ok(Credentials::lasting(self.0.clone()))))
    }
}

/// The process's environment: `ALIBABA_CLOUD_ACCESS_KEY_ID`, `ALIBABA_CLOUD_ACCESS_KEY_SECRET` and, for temporary
/// ones, `ALIBABA_CLOUD_SECURITY_TOKEN`; where the first is not set, `ODPS_ACCESS_ID` and `ODPS_ACCESS_KEY`.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentCredentials;

impl EnvironmentCredentials {
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Credentials> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let names = [
            (
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                Some("ALIBABA_CLOUD_SECURITY_TOKEN"),
            ),
            ("ODPS_ACCESS_ID", "ODPS_ACCESS_KEY", None),
        ];
        for (id_name, key_name, token_name) in names {
            let Some(id) = set(id_name) else { continue };
            let key = set(key_name)
                .ok_or_else(|| Error::Options(format!("`{id_name}` is set and `{key_name}` is not")))?;
            let account = Account::new(id, Secret::new(key));
            let token = token_name.and_then(set);
            return Ok(Credentials::lasting(match token {
                Some(token) => account.with_sts_token(Secret::new(token)),
                None => account,
            }));
        }
        Err(Error::Options("neither `ALIBABA_CLOUD_ACCESS_KEY_ID` nor `ODPS_ACCESS_ID` is set".to_owned()))
    }
}

impl CredentialsProvider for EnvironmentCredentials {
    fn load(&self) -> Loading<'_> {
        Box::pin(std::future::ready(Self::read(|name| std::env::var(name).ok())))
    }
}

/// A JSON file, read again every ten seconds so that a rotated key is taken up:
///
/// ```json
/// {"access_key_id": "..", "access_key_secret": "..", "security_token": "..", "expiration": "2024-03-09T12:00:00Z"}
/// ```
///
/// The last two may be missing. `AccessKeyId`, `AccessKeySecret`, `SecurityToken`, `Expiration` and `sts_token` are
/// read as well. Who replaces the file renames the new one over the old one, so that no half of it is read.
#[derive(Debug, Clone)]
pub struct FileCredentials {
    path: PathBuf,
}

impl FileCredentials {
    /// Reads nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    async fn read(&self) -> Result<Credentials> {
        let operation = || format!("read credentials file `{}`", self.path.display());
        let bytes = tokio::fs::read(&self.path).await.map_err(|fault| unavailable(operation(), fault))?;
        let credentials = read_document(&bytes).map_err(|fault| unavailable(operation(), fault))?;
        Ok(Credentials { check_after: Some(FILE_CHECK), ..credentials })
    }
}

impl CredentialsProvider for FileCredentials {
    fn load(&self) -> Loading<'_> {
        Box::pin(self.read())
    }
}

/// A command that writes the JSON of [`FileCredentials`] to its standard output. It runs again before what it gave
/// expires; without an `expiration`, only when the service refuses the account.
#[derive(Debug, Clone)]
pub struct CommandCredentials {
    program: OsString,
    arguments: Vec<OsString>,
}

impl CommandCredentials {
    /// Runs nothing yet. There is no shell in between: the arguments arrive as they are.
    pub fn new<I, S>(program: impl AsRef<OsStr>, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        Self { program: program.as_ref().to_owned(), arguments }
    }

    async fn run(&self) -> Result<Credentials> {
        let operation = || format!("run credentials command `{}`", self.program.display());
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            // A client that is dropped, or that gives up waiting, leaves no process behind.
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|fault| unavailable(operation(), fault))?;
        read_output(&output).map_err(|fault| unavailable(operation(), fault))
    }
}

impl CredentialsProvider for CommandCredentials {
    fn load(&self) -> Loading<'_> {
        Box::pin(self.run())
    }
}

fn read_output(output: &Output) -> std::result::Result<Credentials, String> {
    if output.status.success() {
        return read_document(&output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint: String = complaint.trim().chars().take(COMPLAINT_CHARS).collect();
    Err(format!("it ended with {}: {complaint}", output.status))
}

fn read_document(bytes: &[u8]) -> std::result::Result<Credentials, String> {
    if bytes.len() > DOCUMENT_BYTES {
        return Err(format!("more than {DOCUMENT_BYTES} bytes"));
    }
    document::read(bytes)
}

/// Nothing was sent, and asking again later may help: files are being replaced, commands have bad moments.
fn unavailable(operation: String, fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unreachable { operation, maybe_arrived: false, source: fault.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_in_its_order() {
        let full = [
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "a"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "b"),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", "c"),
            ("ODPS_ACCESS_ID", "d"),
            ("ODPS_ACCESS_KEY", "e"),
        ];
        let read = |without: &[&str]| {
            EnvironmentCredentials::read(|name| {
                let found = full.iter().find(|(known, _)| *known == name && !without.contains(known));
                found.map(|(_, value)| (*value).to_owned())
            })
            .map(|credentials| credentials.account)
        };
        let lasting = Account::new("a", Secret::new("b"));
        let temporary = lasting.clone().with_sts_token(Secret::new("c"));
        assert_eq!(read(&[]).unwrap(), temporary);
        assert_eq!(read(&["ALIBABA_CLOUD_SECURITY_TOKEN"]).unwrap(), lasting);
        assert_eq!(read(&["ALIBABA_CLOUD_ACCESS_KEY_ID"]).unwrap(), Account::new("d", Secret::new("e")));
        for without in [
            &["ALIBABA_CLOUD_ACCESS_KEY_SECRET"][..],
            &["ALIBABA_CLOUD_ACCESS_KEY_ID", "ODPS_ACCESS_ID"],
            &["ALIBABA_CLOUD_ACCESS_KEY_ID", "ODPS_ACCESS_KEY"],
        ] {
            assert!(matches!(read(without), Err(Error::Options(_))), "{without:?}");
        }
    }

    #[tokio::test]
    async fn commands_give_credentials_or_say_why_not() {
        let shell = |script: &str| CommandCredentials::new("/bin/sh", ["-c", script]);
        let json = r#"{"access_key_id":"id","access_key_secret":"key"}"#;
        let loaded = shell(&format!("printf '%s' '{json}'")).load().await.unwrap();
        assert_eq!(loaded.account, Account::new("id", Secret::new("key")));
        let failing = [
            ("echo no ticket >&2; exit 3", "no ticket"),
            ("echo '{}'", "not JSON"),
            ("exec no-such-program", ""),
        ];
        for (script, says) in failing {
            let error = shell(script).load().await.unwrap_err();
            let Error::Unreachable { maybe_arrived: false, source, .. } = error else { panic!("{error}") };
            assert!(source.to_string().contains(says), "{source}");
        }
        let error = CommandCredentials::new("/no/such/program", [""; 0]).load().await.unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
