//! What the host keeps beside each instance: its limits, its clock, its log lines, and what it may ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sluicebox_model::{ByteSize, TransactionId};
use wasmtime::{ResourceLimiter, UpdateDeadline};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::abi;
use crate::host::Forbidden;
use crate::limits::{Grants, Limits};
use crate::lookup::LookupTables;
use crate::state::State;
use crate::ticker::TICK;
use crate::wasi::Wasi;

/// Instances that there are in this process now.
static INSTANCES: AtomicU64 = AtomicU64::new(0);

/// How many instances of all plugins there are in this process now. Each holds its linear memory and its plugin's code.
pub fn instances() -> u64 {
    INSTANCES.load(Ordering::Relaxed)
}

/// How wasmtime begins when there are more instances, tables or memories than a store may have. It has no type for it.
const TOO_MANY: &str = "resource limit exceeded";

/// The data of a store.
pub(crate) struct Guest {
    plugin: String,
    limits: Limits,
    grants: Grants,
    /// What it remembers of the running batch's target; none outside of one, and where its plan asked for none.
    pub(crate) state: Option<State>,
    /// The table that the running call is about; empty outside of one.
    pub(crate) table: String,
    /// The transaction of the running batch's first row; none for rows read by a snapshot and outside of `process`.
    pub(crate) at: Option<Arc<TransactionId>>,
    /// Linear memory now, in bytes.
    pub(crate) memory: usize,
    table_elements: usize,
    /// What the guest asked for in the running call and did not get.
    pub(crate) refused_memory: Option<ByteSize>,
    /// The same, of elements of its tables.
    pub(crate) refused_elements: Option<usize>,
    clock: Clock,
    log: LogLines,
    /// None where nothing of it is granted.
    pub(crate) wasi: Option<Wasi>,
}

impl Guest {
    pub(crate) fn new(plugin: &str, limits: &Limits, grants: &Grants) -> Self {
        INSTANCES.fetch_add(1, Ordering::Relaxed);
        Self {
            plugin: plugin.to_owned(),
            limits: limits.clone(),
            grants: grants.clone(),
            state: None,
            table: String::new(),
            at: None,
            memory: 0,
            table_elements: 0,
            refused_memory: None,
            refused_elements: None,
            clock: Clock::default(),
            log: LogLines::new(limits.log_lines),
            wasi: None,
        }
    }

    /// Begins a call that may take so long; the answer is the number of ticks until [`Guest::deadline`] is to be asked.
    pub(crate) fn begin(&mut self, limit: Duration) -> u64 {
        self.refused_memory = None;
        self.refused_elements = None;
        self.clock = Clock { limit, used_before: None };
        ticks(limit)
    }

    /// The running call's deadline has passed.
    pub(crate) fn deadline(&mut self) -> UpdateDeadline {
        self.clock.deadline(thread_time())
    }

    /// The limit of the running call.
    pub(crate) fn time_limit(&self) -> Duration {
        self.clock.limit
    }

    /// What its memories may have together.
    pub(crate) fn memory_limit(&self) -> ByteSize {
        self.limits.memory
    }

    /// What may be said of how it was refused more tables, or more modules, than it may have; by wasmtime's words.
    pub(crate) fn refused_parts(&self, words: &str) -> Option<String> {
        let Limits { instances, table_elements, .. } = self.limits;
        if let Some(wanted) = self.refused_elements {
            return Some(format!(
                "it asks for {wanted} elements of tables, above its limit of {table_elements} (`limits.table-elements` in the pipeline file)"
            ));
        }
        words.starts_with(TOO_MANY).then(|| {
            format!("it has more core modules than its limit of {instances} (`limits.instances` in the pipeline file)")
        })
    }

    /// Log lines left out so far.
    pub(crate) fn log_lines_dropped(&self) -> u64 {
        self.log.dropped
    }

    /// The reference tables that it may ask.
    pub(crate) fn lookups(&self) -> Option<&dyn LookupTables> {
        self.grants.lookups.as_deref()
    }

    /// Whether it may ask for the time of day.
    pub(crate) fn may_ask_the_time(&self) -> bool {
        self.grants.clock
    }

    /// What it remembers of the running batch's target.
    pub(crate) fn state(&mut self) -> Result<&mut State, Forbidden> {
        self.state.as_mut().ok_or_else(|| {
            Forbidden("it uses state outside of `process`, or its plan does not say `stateful`".into())
        })
    }

    /// Whether a log line may be written now; if so, also how many were left out before it.
    pub(crate) fn admit_log_line(&mut self, now: Instant) -> Option<u64> {
        self.log.admit(now)
    }

    /// Makes log lines of what the running call has written to its standard output and error.
    pub(crate) fn log_output(&mut self) {
        for line in self.wasi.as_ref().map(Wasi::lines).unwrap_or_default() {
            if let Some(left_out) = self.admit_log_line(Instant::now()) {
                self.log(abi::Level::Info, &shorten(&line), left_out);
            }
        }
    }

