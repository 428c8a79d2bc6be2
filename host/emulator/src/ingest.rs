//! From a request's body to the entries of a block: every check on written rows is here.
//!
//! In discard mode the same checks run and nothing is put together.

use crate::fault::Fault;
use crate::store::{Entry, Session, SessionKind, Table, put_entry};
use crate::wire::arrow::{read_batches, unframe, value_at};
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::hash::{bucket_of, hash_key};
use crate::wire::record::{Field, Record, scan};
use crate::wire::row::{ColumnId, put_column, put_key};
use crate::wire::types::Type;
use crate::wire::value::{Value, check_value};

/// Where the entries go; absent when they are thrown away.
pub(crate) type Sink<'a> = Option<&'a mut Vec<u8>>;

/// Columns behind those of the table in an upsert body.
const VERSION: usize = 0;
const APP_VERSION: usize = 1;
const OPERATION: usize = 2;
const KEY_COLS: usize = 3;
const VALUE_COLS: usize = 4;

fn hidden_fields() -> [Field; 5] {
    let array = Type::Array(Box::new(Type::BigInt));
    let field = |kind, nullable| Field { kind, nullable };
    [
        field(Type::BigInt, true),
        field(Type::BigInt, true),
        field(Type::TinyInt, false),
        field(array.clone(), true),
        field(array, false),
    ]
}

/// Takes the body of a bucket apart; without a bucket its rows may be of any. Returns the number of records.
pub(crate) fn upsert(table: &Table, bucket: Option<u32>, body: &[u8], sink: Sink<'_>) -> Result<u64, Fault> {
    // A delete carries its key alone, so which nulls are allowed depends on the operation, and is checked
    // per row below.
    let open = table.columns.iter().map(|c| Field { kind: c.kind.clone(), nullable: true });
    let fields: Vec<Field> = open.chain(hidden_fields()).collect();
    let mut reader = UpsertReader::new(table, bucket, sink);
    Ok(scan(body, &fields, |record| reader.take(record))?)
}

struct UpsertReader<'t, 's> {
    table: &'t Table,
    keys: Vec<usize>,
    required: Vec<usize>,
    bucket: Option<u32>,
    bucket_count: u32,
    sink: Sink<'s>,
    key: Vec<u8>,
    row: Vec<u8>,
}

impl<'t, 's> UpsertReader<'t, 's> {
    fn new(table: &'t Table, bucket: Option<u32>, sink: Sink<'s>) -> Self {
        let required =
            table.columns.iter().enumerate().filter(|(_, c)| !c.nullable).map(|(i, _)| i).collect();
        Self {
            table,
            keys: table.key_positions(),
            required,
            bucket,
            bucket_count: table.bucket_count(),
            sink,
            key: Vec::new(),
            row: Vec::new(),
        }
    }

    fn take(&mut self, record: &Record<'_, '_>) -> Result<(), Malformed> {
        let hidden = self.table.columns.len();
        if [VERSION, APP_VERSION, KEY_COLS].iter().any(|at| record.bytes(hidden + at).is_some()) {
            return Err(Malformed::new(
                "a hidden column other than the operation and the value columns is set",
            ));
        }
        self.check_bucket(record)?;
        let operation = record.bytes(hidden + OPERATION).unwrap_or_default();
        let set = record.bytes(hidden + VALUE_COLS).unwrap_or_default();
        // 85 (upsert) and 68 (delete), zigzag: the two bytes of each are fixed.
        match (operation, set) {
            ([0xaa, 0x01], [0]) => self.replace(record),
            ([0xaa, 0x01], set) => self.update(record, set),
            ([0x88, 0x01], _) => self.delete(record),
            _ => Err(Malformed::new("an operation is neither upsert (85) nor delete (68)")),
        }
    }

    fn check_bucket(&self, record: &Record<'_, '_>) -> Result<(), Malformed> {
        let mut sum = 0i32;
        for &at in &self.keys {
            let column = &self.table.columns[at];
            let value = record.values[at]
                .ok_or_else(|| Malformed::new(format!("key column `{}` is null", column.name)))?;
            sum = sum.wrapping_add(hash_key(&column.kind, value)?);
        }
        let bucket = bucket_of(sum, self.bucket_count);
        match self.bucket {
            Some(named) if named != bucket => {
                Err(Malformed::new(format!("a row of bucket {bucket} was sent to bucket {named}")))
            }
            _ => Ok(()),
        }
    }

    fn require(&self, record: &Record<'_, '_>, at: usize) -> Result<(), Malformed> {
        if record.values[at].is_some() {
            return Ok(());
        }
        Err(Malformed::new(format!("column `{}` must not be null", self.table.columns[at].name)))
    }

    fn replace(&mut self, record: &Record<'_, '_>) -> Result<(), Malformed> {
        for &at in &self.required {
            self.require(record, at)?;
        }
        if self.sink.is_none() {
            return Ok(());
        }
        self.fill_key(record)?;
        self.fill_row(record);
        let Self { key, row, sink, .. } = self;
        if let Some(out) = sink {
            put_entry(out, &Entry::Upsert { key, row });
        }
        Ok(())
    }

    fn update(&mut self, record: &Record<'_, '_>, set: &[u8]) -> Result<(), Malformed> {
        if !self.table.takes_partial_updates() {
            return Err(Malformed::new("value columns are listed, and the table takes no partial updates"));
        }
        let set = self.listed(record, set)?;
        self.fill_key(record)?;
        self.fill_row(record);
        let Self { key, row, sink, .. } = self;
        if let Some(out) = sink {
            put_entry(out, &Entry::Partial { key, set, row });
        }
        Ok(())
    }

