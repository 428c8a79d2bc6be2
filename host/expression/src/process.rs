//! Runs a planned entry on batches: filter, fold, project.
//!
//! The filter sees all row images; what goes on of an update is decided in [`sluicebox_model::fold`], for expressions as for
//! plugins. The projection then computes its columns for the rows that go on, so that it cannot fail for others. A row for
//! which an expression fails is taken out, of an update both images.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use sluicebox_model::{ChangeBatch, Folded, Origin, RowKind, TableSchema, fold, is_pair};

use crate::bind::{EVENT_TYPE, META, OP_TS};
use crate::evaluate::{Env, Node, truth};
use crate::rule::{Output, is_lasting};
use crate::settings::Settings;
use crate::types::Type;
use crate::vector::{Values, Vector, read, write};

/// What an entry's expressions do with one table at one schema version.
#[derive(Debug)]
pub struct RulePlan {
    /// The table as it comes.
    pub input: Arc<TableSchema>,
    /// The table as it goes on; the same `Arc` as `input` when nothing changes.
    pub output: Arc<TableSchema>,
    /// Columns by which the sink table is to be partitioned.
    pub partition_keys: Vec<Arc<str>>,
    outputs: Vec<Output>,
    filter: Option<Node>,
    soft_delete: bool,
    /// Places in the output of key columns that could be null.
    checked: Vec<usize>,
    /// Places in the input that the filter reads, also by columns that are computed for it.
    filtered: Vec<usize>,
    /// Places in the input that the projection computes with.
    projected: Vec<usize>,
    /// Places in the input that go on or are read by the projection.
    needed: Vec<usize>,
    meta: Vec<usize>,
    /// Places of computed columns that the filter reads.
    early: Vec<usize>,
    settings: Arc<Settings>,
}

/// A row image that did not go on because an expression failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// Its place in the batch that went in.
    pub row: usize,
    /// What failed: the column or the filter, the expression, the reason. Never the row's values.
    pub message: String,
}

/// What became of a batch. Each row image that went in is in exactly one of the three.
#[derive(Debug, Clone)]
pub struct Processed {
    /// Row images that go on, under the plan's output schema.
    pub batch: ChangeBatch,
    /// Row images that failed, ascending; of an update always both.
    pub failed: Vec<FailedRow>,
    /// Row images that the filter dropped.
    pub dropped: u64,
}

/// How many characters of an expression a message about a row quotes.
const QUOTED: usize = 80;

