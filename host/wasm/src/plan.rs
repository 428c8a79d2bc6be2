//! What a plugin wants with a table: its answer to `plan-table`, checked against the table.
//!
//! Checking is pure: the same schema and the same answer give the same plan or the same complaint. A plan that passes can be
//! carried out on any batch of the table; what the guest computes is checked batch by batch.

use std::collections::HashSet;
use std::sync::Arc;

use sluicebox_model::{Column, ColumnType, TableId, TableSchema};

use crate::abi;

/// As many as a MySQL table can have; no sink takes more.
const MAX_OUTPUT_COLUMNS: usize = 4096;

/// What happens to the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They go on without the guest being called, projected and renamed as planned.
    Pass,
    /// They are all dropped.
    Discard,
    /// The guest is called for them.
    Process,
}

/// Something about a row besides its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Commit time at the source, microseconds since 1970-01-01T00:00:00Z.
    CommitTime,
    /// Order of the event in the stream.
    Position,
    /// The source transaction's name.
    Transaction,
    /// A number that looks random and is the same whenever the row image comes again.
    Seed,
}

/// One thing that the guest is given for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// The input column at this place.
    Column(usize),
    /// Something else about the row.
    Meta(Meta),
}

/// Where an output column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The input column at this place, untouched.
    Input(usize),
    /// Made by the guest.
    Computed,
}

/// What one plugin does with one table at one schema version.
///
/// Invariants: `sources` has one entry for each column of `output`; places are inside the schema they point into;
/// a plan that does not `Process` has no computed columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlan {
    /// The number under which the guest knows the table and version.
    pub id: u32,
    /// What happens to the rows.
    pub action: Action,
    /// Whether the guest wants every update as two rows, before and after.
    pub before: bool,
    /// Whether the guest uses the state of this table: its batches then come in order, one at a time.
    pub stateful: bool,
    /// Whether the guest makes several rows of one, or none.
    pub expands: bool,
    /// The table as the guest is given it.
    pub input: Arc<TableSchema>,
    /// The table as it goes on; the same `Arc` as `input` when nothing changes.
    pub output: Arc<TableSchema>,
    /// Whether numbers cross as bytes.
    pub packed: bool,
    /// What the guest is given, in this order.
    pub reads: Vec<Read>,
    /// Where each column of `output` comes from.
    pub sources: Vec<Source>,
}

impl TablePlan {
    /// Whether every update must come with its row before: the guest asked for it, or the output's key is not made of the
    /// input's key columns alone, so that an update can change it while the source's key stays; or what was made of the row before must go.
    pub fn needs_before(&self) -> bool {
        self.before || self.must_delete_by_before()
    }

    /// Whether the row before of an update is what tells the keys of rows that go.
    pub(crate) fn must_delete_by_before(&self) -> bool {
        self.expands || self.changes_key()
    }

    /// Whether a column of the output's key is computed, or was not part of the input's key.
    pub(crate) fn changes_key(&self) -> bool {
        self.output.key.iter().any(|&place| match self.sources.get(place) {
            Some(Source::Input(column)) => !self.input.key.contains(column),
            Some(Source::Computed) | None => true,
        })
    }

    /// The output columns that the guest makes, in the order in which it gives them.
    pub(crate) fn computed(&self) -> impl Iterator<Item = &Column> {
        let with_source = self.output.columns.iter().zip(&self.sources);
        with_source.filter(|(_, source)| **source == Source::Computed).map(|(column, _)| column)
    }

