//! Whether the replicas can bear more reading at the source.
//!
//! They are asked at most once a second, whoever of the snapshot's readers wants to know. A replica that cannot be reached, or
//! that does not get on, counts as too far behind: a snapshot that waits can be helped, one that has drowned a replica cannot. One
//! that refuses to say stops the pipeline, for that does not pass.

use std::time::{Duration, Instant};

use sluicebox_mysql::{ConnectOptions, Control, MysqlError};

use crate::config::{ServerAddress, SourceConfig};
use crate::error::{Disposition, EngineError};

/// The servers whose lag counts: those of the file, with the account of the source, or the source itself.
pub(super) fn replicas(config: &SourceConfig, connect: &ConnectOptions) -> Vec<ConnectOptions> {
    if config.replicas.is_empty() {
        return vec![connect.clone()];
    }
    let at = |address: &ServerAddress| ConnectOptions {
        host: address.host.clone(),
        port: address.port.unwrap_or(config.connect.port),
        ..config.connect.clone()
    };
    config.replicas.iter().map(at).collect()
}

/// How long an answer is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// The replicas, and what was heard of them.
pub(super) struct Replicas {
    most: Duration,
    of: Vec<Replica>,
    /// When they were asked, and which of them was too far behind.
    heard: Option<(Instant, Option<Behind>)>,
}

struct Replica {
    connect: ConnectOptions,
    control: Option<Control>,
}

/// A replica that is too far behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Behind {
    /// Host and port.
    pub server: String,
    /// How far, or why nobody knows.
    pub state: String,
}

impl Replicas {
    /// Nothing is asked yet.
    pub fn new(replicas: &[ConnectOptions], most: Duration) -> Self {
        let of = replicas.iter().map(|connect| Replica { connect: connect.clone(), control: None }).collect();
        Self { most, of, heard: None }
    }

    /// The first replica that is too far behind.
    ///
    /// # Errors
    /// When a replica refuses to say.
    pub async fn behind(&mut self, now: Instant) -> Result<Option<Behind>, EngineError> {
        if let Some((at, behind)) = &self.heard
            && now.saturating_duration_since(*at) < BELIEVED_FOR
        {
            return Ok(behind.clone());
        }
        let mut behind = None;
        for replica in &mut self.of {
            let state = too_far(replica.lag().await, self.most)?;
            let server = || format!("{}:{}", replica.connect.host, replica.connect.port);
            behind = state.map(|state| Behind { server: server(), state });
            if behind.is_some() {
                break;
            }
        }
        self.heard = Some((now, behind.clone()));
        Ok(behind)
    }
}

impl Replica {
    async fn lag(&mut self) -> Result<Option<Duration>, MysqlError> {
        let control = match self.control.take() {
            Some(control) => self.control.insert(control),
            None => self.control.insert(Control::connect(&self.connect).await?),
        };
        let lag = control.replica_lag().await;
        if lag.is_err() {
            self.control = None;
        }
        lag
    }
}

/// What is said of a replica that is too far behind; none when it is not.
fn too_far(lag: Result<Option<Duration>, MysqlError>, most: Duration) -> Result<Option<String>, EngineError> {
    let state = match lag {
        Ok(Some(lag)) if lag <= most => None,
        Ok(Some(lag)) => Some(format!("{} s behind", lag.as_secs())),
        Ok(None) => Some("does not apply what it gets".to_owned()),
        Err(error) => {
            let error = EngineError::Source(error);
            if error.disposition() != Disposition::Retry {
                return Err(error);
            }
            Some(error.to_string())
        }
    };
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_does_not_get_on_counts_as_behind() {
        let seconds = Duration::from_secs;
        let said = |lag| too_far(Ok(lag), seconds(5)).expect("an answer");
        assert_eq!(said(Some(Duration::ZERO)), None);
        assert_eq!(said(Some(seconds(5))), None);
        assert_eq!(said(Some(seconds(6))).as_deref(), Some("6 s behind"));
        assert_eq!(said(None).as_deref(), Some("does not apply what it gets"));
        let gone = MysqlError::Silent { server: "h:1".to_owned(), seconds: 1 };
        assert!(matches!(too_far(Err(gone), seconds(5)), Ok(Some(_))));
        assert!(too_far(Err(MysqlError::Stopped), seconds(5)).is_err());
    }
}
