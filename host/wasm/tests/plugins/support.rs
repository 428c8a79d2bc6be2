//! Plugins, tables and batches for the tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use serde_json::Value;
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, RowKind, TableId, TableSchema};
use sluicebox_wasm::{Engine, Grants, Instance, Limits, PluginSpec};

/// One for all tests, as in the product. It keeps compiled code from run to run: interpreters take seconds.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::for_tools().expect("an engine"))
}

/// Endings of the names of an example's files, one for each language: none is Rust's.
pub const LANGUAGES: [&str; 5] = ["", "-c", "-python", "-go", "-js"];

/// The file of a plugin of `guest-examples`.
pub fn plugin_path(name: &str) -> PathBuf {
    let folder = std::env::var_os("SLUICEBOX_TEST_PLUGINS")
        .expect("SLUICEBOX_TEST_PLUGINS is not set: run scripts/test, or scripts/build-guests and set it to the folder");
    let path = Path::new(&folder).join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run scripts/build-guests", path.display());
    path
}

pub fn spec(name: &str, config: Value) -> PluginSpec {
    PluginSpec {
        path: plugin_path(name),
        config,
        limits: Limits::default(),
        grants: Grants::default(),
        sha256: None,
        precompiled: false,
    }
}

pub fn instance(name: &str, config: Value) -> Instance {
    engine().load(&spec(name, config)).expect("the plugin loads").instantiate().expect("the plugin starts")
}

pub fn column(name: &str, column_type: ColumnType, nullable: bool) -> Column {
    Column {
        name: name.into(),
        column_type,
        nullable,
        source_type: column_type.to_string().to_lowercase().into(),
        default: Default::default(),
        charset: None,
        comment: None,
    }
}

pub fn schema(columns: Vec<Column>, key: Vec<usize>) -> Arc<TableSchema> {
    let id = TableId::new("shop", "orders");
    Arc::new(TableSchema {
        id,
        version: 1,
        columns,
        key,
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    })
}

/// `id BIGINT` (the key unless `keyed` is false) and `name TEXT`, as the misbehaving plugin wants it.
pub fn numbered_schema(keyed: bool) -> Arc<TableSchema> {
    let columns = vec![column("id", ColumnType::BigInt, false), column("name", ColumnType::Text, false)];
    schema(columns, if keyed { vec![0] } else { vec![] })
}

pub fn batch(schema: &Arc<TableSchema>, kinds: Vec<RowKind>, columns: Vec<ArrayRef>) -> ChangeBatch {
    let origins =
        vec![Origin { first_row: 0, commit_micros: 0, ordinal: 0, transaction: None, absent: None }];
    ChangeBatch { schema: Arc::clone(schema), kinds, columns, origins }
}

/// Rows with these numbers, called `é0`, `é1`, ...
pub fn numbered(schema: &Arc<TableSchema>, rows: &[(RowKind, i64)]) -> ChangeBatch {
    let names = StringArray::from_iter_values(rows.iter().map(|(_, number)| format!("é{number}")));
    let numbers = Int64Array::from_iter_values(rows.iter().map(|(_, number)| *number));
    batch(schema, rows.iter().map(|(kind, _)| *kind).collect(), vec![Arc::new(numbers), Arc::new(names)])
}

pub fn inserts(schema: &Arc<TableSchema>, numbers: std::ops::Range<i64>) -> ChangeBatch {
    let rows: Vec<_> = numbers.map(|number| (RowKind::Insert, number)).collect();
    numbered(schema, &rows)
}

/// Kinds and numbers of a numbered batch.
pub fn rows_of(batch: &ChangeBatch) -> Vec<(RowKind, i64)> {
    let numbers = batch.columns[0].as_primitive::<Int64Type>();
    assert_eq!(numbers.len(), batch.rows());
    assert_eq!(batch.columns[1].len(), batch.rows());
    batch.kinds.iter().copied().zip(numbers.values().iter().copied()).collect()
}

/// A folder that is gone after the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Where log lines go in a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panics here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged while this runs.
pub fn logged(run: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .without_time()
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let text = lines.0.lock().expect("no test panics here").clone();
    String::from_utf8(text).expect("text")
}
