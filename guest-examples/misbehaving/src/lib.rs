//! For tests: breaks the interface in the way that its configuration names.
//!
//! Tables must have an integer column and a text column, in this order. `does` says what happens, and with `at` it
//! happens only in batches that have a row with this number. The plugin is written against the interface itself, because
//! the SDK does not let an author do most of this.

use std::cell::RefCell;

use serde::Deserialize;
use sluicebox_guest::bindings;
use sluicebox_guest::bindings::exports::sluicebox::transform::plugin::{
    About, Batch, Guest, Outcome, Plan, Table,
};
use sluicebox_guest::bindings::sluicebox::transform::lookup;
use sluicebox_guest::bindings::sluicebox::transform::state::{self, Entry};
use sluicebox_guest::bindings::sluicebox::transform::types::{
    Action, ByteStrings, Computed, ComputedType, OutputColumn, Read, RowError, Source, Vector, VectorData,
};

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Config {
    does: Does,
    at: Option<i64>,
    #[serde(default)]
    before: bool,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Does {
    Nothing,
    RefuseConfig,
    LoopAtStart,
    TrapAtStart,
    RefuseTable,
    /// Refuses a table that a statement has changed, and quotes that.
    RefuseChange,
    LoopInPlan,
    TrapInPlan,
    ImpossiblePlan,
    ChangingPlan,
    Loop,
    Trap,
    EatMemory,
    SayError,
    RowErrors,
    DropRows,
    DropOddRows,
    FewValues,
    NoColumn,
    WrongList,
    BadOffsets,
    OffsetsPastTheEnd,
    BadUtf8,
    SplitCharacter,
    ForbiddenNull,
    ShortBitmap,
    ShortKeep,
    RowOutOfRange,
    HugeOutput,
    FloodLog,
    Leak,
    /// Uses state that its plan did not ask for.
    StateUnasked,
    StateInPlan,
    HugeState,
    LongStateKey,
    /// Asks for one large value again and again, in one call.
    AskStateAgain,
    AskLookupAgain,
    /// Puts thousands of small values in one call, and a large one in another.
    PutMuch,
    /// As much output as with `huge-output`, from a plugin that has a state.
    HugeOutputWithState,
    /// Says so when it is told to forget a table.
    LogForgetting,
    /// Numbers rows by its state; with `at` it traps behind the last of a batch with this number.
    CountInState,
    /// The same, and says of the row with this number that it failed.
    CountAndCondemn,
    /// The same, and nothing is wrong.
    CountAndForgive,
    AskTime,
    UnknownLookup,
    OriginsUnasked,
    ExpandingPlan,
    /// Its rows have no key any more, and nothing is wrong.
    TakeKeyAway,
}

thread_local! {
    static CONFIG: RefCell<Config> = const { RefCell::new(Config { does: Does::Nothing, at: None, before: false }) };
    static CALLS: RefCell<u64> = const { RefCell::new(0) };
}

struct Misbehaving;

fn forever() -> ! {
    loop {
        std::hint::black_box(0);
    }
}

impl Guest for Misbehaving {
    fn init(config: String) -> Result<About, String> {
        let config: Config = serde_json::from_str(&config).map_err(|error| error.to_string())?;
        match config.does {
            Does::RefuseConfig => return Err("I will not".into()),
            Does::LoopAtStart => forever(),
            Does::TrapAtStart => panic!("at the start"),
            _ => {}
        }
        CONFIG.set(config);
        Ok(About { name: "misbehaving".into(), version: "0".into() })
    }

    fn plan_table(_id: u32, table: Table) -> Result<Plan, String> {
        let config = CONFIG.with_borrow(Clone::clone);
        match config.does {
            Does::RefuseTable => return Err(format!("I do not like `{}`", table.name)),
            Does::RefuseChange => {
                if let Some(ddl) = &table.ddl {
                    return Err(format!("version {} by {ddl}", table.version));
                }
            }
            Does::LoopInPlan => forever(),
            Does::TrapInPlan => panic!("in a plan"),
            Does::StateInPlan => drop(state::get(&["rows".to_owned()])),
            _ => {}
        }
        let seldom = CALLS.with_borrow_mut(|calls| std::mem::replace(calls, *calls + 1));
        let text = Source::Computed(Computed { type_: ComputedType::Like(1), nullable: false });
        let mut output: Vec<OutputColumn> = (0..)
            .zip(&table.columns)
            .map(|(place, column)| OutputColumn { name: column.name.clone(), source: Source::Input(place) })
            .collect();
        output[1].source = text;
        if config.does == Does::ImpossiblePlan {
            output[0].source = Source::Input(99);
        }
        if config.does == Does::ChangingPlan {
            // An address differs from instance to instance as little as a count does; the table's name will do.
            output[1].name = format!("name{}{seldom}", table.version);
        }
        Ok(Plan {
            action: Action::Process,
            before: config.before,
            reads: vec![Read::Column(0), Read::Column(1)],
            output: Some(output),
            key: (config.does == Does::TakeKeyAway).then(Vec::new),
            rename: None,
            expands: config.does == Does::ExpandingPlan,
            stateful: matches!(
                config.does,
                Does::HugeState
                    | Does::LongStateKey
                    | Does::AskStateAgain
                    | Does::PutMuch
                    | Does::HugeOutputWithState
                    | Does::CountInState
                    | Does::CountAndCondemn
                    | Does::CountAndForgive
            ),
            packed: false,
        })
    }

    fn process(_id: u32, batch: Batch) -> Result<Outcome, String> {
        let config = CONFIG.with_borrow(Clone::clone);
        let [Vector { data: VectorData::Ints(numbers), .. }, Vector { data: VectorData::Bytes(texts), .. }] =
            &batch.columns[..]
        else {
            return Err("expected integers and texts".into());
        };
        if matches!(config.does, Does::CountInState | Does::CountAndCondemn | Does::CountAndForgive) {
            return count_in_state(&config, numbers);
        }
        let here = config.at.is_none_or(|at| numbers.contains(&at));
        let does = if here { config.does } else { Does::Nothing };
        act(does, config.at, numbers, texts)
    }

    fn forget_table(_id: u32) {
        if CONFIG.with_borrow(|config| config.does == Does::LogForgetting) {
            sluicebox_guest::info("forgotten");
        }
    }
}

fn act(does: Does, at: Option<i64>, numbers: &[i64], texts: &ByteStrings) -> Result<Outcome, String> {
    let rows = numbers.len();
    let mut strings = ByteStrings { offsets: texts.offsets.clone(), data: texts.data.clone() };
    let mut outcome = Outcome { origins: None, keep: None, columns: Vec::new(), errors: Vec::new() };
    let mut validity = None;
    match does {
        Does::Loop => forever(),
        Does::Trap => panic!("as told"),
        Does::EatMemory => eat(),
        Does::SayError => return Err(format!("I cannot, with {}", String::from_utf8_lossy(&texts.data))),
        Does::RowErrors => outcome.errors = row_errors(at, numbers, texts),
        Does::DropRows => outcome.keep = Some(vec![0; rows.div_ceil(8)]),
        Does::DropOddRows => outcome.keep = Some(odd_rows(numbers)),
        Does::FewValues => {
            strings.offsets.pop();
        }
        Does::WrongList => {
            outcome.columns.push(Vector { validity: None, data: VectorData::Ints(numbers.to_vec()) });
            return Ok(outcome);
        }
        Does::NoColumn => return Ok(outcome),
        Does::BadOffsets => {
            strings.offsets[0] = 7;
        }
        Does::OffsetsPastTheEnd => {
            *strings.offsets.last_mut().ok_or("no offsets")? += 1;
        }
        Does::BadUtf8 => strings.data.fill(0xff),
        Does::SplitCharacter => strings = split_character(rows),
        Does::ForbiddenNull => validity = Some(vec![0; rows.div_ceil(8)]),
        Does::ShortBitmap => validity = Some(Vec::new()),
        Does::ShortKeep => outcome.keep = Some(Vec::new()),
        Does::RowOutOfRange => {
            outcome.errors.push(RowError { row: rows as u32, message: "beyond".into() });
        }
        Does::HugeOutput | Does::HugeOutputWithState => strings.data = vec![b'x'; 32 << 20],
        Does::FloodLog => {
            for n in 0..1_000 {
                sluicebox_guest::info(&format!("line {n}"));
            }
        }
        Does::Leak => std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20])),
        Does::StateUnasked => drop(state::get(&["rows".to_owned()])),
        Does::HugeState => fill_state(),
        Does::AskStateAgain => {
            put("large".into(), vec![1; 900 << 10]);
            drop(state::get(&vec!["large".to_owned(); 1_000]));
        }
        Does::AskLookupAgain => drop(lookup::get("countries", &vec!["large".to_owned(); 1_000])),
        Does::PutMuch => put_much(),
        Does::LongStateKey => put("k".repeat(1_025), Vec::new()),
        Does::AskTime => {
            let text = sluicebox_guest::clock::now().to_string();
            strings = repeated(&text, rows);
        }
        Does::UnknownLookup => drop(sluicebox_guest::lookup::get("nowhere", "key")),
        Does::OriginsUnasked => outcome.origins = Some((0..rows as u32).collect()),
        _ => {}
    }
    outcome.columns.push(Vector { validity, data: VectorData::Bytes(strings) });
    Ok(outcome)
}

