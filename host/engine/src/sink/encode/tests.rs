//! What rows become, read back record by record with the client's own reader.

use arrow::array::{ArrayRef, Int64Array, StringArray};
use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::record::{Value, read_records};
use sluicebox_model::{Column, ColumnType, Origin};

use super::*;

fn column(name: &str, column_type: ColumnType) -> Column {
    Column {
        name: name.into(),
        column_type,
        nullable: true,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    }
}

/// `t(id INT, name TEXT)`, keyed by `id` or not.
fn schema(keyed: bool) -> Arc<TableSchema> {
    Arc::new(TableSchema {
        id: TableId::new("d", "t"),
        version: 1,
        columns: vec![column("id", ColumnType::Int), column("name", ColumnType::Text)],
        key: if keyed { vec![0] } else { Vec::new() },
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    })
}

fn sink(columns: &[(&str, &str)]) -> Vec<SinkColumn> {
    let column = |(name, t): &(&str, &str)| SinkColumn {
        name: (*name).to_owned(),
        data_type: t.parse().expect("a type"),
        nullable: true,
    };
    columns.iter().map(column).collect()
}

fn layout(columns: &[(&str, &str)], key: &[&str]) -> Layout {
    let key = key.iter().map(ToString::to_string).collect();
    Layout { columns: sink(columns), key, partitions: Vec::new() }
}

fn batch(schema: &Arc<TableSchema>, rows: &[(RowKind, i64, Option<&str>)]) -> ChangeBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1)));
    let names: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|r| r.2)));
    ChangeBatch {
        schema: Arc::clone(schema),
        kinds: rows.iter().map(|r| r.0).collect(),
        columns: vec![ids, names],
        origins: vec![Origin { first_row: 0, commit_micros: 0, ordinal: 1, transaction: None, absent: None }],
    }
}

fn spread(buckets: u32) -> Option<Spread> {
    Some(Spread { buckets: NonZeroU32::new(buckets).expect("not zero"), hasher: Hasher::Default })
}

/// Every record of every bucket: (operation, id, name); `None` where a field is null.
fn records(buffers: &mut Buffers) -> Vec<(i64, i64, Option<String>)> {
    let types = [
        DataType::Int,
        DataType::String,
        DataType::Bigint,
        DataType::Bigint,
        DataType::Tinyint,
        DataType::Array(Box::new(DataType::Bigint)),
        DataType::Array(Box::new(DataType::Bigint)),
    ];
    let mut found = Vec::new();
    for bucket in buffers.at_least(0) {
        let bytes = buffers.take(bucket).finish();
        for record in read_records(&bytes, &types).expect("a sound stream") {
            let number = |v: &Option<Value>| {
                if let Some(Value::Bigint(n)) = v { *n } else { panic!("no number: {v:?}") }
            };
            let text = |v: &Option<Value>| match v {
                Some(Value::Text(bytes)) => Some(String::from_utf8(bytes.to_vec()).expect("UTF-8")),
                None => None,
                other => panic!("no text: {other:?}"),
            };
            found.push((number(&record[4]), number(&record[0]), text(&record[1])));
        }
    }
    found.sort_by_key(|r| r.1);
    found
}

const UPSERT: i64 = 85;
const DELETE: i64 = 68;

fn encode(
    encoder: &mut Encoder,
    fit: &Fit,
    from: From,
    batch: &ChangeBatch,
    buffers: &mut Buffers,
) -> Encoded {
    encoder.encode(batch, fit, spread(4), from, Instant::now(), buffers).expect("encodes")
}

#[test]
fn each_kind_becomes_its_operation() {
    let schema = schema(true);
    let fit = Fit::new(&schema, None, &layout(&[("id", "int"), ("name", "string")], &["id"]), None, false)
        .expect("fits");
    let rows = [
        (RowKind::Insert, 1, Some("a")),
        (RowKind::After, 2, None),
        (RowKind::Delete, 3, Some("gone")),
        (RowKind::Read, 4, Some("d")),
        (RowKind::Before, 5, Some("old")),
        (RowKind::After, 6, Some("new key")),
        (RowKind::Before, 7, Some("same key")),
        (RowKind::After, 7, Some("newer")),
    ];
    let mut buffers = Buffers::default();
    let encoded = encode(&mut Encoder::default(), &fit, From::Stream, &batch(&schema, &rows), &mut buffers);
    assert_eq!(encoded, Encoded { written: 5, deleted: 2, left_out: 0, nulled: 0 });
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(
        records(&mut buffers),
        [
            (UPSERT, 1, text("a")),
            (UPSERT, 2, None),
            (DELETE, 3, None),
            (UPSERT, 4, text("d")),
            (DELETE, 5, None),
            (UPSERT, 6, text("new key")),
            (UPSERT, 7, text("newer")),
        ]
    );
    assert_eq!(buffers.total(), 0);
}

