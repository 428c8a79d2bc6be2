//! The line that a terminal shows while a pipeline runs.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sluicebox_engine::{Progress, Telemetry, now_ms};

/// Often enough to look alive, seldom enough not to flicker.
const EVERY: Duration = Duration::from_millis(500);

/// Draws the line until dropped.
pub struct Live {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Starts drawing on standard error.
    pub fn start(telemetry: Arc<Telemetry>) -> std::io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let thread = std::thread::Builder::new().name("live".into()).spawn(move || {
            let mut last = telemetry.progress();
            while !flag.load(Ordering::Relaxed) {
                std::thread::park_timeout(EVERY);
                let now = telemetry.progress();
                let line = line(&last, &now, now_ms());
                // A terminal that has gone away is no reason to stop the pipeline.
                let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
                let _ = std::io::stderr().flush();
                last = now;
            }
            let _ = writeln!(std::io::stderr());
        })?;
        Ok(Self { ended, thread: Some(thread) })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was printed by the panic hook.
            let _ = thread.join();
        }
    }
}

/// The line for what happened between two pictures.
fn line(last: &Progress, now: &Progress, now_ms: i64) -> String {
    let rows = |p: &Progress| p.source_rows_total + p.snapshot_rows_total;
    let elapsed = u64::try_from(now.taken_at_ms - last.taken_at_ms).unwrap_or(0).max(1);
    let rate = (rows(now) - rows(last)) * 1000 / elapsed;
    let tables = format!("{}/{} tables", now.snapshot_tables_done, now.snapshot_tables);
    let chunks = format!("{}/{} chunks", now.snapshot_chunks_done, now.snapshot_chunks_planned);
    let snapshot = if now.phase == "snapshot" { format!(" {tables}, {chunks} |") } else { String::new() };
    let lag = if now.lag_ms < 0 { "-".to_owned() } else { seconds(now.lag_ms) };
    let checkpoint = match now.checkpoint_at_ms {
        0 => "none yet".to_owned(),
        at => format!("{} ago", seconds((now_ms - at).max(0))),
    };
    format!(
        "{} |{snapshot} {rate} rows/s, {} in all | lag {lag} | checkpoint {checkpoint}",
        now.phase,
        rows(now)
    )
}

fn seconds(ms: i64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_phase_rate_lag_and_checkpoint() {
        let last = Progress { taken_at_ms: 1000, lag_ms: -1, ..Progress::default() };
        let now = Progress {
            taken_at_ms: 1500,
            phase: "snapshot".into(),
            snapshot_rows_total: 500,
            snapshot_tables: 3,
            snapshot_tables_done: 1,
            snapshot_chunks_planned: 9,
            snapshot_chunks_done: 4,
            lag_ms: 1234,
            checkpoint_at_ms: 500,
            ..Progress::default()
        };
        assert_eq!(
            line(&last, &now, 2500),
            "snapshot | 1/3 tables, 4/9 chunks | 1000 rows/s, 500 in all | lag 1.2 s | checkpoint 2.0 s ago"
        );
        let streaming = Progress { phase: "streaming".into(), lag_ms: -1, ..last.clone() };
        assert_eq!(
            line(&last, &streaming, 2500),
            "streaming | 0 rows/s, 0 in all | lag - | checkpoint none yet"
        );
    }
}
