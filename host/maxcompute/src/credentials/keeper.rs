//! Keeps the credentials of a client, and asks its provider again when [`decide`] says so.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tracing::{debug, warn};

use super::{Credentials, CredentialsProvider};
use crate::{Account, Error, Result};

/// How long before their end credentials are renewed: time for some attempts, and for requests that are on their way.
const MARGIN: Duration = Duration::from_secs(300);
/// Credentials that live shorter than this many margins are renewed at the same part of their life.
const MARGINS: u32 = 4;
/// Pause after a renewal that failed or, after a refusal, brought nothing new.
const PAUSE: Duration = Duration::from_secs(30);
/// Time that loading may take: commands ask servers of their own.
const DEADLINE: Duration = Duration::from_secs(60);

/// Credentials in use.
#[derive(Debug, Clone)]
struct Held {
    account: Account,
    expires: Option<SystemTime>,
    renew_at: Option<SystemTime>,
    /// When they were loaded after a refusal and found unchanged.
    refused_at: Option<SystemTime>,
}

/// What a request does before it is signed.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Sign with what is held.
    Sign,
    /// Load new ones unless somebody does so already; what is held is still good.
    Renew,
    /// Load; nothing that is held is good.
    Load,
}

/// Decides what a request does at `now`.
fn decide(held: Option<&Held>, now: SystemTime) -> Step {
    match held {
        None => Step::Load,
        Some(held) if held.expires.is_some_and(|end| end <= now) => Step::Load,
        Some(held) if held.renew_at.is_some_and(|due| due <= now) => Step::Renew,
        Some(_) => Step::Sign,
    }
}

/// When credentials loaded at `now` are to be renewed.
fn renew_at(credentials: &Credentials, now: SystemTime) -> Option<SystemTime> {
    let check = credentials.check_after.map(|after| now + after);
    let before_end = credentials.expires.map(|end| {
        let life = end.duration_since(now).unwrap_or(Duration::ZERO);
        now + (life - MARGIN.min(life / MARGINS))
    });
    [check, before_end].into_iter().flatten().min()
}

/// Whether a refusal at `now` is a reason to load again.
fn refusal_counts(held: &Held, now: SystemTime) -> bool {
    // A clock that was set back must not keep a refused account in use.
    held.refused_at.is_none_or(|at| now.duration_since(at).map_or(true, |since| since >= PAUSE))
}

/// The credentials of a client and its clones.
#[derive(Debug)]
pub(crate) struct Keeper {
    provider: Arc<dyn CredentialsProvider>,
    held: RwLock<Option<Held>>,
    /// Held while loading, also across its waits: that one request loads and others that must have the result wait for
    /// it is what it is for.
    loading: tokio::sync::Mutex<()>,
}

impl Keeper {
    pub(crate) fn new(provider: Arc<dyn CredentialsProvider>) -> Self {
        Self { provider, held: RwLock::new(None), loading: tokio::sync::Mutex::new(()) }
    }

    /// Uses this account from now on; the provider is asked only when the service refuses it.
    pub(crate) fn replace(&self, account: Account) {
        self.hold(Held { account, expires: None, renew_at: None, refused_at: None });
    }

    /// The account to sign with at `now`.
    pub(crate) async fn account(&self, now: SystemTime) -> Result<Account> {
        let held = self.held();
        match (decide(held.as_ref(), now), held) {
            (Step::Sign, Some(held)) => Ok(held.account),
            (Step::Renew, Some(held)) => Ok(self.renew(held, now).await),
            (Step::Load | Step::Sign | Step::Renew, _) => {
                let _loading = self.loading.lock().await;
                // Whoever was first may have loaded them meanwhile.
                match self.held() {
                    Some(held) if decide(Some(&held), now) != Step::Load => Ok(held.account),
                    _ => self.load(now).await,
                }
            }
        }
    }

    /// Renews credentials that are still good; goes on with them when that fails or is being done.
    async fn renew(&self, held: Held, now: SystemTime) -> Account {
        let Ok(_loading) = self.loading.try_lock() else { return held.account };
        match self.load(now).await {
            Ok(account) => account,
            Err(error) => {
                warn!(%error, cause = ?std::error::Error::source(&error).map(ToString::to_string),
                    "credentials not renewed, the old ones go on");
                let account = held.account.clone();
                self.hold(Held { renew_at: Some(now + PAUSE), ..held });
                account
            }
        }
    }

    /// Loads again after the service has refused `refused`; says whether there is another account to sign with now.
    pub(crate) async fn refused(&self, refused: &Account, now: SystemTime) -> bool {
        let _loading = self.loading.lock().await;
        let Some(held) = self.held() else { return false };
        if held.account != *refused {
            return true;
        }
        if !refusal_counts(&held, now) {
            return false;
        }
        match self.load(now).await {
            Ok(account) if account != *refused => true,
            Ok(_) | Err(_) => {
                self.hold(Held { refused_at: Some(now), ..self.held().unwrap_or(held) });
                false
            }
        }
    }

