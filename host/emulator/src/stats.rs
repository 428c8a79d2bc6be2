//! Counters since the start.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::lock;

/// A reading of the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Answered requests by kind, for example `upsert-put`. Requests struck by a fault rule before their
    /// work are not counted.
    pub requests: BTreeMap<String, u64>,
    /// Of those, requests that were refused (status 400 and above), by kind.
    pub refused: BTreeMap<String, u64>,
    /// Records in accepted data requests, committed or not.
    pub rows_written: u64,
    /// Body bytes of accepted data requests as they were sent, compressed.
    pub bytes_received: u64,
    /// The same bodies after decompression.
    pub bytes_decoded: u64,
    /// Sessions whose commit succeeded, each counted once per successful commit request.
    pub commits: u64,
    /// Statements that were run, failed ones too.
    pub statements: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: Mutex<BTreeMap<&'static str, (u64, u64)>>,
    rows: AtomicU64,
    received: AtomicU64,
    decoded: AtomicU64,
    commits: AtomicU64,
    statements: AtomicU64,
}

impl Counters {
    pub(crate) fn request(&self, kind: &'static str, refused: bool) {
        let mut requests = lock(&self.requests);
        let entry = requests.entry(kind).or_default();
        entry.0 += 1;
        entry.1 += u64::from(refused);
    }

    pub(crate) fn data(&self, rows: u64, received: usize, decoded: usize) {
        let add = |counter: &AtomicU64, amount: u64| counter.fetch_add(amount, Ordering::Relaxed);
        add(&self.rows, rows);
        add(&self.received, u64::try_from(received).unwrap_or(u64::MAX));
        add(&self.decoded, u64::try_from(decoded).unwrap_or(u64::MAX));
    }

    pub(crate) fn commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        let requests = lock(&self.requests);
        let by_kind = |pick: fn(&(u64, u64)) -> u64| {
            let picked = requests.iter().map(|(kind, counts)| ((*kind).to_owned(), pick(counts)));
            picked.filter(|(_, count)| *count > 0).collect()
        };
        Stats {
            requests: by_kind(|counts| counts.0),
            refused: by_kind(|counts| counts.1),
            rows_written: self.rows.load(Ordering::Relaxed),
            bytes_received: self.received.load(Ordering::Relaxed),
            bytes_decoded: self.decoded.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            statements: self.statements.load(Ordering::Relaxed),
        }
    }
}
