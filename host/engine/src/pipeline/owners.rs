//! Which sources feed which sink tables, and what follows from several feeding one.
//!
//! All captured tables are entered when the pipeline starts, before a row moves: a table's columns and what may be done to it
//! depend on every table that is written into it, also on those that have no changes for now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sluicebox_maxcompute::TableName;
use sluicebox_model::{ColumnType, TableId, TableSchema};

use super::tables::Landing;
use crate::sink::shape::{Shape, SourceColumn, Tributary, same_name};

/// Where each source table's rows go: names of sink tables by name of the source.
pub(crate) type Destinations = BTreeMap<String, Vec<String>>;

/// What a file that was changed between two runs makes of tables that the pipeline has written already.
pub(crate) fn moved(before: &Destinations, now: &Destinations) -> Vec<String> {
    let words = |names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "nowhere".to_owned() } else { names.join(" and ") }
    };
    let both = before.iter().filter_map(|(source, old)| Some((source, old, now.get(source)?)));
    both.filter(|(_, old, new)| old != new)
        .map(|(source, old, new)| {
            format!(
                "rows of `{source}` went to {} and go to {} from here on: what was written stays where it is, and a new table \
                 gets the changes from here on, not the rows that do not change; for those begin with an empty `state-dir`",
                words(old),
                words(new)
            )
        })
        .collect()
}

/// Every sink table with its sources.
#[derive(Default, Clone)]
pub(crate) struct Owners {
    tables: HashMap<TableName, Owner>,
    by_source: HashMap<TableId, Vec<TableName>>,
    /// Names of the sink tables that several sources have fed, in this run or before.
    merged: BTreeSet<String>,
}

/// One sink table's sources.
#[derive(Default, Clone)]
struct Owner {
    sources: BTreeMap<TableId, Feeding>,
    /// Whether several have fed it, in this run or before: it stays theirs when all but one have gone.
    shared: bool,
    shape: Option<Arc<Shape>>,
}

#[derive(Clone)]
struct Feeding {
    tributary: Tributary,
    routed: bool,
    last_wins: bool,
}

impl Owners {
    /// Takes over from earlier runs which sink tables several sources have fed: `before` is where the last one's went, `merged` what is
    /// known from all.
    pub fn have_met(&mut self, before: &Destinations, merged: BTreeSet<String>) {
        self.merged.extend(merged);
        let mut seen = BTreeSet::new();
        for name in before.values().flatten() {
            if !seen.insert(name) {
                self.merged.insert(name.clone());
            }
        }
    }

    /// Names of the sink tables that several sources have fed.
    pub fn merged(&self) -> &BTreeSet<String> {
        &self.merged
    }

    /// Enters a source with its columns behind the guests, in place of what was known of it.
    ///
    /// # Errors
    /// In the operator's words, when it lands where it cannot.
    pub fn put(
        &mut self,
        source: &TableId,
        output: &Arc<TableSchema>,
        landings: &[Landing],
    ) -> Result<(), String> {
        if self.is_known(source, output, landings) {
            // The shape of a table of a thousand sources is not worked out a thousand times.
            return Ok(());
        }
        self.remove(source);
        for landing in landings {
            check_names(&landing.name, source, output)?;
            check_column(landing.added.as_ref(), output)?;
            check_partitions(landing, output)?;
            let tributary = Tributary {
                schema: Arc::clone(output),
                added: landing.added.clone(),
                partition_keys: landing.partition_keys.clone(),
                options: Arc::clone(&landing.options),
            };
            let feeding = Feeding { tributary, routed: landing.routed, last_wins: landing.last_wins };
            let owner = self.tables.entry(landing.name.clone()).or_default();
            owner.sources.insert(source.clone(), feeding);
            if owner.sources.len() > 1 {
                self.merged.insert(landing.name.to_string());
            }
            owner.shared = self.merged.contains(&landing.name.to_string());
            owner.shape = None;
        }
        self.by_source.insert(source.clone(), landings.iter().map(|l| l.name.clone()).collect());
        Ok(())
    }

    /// Whether a source was entered with just this.
    pub fn is_known(&self, source: &TableId, output: &TableSchema, landings: &[Landing]) -> bool {
        let entered = self.by_source.get(source).is_some_and(|names| names.len() == landings.len());
        entered
            && landings.iter().all(|landing| {
                let owner = self.tables.get(&landing.name);
                owner.and_then(|owner| owner.sources.get(source)).is_some_and(|feeding| {
                    let Feeding { tributary, routed, last_wins } = feeding;
                    let same_route = *routed == landing.routed && *last_wins == landing.last_wins;
                    same_route
                        && tributary.added == landing.added
                        && tributary.partition_keys == landing.partition_keys
                        && *tributary.options == *landing.options
                        && *tributary.schema == *output
                })
            })
    }