    async fn load(&self, now: SystemTime) -> Result<Account> {
        let loaded = tokio::time::timeout(DEADLINE, self.provider.load()).await;
        let credentials = loaded.unwrap_or_else(|elapsed| {
            let operation = "load credentials".to_owned();
            Err(Error::Unreachable { operation, maybe_arrived: false, source: elapsed.into() })
        })?;
        let held = Held {
            renew_at: renew_at(&credentials, now),
            account: credentials.account,
            expires: credentials.expires,
            refused_at: None,
        };
        let account = held.account.clone();
        debug!(expires = ?held.expires, "credentials loaded");
        self.hold(held);
        Ok(account)
    }

    fn held(&self) -> Option<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Secret;
    use crate::credentials::Loading;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn account(id: &str) -> Account {
        Account::new(id, Secret::new("key"))
    }

    fn until(id: &str, end: u64) -> Result<Credentials> {
        Ok(Credentials { expires: Some(at(end)), ..Credentials::lasting(account(id)) })
    }

    fn unavailable() -> Result<Credentials> {
        Err(Error::Unreachable { operation: "x".to_owned(), maybe_arrived: false, source: "down".into() })
    }

    /// Gives what it was told, in order, and counts.
    #[derive(Debug)]
    struct Scripted(Mutex<std::collections::VecDeque<Result<Credentials>>>);

    impl CredentialsProvider for Scripted {
        fn load(&self) -> Loading<'_> {
            let next = self.0.lock().unwrap().pop_front().expect("no more loads than scripted");
            Box::pin(std::future::ready(next))
        }
    }

    fn keeper(script: Vec<Result<Credentials>>) -> (Keeper, Arc<Scripted>) {
        let provider = Arc::new(Scripted(Mutex::new(script.into())));
        (Keeper::new(Arc::clone(&provider) as Arc<dyn CredentialsProvider>), provider)
    }

    #[test]
    fn renewal_lies_before_the_end_and_not_behind_the_check() {
        let credentials = |expires: Option<u64>, check: Option<u64>| Credentials {
            account: account("a"),
            expires: expires.map(at),
            check_after: check.map(Duration::from_secs),
        };
        let cases = [
            (None, None, None),
            (Some(1_000 + 3_600), None, Some(1_000 + 3_300)),
            (Some(1_000 + 400), None, Some(1_000 + 300)),
            (Some(900), None, Some(1_000)),
            (None, Some(10), Some(1_010)),
            (Some(1_000 + 3_600), Some(10), Some(1_010)),
            (Some(1_000 + 4), Some(10), Some(1_003)),
        ];
        for (expires, check, want) in cases {
            let found = renew_at(&credentials(expires, check), at(1_000));
            assert_eq!(found, want.map(at), "{expires:?} {check:?}");
        }
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_expire_and_old_ones_last_to_their_end() {
        let (keeper, provider) =
            keeper(vec![until("a", 3_600), unavailable(), unavailable(), unavailable(), until("b", 9_000)]);
        let id = async |now| keeper.account(at(now)).await.map(|account| account.access_id().to_owned()).ok();
        let left = || provider.0.lock().unwrap().len();
        assert_eq!((id(0).await.as_deref(), left()), (Some("a"), 4));
        assert_eq!((id(3_299).await.as_deref(), left()), (Some("a"), 4), "not yet");
        assert_eq!((id(3_300).await.as_deref(), left()), (Some("a"), 3), "failed, the old one goes on");
        assert_eq!((id(3_329).await.as_deref(), left()), (Some("a"), 3), "not at every request");
        assert_eq!((id(3_330).await.as_deref(), left()), (Some("a"), 2));
        assert_eq!((id(3_600).await, left()), (None, 1), "expired");
        assert_eq!((id(3_601).await.as_deref(), left()), (Some("b"), 0), "as soon as there are new ones");
    }

    #[tokio::test]
    async fn a_refused_account_is_loaded_again_and_not_at_every_refusal() {
        let (keeper, provider) =
            keeper(vec![until("a", 9_000), until("b", 9_000), until("b", 9_000), unavailable()]);
        let left = || provider.0.lock().unwrap().len();
        let a = keeper.account(at(0)).await.unwrap();
        assert!(keeper.refused(&a, at(1)).await, "rotated");
        assert!(keeper.refused(&a, at(1)).await, "a late answer to the old account");
        assert_eq!(left(), 2);
        let b = keeper.account(at(2)).await.unwrap();
        assert!(!keeper.refused(&b, at(3)).await, "the same again");
        assert!(!keeper.refused(&b, at(32)).await, "too soon");
        assert_eq!(left(), 1);
        assert!(!keeper.refused(&b, at(33)).await, "cannot be loaded");
        assert_eq!((keeper.account(at(34)).await.unwrap(), left()), (b, 0), "what is held stays");
    }

    #[tokio::test]
    async fn a_replaced_account_counts_at_once() {
        let (keeper, _) = keeper(vec![until("a", 100)]);
        keeper.account(at(0)).await.unwrap();
        keeper.replace(account("z"));
        assert_eq!(keeper.account(at(1_000)).await.unwrap(), account("z"));
    }
}