fn eat() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// Each quotes its row.
fn row_errors(at: Option<i64>, numbers: &[i64], texts: &ByteStrings) -> Vec<RowError> {
    let condemned = |number: &i64| at.is_none_or(|at| *number == at);
    let text = |row: usize| {
        let bytes = &texts.data[texts.offsets[row] as usize..texts.offsets[row + 1] as usize];
        String::from_utf8_lossy(bytes).into_owned()
    };
    (0..)
        .zip(numbers)
        .filter(|(_, number)| condemned(number))
        .map(|(row, number)| RowError {
            row,
            message: format!("no {number} with {}, {}", text(row as usize), "é".repeat(2_000)),
        })
        .collect()
}

fn odd_rows(numbers: &[i64]) -> Vec<u8> {
    let mut keep = vec![0; numbers.len().div_ceil(8)];
    for (row, number) in numbers.iter().enumerate() {
        keep[row / 8] |= u8::from(number % 2 == 0) << (row % 8);
    }
    keep
}

/// Valid UTF-8 as a whole, in pieces that are not.
fn split_character(rows: usize) -> ByteStrings {
    let mut offsets = vec![2; rows + 1];
    offsets[0] = 0;
    if let Some(second) = offsets.get_mut(1) {
        *second = 1;
    }
    ByteStrings { offsets, data: "é".into() }
}