    /// What a source was entered with: its columns behind the guests, and its sink tables; none where its rows go nowhere.
    pub fn entered(&self, source: &TableId) -> Option<(Arc<TableSchema>, &[TableName])> {
        let names = self.by_source.get(source)?;
        let feeding = self.tables.get(names.first()?)?.sources.get(source)?;
        Some((Arc::clone(&feeding.tributary.schema), names))
    }

    /// A source has gone.
    pub fn remove(&mut self, source: &TableId) {
        for name in self.by_source.remove(source).unwrap_or_default() {
            if let Some(owner) = self.tables.get_mut(&name) {
                owner.sources.remove(source);
                owner.shape = None;
            }
        }
    }

    /// Whether several sources feed a table, or have.
    pub fn is_shared(&self, name: &TableName) -> bool {
        self.tables.get(name).is_some_and(|owner| owner.shared)
    }

    /// The columns that rows of sources get in a table.
    pub fn added(&self, name: &TableName) -> HashMap<TableId, SourceColumn> {
        let sources = self.tables.get(name).into_iter().flat_map(|owner| &owner.sources);
        sources.filter_map(|(id, feeding)| Some((id.clone(), feeding.tributary.added.clone()?))).collect()
    }

    /// What a table should look like; none when it has no source.
    ///
    /// # Errors
    /// In the operator's words, when its sources do not go together.
    pub fn shape(&mut self, name: &TableName) -> Result<Option<Arc<Shape>>, String> {
        let Some(owner) = self.tables.get_mut(name) else { return Ok(None) };
        if owner.shape.is_none() {
            owner.check(name)?;
            let sources = owner.sources.iter().map(|(id, feeding)| (id, &feeding.tributary));
            let shape = Shape::of(sources).map_err(|differ| {
                format!(
                    "{differ}: give each its own sink table, or make the keys equal (sink table `{name}`)"
                )
            })?;
            owner.shape = shape.map(|shape| Arc::new(Shape { shared: owner.shared, ..shape }));
        }
        Ok(owner.shape.clone())
    }

    /// Where every source's rows go.
    pub fn destinations(&self) -> Destinations {
        let names = |names: &[TableName]| names.iter().map(ToString::to_string).collect();
        self.by_source.iter().map(|(source, tables)| (source.to_string(), names(tables))).collect()
    }

    /// What is wrong with any table, in the order of their names.
    pub fn problems(&mut self) -> Vec<String> {
        let mut names: Vec<TableName> = self.tables.keys().cloned().collect();
        names.sort();
        names.iter().filter_map(|name| self.shape(name).err()).collect()
    }

    /// Tables in which rows of several sources can overwrite each other although nobody said that they may.
    pub fn conflicts(&self) -> Vec<String> {
        let mut found: Vec<_> = self.tables.iter().filter_map(|(name, owner)| owner.conflict(name)).collect();
        found.sort();
        found
    }
}

impl Owner {
    /// Tables that would be written to one sink table although no route says so.
    fn check(&self, name: &TableName) -> Result<(), String> {
        if self.sources.len() > 1 && self.sources.values().any(|s| !s.routed) {
            return Err(format!(
                "{} would all be written to `{name}`; give each its own sink table with a route, or name the common one in routes for all",
                self.names()
            ));
        }
        let mut marks = self.sources.values().map(|s| s.tributary.added.as_ref().map(|added| &added.name));
        let first = marks.next();
        if marks.any(|mark| Some(mark) != first) {
            return Err(format!(
                "{} are all written to `{name}`, and their routes do not all have the same `add-source-column`",
                self.names()
            ));
        }
        let mut partitions = self.sources.values().map(|s| &s.tributary.partition_keys);
        let first = partitions.next();
        if partitions.any(|keys| Some(keys) != first) {
            return Err(format!(
                "{} are all written to `{name}`, and their routes do not all have the same `partition-keys`",
                self.names()
            ));
        }
        Ok(())
    }

    fn conflict(&self, name: &TableName) -> Option<String> {
        let open =
            |s: &Feeding| !s.last_wins && s.tributary.added.is_none() && !s.tributary.schema.key.is_empty();
        (self.sources.len() > 1 && self.sources.values().any(open)).then(|| {
            format!(
                "{} are all written to `{name}`, and rows with the same key overwrite each other there; if they can have the same \
                 keys write `add-source-column: shard` in the route, if not say so with `on-key-conflict: last-wins`",
                self.names()
            )
        })
    }