    /// Writes a log line, and how many were left out before it.
    pub(crate) fn log(&self, level: abi::Level, text: &str, left_out: u64) {
        let (plugin, table) = (&*self.plugin, &*self.table);
        // Empty for rows that have no place in the stream.
        let position = self.at.as_ref().map(ToString::to_string).unwrap_or_default();
        if left_out > 0 {
            tracing::warn!(target: "sluicebox::guest", plugin, table, position, left_out, "guest logs too much, lines left out");
        }
        match level {
            abi::Level::Debug => {
                tracing::debug!(target: "sluicebox::guest", plugin, table, position, text, "guest says")
            }
            abi::Level::Info => {
                tracing::info!(target: "sluicebox::guest", plugin, table, position, text, "guest says")
            }
            abi::Level::Warn => {
                tracing::warn!(target: "sluicebox::guest", plugin, table, position, text, "guest says")
            }
            abi::Level::Error => {
                tracing::error!(target: "sluicebox::guest", plugin, table, position, text, "guest says")
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ticks after which the time has surely passed; the running one may be almost over.
fn ticks(time: Duration) -> u64 {
    let whole = time.as_nanos().div_ceil(TICK.as_nanos());
    u64::try_from(whole).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// The time of one call. A limit is the guest's own time, not that of others on a busy machine; but asking the system for the
/// thread's time at the start of each call would cost as much as a small call. So it is asked when the deadline passes
/// on the wall, and the guest is stopped when it has worked that long again: after once to twice its limit, and never
/// for having waited.
#[derive(Default)]
struct Clock {
    limit: Duration,
    /// The thread's time when the deadline first passed.
    used_before: Option<Duration>,
}

impl Clock {
    fn deadline(&mut self, now: Option<Duration>) -> UpdateDeadline {
        let Some(now) = now else { return UpdateDeadline::Interrupt };
        let used = match self.used_before {
            Some(before) => now.saturating_sub(before),
            None => {
                self.used_before = Some(now);
                Duration::ZERO
            }
        };
        match self.limit.checked_sub(used) {
            Some(left) if !left.is_zero() => UpdateDeadline::Continue(ticks(left)),
            Some(_) | None => UpdateDeadline::Interrupt,
        }
    }
}

/// Processor time of this thread; none where the system does not tell.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.get_or_insert_with(Wasi::nothing).view()
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.memory.saturating_sub(current).saturating_add(desired);
        let fits = all <= self.limits.memory.as_usize();
        if fits {
            self.memory = all;
        } else {
            self.refused_memory = Some(ByteSize::bytes(u64::try_from(all).unwrap_or(u64::MAX)));
        }
        Ok(fits)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.table_elements.saturating_sub(current).saturating_add(desired);
        let fits = all <= usize::try_from(self.limits.table_elements).unwrap_or(usize::MAX);
        if fits {
            self.table_elements = all;
        } else {
            self.refused_elements = Some(all);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        usize::try_from(self.limits.instances).unwrap_or(usize::MAX)
    }

    /// Each core instance has one of each at most in all languages that are known to make plugins.
    fn tables(&self) -> usize {
        self.instances()
    }

    fn memories(&self) -> usize {
        self.instances()
    }
}

/// So many lines in a second, and the number of those left out.
struct LogLines {
    limit: u32,
    second: Option<Instant>,
    lines: u32,
    /// Left out since the last line that got through.
    unreported: u64,
    dropped: u64,
}

impl LogLines {
    const fn new(limit: u32) -> Self {
        Self { limit, second: None, lines: 0, unreported: 0, dropped: 0 }
    }

    /// Whether a line may be written now; if so, also how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.lines = 0;
        }
        if self.lines >= self.limit {
            self.unreported += 1;
            self.dropped += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unreported))
    }
}

/// The part of a guest's text that is kept, without control characters that could forge log lines.
pub(crate) fn shorten(text: &str) -> String {
    let end = text.floor_char_boundary(Limits::MESSAGE_BYTES);
    text[..end].chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spent_waiting_is_not_the_guests() {
        let second = Duration::from_secs(1);
        let mut clock = Clock { limit: second, used_before: None };
        assert!(matches!(clock.deadline(Some(10 * second)), UpdateDeadline::Continue(_)));
        assert!(
            matches!(clock.deadline(Some(10 * second)), UpdateDeadline::Continue(_)),
            "it did not work at all"
        );
        let half = Duration::from_millis(10_500);
        assert!(matches!(clock.deadline(Some(half)), UpdateDeadline::Continue(501)), "half is left");
        assert!(matches!(clock.deadline(Some(11 * second)), UpdateDeadline::Interrupt));
        let mut blind = Clock { limit: second, used_before: None };
        assert!(
            matches!(blind.deadline(None), UpdateDeadline::Interrupt),
            "without a clock the wall's counts"
        );
    }

    #[test]
    fn lines_above_the_limit_are_counted_and_a_new_second_begins_anew() {
        let start = Instant::now();
        let mut lines = LogLines::new(2);
        assert_eq!(lines.admit(start), Some(0));
        assert_eq!(lines.admit(start), Some(0));
        assert_eq!(lines.admit(start), None);
        assert_eq!(lines.admit(start + Duration::from_millis(999)), None);
        assert_eq!(lines.admit(start + Duration::from_secs(1)), Some(2), "those left out are told once");
        assert_eq!(lines.admit(start + Duration::from_secs(1)), Some(0));
        assert_eq!(lines.dropped, 2);
    }

    #[test]
    fn a_text_is_cut_between_characters_and_cannot_forge_lines() {
        assert_eq!(shorten("one\nERROR two\r"), "one ERROR two ");
        let long = "é".repeat(Limits::MESSAGE_BYTES);
        assert_eq!(shorten(&format!("x{long}")).len(), Limits::MESSAGE_BYTES - 1);
    }

    #[test]
    fn memories_count_together() {
        let limits = Limits { memory: ByteSize::kib(128), ..Limits::default() };
        let mut guest = Guest::new("p", &limits, &Grants::default());
        let mut grow =
            |from: usize, to: usize| guest.memory_growing(from << 10, to << 10, None).expect("no trap");
        assert!(grow(0, 64));
        assert!(grow(0, 64));
        assert!(!grow(64, 128));
        assert_eq!(guest.refused_memory, Some(ByteSize::kib(192)));
    }
}
