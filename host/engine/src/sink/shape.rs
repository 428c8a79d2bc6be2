//! What a sink table should look like for the rows that are written into it: a pure function of its sources' columns.
//!
//! One source gives its own columns. Several give the *least common* ones: a column of one source is a column of the table, of the
//! type that takes the values of all, nullable where a source lacks it. Nothing that one source drops or renames goes
//! from a table that others feed. The key is that of all sources; sources with different keys do not merge.

use std::sync::Arc;

use sluicebox_maxcompute::DataType;
use sluicebox_model::{TableId, TableSchema};

use super::least_type::least_common;
use super::mapping::data_type;

/// A column that a route adds: it says from which table a row came, so that shards may use the same keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// The column's name.
    pub name: Arc<str>,
    /// What it holds in every row of the source: `database.table`.
    pub value: Arc<str>,
}

/// One source of a sink table, as it reaches it.
#[derive(Debug, Clone)]
pub struct Tributary {
    /// Columns behind the guests.
    pub schema: Arc<TableSchema>,
    /// The column that its route adds.
    pub added: Option<SourceColumn>,
    /// Columns that partition the table, in order; they are among the schema's, or the added one.
    pub partition_keys: Vec<Arc<str>>,
    /// Properties that its `transform` entry gives the table.
    pub options: Arc<[(String, String)]>,
}

/// A column of a table as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeColumn {
    /// Its name, as the first source spells it.
    pub name: Arc<str>,
    /// Its type.
    pub data_type: DataType,
    /// Whether rows can lack a value.
    pub nullable: bool,
    /// Its comment.
    pub comment: Option<Arc<str>>,
}

/// A table as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// In order: the first source's, then what each further one adds. Without those that partition the table.
    pub columns: Vec<ShapeColumn>,
    /// Columns that partition the table, in order.
    pub partitions: Vec<ShapeColumn>,
    /// Names of the key's columns, in order; empty without a key.
    pub key: Vec<Arc<str>>,
    /// The table's comment.
    pub comment: Option<Arc<str>>,
    /// Further properties that the table is made with; of two sources the first counts.
    pub properties: Vec<(String, String)>,
    /// Whether several sources feed the table.
    pub shared: bool,
    /// Whether a source has changed since it was first seen.
    pub evolved: bool,
}

/// Two sources cannot share a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{first}` has {first_key} and `{second}` has {second_key}; tables that share a sink table need the same key columns"
)]
pub struct KeysDiffer {
    first: TableId,
    first_key: String,
    second: TableId,
    second_key: String,
}

impl Shape {
    /// What all sources together need; none without a source.
    pub fn of<'a>(
        sources: impl IntoIterator<Item = (&'a TableId, &'a Tributary)>,
    ) -> Result<Option<Self>, KeysDiffer> {
        let mut sources = sources.into_iter();
        let Some((first, tributary)) = sources.next() else { return Ok(None) };
        let mut shape = Self::of_one(tributary);
        for (id, tributary) in sources {
            let other = Self::of_one(tributary);
            if !same_names(&shape.key, &other.key) {
                return Err(KeysDiffer {
                    first: first.clone(),
                    first_key: key_words(&shape.key),
                    second: id.clone(),
                    second_key: key_words(&other.key),
                });
            }
            shape.take_in(other);
        }
        Ok(Some(shape))
    }

    fn of_one(tributary: &Tributary) -> Self {
        let schema = &tributary.schema;
        let column = |c: &sluicebox_model::Column| ShapeColumn {
            name: Arc::clone(&c.name),
            data_type: data_type(c.column_type),
            nullable: c.nullable,
            comment: c.comment.clone(),
        };
        let mut columns: Vec<ShapeColumn> = schema.columns.iter().map(column).collect();
        let mut key: Vec<Arc<str>> = schema.key_columns().map(|c| Arc::clone(&c.name)).collect();
        if let Some(added) = &tributary.added {
            let name = Arc::clone(&added.name);
            columns.push(ShapeColumn {
                name: Arc::clone(&name),
                data_type: DataType::String,
                nullable: false,
                comment: None,
            });
            if !key.is_empty() {
                key.push(name);
            }
        }
        let mut partitions = Vec::with_capacity(tributary.partition_keys.len());
        for name in &tributary.partition_keys {
            if let Some(at) = columns.iter().position(|c| same_name(&c.name, name)) {
                let column = columns.remove(at);
                partitions.push(ShapeColumn { data_type: partition_type(&column.data_type), ..column });
            }
        }
        let comment = schema.comment.clone();
        let properties = tributary.options.to_vec();
        Self { columns, partitions, key, comment, properties, shared: false, evolved: schema.version > 1 }
    }

    fn take_in(&mut self, other: Self) {
        for column in &mut self.columns {
            match other.find(&column.name) {
                Some(theirs) => {
                    column.data_type = least_common(&column.data_type, &theirs.data_type);
                    column.nullable |= theirs.nullable;
                }
                None => column.nullable = true,
            }
        }
        for column in other.columns {
            if self.find(&column.name).is_none() {
                self.columns.push(ShapeColumn { nullable: true, ..column });
            }
        }
        for (ours, theirs) in self.partitions.iter_mut().zip(other.partitions) {
            ours.data_type = partition_type(&least_common(&ours.data_type, &theirs.data_type));
        }
        let new = |(key, _): &(String, String)| !self.properties.iter().any(|(known, _)| known == key);
        let properties: Vec<_> = other.properties.into_iter().filter(new).collect();
        self.properties.extend(properties);
        self.shared = true;
        self.evolved |= other.evolved;
    }

    /// The column of this name; names of the service have no letter case.
    pub fn find(&self, name: &str) -> Option<&ShapeColumn> {
        self.columns.iter().find(|c| same_name(&c.name, name))
    }

    /// Whether a column belongs to the key.
    pub fn is_key(&self, name: &str) -> bool {
        self.key.iter().any(|k| same_name(k, name))
    }
}