    /// Checks a guest's answer and works out the output's schema; the error says what is wrong with it.
    pub(crate) fn resolve(id: u32, input: &Arc<TableSchema>, plan: abi::Plan) -> Result<Self, String> {
        let action = match plan.action {
            abi::Action::Pass => Action::Pass,
            abi::Action::Discard => Action::Discard,
            abi::Action::Process => Action::Process,
        };
        if plan.expands && action != Action::Process {
            return Err(
                "it makes several rows of one, of a table for whose rows it is not to be called".into()
            );
        }
        if plan.stateful && action != Action::Process {
            return Err("it wants state for a table for whose rows it is not to be called".into());
        }
        let reads = resolve_reads(input, &plan.reads)?;
        let (columns, sources) = match plan.output {
            Some(output) => resolve_output(input, output)?,
            None => (input.columns.clone(), (0..input.columns.len()).map(Source::Input).collect()),
        };
        if action != Action::Process && sources.contains(&Source::Computed) {
            return Err("it computes columns of a table for whose rows it is not to be called".into());
        }
        let key = match plan.key {
            None if plan.expands => {
                return Err(
                    "it makes several rows of one and names no key: they would share that of the one".into(),
                );
            }
            Some(places) => named_key(&columns, &places)?,
            None => followed_key(input, &sources)?,
        };
        if plan.expands && !key.is_empty() && !key.iter().any(|&place| sources[place] == Source::Computed) {
            return Err("it makes several rows of one and computes no column of the key: they would overwrite each other".into());
        }
        let table: Arc<str> = match plan.rename {
            Some(name) if name.trim().is_empty() => return Err("it gives the table an empty name".into()),
            Some(name) => name.into(),
            None => Arc::clone(&input.id.table),
        };
        let output = TableSchema {
            id: TableId { database: Arc::clone(&input.id.database), table },
            version: input.version,
            columns,
            key,
            unique_keys: input.unique_keys.clone(),
            comment: input.comment.clone(),
            charset: input.charset.clone(),
            ddl: input.ddl.clone(),
        };
        let output = if output == **input { Arc::clone(input) } else { Arc::new(output) };
        let abi::Plan { before, stateful, expands, packed, .. } = plan;
        let input = Arc::clone(input);
        Ok(Self { id, action, before, stateful, expands, packed, input, output, reads, sources })
    }
}

fn input_place(input: &TableSchema, column: u32) -> Result<usize, String> {
    let place = usize::try_from(column).ok().filter(|&place| place < input.columns.len());
    place.ok_or_else(|| format!("it names input column {column}, the table has {}", input.columns.len()))
}

/// Each thing once, so that a batch never costs more than the table is wide.
fn resolve_reads(input: &TableSchema, wanted: &[abi::Read]) -> Result<Vec<Read>, String> {
    let mut reads = Vec::with_capacity(wanted.len());
    for read in wanted {
        let read = match *read {
            abi::Read::Column(column) => Read::Column(input_place(input, column)?),
            abi::Read::Meta(abi::Meta::CommitTime) => Read::Meta(Meta::CommitTime),
            abi::Read::Meta(abi::Meta::Position) => Read::Meta(Meta::Position),
            abi::Read::Meta(abi::Meta::Transaction) => Read::Meta(Meta::Transaction),
            abi::Read::Meta(abi::Meta::Seed) => Read::Meta(Meta::Seed),
        };
        if reads.contains(&read) {
            return Err("it reads the same thing twice".into());
        }
        reads.push(read);
    }
    Ok(reads)
}

fn resolve_output(
    input: &TableSchema,
    output: Vec<abi::OutputColumn>,
) -> Result<(Vec<Column>, Vec<Source>), String> {
    if output.is_empty() {
        return Err("it leaves no column".into());
    }
    if output.len() > MAX_OUTPUT_COLUMNS {
        return Err(format!("it wants {} columns, at most {MAX_OUTPUT_COLUMNS} can be had", output.len()));
    }
    let mut names = HashSet::with_capacity(output.len());
    let mut columns = Vec::with_capacity(output.len());
    let mut sources = Vec::with_capacity(output.len());
    for wanted in output {
        if wanted.name.is_empty() {
            return Err(format!("output column {} has no name", columns.len()));
        }
        if !names.insert(wanted.name.to_lowercase()) {
            return Err(format!("two output columns are called `{}`", wanted.name));
        }
        let (column, source) = resolve_column(input, wanted)?;
        columns.push(column);
        sources.push(source);
    }
    Ok((columns, sources))
}