impl RulePlan {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        input: Arc<TableSchema>,
        output: Arc<TableSchema>,
        outputs: Vec<Output>,
        filter: Option<Node>,
        soft_delete: bool,
        checked: Vec<usize>,
        partition_keys: Vec<Arc<str>>,
        settings: Arc<Settings>,
    ) -> Self {
        let (mut meta, mut early) = (Vec::new(), Vec::new());
        let mut reads = |node: &Node| {
            let mut places = Vec::new();
            node.visit(&mut |node| match node {
                Node::Column(place) => places.push(*place),
                Node::Meta(place) => meta.push(*place),
                Node::Computed(place) => early.push(*place),
                _ => {}
            });
            places
        };
        let (mut projected, mut needed) = (Vec::new(), Vec::new());
        for output in &outputs {
            match output {
                Output::Column(place) => needed.push(*place),
                Output::Computed(computed) => projected.extend(reads(&computed.node)),
            }
        }
        let mut filtered = filter.as_ref().map(&mut reads).unwrap_or_default();
        for place in &early {
            if let Some(Output::Computed(computed)) = outputs.get(*place) {
                computed.node.visit(&mut |node| {
                    if let Node::Column(place) = node {
                        filtered.push(*place);
                    }
                });
            }
        }
        needed.extend(&projected);
        for list in [&mut filtered, &mut projected, &mut needed, &mut meta, &mut early] {
            list.sort_unstable();
            list.dedup();
        }
        Self {
            input,
            output,
            partition_keys,
            outputs,
            filter,
            soft_delete,
            checked,
            filtered,
            projected,
            needed,
            meta,
            early,
            settings,
        }
    }

    /// Whether every update must come with its row before: the key is another one than the source's, or the filter's verdict
    /// about the row before cannot be told from the row after alone.
    pub fn needs_before(&self) -> bool {
        let filtered = |filter: &Node| self.soft_delete || !is_lasting(filter, &self.outputs);
        self.changes_key() || self.filter.as_ref().is_some_and(filtered)
    }

    /// Whether a column of the output's key is computed, or was not part of the input's key.
    fn changes_key(&self) -> bool {
        self.output.key.iter().any(|&place| match self.outputs.get(place) {
            Some(Output::Column(column)) => !self.input.key.contains(column),
            Some(Output::Computed(_)) | None => true,
        })
    }

    /// The plan in words, for people.
    pub fn describe(&self) -> Vec<String> {
        let mut words = Vec::new();
        let columns = self.output.columns.iter().zip(&self.outputs);
        for (column, output) in columns {
            match output {
                Output::Computed(computed) => words.push(format!(
                    "computes `{}` as {}: {}",
                    column.name, column.column_type, computed.written
                )),
                Output::Column(place) => {
                    let old =
                        self.input.columns.get(*place).map(|c| &c.name).filter(|old| **old != column.name);
                    words.extend(old.map(|old| format!("renames `{old}` to `{}`", column.name)));
                }
            }
        }
        let kept =
            |place: usize| self.outputs.iter().any(|o| matches!(o, Output::Column(found) if *found == place));
        let gone = self
            .input
            .columns
            .iter()
            .enumerate()
            .filter(|(place, c)| !kept(*place) && self.output.index_of(&c.name).is_none());
        let gone: Vec<String> = gone.map(|(_, column)| format!("`{}`", column.name)).collect();
        if !gone.is_empty() {
            words.push(format!("leaves out {}", gone.join(", ")));
        }
        if self.filter.is_some() {
            words.push("filters rows".to_owned());
        }
        if self.soft_delete {
            words.push("keeps deleted rows (SOFT_DELETE)".to_owned());
        }
        words
    }

    /// Runs a batch of the plan's input; `now` is microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// When the batch is not one of the plan's input: a defect of this program.
    pub fn process(&self, batch: &ChangeBatch, now: i64) -> Result<Processed, String> {
        let columns_fit = batch.columns.len() == self.input.columns.len();
        if !columns_fit || batch.columns.iter().any(|column| column.len() != batch.rows()) {
            return Err("the batch does not fit its table".into());
        }
        let (mut rows, kinds_in) = (Rows::new(batch), &batch.kinds);
        if self.soft_delete {
            self.mark_moved(&mut rows, now)?;
        }
        let mut failed = BTreeMap::new();
        let mut dropped = 0;
        if let Some(filter) = &self.filter {
            dropped = self.run_filter(filter, &mut rows, now, &mut failed)?;
        }
        let columns = self.project(&rows, now, &mut failed)?;
        let folded = rows.without_failed(&mut failed);
        if self.soft_delete {
            rows.soften();
        }
        let kinds = match &folded.selected {
            Some(selected) => selected.set_indices().filter_map(|row| rows.kinds.get(row).copied()).collect(),
            None => rows.kinds.clone(),
        };
        let folded = Folded { kinds, ..folded };
        let output = folded.apply(Arc::clone(&self.output), columns, &rows.origins);
        let batch = output.map_err(|error| error.to_string())?;
        // Of an update that the filter cut in two, the half that was dropped fails with the other.
        let known = failed.len();
        whole_pairs(kinds_in, &mut failed);
        dropped -= u64::try_from(failed.len() - known).unwrap_or(0).min(dropped);
        let failed = failed.into_iter().map(|(row, message)| FailedRow { row, message }).collect();
        Ok(Processed { batch, failed, dropped })
    }

    /// Under SOFT_DELETE the row of the old key stays when an update gives it another: the update is a delete and an insert, and its
    /// images say so.
    fn mark_moved(&self, rows: &mut Rows, now: i64) -> Result<(), String> {
        let pairs: Vec<usize> = (0..rows.len()).filter(|row| is_pair(&rows.kinds, *row)).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        for place in &self.output.key {
            let column = self.key_column(*place, rows, now)?;
            for &before in &pairs {
                if column.slice(before, 1).as_ref() != column.slice(before + 1, 1).as_ref() {
                    rows.events[before] = RowKind::Delete;
                    rows.events[before + 1] = RowKind::Insert;
                }
            }
        }
        Ok(())
    }

    /// A column of the output's key for all of `rows`. Where it cannot be computed it is null; what failed is told with the projection.
    fn key_column(&self, place: usize, rows: &Rows, now: i64) -> Result<ArrayRef, String> {
        match self.outputs.get(place) {
            Some(Output::Column(place)) => {
                rows.columns.get(*place).cloned().ok_or_else(|| "a column is missing".into())
            }
            Some(Output::Computed(computed)) => {
                let (columns, meta) = (self.read(rows, &self.projected)?, self.metadata(rows));
                let env = self.env(rows, &columns, &meta, now);
                let values =
                    as_column(computed.node.evaluate(&env, None).spread(rows.len())?, &computed.kind);
                let column_type = self.output.columns[place].column_type;
                write(column_type, values)
                    .ok_or_else(|| "a computed column is of another kind than planned".into())
            }
            None => Err("a column of the key is missing".into()),
        }
    }

    /// Leaves in `rows` those that the filter lets through; the answer is how many it dropped.
    fn run_filter(
        &self,
        filter: &Node,
        rows: &mut Rows,
        now: i64,
        failed: &mut BTreeMap<usize, String>,
    ) -> Result<u64, String> {
        let (columns, meta) = (self.read(rows, &self.filtered)?, self.metadata(rows));
        let mut env = self.env(rows, &columns, &meta, now);
        let mut computed: Vec<Option<Vector>> = vec![None; self.outputs.len()];
        for &place in &self.early {
            if let Some(Output::Computed(column)) = self.outputs.get(place) {
                computed[place] = Some(column.node.evaluate(&env, None));
                note(&env, failed, |message| self.about(place, message));
            }
        }
        env.computed = &computed;
        let verdicts = filter.evaluate(&env, None);
        note(&env, failed, |message| format!("`filter`: {message}"));
        let keep = BooleanBuffer::collect_bool(rows.len(), |row| truth(&verdicts, row) == Some(true));
        let all = keep.count_set_bits() == rows.len();
        whole_pairs(&rows.kinds, failed);
        let gone: Vec<usize> = failed.keys().copied().collect();
        let keyed = !self.output.key.is_empty();
        let folded = fold(&rows.kinds, if all { None } else { Some(&keep) }, &gone, keyed);
        let dropped = folded.dropped;
        rows.keep(folded, &self.needed)?;
        Ok(dropped)
    }

    /// The output's columns for all of `rows`.
    fn project(
        &self,
        rows: &Rows,
        now: i64,
        failed: &mut BTreeMap<usize, String>,
    ) -> Result<Vec<ArrayRef>, String> {
        let any = self.outputs.iter().any(|output| matches!(output, Output::Computed(_)));
        let (columns, meta) = if any {
            (self.read(rows, &self.projected)?, self.metadata(rows))
        } else {
            (Vec::new(), Vec::new())
        };
        let env = self.env(rows, &columns, &meta, now);
        let mut out = Vec::with_capacity(self.outputs.len());
        for (place, (output, column)) in self.outputs.iter().zip(&self.output.columns).enumerate() {
            let array = match output {
                Output::Column(place) => rows.columns.get(*place).cloned().ok_or("a column is missing")?,
                Output::Computed(computed) => {
                    let vector = computed.node.evaluate(&env, None);
                    note_rows(&env, rows, failed, |message| self.about(place, message));
                    let values = as_column(vector.spread(rows.len())?, &computed.kind);
                    write(column.column_type, values)
                        .ok_or("a computed column is of another kind than planned")?
                }
            };
            if self.checked.contains(&place) && array.null_count() > 0 {
                let null = (0..array.len()).filter(|row| array.is_null(*row));
                for row in null {
                    let message = format!("column `{}` of the key is null", column.name);
                    failed.entry(rows.original(row)).or_insert(message);
                }
            }
            out.push(array);
        }
        Ok(out)
    }

    fn about(&self, place: usize, message: &str) -> String {
        let name = self.output.columns.get(place).map_or("", |column| &column.name);
        let Some(Output::Computed(computed)) = self.outputs.get(place) else { return message.to_owned() };
        let mut written: String = computed.written.chars().take(QUOTED).collect();
        if written.len() < computed.written.len() {
            written.push('…');
        }
        format!("column `{name}` (`{written}`): {message}")
    }

    fn env<'a>(
        &'a self,
        rows: &Rows,
        columns: &'a [Option<Vector>],
        meta: &'a [Option<Vector>],
        now: i64,
    ) -> Env<'a> {
        Env {
            rows: rows.len(),
            columns,
            meta,
            computed: &[],
            now,
            settings: &self.settings,
            faults: RefCell::default(),
        }
    }

    /// The columns at these places, as expressions see them.
    fn read(&self, rows: &Rows, places: &[usize]) -> Result<Vec<Option<Vector>>, String> {
        let mut out = vec![None; self.input.columns.len()];
        for &place in places {
            let (column, array) = (&self.input.columns[place], &rows.columns[place]);
            let values = read(column.column_type, array).ok_or("an array is not of its column's kind")?;
            out[place] = Some(Vector::of(values));
        }
        Ok(out)
    }

    /// The metadata that expressions read.
    fn metadata(&self, rows: &Rows) -> Vec<Option<Vector>> {
        let mut out = vec![None; META.len()];
        for &place in &self.meta {
            out[place] = Some(match place {
                // Java's null, written out by a concatenation.
                0 => Vector::text(if self.settings.flink { "null" } else { "" }),
                1 => Vector::text(&self.input.id.database),
                2 => Vector::text(&self.input.id.table),
                EVENT_TYPE => Vector::of(Values::Text(
                    rows.events.iter().map(|kind| Some(event_type(*kind))).collect::<StringArray>(),
                )),
                OP_TS => Vector::of(Values::Int(rows.commit_millis())),
                _ => continue,
            });
        }
        out
    }
}

