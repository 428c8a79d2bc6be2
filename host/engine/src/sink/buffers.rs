//! Encoded rows that have not been sent: by partition, and in it by bucket.

use std::collections::HashMap;
use std::time::Instant;

use sluicebox_maxcompute::record::RecordBody;

/// A bucket of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The partition's place in the buffers; 0 where the table is not partitioned.
    pub part: usize,
    /// The bucket; 0 where the table has none.
    pub bucket: usize,
}

/// Rows of one target.
#[derive(Debug, Default)]
pub struct Buffers {
    parts: Vec<Part>,
    by_spec: HashMap<Box<str>, usize>,
    /// The partition that was asked for last: rows of one come together.
    last: usize,
    total: u64,
    oldest: Option<Instant>,
}

#[derive(Debug)]
struct Part {
    spec: Box<str>,
    buckets: Vec<RecordBody>,
}

impl Buffers {
    /// Bytes in all buckets.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When the oldest row came.
    pub fn oldest(&self) -> Option<Instant> {
        self.oldest
    }

    /// Bytes in the fullest bucket.
    pub fn largest(&self) -> u64 {
        let bodies = self.parts.iter().flat_map(|part| &part.buckets);
        bodies.map(|body| body.len() as u64).max().unwrap_or(0)
    }

    /// Buckets that hold at least so many bytes, and at least one row.
    pub fn at_least(&self, bytes: u64) -> Vec<Slot> {
        let full = |body: &RecordBody| !body.is_empty() && body.len() as u64 >= bytes;
        let slots = |(part, rows): (usize, &Part)| {
            let full = rows.buckets.iter().enumerate().filter(|(_, body)| full(body));
            full.map(|(bucket, _)| Slot { part, bucket }).collect::<Vec<_>>()
        };
        self.parts.iter().enumerate().flat_map(slots).collect()
    }

    /// The place of a partition, by what it is called (`ds=20240309,hh=01`; empty where the table is not partitioned).
    pub fn part(&mut self, spec: &str) -> usize {
        if self.parts.get(self.last).is_none_or(|part| *part.spec != *spec) {
            self.last = match self.by_spec.get(spec) {
                Some(&place) => place,
                None => self.add_part(spec),
            };
        }
        self.last
    }

    fn add_part(&mut self, spec: &str) -> usize {
        let place = self.parts.len();
        self.parts.push(Part { spec: spec.into(), buckets: Vec::new() });
        self.by_spec.insert(spec.into(), place);
        place
    }

    /// What a partition is called; none where the table is not partitioned.
    pub fn spec(&self, part: usize) -> Option<&str> {
        self.parts.get(part).map(|part| &*part.spec).filter(|spec| !spec.is_empty())
    }

    /// Number of partitions that have had rows since they were last forgotten.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Forgets partitions, when nothing is buffered: the next epoch has others.
    pub fn forget_parts(&mut self) {
        if self.total == 0 {
            self.parts.clear();
            self.by_spec.clear();
        }
    }

    /// A row was added at this time, if it is the first.
    pub fn touched(&mut self, now: Instant) {
        if self.total > 0 && self.oldest.is_none() {
            self.oldest = Some(now);
        }
    }

    /// Lets `write` append to a bucket.
    pub fn write(&mut self, slot: Slot, write: impl FnOnce(&mut RecordBody)) {
        let Some(part) = self.parts.get_mut(slot.part) else { return };
        if part.buckets.len() <= slot.bucket {
            part.buckets.resize_with(slot.bucket + 1, RecordBody::new);
        }
        let body = &mut part.buckets[slot.bucket];
        let before = body.len();
        write(body);
        self.total += (body.len() - before) as u64;
    }

    /// Takes a bucket's rows away.
    pub fn take(&mut self, slot: Slot) -> RecordBody {
        let body = self.parts.get_mut(slot.part).and_then(|part| part.buckets.get_mut(slot.bucket));
        let body = body.map(std::mem::take).unwrap_or_default();
        self.total -= body.len() as u64;
        if self.total == 0 {
            self.oldest = None;
        }
        body
    }
}