#[test]
fn rows_are_fitted_by_name_and_case_does_not_count() {
    let schema = schema(true);
    let wide = layout(&[("extra", "bigint"), ("NAME", "string"), ("Id", "bigint")], &["Id"]);
    let fit = Fit::new(&schema, None, &wide, None, false).expect("fits");
    let mut buffers = Buffers::default();
    let rows = [(RowKind::Insert, 9, Some("x"))];
    encode(&mut Encoder::default(), &fit, From::Stream, &batch(&schema, &rows), &mut buffers);
    let bucket = buffers.at_least(0)[0];
    let types = [DataType::Bigint, DataType::String, DataType::Bigint];
    let hidden = [DataType::Bigint, DataType::Bigint, DataType::Tinyint].into_iter();
    let lists = std::iter::repeat_n(DataType::Array(Box::new(DataType::Bigint)), 2);
    let types: Vec<_> = types.into_iter().chain(hidden).chain(lists).collect();
    let found = read_records(&buffers.take(bucket).finish(), &types).expect("a sound stream");
    assert_eq!(found[0][0], None);
    assert_eq!(found[0][2], Some(Value::Bigint(9)));
}

#[test]
fn a_table_without_a_key_appends_and_takes_no_deletes() {
    let schema = schema(false);
    let fit = Fit::new(&schema, None, &layout(&[("id", "int"), ("name", "string")], &[]), None, false)
        .expect("fits");
    let rows = [(RowKind::Insert, 1, None), (RowKind::After, 2, None), (RowKind::Delete, 3, None)];
    let mut buffers = Buffers::default();
    let batch = batch(&schema, &rows);
    let encoded = Encoder::default()
        .encode(&batch, &fit, None, From::Stream, Instant::now(), &mut buffers)
        .expect("encodes");
    assert_eq!(encoded, Encoded { written: 2, deleted: 0, left_out: 1, nulled: 0 });
    assert_eq!(buffers.take(Slot { part: 0, bucket: 0 }).records(), 2);
}

/// The stream touches key 2 while the chunk with keys 1 to 3 is read: the chunk's version of it is older.
#[test]
fn a_chunk_leaves_out_what_the_stream_has_touched_inside_its_window() {
    let schema = schema(true);
    let fit = Fit::new(&schema, None, &layout(&[("id", "int"), ("name", "string")], &["id"]), None, false)
        .expect("fits");
    let (mut encoder, mut buffers) = (Encoder::default(), Buffers::default());
    let before = batch(&schema, &[(RowKind::Insert, 1, Some("before the window"))]);
    encode(&mut encoder, &fit, From::Stream, &before, &mut buffers);
    encoder.windows.open(7);
    let inside = [(RowKind::After, 2, Some("streamed")), (RowKind::Delete, 3, Some("deleted"))];
    encode(&mut encoder, &fit, From::Stream, &batch(&schema, &inside), &mut buffers);
    assert_eq!(encoder.windows.keys(), 2);
    records(&mut buffers);
    let chunk = [
        (RowKind::Read, 1, Some("read")),
        (RowKind::Read, 2, Some("stale")),
        (RowKind::Read, 3, Some("stale")),
    ];
    let encoded = encode(&mut encoder, &fit, From::Window(7), &batch(&schema, &chunk), &mut buffers);
    assert_eq!(encoded, Encoded { written: 1, deleted: 0, left_out: 2, nulled: 0 });
    encoder.windows.close(7);
    assert_eq!(encoder.windows.keys(), 0, "nothing is kept without a window");
    assert_eq!(records(&mut buffers), [(UPSERT, 1, Some("read".to_owned()))]);
}