/// The type of a partition column: the service takes whole numbers and text.
pub fn partition_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Tinyint | DataType::Smallint | DataType::Int | DataType::Bigint => data_type.clone(),
        _ => DataType::String,
    }
}

/// Names of the service have no letter case.
pub fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

fn same_names(a: &[Arc<str>], b: &[Arc<str>]) -> bool {
    a.len() == b.len() && a.iter().all(|x| b.iter().any(|y| same_name(x, y)))
}

fn key_words(key: &[Arc<str>]) -> String {
    if key.is_empty() { "no key".into() } else { format!("the key ({})", key.join(", ")) }
}

#[cfg(test)]
mod tests {
    use sluicebox_model::{Column, ColumnType};

    use super::*;

    fn tributary(table: &str, columns: &[(&str, ColumnType)], key: &[usize]) -> (TableId, Tributary) {
        let column = |(name, column_type): &(&str, ColumnType)| Column {
            name: (*name).into(),
            column_type: *column_type,
            nullable: false,
            source_type: "".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        };
        let schema = TableSchema {
            id: TableId::new("d", table),
            version: 1,
            columns: columns.iter().map(column).collect(),
            key: key.to_vec(),
            unique_keys: Vec::new(),
            comment: None,
            charset: None,
            ddl: None,
        };
        (
            schema.id.clone(),
            Tributary {
                schema: Arc::new(schema),
                added: None,
                partition_keys: Vec::new(),
                options: [].into(),
            },
        )
    }

    fn shape(sources: &[(TableId, Tributary)]) -> Result<Option<Shape>, KeysDiffer> {
        Shape::of(sources.iter().map(|(id, t)| (id, t)))
    }

    #[test]
    fn columns_of_all_sources_come_together() {
        use ColumnType as C;
        let a = tributary("a", &[("id", C::Int), ("n", C::Boolean), ("only_a", C::Int)], &[0]);
        let b = tributary("b", &[("ID", C::BigInt), ("extra", C::Date), ("n", C::Int)], &[0]);
        let merged = shape(&[a, b]).expect("one key").expect("a shape");
        let columns: Vec<_> =
            merged.columns.iter().map(|c| (&*c.name, c.data_type.to_string(), c.nullable)).collect();
        let want = [
            ("id", "BIGINT".to_owned(), false),
            ("n", "STRING".to_owned(), false),
            ("only_a", "INT".to_owned(), true),
            ("extra", "DATE".to_owned(), true),
        ];
        assert_eq!(columns, want);
        assert!(merged.shared && merged.is_key("Id") && !merged.is_key("n"));
    }

    #[test]
    fn a_source_column_joins_the_key() {
        let (id, mut one) = tributary("a", &[("id", ColumnType::Int)], &[0]);
        one.added = Some(SourceColumn { name: "shard".into(), value: "d.a".into() });
        let merged = shape(&[(id, one)]).expect("one key").expect("a shape");
        assert_eq!(merged.key, ["id".into(), Arc::from("shard")]);
        assert_eq!(
            merged.find("SHARD").map(|c| (&c.data_type, c.nullable)),
            Some((&DataType::String, false))
        );
    }

    #[test]
    fn sources_with_other_keys_do_not_share_a_table() {
        let a = tributary("a", &[("id", ColumnType::Int), ("n", ColumnType::Int)], &[0]);
        let b = tributary("b", &[("id", ColumnType::Int), ("n", ColumnType::Int)], &[1]);
        let error = shape(&[a, b]).expect_err("two keys").to_string();
        assert!(error.starts_with("`d.a` has the key (id) and `d.b` has the key (n)"), "{error}");
    }
}