fn put(key: String, value: Vec<u8>) {
    state::put(&[Entry { key, value: Some(value) }]);
}

/// Each value is below what one call may give the host.
fn fill_state() -> ! {
    for number in 0_u64.. {
        put(number.to_string(), vec![0; 64 << 10]);
    }
    unreachable!()
}

/// As interpreters' SDKs do at a batch's end; together more than twice what a call of few rows may give back.
fn put_much() {
    let value = vec![7; 2 << 10];
    let entry = |number: u32| Entry { key: number.to_string(), value: Some(value.clone()) };
    state::put(&(0..1_024).map(entry).collect::<Vec<_>>());
    put("large".into(), vec![7; 3 << 20]);
}

fn count_in_state(config: &Config, numbers: &[i64]) -> Result<Outcome, String> {
    let mut strings = ByteStrings { offsets: vec![0], data: Vec::new() };
    let mut errors = Vec::new();
    for (row, number) in (0..).zip(numbers) {
        let saved = state::get(&["rows".to_owned()]).remove(0).unwrap_or_default();
        let count = String::from_utf8(saved).map_err(|error| error.to_string())?.parse().unwrap_or(0) + 1;
        put("rows".into(), u64::to_string(&count).into_bytes());
        strings.data.extend_from_slice(count.to_string().as_bytes());
        strings.offsets.push(strings.data.len() as u32);
        if config.does == Does::CountAndCondemn && config.at == Some(*number) {
            errors.push(RowError { row, message: "this one not".into() });
        }
    }
    if config.does == Does::CountInState && config.at.is_some_and(|at| numbers.contains(&at)) {
        panic!("as told");
    }
    let column = Vector { validity: None, data: VectorData::Bytes(strings) };
    Ok(Outcome { origins: None, keep: None, columns: vec![column], errors })
}

fn repeated(text: &str, rows: usize) -> ByteStrings {
    let offsets = (0..=rows).map(|row| (row * text.len()) as u32).collect();
    ByteStrings { offsets, data: text.repeat(rows).into_bytes() }
}

bindings::export!(Misbehaving with_types_in bindings);