    /// The first few sources, and how many more there are.
    fn names(&self) -> String {
        const SHOWN: usize = 5;
        let shown: Vec<_> = self.sources.keys().take(SHOWN).map(|id| format!("`{id}`")).collect();
        match self.sources.len().saturating_sub(SHOWN) {
            0 => shown.join(" and "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

/// The longest name that the service takes.
const LONGEST_NAME: usize = 128;

/// The service's rule for names of schemas, tables and columns.
fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Tells a name that the service does not take before a statement fails on it.
fn check_names(name: &TableName, source: &TableId, output: &TableSchema) -> Result<(), String> {
    let rule = format!(
        "the service takes only names of ASCII letters, digits and `_` with no digit in front and at most {LONGEST_NAME} bytes"
    );
    let mut parts = [name.schema.as_deref(), Some(&*name.name)].into_iter().flatten();
    if parts.any(|part| !is_name(part)) {
        return Err(format!(
            "`{source}` would be written to `{name}`; {rule}; give it another name with a route"
        ));
    }
    match output.columns.iter().find(|c| !is_name(&c.name)) {
        Some(column) => Err(format!(
            "`{source}` has a column `{}`; {rule}; rename or leave out the column with a transform",
            column.name
        )),
        None => Ok(()),
    }
}

/// Partition columns are columns of the rows, each named once, and not of the key.
fn check_partitions(landing: &Landing, output: &TableSchema) -> Result<(), String> {
    let source = &output.id;
    for (place, name) in landing.partition_keys.iter().enumerate() {
        let added = landing.added.as_ref().is_some_and(|added| same_name(&added.name, name));
        let Some(at) = output.index_of(name) else {
            if added {
                return Err(format!(
                    "`{name}` of `add-source-column` is part of the key; it cannot be among `partition-keys`"
                ));
            }
            let known: Vec<_> = output.columns.iter().map(|c| format!("`{}`", c.name)).collect();
            return Err(format!(
                "`{source}` has no column `{name}` to partition `{}` by: it has {}",
                landing.name,
                known.join(", ")
            ));
        };
        if output.key.contains(&at) {
            return Err(format!(
                "`{name}` belongs to the key of `{source}`; the service takes no column in both the key and the partition"
            ));
        }
        if matches!(
            output.columns[at].column_type,
            ColumnType::Float | ColumnType::Double | ColumnType::Binary | ColumnType::Bit { .. }
        ) {
            return Err(format!(
                "`{source}` cannot be partitioned by `{name}`, which is {}: whole numbers, texts and times can",
                output.columns[at].column_type
            ));
        }
        if landing.partition_keys[..place].iter().any(|other| same_name(other, name)) {
            return Err(format!("`{name}` is named twice in `partition-keys` of `{}`", landing.name));
        }
    }
    Ok(())
}

fn check_column(added: Option<&SourceColumn>, output: &TableSchema) -> Result<(), String> {
    match added.filter(|added| output.index_of(&added.name).is_some()) {
        Some(added) => Err(format!(
            "`{}` has a column `{}` already; give `add-source-column` another name",
            output.id, added.name
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sluicebox_model::Column;

    use super::*;

    fn schema(table: &str, key: bool) -> Arc<TableSchema> {
        let id = Column {
            name: "id".into(),
            column_type: ColumnType::Int,
            nullable: false,
            source_type: "int".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        };
        Arc::new(TableSchema {
            id: TableId::new("d", table),
            version: 1,
            columns: vec![id],
            key: if key { vec![0] } else { vec![] },
            unique_keys: Vec::new(),
            comment: None,
            charset: None,
            ddl: None,
        })
    }

    fn landing(source: &str, column: Option<&str>, routed: bool, last_wins: bool) -> Landing {
        let added =
            column.map(|name| SourceColumn { name: name.into(), value: format!("d.{source}").into() });
        Landing {
            name: TableName::new(None, "all"),
            routed,
            added,
            partition_keys: Vec::new(),
            last_wins,
            options: [].into(),
        }
    }

    fn owners(sources: &[(&str, bool, Landing)]) -> Result<Owners, String> {
        let mut owners = Owners::default();
        for (table, key, landing) in sources {
            let schema = schema(table, *key);
            owners.put(&schema.id, &schema, std::slice::from_ref(landing))?;
        }
        Ok(owners)
    }

    #[test]
    fn tables_meet_by_a_route_and_not_by_accident() {
        let mut met = owners(&[
            ("a", true, landing("a", None, true, false)),
            ("b", true, landing("b", None, true, false)),
        ])
        .expect("no column");
        assert_eq!(met.problems(), Vec::<String>::new());
        assert_eq!(met.conflicts().len(), 1, "their keys are told");
        let mut accident = owners(&[
            ("a", true, landing("a", None, true, false)),
            ("b", true, landing("b", None, false, false)),
        ])
        .expect("no column");
        assert!(accident.problems()[0].starts_with("`d.a` and `d.b` would all be written to `all`"));
    }

    #[test]
    fn a_conflict_is_told_until_it_is_settled() {
        let both = |column: Option<&str>, last_wins, key| {
            owners(&[
                ("a", key, landing("a", column, true, last_wins)),
                ("b", key, landing("b", column, true, last_wins)),
            ])
            .expect("no such column")
            .conflicts()
            .len()
        };
        assert_eq!(both(None, false, true), 1);
        assert_eq!(both(Some("shard"), false, true), 0);
        assert_eq!(both(None, true, true), 0);
        assert_eq!(both(None, false, false), 0, "rows without a key do not overwrite each other");
    }

    #[test]
    fn a_source_column_needs_a_name_of_its_own() {
        let error = owners(&[("a", true, landing("a", Some("ID"), true, false))]).err().expect("a clash");
        assert!(error.contains("has a column `ID` already"), "{error}");
        let mut mixed = owners(&[
            ("a", true, landing("a", Some("shard"), true, false)),
            ("b", true, landing("b", None, true, false)),
        ])
        .expect("no such column");
        assert!(mixed.problems()[0].contains("the same `add-source-column`"));
    }

    #[test]
    fn partition_columns_are_columns_outside_the_key() {
        let there = schema("a", true);
        let mut wide = TableSchema::clone(&there);
        for (name, column_type) in [("day", ColumnType::Date), ("weight", ColumnType::Double)] {
            wide.columns.push(Column { name: name.into(), column_type, ..there.columns[0].clone() });
        }
        let check = |keys: &[&str]| {
            let partition_keys = keys.iter().map(|k| (*k).into()).collect();
            check_partitions(&Landing { partition_keys, ..landing("a", None, true, false) }, &wide)
        };
        assert_eq!(check(&["DAY"]), Ok(()));
        for (keys, part) in [
            (&["region"][..], "has no column `region`"),
            (&["id"], "belongs to the key"),
            (&["weight"], "which is DOUBLE"),
            (&["day", "Day"], "named twice"),
        ] {
            let error = check(keys).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_changed_route_is_told_for_each_table_that_moves() {
        let of = |pairs: &[(&str, &[&str])]| -> Destinations {
            let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            pairs.iter().map(|(source, tables)| ((*source).to_owned(), names(tables))).collect()
        };
        let before = of(&[("d.a", &["x"]), ("d.b", &["b"]), ("d.gone", &["x"])]);
        let now = of(&[("d.a", &["y", "z"]), ("d.b", &["b"]), ("d.new", &["x"])]);
        let told = moved(&before, &now);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("rows of `d.a` went to `x` and go to `y` and `z` from here on"));
    }

    #[test]
    fn a_name_that_the_service_does_not_take_is_told_before_anything_is_made() {
        let there = schema("t", true);
        for (schema, table, fits) in [
            (Some("app_db"), "orders_2", true),
            (None, "_hidden", true),
            (None, "2024_orders", false),
            (None, "订单", false),
            (Some("my-app"), "orders", false),
        ] {
            let checked = check_names(&TableName::new(schema, table), &there.id, &there);
            assert_eq!(checked.is_ok(), fits, "{schema:?} {table}");
        }
        assert!(check_names(&TableName::new(None, "x".repeat(129)), &there.id, &there).is_err());
        let mut odd = TableSchema::clone(&there);
        odd.columns[0].name = "编号".into();
        let error = check_names(&TableName::new(None, "t"), &odd.id, &odd).expect_err("a column");
        assert!(error.contains("has a column `编号`"), "{error}");
    }

    #[test]
    fn a_table_stays_shared_when_one_source_is_left() {
        let mut met = owners(&[
            ("a", true, landing("a", None, true, true)),
            ("b", true, landing("b", None, true, true)),
        ])
        .expect("no column");
        met.remove(&TableId::new("d", "a"));
        let name = TableName::new(None, "all");
        assert!(met.is_shared(&name));
        assert!(met.shape(&name).expect("one key").expect("a source").shared);
        met.remove(&TableId::new("d", "b"));
        assert_eq!(met.shape(&name), Ok(None));
    }

    #[test]
    fn a_table_that_an_earlier_run_shared_stays_so() {
        let name = TableName::new(None, "all");
        let here = schema("a", true);
        let before = Destinations::from([
            ("d.a".to_owned(), vec!["all".to_owned()]),
            ("d.b".to_owned(), vec!["all".to_owned(), "other".to_owned()]),
        ]);
        for (before, merged, want) in [
            (before, BTreeSet::new(), true),
            (Destinations::new(), BTreeSet::from(["all".to_owned()]), true),
            (Destinations::new(), BTreeSet::from(["other".to_owned()]), false),
        ] {
            let mut alone = Owners::default();
            alone.have_met(&before, merged);
            alone.put(&here.id, &here, &[landing("a", None, true, true)]).expect("one table");
            assert_eq!(alone.is_shared(&name), want);
            assert_eq!(alone.shape(&name).expect("one key").expect("a source").shared, want);
        }
    }
}
