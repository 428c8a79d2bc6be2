//! The evaluator of SQL expressions as a plugin: what an entry without a plugin would cost if it went through the sandbox.
//!
//! It has the types of the benchmark's table and no more. Columns become Arrow arrays, the filter and the projection run as they
//! do in the host, and the computed columns become lists again.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int64Type};
use serde::Deserialize;
use sluicebox_expression::{Rule, RulePlan, RuleText, Settings};
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, RowKind, TableId, TableSchema};

mod bindings {
    wit_bindgen::generate!({ path: "../../../../wit", world: "transform" });
}

use bindings::exports::sluicebox::transform::plugin::{About, Batch, Guest, Outcome, Plan, Table};
use bindings::sluicebox::transform::types::{
    Action, ByteStrings, Computed, ComputedType, OutputColumn, Read, Source, Vector, VectorData,
};

/// Name of the column with each row's number, by which the rows that stay are found again.
const ROW: &str = "row number";

#[derive(Deserialize)]
struct Config {
    filter: Option<String>,
    /// Columns that are computed: name, expression.
    computed: Vec<(String, String)>,
    /// Columns that the filter or an expression reads.
    reads: Vec<String>,
    /// Columns that go on: name, name before, none of a computed one.
    output: Vec<(String, Option<String>)>,
}

struct State {
    config: Config,
    plan: Option<RulePlan>,
}

static STATE: std::sync::Mutex<Option<State>> = std::sync::Mutex::new(None);

struct Expressions;

impl Guest for Expressions {
    fn init(config: String) -> Result<About, String> {
        let config = serde_json::from_str(&config).map_err(|error| error.to_string())?;
        *STATE.lock().map_err(|error| error.to_string())? = Some(State { config, plan: None });
        Ok(About { name: "expressions".into(), version: "0.1.0".into() })
    }

    fn plan_table(_id: u32, table: Table) -> Result<Plan, String> {
        let mut state = STATE.lock().map_err(|error| error.to_string())?;
        let state = state.as_mut().ok_or("not initialised")?;
        let place =
            |name: &str| table.columns.iter().position(|column| column.name == name).ok_or("no such column");
        let (mut reads, mut columns) = (Vec::new(), vec![column(ROW, ColumnType::BigInt)]);
        for name in &state.config.reads {
            let at = place(name)?;
            reads.push(Read::Column(at as u32));
            columns.push(column(name, column_type(&table.columns[at])?));
        }
        let schema = Arc::new(TableSchema {
            id: TableId::new(&*table.database, &*table.name),
            version: table.version,
            columns,
            key: vec![0],
            comment: None,
            charset: None,
            unique_keys: Vec::new(),
            ddl: None,
        });
        let mut projection = format!("`{ROW}`");
        for (name, expression) in &state.config.computed {
            projection.push_str(&format!(", {expression} AS `{name}`"));
        }
        let filter = state.config.filter.as_deref();
        let text = RuleText { projection: Some(&projection), filter, ..RuleText::default() };
        let rule = Rule::parse(&text).map_err(|error| format!("{error:?}"))?;
        let plan =
            rule.plan(&schema, &Arc::new(Settings::default())).map_err(|error| format!("{error:?}"))?;
        let output = |(name, before): &(String, Option<String>)| {
            let source = match before {
                Some(before) => Source::Input(place(before)? as u32),
                None => {
                    let made =
                        plan.output.columns.iter().find(|made| *made.name == **name).ok_or("not computed")?;
                    Source::Computed(Computed {
                        type_: computed_type(made.column_type)?,
                        nullable: made.nullable,
                    })
                }
            };
            Ok(OutputColumn { name: name.clone(), source })
        };
        let output = state.config.output.iter().map(output).collect::<Result<Vec<_>, String>>()?;
        let before = plan.needs_before();
        state.plan = Some(plan);
        Ok(Plan {
            action: Action::Process,
            before,
            reads,
            output: Some(output),
            key: None,
            rename: None,
            expands: false,
            stateful: false,
            packed: false,
        })
    }

    fn process(_id: u32, batch: Batch) -> Result<Outcome, String> {
        let state = STATE.lock().map_err(|error| error.to_string())?;
        let plan = state.as_ref().and_then(|state| state.plan.as_ref()).ok_or("no plan")?;
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values(0..i64::from(batch.rows)))];
        for vector in batch.columns {
            columns.push(array(vector)?);
        }
        let batch = ChangeBatch {
            schema: Arc::clone(&plan.input),
            kinds: batch.kinds.iter().map(|kind| row_kind(*kind)).collect(),
            columns,
            origins: vec![Origin {
                first_row: 0,
                commit_micros: 0,
                ordinal: 0,
                transaction: None,
                absent: None,
            }],
        };
        let done = plan.process(&batch, 0)?;
        outcome(&done.batch, &batch.kinds)
    }

    fn forget_table(_id: u32) {}
}

