//! Whether and when a pipeline that was interrupted is begun again, and the end of what a start waits for.

use std::time::Duration;

use crossbeam::channel::Receiver;
use sluicebox_model::TableId;
use sluicebox_mysql::MysqlError;
use tokio::runtime::Runtime;

use super::mend::Mends;
use crate::error::{Disposition, EngineError};

/// Pause before the second attempt; doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A service that is down for hours is asked twice a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a start that waits for a server looks whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Waits for a part of a start, or for the order to stop: then [`MysqlError::Stopped`], and the order is left for who reads it. What a start
/// does can be broken off anywhere, as a crash can.
pub(super) fn until_stopped<T>(
    runtime: &Runtime,
    stop: &Receiver<()>,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let stopped = async {
        while stop.is_empty() {
            tokio::time::sleep(STOP_POLL).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            result = work => result,
            () = stopped => Err(MysqlError::Stopped.into()),
        }
    })
}

/// Decides whether and when to try again.
pub(super) struct Supervisor {
    attempts: u32,
    pause: Duration,
    /// Whether the pipeline has ever been up: before that a wrong name in the file is likelier than an outage.
    pub began: bool,
    /// Whether lost binlog is answered by reading all tables anew.
    rereads: bool,
    /// Whether the server has said in the last attempt that binlog is gone.
    pub lost: bool,
    /// The table whose columns were not known in the last attempt.
    taken_up: Option<TableId>,
    /// How many server ids another reader has, of those that are ours to choose from.
    pub ids_taken: u32,
    /// How many are left.
    ids_left: u32,
    /// Columns that the server is asked for.
    pub mends: Mends,
}

impl Supervisor {
    /// `rereads`: lost binlog is answered by reading tables anew. `ids`: how many server ids there are to choose from.
    pub fn new(rereads: bool, ids: u32) -> Self {
        Self {
            attempts: 0,
            pause: FIRST_PAUSE,
            began: false,
            rereads,
            lost: false,
            taken_up: None,
            ids_taken: 0,
            ids_left: ids.saturating_sub(1),
            mends: Mends::default(),
        }
    }

    /// The pause before the next attempt; none when there is to be none.
    pub fn next(&mut self, error: &EngineError, progressed: bool, first_attempts: u32) -> Option<Duration> {
        self.lost = matches!(error, EngineError::Source(MysqlError::PositionPurged { .. }));
        let mends = self.mends.take_up(error);
        let another_id =
            self.ids_left > 0 && matches!(error, EngineError::Source(MysqlError::ServerIdTaken { .. }));
        if another_id {
            (self.ids_taken, self.ids_left) = (self.ids_taken + 1, self.ids_left - 1);
        }
        let goes_on =
            error.disposition() == Disposition::Retry || self.lost && self.rereads || mends || another_id;
        if !goes_on {
            return None;
        }
        // What the last start did not read, this one will not read either.
        let taken_up = match error {
            EngineError::Source(MysqlError::NewTable { table, .. }) if !mends => Some(table.clone()),
            _ => None,
        };
        if taken_up.is_some() && self.taken_up == taken_up {
            return None;
        }
        self.taken_up = taken_up;
        if progressed {
            (self.attempts, self.pause) = (0, FIRST_PAUSE);
        }
        self.attempts += 1;
        if !self.began && self.attempts >= first_attempts {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> EngineError {
        sluicebox_mysql::MysqlError::Unreachable { server: "s:1".into(), reason: "refused".into() }.into()
    }

    #[test]
    fn before_the_first_success_attempts_are_few_and_after_it_unlimited() {
        let fresh = |began, rereads| Supervisor { began, ..Supervisor::new(rereads, 3) };
        let mut supervisor = fresh(false, false);
        let waits: Vec<_> = (0..3).map(|_| supervisor.next(&unreachable(), false, 3)).collect();
        assert_eq!(waits, [Some(FIRST_PAUSE), Some(FIRST_PAUSE * 2), None]);
        supervisor = fresh(true, false);
        let last = (0..100).filter_map(|_| supervisor.next(&unreachable(), false, 3)).last();
        assert_eq!(last, Some(LONGEST_PAUSE));
        assert_eq!(supervisor.next(&unreachable(), true, 3), Some(FIRST_PAUSE), "progress begins anew");
        let halted = EngineError::Plan("x".into());
        assert_eq!(supervisor.next(&halted, true, 3), None);
        let (position, reason) = (Box::default(), "gone".to_owned());
        let lost = MysqlError::PositionPurged { position, reason }.into();
        assert_eq!(supervisor.next(&lost, true, 3), None);
        let killed = MysqlError::Statement {
            server: "s:1".into(),
            doing: "reading".into(),
            code: 1317,
            reason: "interrupted".into(),
        };
        supervisor = fresh(true, false);
        assert!(supervisor.next(&killed.into(), false, 3).is_some(), "somebody's KILL is no reason to end");
        let taken: EngineError =
            MysqlError::ServerIdTaken { server: "s:1".into(), server_id: 7, reason: "in use".into() }.into();
        supervisor = fresh(true, false);
        let tries = (0..3).map(|_| supervisor.next(&taken, false, 3).is_some()).collect::<Vec<_>>();
        assert_eq!((tries, supervisor.ids_taken), (vec![true, true, false], 2));
        supervisor = fresh(true, true);
        assert!(supervisor.next(&lost, true, 3).is_some() && supervisor.lost);
        assert!(supervisor.next(&unreachable(), true, 3).is_some() && !supervisor.lost);
    }
}
