//! Who asks: keys, tokens, and how a request is signed with them.
//!
//! The string that is signed is in [`crate::sign`]. What is made of it depends on the account:
//!
//! - *v2*, without a region: HMAC-SHA1 with the access key itself;
//! - *v4*, with a region: HMAC-SHA1 with a key derived from access key, day and region;
//! - a temporary account signs as above and sends its token beside;
//! - an application signs the account's signature once more.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// A text that is shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for those who send or sign with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An account of the service.
///
/// ```
/// use sluicebox_maxcompute::{Account, Secret};
///
/// let account = Account::new("my-access-id", Secret::new("my-access-key")).with_sts_token(Secret::new("token"));
/// assert!(!format!("{account:?}").contains("my-access-key"), "secrets do not show");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    access_id: String,
    access_key: Secret,
    sts_token: Option<Secret>,
    application: Option<Application>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Application {
    access_id: String,
    access_key: Secret,
}

impl Account {
    /// An account with a lasting key, or, with [`Self::with_sts_token`], a temporary one.
    pub fn new(access_id: impl Into<String>, access_key: Secret) -> Self {
        Self { access_id: access_id.into(), access_key, sts_token: None, application: None }
    }

    /// The id of its access key, which is no secret.
    pub fn access_id(&self) -> &str {
        &self.access_id
    }

    /// The token that came with a temporary id and key.
    #[must_use]
    pub fn with_sts_token(mut self, token: Secret) -> Self {
        self.sts_token = Some(token);
        self
    }

    /// An application that acts for the account, with an id and key of its own.
    #[must_use]
    pub fn with_application(mut self, access_id: impl Into<String>, access_key: Secret) -> Self {
        self.application = Some(Application { access_id: access_id.into(), access_key });
        self
    }

    /// The headers that prove who asks, for a string to sign as [`crate::sign::string_to_sign`] builds it. With a
    /// `region` the signature is v4 and holds for the UTC day of `now`.
    pub fn headers(
        &self,
        string_to_sign: &str,
        region: Option<&str>,
        now: DateTime<Utc>,
    ) -> Vec<(&'static str, String)> {
        let authorization = self.authorization(string_to_sign, region, now);
        let mut headers = Vec::with_capacity(3);
        if let Some(token) = &self.sts_token {
            headers.push(("authorization-sts-token", token.expose().to_owned()));
        }
        if let Some(application) = &self.application {
            let signature = sign(application.access_key.expose().as_bytes(), &authorization);
            let id = &application.access_id;
            headers.push((
                "application-authentication",
                format!(
                    "account_provider:aliyun,signature_method:hmac-sha1,access_id:{id},signature:{signature}"
                ),
            ));
        }
        headers.push(("authorization", authorization));
        headers
    }

    fn authorization(&self, string_to_sign: &str, region: Option<&str>, now: DateTime<Utc>) -> String {
        let id = &self.access_id;
        match region {
            None => format!("ODPS {id}:{}", sign(self.access_key.expose().as_bytes(), string_to_sign)),
            Some(region) => {
                let day = now.format("%Y%m%d").to_string();
                let signature = sign(&self.signing_key(&day, region), string_to_sign);
                format!("ODPS {id}/{day}/{region}/odps/aliyun_v4_request:{signature}")
            }
        }
    }

    /// The key of a v4 signature: it lasts for one day in one region.
    fn signing_key(&self, day: &str, region: &str) -> Vec<u8> {
        let root = format!("aliyun_v4{}", self.access_key.expose());
        [day, region, "odps", "aliyun_v4_request"].iter().fold(root.into_bytes(), |key, part| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
            mac.update(part.as_bytes());
            mac.finalize().into_bytes().to_vec()
        })
    }
}

fn sign(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}