    /// The column ids of a partial update.
    fn listed(&self, record: &Record<'_, '_>, set: &[u8]) -> Result<Vec<ColumnId>, Malformed> {
        let mut cursor = Cursor::new(set);
        let mut ids = Vec::new();
        for _ in 0..cursor.length()? {
            if cursor.array::<1>()? != [0] {
                return Err(Malformed::new("a listed value column is null"));
            }
            let listed = cursor.zigzag()?;
            let at = self.table.columns.iter().position(|column| i64::from(column.id) == listed);
            let at = at.ok_or_else(|| Malformed::new(format!("there is no column with id {listed}")))?;
            if self.keys.contains(&at) {
                return Err(Malformed::new("a key column is listed among the value columns"));
            }
            if self.required.contains(&at) {
                self.require(record, at)?;
            }
            ids.push(self.table.columns[at].id);
        }
        let listed = |at: usize| self.keys.contains(&at) || ids.contains(&self.table.columns[at].id);
        if (0..self.table.columns.len()).any(|at| record.values[at].is_some() && !listed(at)) {
            return Err(Malformed::new("a partial update sets a column that it does not list"));
        }
        Ok(ids)
    }

    fn delete(&mut self, record: &Record<'_, '_>) -> Result<(), Malformed> {
        self.fill_key(record)?;
        let Self { key, sink, .. } = self;
        if let Some(out) = sink {
            put_entry(out, &Entry::Delete { key });
        }
        Ok(())
    }

    fn fill_key(&mut self, record: &Record<'_, '_>) -> Result<(), Malformed> {
        self.key.clear();
        for &at in &self.keys {
            if let Some(value) = record.values[at] {
                put_key(&mut self.key, &self.table.columns[at].kind, value)?;
            }
        }
        Ok(())
    }

    fn fill_row(&mut self, record: &Record<'_, '_>) {
        self.row.clear();
        for (at, column) in self.table.columns.iter().enumerate() {
            if let Some(bytes) = record.bytes(at) {
                put_column(&mut self.row, column.id, bytes);
            }
        }
    }
}

/// Takes the body of an upload block or a stream pack apart. Returns the number of records.
pub(crate) fn append(table: &Table, body: &[u8], mut sink: Sink<'_>) -> Result<u64, Fault> {
    let fields: Vec<Field> =
        table.columns.iter().map(|c| Field { kind: c.kind.clone(), nullable: c.nullable }).collect();
    let mut row = Vec::new();
    let rows = scan(body, &fields, |record| {
        if let Some(out) = &mut sink {
            row.clear();
            for (at, column) in table.columns.iter().enumerate() {
                if let Some(bytes) = record.bytes(at) {
                    put_column(&mut row, column.id, bytes);
                }
            }
            put_entry(out, &Entry::Insert { row: &row });
        }
        Ok(())
    })?;
    Ok(rows)
}

/// Takes the Arrow body of an upload block apart. Returns the number of rows.
pub(crate) fn append_arrow(table: &Table, body: &[u8], mut sink: Sink<'_>) -> Result<u64, Fault> {
    let columns: Vec<(String, Type)> =
        table.columns.iter().map(|c| (c.name.clone(), c.kind.clone())).collect();
    let (batches, _) = read_batches(&unframe(body)?, &columns)?;
    let mut rows = 0u64;
    let mut row = Vec::new();
    let mut bytes = Vec::new();
    let mut digest = Vec::new();
    for batch in &batches {
        for index in 0..batch.num_rows() {
            row.clear();
            for (column, array) in table.columns.iter().zip(batch.columns()) {
                let value = value_at(array.as_ref(), index, &column.kind);
                encode_checked(column.nullable, value, &column.kind, &mut bytes, &mut digest)
                    .map_err(|error| Malformed::new(format!("column `{}`: {}", column.name, error.0)))?;
                if !bytes.is_empty() {
                    put_column(&mut row, column.id, &bytes);
                }
            }
            if let Some(out) = &mut sink {
                put_entry(out, &Entry::Insert { row: &row });
            }
            rows += 1;
        }
    }
    Ok(rows)
}

/// The wire form of a value in `bytes`, empty for null, after the checks that records get.
fn encode_checked(
    nullable: bool,
    value: Option<Value>,
    kind: &Type,
    bytes: &mut Vec<u8>,
    digest: &mut Vec<u8>,
) -> Result<(), Malformed> {
    bytes.clear();
    digest.clear();
    match value {
        None if nullable => Ok(()),
        None => Err(Malformed::new("must not be null")),
        Some(value) => {
            value.encode(kind, bytes)?;
            check_value(&mut Cursor::new(bytes), kind, digest).map(|_| ())
        }
    }
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) arrow: bool,
    /// Rows of an upsert are taken whatever bucket they belong to.
    pub(crate) any_bucket: bool,
}

/// Takes apart whatever kind of body the session takes.
pub(crate) fn block(
    session: &Session,
    bucket: u32,
    form: Form,
    body: &[u8],
    sink: Sink<'_>,
) -> Result<u64, Fault> {
    match session.kind {
        SessionKind::Upsert { .. } if form.arrow => {
            Err(Fault::Invalid("upserts have no Arrow form".to_owned()))
        }
        SessionKind::Upsert { .. } => {
            upsert(&session.table, (!form.any_bucket).then_some(bucket), body, sink)
        }
        SessionKind::Upload { .. } | SessionKind::Stream { .. } if form.arrow => {
            append_arrow(&session.table, body, sink)
        }
        SessionKind::Upload { .. } | SessionKind::Stream { .. } => append(&session.table, body, sink),
    }
}
