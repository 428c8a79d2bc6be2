//! Keys that the stream touches while snapshot chunks are being read.
//!
//! A chunk's row with such a key is older than what the stream brought, or the same: it is left out. Where the stream brought some of
//! the row's columns only, the chunk's row gives the others. What the stream brought stays in any case: its last value of a column is
//! the one at the chunk's high mark, and what it did not bring did not change.

use std::collections::{BTreeMap, HashMap};

/// Windows that are open, and the keys touched meanwhile.
#[derive(Debug, Default)]
pub struct Windows {
    /// Start of each open window, counted in batches.
    open: BTreeMap<u64, u64>,
    touched: HashMap<Box<[u8]>, Touch>,
    batches: u64,
    /// Size of `touched` after it was last cleared of what no open window needs.
    settled: usize,
}

/// What the stream did to a key.
#[derive(Debug)]
struct Touch {
    /// The batch in which it was last touched.
    batch: u64,
    brought: Brought,
}

/// What the stream brought of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Brought {
    /// All of it, or its end.
    Whole,
    /// Columns of these ids, ascending.
    Columns(Vec<i64>),
}

/// What is written of a chunk's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// All of it.
    Whole,
    /// Nothing: the stream's is newer.
    Nothing,
    /// Columns other than those of these ids, ascending.
    But(Vec<i64>),
}

impl Brought {
    fn add(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::Whole, _) => {}
            (_, Self::Whole) => *self = Self::Whole,
            (Self::Columns(ids), Self::Columns(more)) => {
                ids.extend(more);
                ids.sort_unstable();
                ids.dedup();
            }
        }
    }
}

impl Windows {
    /// Begins to keep touched keys for a window.
    pub fn open(&mut self, window: u64) {
        self.open.insert(window, self.batches);
    }

    /// Ends a window.
    pub fn close(&mut self, window: u64) {
        self.open.remove(&window);
        match self.open.values().min() {
            None => {
                self.touched = HashMap::new();
                self.settled = 0;
            }
            // Doubling bounds the work to a constant for each key.
            Some(&start) if self.touched.len() > 2 * self.settled + 1024 => {
                self.touched.retain(|_, touch| touch.batch >= start);
                self.settled = self.touched.len();
            }
            Some(_) => {}
        }
    }

    /// Keys kept now.
    #[cfg(test)]
    pub fn keys(&self) -> usize {
        self.touched.len()
    }

    /// Whether keys are to be kept.
    pub(crate) fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// A batch begins.
    pub(crate) fn next_batch(&mut self) {
        self.batches += 1;
    }

    /// The stream touches a key.
    pub(crate) fn touch(&mut self, key: &[u8], brought: Brought) {
        let batch = self.batches;
        match self.touched.get_mut(key) {
            Some(touch) => {
                touch.batch = batch;
                touch.brought.add(brought);
            }
            None => {
                self.touched.insert(key.into(), Touch { batch, brought });
            }
        }
    }

    /// What counts of the row with this key that was read inside a window.
    pub(crate) fn fresh(&self, window: u64, key: &[u8]) -> Fresh {
        let start = self.open.get(&window).copied().unwrap_or(0);
        match self.touched.get(key).filter(|touch| touch.batch > start).map(|touch| &touch.brought) {
            None => Fresh::Whole,
            Some(Brought::Whole) => Fresh::Nothing,
            Some(Brought::Columns(ids)) => Fresh::But(ids.clone()),
        }
    }
}