/// A list of the interface as an Arrow array, without a copy.
fn array(vector: Vector) -> Result<ArrayRef, String> {
    Ok(match vector.data {
        VectorData::Ints(values) => Arc::new(Int64Array::new(ScalarBuffer::from(values), None)),
        VectorData::Bytes(ByteStrings { offsets, data }) => {
            let offsets: Vec<i32> = offsets.into_iter().map(|offset| offset as i32).collect();
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            let text = StringArray::try_new(offsets, Buffer::from_vec(data), None);
            Arc::new(text.map_err(|error| error.to_string())?)
        }
        _ => return Err("the benchmark's table has no such column".into()),
    })
}

fn row_kind(kind: u8) -> RowKind {
    match kind {
        1 => RowKind::Before,
        2 => RowKind::After,
        3 => RowKind::Delete,
        _ => RowKind::Insert,
    }
}

fn column(name: &str, column_type: ColumnType) -> Column {
    Column {
        name: name.into(),
        column_type,
        nullable: false,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    }
}

fn column_type(column: &bindings::sluicebox::transform::types::Column) -> Result<ColumnType, String> {
    use bindings::sluicebox::transform::types::ColumnType as There;
    Ok(match column.type_ {
        There::Int => ColumnType::BigInt,
        There::Text => ColumnType::Text,
        There::Decimal => {
            ColumnType::Decimal { precision: column.precision as u8, scale: column.scale as u8 }
        }
        There::Datetime => ColumnType::DateTime { fraction: column.precision as u8 },
        _ => return Err("the benchmark's table has no such column".into()),
    })
}

fn computed_type(of: ColumnType) -> Result<ComputedType, String> {
    use bindings::sluicebox::transform::types::{ColumnType as There, FullType};
    let (type_, precision, scale) = match of {
        ColumnType::BigInt => (There::Int, 0, 0),
        ColumnType::Text => (There::Text, 0, 0),
        ColumnType::Decimal { precision, scale } => (There::Decimal, precision.into(), scale.into()),
        _ => return Err(format!("the benchmark computes no {of:?}")),
    };
    Ok(ComputedType::Type(FullType { type_, precision, scale }))
}

/// Rows that stay go back to their places; the others' values are empty.
fn outcome(stays: &ChangeBatch, came: &[RowKind]) -> Result<Outcome, String> {
    let kept = stays.columns[0].as_primitive::<Int64Type>().values();
    let rows = came.len();
    let mut keep = vec![0u8; rows.div_ceil(8)];
    for (&row, kind) in kept.iter().zip(&stays.kinds) {
        // A row after that the filter refuses goes on as a delete; the host makes that of a row that does not stay.
        let refused = *kind == RowKind::Delete && came[row as usize] == RowKind::After;
        keep[row as usize / 8] |= u8::from(!refused) << (row % 8);
    }
    let keep = Some(keep);
    let columns =
        stays.columns[1..].iter().map(|column| vector(column, kept, rows)).collect::<Result<_, _>>()?;
    Ok(Outcome { origins: None, keep, columns, errors: Vec::new() })
}

fn vector(column: &ArrayRef, kept: &[i64], rows: usize) -> Result<Vector, String> {
    let validity = column.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| {
        let mut validity = vec![0u8; rows.div_ceil(8)];
        for (at, &row) in kept.iter().enumerate() {
            validity[row as usize / 8] |= u8::from(nulls.is_valid(at)) << (row % 8);
        }
        validity
    });
    let data = match column.data_type() {
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().values();
            let mut placed = vec![0; rows];
            for (value, &row) in values.iter().zip(kept) {
                placed[row as usize] = *value;
            }
            VectorData::Ints(placed)
        }
        DataType::Utf8 => {
            let text = column.as_string::<i32>();
            let mut offsets = Vec::with_capacity(rows + 1);
            offsets.push(0);
            let mut next = 0;
            for (at, &row) in kept.iter().enumerate() {
                let row = row as usize;
                offsets.resize(offsets.len() + row - next, *offsets.last().unwrap_or(&0));
                offsets.push(text.value_offsets()[at + 1] as u32);
                next = row + 1;
            }
            offsets.resize(rows + 1, *offsets.last().unwrap_or(&0));
            VectorData::Bytes(ByteStrings { offsets, data: text.value_data().to_vec() })
        }
        other => return Err(format!("the benchmark computes no {other}")),
    };
    Ok(Vector { validity, data })
}

bindings::export!(Expressions with_types_in bindings);
