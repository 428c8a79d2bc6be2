//! One table with a value of each type, and the same with nulls.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_expression::{DecimalLimit, Rule, RulePlan, RuleText, Settings, Zone};
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, Physical, RowKind, TableId, TableSchema};

/// 2026-11-25T10:20:30.123456Z.
pub const NOW: i64 = 1_795_602_030_123_456;

/// What an expression gives: its type and its value, `NULL`, or `error: …`.
pub type Case = (&'static str, &'static str, &'static str);

/// A column of the table: name, type, value.
enum Cell {
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(&'static str),
    Bytes(&'static [u8]),
}

fn cells() -> Vec<(&'static str, ColumnType, Cell)> {
    use ColumnType as C;
    vec![
        ("id", C::BigInt, Cell::Int(3)),
        ("i", C::Int, Cell::Int(7)),
        ("tiny", C::TinyInt, Cell::Int(100)),
        ("small", C::SmallInt, Cell::Int(-300)),
        ("ub", C::UnsignedBigInt, Cell::Uint(u64::MAX)),
        ("bits", C::Bit { width: 9 }, Cell::Uint(257)),
        ("f", C::Float, Cell::Float(1.5)),
        ("x", C::Double, Cell::Float(2.5)),
        ("d", C::Decimal { precision: 10, scale: 2 }, Cell::Int(1250)),
        ("wide", C::Decimal { precision: 30, scale: 4 }, Cell::Text("123456789012345678901234.5678")),
        ("huge", C::Decimal { precision: 50, scale: 2 }, Cell::Text("1.25")),
        ("yes", C::Boolean, Cell::Int(1)),
        ("no", C::Boolean, Cell::Int(0)),
        ("s", C::Text, Cell::Text("Hello World")),
        ("mail", C::Text, Cell::Text("ada.lovelace@example.org")),
        ("uni", C::Text, Cell::Text("añ😀b")),
        ("digits", C::Text, Cell::Text("42")),
        ("json", C::Json, Cell::Text(r#"{"a": {"b": [1, 2.50]}, "é": "x"}"#)),
        ("bin", C::Binary, Cell::Bytes(b"\x00\xff")),
        // 2024-02-29
        ("day", C::Date, Cell::Int(19_782)),
        // 2024-02-29 13:14:15.123456
        ("at", C::DateTime { fraction: 6 }, Cell::Int(1_709_212_455_123_456)),
        // 2024-02-29T23:30:00Z
        ("ts", C::Timestamp { fraction: 0 }, Cell::Int(1_709_249_400_000_000)),
        // 13:14:15
        ("clock", C::Time { fraction: 0 }, Cell::Int(47_655_000_000)),
        ("foo-bar", C::Int, Cell::Int(9)),
        ("year", C::Int, Cell::Int(1999)),
        ("nil", C::Int, Cell::Int(0)),
        ("nothing", C::Text, Cell::Text("")),
    ]
}

/// Columns that are null in every row.
const NULLS: [&str; 2] = ["nil", "nothing"];

fn column(name: &str, column_type: ColumnType) -> Column {
    Column {
        name: name.into(),
        column_type,
        nullable: name != "id",
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: (name == "i").then(|| "seven".into()),
    }
}

pub fn schema() -> Arc<TableSchema> {
    Arc::new(TableSchema {
        id: TableId::new("app_db", "things"),
        version: 1,
        columns: cells().iter().map(|(name, column_type, _)| column(name, *column_type)).collect(),
        key: vec![0],
        unique_keys: Vec::new(),
        comment: Some("all sorts".into()),
        charset: None,
        ddl: None,
    })
}

/// Three rows: the values, nulls everywhere but in the key, the values again.
pub fn batch() -> ChangeBatch {
    let columns = cells().iter().map(|(name, column_type, cell)| array(name, *column_type, cell)).collect();
    ChangeBatch {
        schema: schema(),
        kinds: vec![RowKind::Insert; 3],
        columns,
        origins: vec![Origin {
            first_row: 0,
            commit_micros: 1_700_000_000_123_000,
            ordinal: 1,
            transaction: None,
            absent: None,
        }],
    }
}

fn array(name: &str, column_type: ColumnType, cell: &Cell) -> ArrayRef {
    let null = NULLS.contains(&name);
    let valid = [!null, !null && name == "id", !null];
    match cell {
        Cell::Int(value) => Arc::new(Int64Array::from_iter(valid.map(|v| v.then_some(*value)))),
        Cell::Uint(value) => Arc::new(UInt64Array::from_iter(valid.map(|v| v.then_some(*value)))),
        Cell::Float(value) => Arc::new(Float64Array::from_iter(valid.map(|v| v.then_some(*value)))),
        Cell::Bytes(value) => Arc::new(BinaryArray::from_iter(valid.map(|v| v.then_some(*value)))),
        Cell::Text(text) if column_type.physical() == Physical::Decimal128 => {
            let ColumnType::Decimal { precision, scale } = column_type else { panic!("a decimal") };
            let value: i128 = text.replace('.', "").parse().expect("digits");
            let values = arrow::array::Decimal128Array::from_iter(valid.map(|v| v.then_some(value)));
            Arc::new(values.with_precision_and_scale(precision, scale.cast_signed()).expect("it fits"))
        }
        Cell::Text(text) => Arc::new(StringArray::from_iter(valid.map(|v| v.then_some(*text)))),
    }
}

pub fn settings() -> Settings {
    Settings {
        zone: Zone::region("Asia/Shanghai").expect("the host has tzdata"),
        flink: false,
        decimals: DecimalLimit::UP_TO_19,
        op_ts: true,
    }
}

pub fn plan(text: &RuleText<'_>, settings: Settings) -> Result<RulePlan, String> {
    let rule = Rule::parse(text)
        .map_err(|errors| errors.iter().map(|e| e.1.to_string()).collect::<Vec<_>>().join("; "))?;
    rule.plan(&schema(), &Arc::new(settings)).map_err(|error| format!("{}: {}", error.0.key(), error.1))
}

/// Type and value of an expression in a row of the table; a failure to plan or to evaluate begins with `error: `.
pub fn evaluate(expression: &str, row: usize, settings: Settings) -> (String, String) {
    let projection = format!("id, {expression} AS r");
    let text = RuleText { projection: Some(&projection), ..RuleText::default() };
    let plan = match plan(&text, settings) {
        Ok(plan) => plan,
        Err(error) => return (String::new(), format!("error: {error}")),
    };
    let column_type = plan.output.columns[1].column_type;
    let done = plan.process(&batch(), NOW).expect("the batch fits its table");
    if let Some(failed) = done.failed.iter().find(|failed| failed.row == row) {
        return (column_type.to_string(), format!("error: {}", failed.message));
    }
    let before = done.failed.iter().filter(|failed| failed.row < row).count();
    (column_type.to_string(), show(column_type, &done.batch.columns[1], row - before))
}

/// A value as people write it.
pub fn show(column_type: ColumnType, array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_owned();
    }
    let int = || array.as_primitive::<Int64Type>().value(row);
    match (column_type, column_type.physical()) {
        (ColumnType::Boolean, _) => if int() == 0 { "FALSE" } else { "TRUE" }.to_owned(),
        (ColumnType::Decimal { scale, .. }, Physical::Int64) => decimal(int().into(), scale),
        (ColumnType::Decimal { scale, .. }, Physical::Decimal128) => {
            decimal(array.as_primitive::<Decimal128Type>().value(row), scale)
        }
        (ColumnType::Date, _) => moment(int() * 86_400_000_000)[..10].to_owned(),
        (ColumnType::DateTime { .. }, _) => moment(int()),
        (ColumnType::Timestamp { .. }, _) => moment(int()) + "Z",
        (ColumnType::Time { .. }, _) => moment(int())[11..].to_owned(),
        (_, Physical::Int64) => int().to_string(),
        (_, Physical::UInt64) => array.as_primitive::<UInt64Type>().value(row).to_string(),
        (_, Physical::Float64) => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        (_, Physical::Binary) => format!("{:02x?}", array.as_binary::<i32>().value(row)),
        (_, _) => array.as_string::<i32>().value(row).to_owned(),
    }
}

fn decimal(value: i128, scale: u8) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// `yyyy-MM-dd HH:mm:ss[.ffffff]`, counted day by day, as an oracle that shares nothing with the crate.
pub fn moment(micros: i64) -> String {
    let (mut days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let leap = |y: i64| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += if leap(year) { 366 } else { 365 };
    }
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let day = format!("{year:04}-{:02}-{:02} {clock}", month + 1, days + 1);
    if fraction == 0 { day } else { format!("{day}.{fraction:06}") }
}

/// Runs a table of cases on the row with values.
#[track_caller]
pub fn check(cases: &[Case], settings: &Settings) {
    let mut wrong = Vec::new();
    for (expression, kind, value) in cases {
        let (found_kind, found) = evaluate(expression, 0, settings.clone());
        let fits = match value.strip_prefix("error: ") {
            Some(words) => found.starts_with("error: ") && found.contains(words),
            None => found == *value && found_kind == *kind,
        };
        if !fits {
            wrong.push(format!("{expression}\n  wanted {kind} {value}\n  found  {found_kind} {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
