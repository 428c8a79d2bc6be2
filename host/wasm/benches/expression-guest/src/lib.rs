//! The evaluator of SQL expressions as a plugin: what an entry without a plugin would cost if it went through the sandbox.
//!
//! It has the types of the benchmark's table and no more. Columns become Arrow arrays, the filter and the projection run as they
//! do in the host, and the computed column becomes a list again.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int64Type;
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
    filter: String,
    /// The column that is computed, and of what.
    column: String,
    expression: String,
    /// Columns that go on: name, name before.
    output: Vec<(String, String)>,
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
        let used = |name: &str| {
            state.config.filter.contains(name) || state.config.expression.contains(name)
        };
        let column = |name: &str, column_type| Column {
            name: name.into(),
            column_type,
            nullable: false,
            source_type: "".into(),
            charset: None,
            comment: None,
        };
        let (mut reads, mut columns) = (Vec::new(), vec![column(ROW, ColumnType::BigInt)]);
        for (place, there) in (0..).zip(&table.columns).filter(|(_, there)| used(&there.name)) {
            let text = matches!(there.type_, bindings::sluicebox::transform::types::ColumnType::Text);
            reads.push(Read::Column(place));
            columns.push(column(&there.name, if text { ColumnType::Text } else { ColumnType::BigInt }));
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
        let projection = format!("`{ROW}`, {} AS computed", state.config.expression);
        let text = RuleText {
            projection: Some(&projection),
            filter: Some(&state.config.filter),
            ..RuleText::default()
        };
        let rule = Rule::parse(&text).map_err(|error| format!("{error:?}"))?;
        let plan = rule.plan(&schema, &Arc::new(Settings::default())).map_err(|error| format!("{error:?}"))?;
        state.plan = Some(plan);
        let output = |(name, before): &(String, String)| {
            let place = table.columns.iter().position(|column| column.name == *before);
            let place = u32::try_from(place.ok_or("no such column")?).map_err(|error| error.to_string())?;
            let source = if *before == state.config.column {
                Source::Computed(Computed { type_: ComputedType::Like(place), nullable: false })
            } else {
                Source::Input(place)
            };
            Ok(OutputColumn { name: name.clone(), source })
        };
        let output = state.config.output.iter().map(output).collect::<Result<Vec<_>, String>>()?;
        Ok(Plan { action: Action::Process, before: false, reads, output: Some(output), key: None, rename: None })
    }

    fn process(_id: u32, batch: Batch) -> Result<Outcome, String> {
        let state = STATE.lock().map_err(|error| error.to_string())?;
        let plan = state.as_ref().and_then(|state| state.plan.as_ref()).ok_or("no plan")?;
        let rows = batch.rows as usize;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(0..i64::from(batch.rows)))];
        for vector in batch.columns {
            columns.push(array(vector)?);
        }
        let batch = ChangeBatch {
            schema: Arc::clone(&plan.input),
            kinds: vec![RowKind::Insert; rows],
            columns,
            origins: vec![Origin { first_row: 0, commit_micros: 0, ordinal: 0, transaction: None }],
        };
        let done = plan.process(&batch, 0)?;
        Ok(outcome(&done.batch, rows))
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

/// Rows that stay go back to their places; the others' values are empty.
fn outcome(stays: &ChangeBatch, rows: usize) -> Outcome {
    let mut keep = vec![0u8; rows.div_ceil(8)];
    let text = stays.columns[1].as_string::<i32>();
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    let mut next = 0;
    for (at, &row) in stays.columns[0].as_primitive::<Int64Type>().values().iter().enumerate() {
        let row = row as usize;
        offsets.resize(offsets.len() + row - next, *offsets.last().unwrap_or(&0));
        offsets.push(text.value_offsets()[at + 1] as u32);
        keep[row / 8] |= 1 << (row % 8);
        next = row + 1;
    }
    offsets.resize(rows + 1, *offsets.last().unwrap_or(&0));
    let data = ByteStrings { offsets, data: text.value_data().to_vec() };
    let computed = Vector { validity: None, data: VectorData::Bytes(data) };
    Outcome { keep: Some(keep), columns: vec![computed], errors: Vec::new() }
}

bindings::export!(Expressions with_types_in bindings);