/// A window that opened later does not leave out rows for what was touched before it.
#[test]
fn a_later_window_counts_only_what_came_after_it() {
    let schema = schema(true);
    let fit = Fit::new(&schema, None, &layout(&[("id", "int"), ("name", "string")], &["id"]), None, false)
        .expect("fits");
    let (mut encoder, mut buffers) = (Encoder::default(), Buffers::default());
    encoder.windows.open(1);
    encode(&mut encoder, &fit, From::Stream, &batch(&schema, &[(RowKind::After, 5, None)]), &mut buffers);
    encoder.windows.open(2);
    let chunk = batch(&schema, &[(RowKind::Read, 5, Some("newest"))]);
    assert_eq!(encode(&mut encoder, &fit, From::Window(2), &chunk, &mut buffers).written, 1);
    assert_eq!(encode(&mut encoder, &fit, From::Window(1), &chunk, &mut buffers).left_out, 1);
}

#[test]
fn a_null_key_is_an_error_that_names_the_column() {
    let schema = schema(true);
    let by_name =
        Fit::new(&schema, None, &layout(&[("id", "int"), ("name", "string")], &["name"]), None, false)
            .expect("fits");
    let batch = batch(&schema, &[(RowKind::Insert, 1, None)]);
    let error = Encoder::default()
        .encode(&batch, &by_name, spread(4), From::Stream, Instant::now(), &mut Buffers::default())
        .expect_err("a null key");
    assert!(error.to_string().contains("`name` of `d.t`"), "{error}");
}

/// `t(id) PARTITIONED BY (name)`: a row that moves is deleted there and written here.
#[test]
fn a_row_goes_to_the_partition_of_its_value_and_leaves_the_one_before() {
    let schema = schema(true);
    let table = Layout { partitions: sink(&[("name", "string")]), ..layout(&[("id", "int")], &["id"]) };
    let fit = Fit::new(&schema, None, &table, None, false).expect("fits");
    let rows = [
        (RowKind::Insert, 1, Some("a")),
        (RowKind::Before, 2, Some("a")),
        (RowKind::After, 2, Some("b")),
        (RowKind::Before, 3, Some("b")),
        (RowKind::After, 3, Some("b")),
        (RowKind::Delete, 4, Some("a")),
    ];
    let (mut encoder, mut buffers) = (Encoder::default(), Buffers::default());
    let rows = batch(&schema, &rows);
    assert_eq!(encoder.first_part(&rows, &fit, &mut buffers).expect("a partition"), 0);
    let encoded = encode(&mut encoder, &fit, From::Stream, &rows, &mut buffers);
    assert_eq!(encoded, Encoded { written: 3, deleted: 2, left_out: 0, nulled: 0 });
    assert_eq!((buffers.spec(0), buffers.spec(1), buffers.parts()), (Some("name=a"), Some("name=b"), 2));
    let mut counts = [0, 0];
    for slot in buffers.at_least(0) {
        counts[slot.part] += buffers.take(slot).records();
    }
    assert_eq!(counts, [3, 2], "1, and what left or was deleted; 2 and 3");
    buffers.forget_parts();
    assert_eq!(buffers.parts(), 0);
}

#[test]
fn a_value_that_is_no_partition_is_an_error_that_names_the_row() {
    let schema = schema(true);
    let table = Layout { partitions: sink(&[("name", "string")]), ..layout(&[("id", "int")], &["id"]) };
    let fit = Fit::new(&schema, None, &table, None, false).expect("fits");
    for (value, part) in [
        (None, "null"),
        (Some(""), "1 to 255 bytes"),
        (Some("a/b"), "1 to 255 bytes"),
        (Some("a=b"), "1 to 255 bytes"),
    ] {
        let rows = batch(&schema, &[(RowKind::Insert, 1, value)]);
        let error = Encoder::default()
            .encode(&rows, &fit, spread(4), From::Stream, Instant::now(), &mut Buffers::default())
            .expect_err("no partition")
            .to_string();
        assert!(error.contains("`name` of `d.t`") && error.contains(part), "{error}");
    }
}