fn event_type(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Insert | RowKind::Read => "+I",
        RowKind::Before => "-U",
        RowKind::After => "+U",
        RowKind::Delete => "-D",
    }
}

/// A list, a map or a row becomes JSON; other values stay.
fn as_column(values: Values, kind: &Type) -> Values {
    if !kind.is_structure() {
        return values;
    }
    let mut text = String::new();
    let json = (0..values.len()).map(|row| {
        text.clear();
        crate::function::write_json(&values, kind, row, &mut text);
        (!values.is_null(row)).then(|| text.clone())
    });
    Values::Text(json.collect())
}

/// Takes what failed, by rows of the batch that went in.
fn note(env: &Env<'_>, failed: &mut BTreeMap<usize, String>, about: impl Fn(&str) -> String) {
    for (row, message) in env.faults.take() {
        failed.entry(row).or_insert_with(|| about(&message));
    }
}

fn note_rows(
    env: &Env<'_>,
    rows: &Rows,
    failed: &mut BTreeMap<usize, String>,
    about: impl Fn(&str) -> String,
) {
    for (row, message) in env.faults.take() {
        failed.entry(rows.original(row)).or_insert_with(|| about(&message));
    }
}

/// The other half of an update must not go on alone.
fn whole_pairs(kinds: &[RowKind], failed: &mut BTreeMap<usize, String>) {
    let rows: Vec<(usize, String)> = failed.iter().map(|(row, message)| (*row, message.clone())).collect();
    for (row, message) in rows {
        if is_pair(kinds, row) {
            failed.entry(row + 1).or_insert(message);
        } else if row > 0 && is_pair(kinds, row - 1) {
            failed.entry(row - 1).or_insert(message);
        }
    }
}

