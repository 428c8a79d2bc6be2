//! Keeps the credentials of a client, and asks its provider again when [`decide`] says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
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
    /// Whether they were given in place of the provider's.
    replaced: bool,
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
    if held.replaced {
        return false;
    }
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
    /// How loading has failed so far.
    failed: Mutex<Failed>,
}

/// Failed loads, so that requests that waited for one of them fail with it rather than try again one after another.
#[derive(Debug, Default)]
struct Failed {
    times: u64,
    last: String,
}

impl Keeper {
    pub(crate) fn new(provider: Arc<dyn CredentialsProvider>) -> Self {
        let (held, loading) = (RwLock::new(None), tokio::sync::Mutex::new(()));
        Self { provider, held, loading, failed: Mutex::default() }
    }

    /// Uses this account from now on; the provider is not asked any more.
    pub(crate) fn replace(&self, account: Account) {
        self.hold(Held { account, expires: None, renew_at: None, refused_at: None, replaced: true });
    }

    /// The account to sign with at `now`.
    pub(crate) async fn account(&self, now: SystemTime) -> Result<Account> {
        let held = self.held();
        match (decide(held.as_ref(), now), held) {
            (Step::Sign, Some(held)) => Ok(held.account),
            (Step::Renew, Some(held)) => Ok(self.renew(held, now).await),
            (Step::Load | Step::Sign | Step::Renew, _) => self.first_account(now).await,
        }
    }

    /// Loads, or waits for the one who does.
    async fn first_account(&self, now: SystemTime) -> Result<Account> {
        let failed_before = self.failed().times;
        let _loading = self.loading.lock().await;
        if let Some(held) = self.held().filter(|held| decide(Some(held), now) != Step::Load) {
            return Ok(held.account);
        }
        {
            let failed = self.failed();
            if failed.times > failed_before {
                return Err(unavailable(failed.last.clone().into()));
            }
        }
        let loaded = self.load(now).await;
        if let Err(error) = &loaded {
            let cause =
                std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            let mut failed = self.failed();
            *failed = Failed { times: failed.times + 1, last: cause };
        }
        loaded
    }

    fn failed(&self) -> MutexGuard<'_, Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
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
        let credentials = loaded.unwrap_or_else(|elapsed| Err(unavailable(elapsed.into())))?;
        let held = Held {
            renew_at: renew_at(&credentials, now),
            account: credentials.account,
            expires: credentials.expires,
            refused_at: None,
            replaced: false,
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

/// Nothing was sent, and asking again later may help.
fn unavailable(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Unreachable { operation: "load credentials".to_owned(), maybe_arrived: false, source }
}

#[cfg(test)]
mod tests {
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

    fn down() -> Result<Credentials> {
        Err(unavailable("down".into()))
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
        let (keeper, provider) = keeper(vec![until("a", 3_600), down(), down(), down(), until("b", 9_000)]);
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
            keeper(vec![until("a", 9_000), until("b", 9_000), until("b", 9_000), down()]);
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
    async fn a_replaced_account_counts_at_once_and_for_good() {
        let (keeper, _) = keeper(vec![until("a", 100)]);
        keeper.account(at(0)).await.unwrap();
        keeper.replace(account("z"));
        assert_eq!(keeper.account(at(1_000)).await.unwrap(), account("z"));
        assert!(!keeper.refused(&account("z"), at(1_001)).await, "the provider has an older one at best");
        assert_eq!(keeper.account(at(1_002)).await.unwrap(), account("z"));
    }

    /// Loads when it is told to, so that requests can be seen to wait for it.
    #[derive(Debug)]
    struct Waiting(tokio::sync::Semaphore, Mutex<Vec<Result<Credentials>>>);

    impl CredentialsProvider for Waiting {
        fn load(&self) -> Loading<'_> {
            Box::pin(async {
                self.0.acquire().await.unwrap().forget();
                self.1.lock().unwrap().pop().expect("no more loads than scripted")
            })
        }
    }

    #[tokio::test]
    async fn all_who_wait_share_one_load_and_its_failure() {
        let script = vec![until("b", 9_000), down()];
        let provider = Arc::new(Waiting(tokio::sync::Semaphore::new(0), Mutex::new(script)));
        let keeper = Keeper::new(Arc::clone(&provider) as Arc<dyn CredentialsProvider>);
        let ask = || keeper.account(at(0));
        let (first, second, third, ()) =
            tokio::join!(ask(), ask(), ask(), async { provider.0.add_permits(1) });
        for failed in [first, second, third] {
            let error = failed.unwrap_err();
            assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "down");
        }
        let (first, second, ()) = tokio::join!(ask(), ask(), async { provider.0.add_permits(1) });
        assert_eq!((first.unwrap(), second.unwrap()), (account("b"), account("b")));
    }
}