fn resolve_column(input: &TableSchema, wanted: abi::OutputColumn) -> Result<(Column, Source), String> {
    let name: Arc<str> = wanted.name.into();
    let computed = match wanted.source {
        abi::Source::Input(column) => {
            let place = input_place(input, column)?;
            return Ok((Column { name, ..input.columns[place].clone() }, Source::Input(place)));
        }
        abi::Source::Computed(computed) => computed,
    };
    let column = match computed.computed_type {
        abi::ComputedType::Like(column) => {
            let like = input.columns[input_place(input, column)?].clone();
            let default = Default::default();
            Column { name, nullable: computed.nullable, source_type: "".into(), default, ..like }
        }
        abi::ComputedType::Full(full) => Column {
            column_type: resolve_type(&full)
                .map_err(|reason| format!("the type of column `{name}`: {reason}"))?,
            name,
            nullable: computed.nullable,
            source_type: "".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        },
    };
    Ok((column, Source::Computed))
}

fn resolve_type(full: &abi::FullType) -> Result<ColumnType, String> {
    use abi::ColumnType as T;
    let plain = |column_type| match (full.precision, full.scale) {
        (0, 0) => Ok(column_type),
        _ => Err("it takes neither precision nor scale".to_owned()),
    };
    let fraction = || match (u8::try_from(full.precision), full.scale) {
        (Ok(fraction @ 0..=6), 0) => Ok(fraction),
        _ => Err(format!("a second has 0 to 6 digits of fraction, not {}", full.precision)),
    };
    match full.column_type {
        T::Int => plain(ColumnType::BigInt),
        T::Uint => plain(ColumnType::UnsignedBigInt),
        T::Float => plain(ColumnType::Double),
        T::Text => plain(ColumnType::Text),
        T::Binary => plain(ColumnType::Binary),
        T::Json => plain(ColumnType::Json),
        T::Date => plain(ColumnType::Date),
        T::Time => Ok(ColumnType::Time { fraction: fraction()? }),
        T::Datetime => Ok(ColumnType::DateTime { fraction: fraction()? }),
        T::Timestamp => Ok(ColumnType::Timestamp { fraction: fraction()? }),
        T::Decimal => match (u8::try_from(full.precision), u8::try_from(full.scale)) {
            (Ok(precision @ 1..=65), Ok(scale @ 0..=30)) if scale <= precision => {
                Ok(ColumnType::Decimal { precision, scale })
            }
            _ => Err(format!("decimal({},{}) does not exist", full.precision, full.scale)),
        },
    }
}

fn named_key(columns: &[Column], places: &[u32]) -> Result<Vec<usize>, String> {
    let mut key = Vec::with_capacity(places.len());
    for &wanted in places {
        let place = usize::try_from(wanted).ok().filter(|&place| place < columns.len());
        let place = place
            .ok_or_else(|| format!("the key names output column {wanted}, there are {}", columns.len()))?;
        let column = &columns[place];
        if key.contains(&place) {
            return Err(format!("the key names column `{}` twice", column.name));
        }
        if column.nullable {
            return Err(format!("column `{}` of the key may be null", column.name));
        }
        key.push(place);
    }
    Ok(key)
}

/// The input's key in the output. A computed column never counts as a key column, even under its name: only the
/// plugin knows whether what it makes still tells the rows apart.
fn followed_key(input: &TableSchema, sources: &[Source]) -> Result<Vec<usize>, String> {
    let follow = |&column: &usize| {
        let place = sources.iter().position(|source| *source == Source::Input(column));
        place.ok_or_else(|| {
            let name = input.columns.get(column).map_or("", |column| &column.name);
            format!("it leaves out or computes column `{name}` of the key and names no other key")
        })
    };
    input.key.iter().map(follow).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