#[test]
fn a_clock_becomes_the_instant_at_which_the_zone_shows_it() {
    let mut clocks = TableSchema::clone(&schema(true));
    clocks.columns[1] = column("at", ColumnType::DateTime { fraction: 0 });
    clocks.columns.push(column("day", ColumnType::Date));
    let clocks = Arc::new(clocks);
    let numbers = |n: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values([n])) };
    let rows = ChangeBatch {
        columns: vec![numbers(1), numbers(3_600_000_000), numbers(1)],
        ..batch(&clocks, &[(RowKind::Insert, 1, None)])
    };
    let sink = layout(&[("id", "int"), ("at", "timestamp"), ("day", "timestamp")], &["id"]);
    let zone = Arc::new(Zone::fixed(8 * 3600));
    assert!(Fit::new(&clocks, None, &sink, None, false).is_err(), "no zone is known");
    let fit = Fit::new(&clocks, None, &sink, Some(&zone), false).expect("fits");
    let mut buffers = Buffers::default();
    encode(&mut Encoder::default(), &fit, From::Stream, &rows, &mut buffers);
    let slot = buffers.at_least(0)[0];
    let types = [DataType::Int, DataType::Timestamp, DataType::Timestamp];
    let hidden = [DataType::Bigint, DataType::Bigint, DataType::Tinyint].into_iter();
    let lists = std::iter::repeat_n(DataType::Array(Box::new(DataType::Bigint)), 2);
    let types: Vec<_> = types.into_iter().chain(hidden).chain(lists).collect();
    let found = read_records(&buffers.take(slot).finish(), &types).expect("a sound stream");
    let instant = |seconds: i64| Some(Value::Timestamp { seconds, nanos: 0 });
    assert_eq!(found[0][1..3], [instant(3600 - 28_800), instant(86_400 - 28_800)]);
}

/// Batches whose rows have no `name`.
fn nameless(schema: &Arc<TableSchema>, rows: &[(RowKind, i64, Option<&str>)]) -> ChangeBatch {
    let absent = sluicebox_model::Absent { before: vec![1], after: vec![1] };
    let mut batch = batch(schema, rows);
    batch.origins[0].absent = Some(Arc::new(absent));
    batch
}

#[test]
fn a_row_that_lacks_columns_needs_a_place_that_takes_it() {
    let schema = schema(true);
    let table = layout(&[("id", "int"), ("name", "string"), ("more", "string")], &["id"]);
    let fit = Fit::new(&schema, None, &table, None, false).expect("fits");
    let error = |partial: Option<Arc<[i64]>>, fit: &Fit, spread, rows| {
        let mut encoder = Encoder { partial, ..Encoder::default() };
        let rows = nameless(&schema, rows);
        let encoded =
            encoder.encode(&rows, fit, spread, From::Stream, Instant::now(), &mut Buffers::default());
        encoded.map_err(|error| error.to_string())
    };
    let after: &[_] = &[(RowKind::After, 1, None)];
    let ids: Option<Arc<[i64]>> = Some(Arc::new([11, 12, 13]));
    let deleted: &[_] = &[(RowKind::Delete, 1, None)];
    assert_eq!(error(None, &fit, spread(4), deleted).map(|e| e.deleted), Ok(1), "a key is enough");
    let refused = error(None, &fit, spread(4), after).expect_err("no partial updates");
    assert!(refused.contains("`name`") && refused.contains("takes no partial updates"), "{refused}");
    let moved: &[_] = &[(RowKind::Before, 1, None), (RowKind::After, 2, None)];
    let refused = error(ids.clone(), &fit, spread(4), moved).expect_err("a new key");
    assert!(refused.contains("written whole"), "{refused}");
    let by_name = Fit::new(&schema, None, &layout(&[("name", "string")], &["name"]), None, false);
    let refused = error(ids.clone(), &by_name.expect("fits"), spread(4), after).expect_err("no key");
    assert!(refused.contains("the key or the partition"), "{refused}");
    let keyless = Fit::new(&schema, None, &layout(&[("id", "int"), ("name", "string")], &[]), None, false);
    let refused = error(None, &keyless.expect("fits"), None, after).expect_err("an ordinary table");
    assert!(refused.contains("whole rows only"), "{refused}");
    // Nothing that it has goes anywhere but into the key: an empty list would stand for the whole row.
    assert_eq!(error(ids, &fit, spread(4), after).map(|e| (e.written, e.left_out)), Ok((0, 1)));
}