/// Row images on their way through.
struct Rows {
    /// What they are as they go on.
    kinds: Vec<RowKind>,
    /// What they were as they came.
    events: Vec<RowKind>,
    columns: Vec<ArrayRef>,
    origins: Vec<Origin>,
    /// Their places in the batch that went in; none: all are there.
    places: Option<Vec<usize>>,
}

impl Rows {
    fn new(batch: &ChangeBatch) -> Self {
        Self {
            kinds: batch.kinds.clone(),
            events: batch.kinds.clone(),
            columns: batch.columns.clone(),
            origins: batch.origins.clone(),
            places: None,
        }
    }

    fn len(&self) -> usize {
        self.kinds.len()
    }

    fn original(&self, row: usize) -> usize {
        self.places.as_ref().and_then(|places| places.get(row).copied()).unwrap_or(row)
    }

    /// Leaves what goes on, in the columns at these places; the others are not looked at any more.
    fn keep(&mut self, folded: Folded, needed: &[usize]) -> Result<(), String> {
        self.kinds = folded.kinds;
        let Some(selected) = folded.selected else { return Ok(()) };
        self.events = selected.set_indices().filter_map(|row| self.events.get(row).copied()).collect();
        self.places = Some(selected.set_indices().collect());
        self.origins = sluicebox_model::select_origins(&self.origins, &selected);
        let predicate = FilterBuilder::new(&BooleanArray::new(selected, None)).optimize().build();
        for &place in needed {
            let column = self.columns.get_mut(place).ok_or("a column is missing")?;
            *column = predicate.filter(column).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What goes on when the rows that failed meanwhile are taken out.
    fn without_failed(&self, failed: &mut BTreeMap<usize, String>) -> Folded {
        if failed.is_empty() {
            return Folded { selected: None, kinds: self.kinds.clone(), dropped: 0 };
        }
        let here =
            (0..self.len()).filter_map(|row| failed.get(&self.original(row)).map(|m| (row, m.clone())));
        let mut here: BTreeMap<usize, String> = here.collect();
        whole_pairs(&self.kinds, &mut here);
        let gone: Vec<usize> = here.keys().copied().collect();
        for (row, message) in here {
            failed.entry(self.original(row)).or_insert(message);
        }
        fold(&self.kinds, None, &gone, true)
    }

    /// A deleted row goes on as one that was inserted, and so do both rows of an update that is a delete and an insert.
    fn soften(&mut self) {
        for (kind, event) in self.kinds.iter_mut().zip(&self.events) {
            if let (RowKind::Delete, _)
            | (RowKind::Before, RowKind::Delete)
            | (RowKind::After, RowKind::Insert) = (*kind, *event)
            {
                *kind = RowKind::Insert;
            }
        }
    }

    fn commit_millis(&self) -> Int64Array {
        let mut origins = self.origins.iter().peekable();
        let mut millis = 0;
        let rows = (0..self.len()).map(|row| {
            while let Some(origin) = origins.next_if(|origin| origin.first_row as usize <= row) {
                millis = origin.commit_micros.div_euclid(1000);
            }
            millis
        });
        Int64Array::from_iter_values(rows)
    }
}
