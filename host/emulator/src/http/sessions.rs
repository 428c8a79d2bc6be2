//! Tunnel sessions that write.

use std::cell::RefCell;
use std::sync::Arc;

use super::answer::Answer;
use super::app::App;
use super::call::Call;
use super::documents;
use super::limits::Use;
use super::route::{Step, TablePath};
use crate::fault::Fault;
use crate::ingest::{self, Form};
use crate::store::{
    MAX_LIFETIME_HOURS, NewSession, Partition, Session, SessionKind, Status, Table, parse_partition,
};
use crate::wire::compression::Encoding;

/// Slots of an upsert session at most; more would only make its document longer.
const MAX_SLOTS: u32 = 64;

/// Slots of a stream session unless the client wishes others.
const STREAM_SLOTS: u32 = 2;

/// Names the server that a client believes to hold the slot.
const ROUTED_SERVER: &str = "odps-tunnel-routed-server";

/// Commit and abort go to the slot of bucket 0.
const COMMIT_SLOT: u32 = 0;

/// Blocks of an upload session are numbered below this, as at the service.
const MAX_BLOCKS: u32 = 20_000;

/// A worker thread keeps buffers up to this size for its next request, above the usual block.
const KEPT_BUFFER_BYTES: usize = 32 << 20;

thread_local! {
    /// The decompressed body and the block made of it: reused, because allocating tens of megabytes per
    /// request costs more than decoding them.
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl App {
    pub(super) fn upsert(
        &self,
        call: &Call,
        step: Step,
        path: &TablePath,
        now_ms: i64,
    ) -> Result<Answer, Fault> {
        if step == Step::Create {
            return self.create_upsert(call, path, now_ms);
        }
        let session = self.session(call, path, call.required("upsertid")?, &Fault::NoSuchUpsertSession)?;
        let SessionKind::Upsert { slots } = session.kind else { return Err(Fault::NoSuchUpsertSession) };
        match step {
            Step::Put => {
                let bucket = self.upsert_bucket(call, &session, slots)?;
                session.require_route(bucket % slots, call.header(ROUTED_SERVER))?;
                self.put(call, &session, bucket, now_ms)?;
                return Ok(Answer::empty(200));
            }
            Step::Commit => {
                session.require_route(COMMIT_SLOT, call.header(ROUTED_SERVER))?;
                self.commit(&session, now_ms)?;
            }
            Step::Abort => {
                session.require_route(COMMIT_SLOT, call.header(ROUTED_SERVER))?;
                self.store.abort(&session, now_ms)?;
                return Ok(Answer::empty(200));
            }
            Step::Create | Step::Get | Step::Data => {}
        }
        Ok(Answer::json(&documents::upsert(&session, slots, &self.address.to_string(), now_ms)))
    }

    fn create_upsert(&self, call: &Call, path: &TablePath, now_ms: i64) -> Result<Answer, Fault> {
        let table = self.store.catalog().table(&self.table_name(call, path)?)?;
        if !table.is_delta() {
            return Err(Fault::Invalid(format!("{} has no primary key and takes no upserts", table.name)));
        }
        self.admit(&table, Use::Upload, now_ms)?;
        let partition = self.partition(call, &table, now_ms)?;
        let wish: u32 = call.number("slotnum")?.unwrap_or(1);
        let slots = wish.clamp(1, table.bucket_count().min(MAX_SLOTS));
        let lifetime_hours: i64 = call.number("lifecycle")?.unwrap_or(MAX_LIFETIME_HOURS);
        if !(1..=MAX_LIFETIME_HOURS).contains(&lifetime_hours) {
            return Err(Fault::Invalid(format!("`lifecycle` must be 1 to {MAX_LIFETIME_HOURS} hours")));
        }
        let kind = SessionKind::Upsert { slots };
        let new = NewSession { kind, table, partition, lifetime_hours };
        let session = self.store.open_session(self.new_id('u', now_ms), new, now_ms)?;
        Ok(Answer::json(&documents::upsert(&session, slots, &self.address.to_string(), now_ms)))
    }

    /// The bucket of a PUT, which must exist and belong to the slot named beside it.
    fn upsert_bucket(&self, call: &Call, session: &Session, slots: u32) -> Result<u32, Fault> {
        call.required("bucketid")?;
        let bucket: u32 = call.number("bucketid")?.unwrap_or(u32::MAX);
        let buckets = session.table.bucket_count();
        if bucket >= buckets {
            return Err(Fault::Invalid(format!("bucket {bucket} is not below {buckets}")));
        }
        match call.number::<u32>("slotid")? {
            Some(slot) if slot != bucket % slots => {
                Err(Fault::Invalid(format!("bucket {bucket} does not belong to slot {slot}")))
            }
            _ => Ok(bucket),
        }
    }

    pub(super) fn upload(
        &self,
        call: &Call,
        step: Step,
        path: &TablePath,
        now_ms: i64,
    ) -> Result<Answer, Fault> {
        let (session, overwrite) = if step == Step::Create {
            let overwrite = call.parameter("overwrite").is_some_and(|text| text.eq_ignore_ascii_case("true"));
            let session = self.create_append(call, path, SessionKind::Upload { overwrite }, now_ms)?;
            (session, overwrite)
        } else {
            let session = self.session(call, path, call.required("uploadid")?, &Fault::NoSuchUpload)?;
            let SessionKind::Upload { overwrite } = session.kind else { return Err(Fault::NoSuchUpload) };
            (session, overwrite)
        };
        match step {
            Step::Put => {
                call.required("blockid")?;
                let block = call.number("blockid").ok().flatten().filter(|block| *block < MAX_BLOCKS);
                let block = block
                    .ok_or_else(|| Fault::InvalidBlock(format!("`blockid` must be below {MAX_BLOCKS}")))?;
                self.put(call, &session, block, now_ms)?;
                return Ok(Answer::empty(200));
            }
            Step::Commit => self.commit(&session, now_ms)?,
            Step::Create | Step::Get | Step::Abort | Step::Data => {}
        }
        let blocks = self.store.block_list(&session)?;
        Ok(Answer::json(&documents::upload(&session, overwrite, &blocks, now_ms)))
    }

    pub(super) fn stream(
        &self,
        call: &Call,
        step: Step,
        path: &TablePath,
        now_ms: i64,
    ) -> Result<Answer, Fault> {
        let session = if step == Step::Create {
            // The wish has another header in each client.
            let wish = call.header("odps-tunnel-slot-num").or_else(|| call.header("odps-slot-num"));
            let slots = wish.and_then(|wish| wish.parse().ok()).unwrap_or(STREAM_SLOTS).clamp(1, MAX_SLOTS);
            self.create_append(call, path, SessionKind::Stream { slots }, now_ms)?
        } else {
            self.session(call, path, call.required("uploadid")?, &Fault::NoSuchStream)?
        };
        let SessionKind::Stream { slots } = session.kind else { return Err(Fault::NoSuchStream) };
        let address = self.address.to_string();
        let answer = match step {
            Step::Put => {
                self.put(call, &session, 0, now_ms)?;
                Answer::empty(200)
            }
            Step::Abort => {
                self.store.abort(&session, now_ms)?;
                Answer::json(&documents::stream(&session, slots, &address, now_ms))
            }
            Step::Create | Step::Get | Step::Commit | Step::Data => {
                Answer::json(&documents::stream(&session, slots, &address, now_ms))
            }
        };
        // A stream's pack is taken wherever the slot is; the answer tells where that is now.
        let slot: u32 = call.number("slotid")?.unwrap_or(0);
        let server = session.slot_server(slot, &address);
        // Both clients index these headers of a write without checking that they are there.
        Ok(answer.with(ROUTED_SERVER, server).with("odps-tunnel-slot-num", slots.to_string()))
    }

    /// The document of a call's session as it is while it is being committed.
    pub(super) fn committing_document(&self, call: &Call, now_ms: i64) -> Result<Answer, Fault> {
        let id = call.parameter("upsertid").or_else(|| call.parameter("uploadid")).unwrap_or_default();
        let session = self.store.session(id).ok_or(Fault::NoSuchUpsertSession)?;
        let document = match session.kind {
            SessionKind::Upsert { slots } => {
                let mut document = documents::upsert(&session, slots, &self.address.to_string(), now_ms);
                document["status"] = "committing".into();
                document
            }
            SessionKind::Upload { overwrite } => {
                let mut document = documents::upload(&session, overwrite, &[], now_ms);
                document["Status"] = "CLOSING".into();
                document
            }
            SessionKind::Stream { .. } => {
                return Err(Fault::Invalid("a stream session has no commit".to_owned()));
            }
        };
        Ok(Answer::json(&document))
    }

    /// Opens a session that appends.
    fn create_append(
        &self,
        call: &Call,
        path: &TablePath,
        kind: SessionKind,
        now_ms: i64,
    ) -> Result<Arc<Session>, Fault> {
        let table = self.store.catalog().table(&self.table_name(call, path)?)?;
        if table.is_delta() {
            return Err(Fault::Invalid(format!("{} has a primary key and takes only upserts", table.name)));
        }
        if matches!(kind, SessionKind::Stream { .. }) && table.evolved {
            return Err(Fault::Invalid(format!(
                "columns of {} were dropped or changed their type; it takes no stream uploads",
                table.name
            )));
        }
        self.admit(&table, Use::Upload, now_ms)?;
        let partition = self.partition(call, &table, now_ms)?;
        let letter = if matches!(kind, SessionKind::Stream { .. }) { 's' } else { 'b' };
        let new = NewSession { kind, table, partition, lifetime_hours: MAX_LIFETIME_HOURS };
        self.store.open_session(self.new_id(letter, now_ms), new, now_ms)
    }

    /// The partition that a session is opened on; a partitioned table needs one, others have none.
    fn partition(&self, call: &Call, table: &Table, now_ms: i64) -> Result<Option<Partition>, Fault> {
        let text = call.parameter("partition").filter(|text| !text.is_empty());
        match (text, table.partition_columns.is_empty()) {
            (None, true) => Ok(None),
            (Some(_), true) => Err(Fault::Invalid(format!("{} has no partitions", table.name))),
            (None, false) => Err(Fault::Invalid(format!("{} needs a partition", table.name))),
            (Some(text), false) => {
                let values = table.partition_values(&parse_partition(text)?)?;
                if call.parameter("create_partition").is_some_and(|flag| !flag.eq_ignore_ascii_case("false"))
                {
                    let (partition, _) = self.store.ensure_partition(table, &values, now_ms / 1000)?;
                    return Ok(Some(partition));
                }
                self.store.catalog().partition(table, &values).map(Some)
            }
        }
    }

    /// A session of the table in the path; ids of other tables' sessions are unknown here.
    fn session(
        &self,
        call: &Call,
        path: &TablePath,
        id: &str,
        missing: &Fault,
    ) -> Result<Arc<Session>, Fault> {
        let unknown = || match missing {
            Fault::NoSuchUpload => Fault::NoSuchUpload,
            Fault::NoSuchStream => Fault::NoSuchStream,
            _ => Fault::NoSuchUpsertSession,
        };
        let name = self.table_name(call, path)?;
        self.store.session(id).filter(|session| session.table.name == name).ok_or_else(unknown)
    }

    /// Checks a body and takes it in.
    fn put(&self, call: &Call, session: &Session, slot: u32, now_ms: i64) -> Result<(), Fault> {
        // Before the body is looked at: a client with an old schema must learn that, not that its bytes
        // make no sense. It is checked again when the block is stored.
        session.require_open(now_ms)?;
        self.store.require_current(session)?;
        let encoding = Encoding::of_content(call.header("content-encoding"))
            .ok_or_else(|| Fault::Invalid("the Content-Encoding is not known".to_owned()))?;
        BUFFERS.with_borrow_mut(|(decoded, block)| {
            block.clear();
            encoding.decode(&call.body, decoded)?;
            let sink = (!self.store.discard).then_some(&mut *block);
            let form = Form { arrow: call.has("arrow"), any_bucket: self.rules.lenient };
            let rows = ingest::block(session, slot, form, decoded, sink)?;
            require_count(call, rows)?;
            if matches!(session.kind, SessionKind::Stream { .. }) {
                self.store.append(session, block, now_ms)?;
            } else {
                self.store.write_block(session, i64::from(slot), rows, block, now_ms)?;
            }
            self.counters.data(rows, call.body.len(), decoded.len());
            for buffer in [decoded, block] {
                buffer.clear();
                buffer.shrink_to(KEPT_BUFFER_BYTES);
            }
            Ok(())
        })
    }

    fn commit(&self, session: &Session, now_ms: i64) -> Result<(), Fault> {
        // Asking again what became of a commit is none.
        if session.status() == Status::Normal {
            self.admit(&session.table, Use::Commit, now_ms)?;
        }
        self.store.commit(session, now_ms)?;
        self.counters.commit();
        Ok(())
    }
}

fn require_count(call: &Call, rows: u64) -> Result<(), Fault> {
    match call.number::<u64>("record_count")? {
        Some(count) if count != rows => {
            Err(Fault::Invalid(format!("`record_count` is {count}, the body has {rows} records")))
        }
        _ => Ok(()),
    }
}