/// The stream sets `id`-less parts of a row while its chunk is read: the chunk gives what the stream did not bring.
#[test]
fn a_chunk_completes_what_the_stream_brought_in_part() {
    let mut wide = TableSchema::clone(&schema(true));
    wide.columns.push(column("note", ColumnType::Text));
    let wide = Arc::new(wide);
    let table = layout(&[("id", "int"), ("name", "string"), ("note", "string")], &["id"]);
    let fit = Fit::new(&wide, None, &table, None, false).expect("fits");
    let whole = |rows: &[(RowKind, i64, Option<&str>)]| {
        let mut batch = batch(&wide, rows);
        batch.columns.push(Arc::clone(&batch.columns[1]));
        batch
    };
    let nameless = |rows: &[(RowKind, i64, Option<&str>)]| {
        let mut batch = whole(rows);
        batch.origins = nameless(&wide, rows).origins;
        batch
    };
    let mut encoder = Encoder { partial: Some(Arc::new([11, 12, 13])), ..Encoder::default() };
    let mut buffers = Buffers::default();
    encoder.windows.open(1);
    let parts = [(RowKind::After, 1, Some("streamed")), (RowKind::After, 2, Some("streamed"))];
    encode(&mut encoder, &fit, From::Stream, &nameless(&parts), &mut buffers);
    encode(&mut encoder, &fit, From::Stream, &whole(&[(RowKind::Delete, 2, None)]), &mut buffers);
    let chunk = [
        (RowKind::Read, 1, Some("read")),
        (RowKind::Read, 2, Some("stale")),
        (RowKind::Read, 3, Some("read")),
    ];
    let encoded = encode(&mut encoder, &fit, From::Window(1), &whole(&chunk), &mut buffers);
    assert_eq!(encoded, Encoded { written: 2, deleted: 0, left_out: 1, nulled: 0 });
    let types = [
        DataType::Int,
        DataType::String,
        DataType::String,
        DataType::Bigint,
        DataType::Bigint,
        DataType::Tinyint,
    ];
    let lists = std::iter::repeat_n(DataType::Array(Box::new(DataType::Bigint)), 2);
    let types: Vec<_> = types.into_iter().chain(lists).collect();
    let mut written = Vec::new();
    for slot in buffers.at_least(0) {
        for record in read_records(&buffers.take(slot).finish(), &types).expect("a sound stream") {
            let text = |v: &Option<Value>| match v {
                Some(Value::Text(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                _ => "-".to_owned(),
            };
            let number = |v: &Option<Value>| match v {
                Some(Value::Bigint(n)) => *n,
                other => panic!("no number: {other:?}"),
            };
            let Some(Value::Array(ids)) = &record[7] else { panic!("no list: {:?}", record[7]) };
            let ids: Vec<i64> = ids.iter().map(number).collect();
            written.push((number(&record[0]), number(&record[5]), text(&record[1]), text(&record[2]), ids));
        }
    }
    written.sort();
    let row = |id, operation, name: &str, note: &str, ids: &[i64]| {
        (id, operation, name.to_owned(), note.to_owned(), ids.to_vec())
    };
    assert_eq!(
        written,
        [
            row(1, UPSERT, "-", "streamed", &[13]),
            row(1, UPSERT, "read", "-", &[12]),
            row(2, DELETE, "-", "-", &[]),
            row(2, UPSERT, "-", "streamed", &[13]),
            row(3, UPSERT, "read", "read", &[]),
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
}

/// Where the column is known to stay as it is, a value that has no way into it is null; elsewhere it is an error, and a key always is.
#[test]
fn what_does_not_fit_a_column_that_stays_is_null_and_counted() {
    let schema = schema(true);
    let narrow = layout(&[("key", "string"), ("id", "tinyint"), ("name", "int")], &["key"]);
    let mut keyed = TableSchema::clone(&schema);
    keyed.columns.push(column("key", ColumnType::Text));
    keyed.key = vec![2];
    let keyed = Arc::new(keyed);
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(["a", "b"]));
    let mut rows =
        batch(&keyed, &[(RowKind::Insert, 7, Some("seven")), (RowKind::Insert, 700, Some("more"))]);
    rows.columns.push(keys);
    assert!(Fit::new(&keyed, None, &narrow, None, false).is_err(), "a text is no number");
    let fit = Fit::new(&keyed, None, &narrow, None, true).expect("fits");
    let encoded = encode(&mut Encoder::default(), &fit, From::Stream, &rows, &mut Buffers::default());
    assert_eq!(encoded, Encoded { written: 2, deleted: 0, left_out: 0, nulled: 1 }, "700 is no TINYINT");
    let by_id = layout(&[("id", "tinyint")], &["id"]);
    let fit = Fit::new(&keyed, None, &by_id, None, true).expect("fits");
    let done = Encoder::default().encode(
        &rows,
        &fit,
        spread(4),
        From::Stream,
        Instant::now(),
        &mut Buffers::default(),
    );
    assert!(done.is_err_and(|e| e.to_string().contains("out of the column's range")), "never a key");
}
