//! Where the account comes from, and when it is asked for again.
//!
//! A [`CredentialsProvider`] loads credentials; the client keeps what it got and asks again
//!
//! - some minutes before they expire: one request does so while all others go on with the old ones, and where loading
//!   fails the old ones are used until they have expired;
//! - when the provider says that they may have changed, as a file does;
//! - when the service answers 401: it has carried out nothing, so the request is sent once more with new credentials,
//!   where there are any.
//!
//! Only a request without any valid credentials waits for, and fails with, the loading.

mod document;
mod keeper;
mod sources;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

pub(crate) use keeper::Keeper;
pub use sources::{CommandCredentials, EnvironmentCredentials, FileCredentials, FixedCredentials};

use crate::{Account, Result};

/// Reads a document of credentials and does nothing with them.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_only(body: &[u8]) -> std::result::Result<(), String> {
    document::read(body).map(|_| ())
}

/// An account, and how long it is good for.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Who asks.
    pub account: Account,
    /// From when on the service refuses it; never when not given.
    pub expires: Option<SystemTime>,
    /// After what time the provider wants to be asked again, whether it expires or not.
    pub check_after: Option<Duration>,
}

impl Credentials {
    /// Credentials that last.
    pub fn lasting(account: Account) -> Self {
        Self { account, expires: None, check_after: None }
    }
}

/// The future of [`CredentialsProvider::load`].
pub type Loading<'a> = Pin<Box<dyn Future<Output = Result<Credentials>> + Send + 'a>>;

/// Loads credentials. The client keeps what it got and asks again some minutes before it expires, when
/// [`Credentials::check_after`] has passed, and when the service refuses the account; requests go on meanwhile with what is
/// still good. It calls `load` for one request at a time, and gives up after a minute.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use sluicebox_maxcompute::{Client, ClientOptions, FileCredentials};
///
/// # fn example() -> sluicebox_maxcompute::Result<()> {
/// let credentials = Arc::new(FileCredentials::new("/run/secrets/maxcompute.json"));
/// let endpoint = "https://service.cn-hangzhou.maxcompute.aliyun.com/api";
/// let client = Client::new(ClientOptions::with_credentials(endpoint, "my_project", credentials))?;
/// # Ok(())
/// # }
/// ```
pub trait CredentialsProvider: fmt::Debug + Send + Sync + 'static {
    /// Loads the credentials that are good now. [`Error::Unreachable`](crate::Error::Unreachable) when asking again
    /// later may help, [`Error::Options`](crate::Error::Options) when it cannot.
    fn load(&self) -> Loading<'_>;
}
