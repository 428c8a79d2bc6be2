//! Tables made and changed so that asking twice does no harm: the table is described, and only what it lacks is issued.
//!
//! Each method says whether it issued a statement. A statement that fails is forgiven when the table then is as it was
//! to be: somebody else was quicker. After [`Error::Unreachable`] with `maybe_arrived` nobody knows whether the
//! statement will still run; calling the method again later finds out.
//!
//! Two things cannot be seen from a description: whether a rename has happened when a column of the old name came
//! back, and whether a table that was truncated has new rows. The first is issued, the second always runs.

use crate::client::Client;
use crate::sql::Hints;
use crate::statement::{self, TableDefinition};
use crate::table::{Column, Table, TableName};
use crate::types::DataType;
use crate::{Answer, Error, Result};

/// A change of a table's columns or comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableChange {
    /// Adds columns behind the others, nullable ones.
    AddColumns(Vec<Column>),
    /// Renames a column.
    RenameColumn {
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Drops columns.
    DropColumns(Vec<String>),
    /// Gives a column another type, and another comment when there is one. The service takes wider types only.
    ChangeType {
        /// The column.
        column: String,
        /// Its new type.
        data_type: DataType,
        /// Its new comment; the old one stays when not given.
        comment: Option<String>,
    },
    /// Lets a column take nulls. There is no way back.
    MakeNullable {
        /// The column.
        column: String,
    },
    /// Sets the comment of the table; an empty one takes it away.
    SetComment(String),
}

impl TableChange {
    /// The statement that makes of `table` what this change wants; `None` when it is so already.
    ///
    /// What contradicts the table is left to the service to refuse: a column to add that exists with another type, a
    /// column to rename that does not exist.
    pub fn statement(&self, project: &str, name: &TableName, table: &Table) -> Option<String> {
        match self {
            Self::AddColumns(columns) => {
                let is_there = |wanted: &&Column| {
                    column_of(table, &wanted.name).is_some_and(|found| found.data_type == wanted.data_type)
                };
                let missing: Vec<_> = columns.iter().filter(|column| !is_there(column)).cloned().collect();
                (!missing.is_empty()).then(|| statement::add_columns(project, name, &missing))
            }
            Self::RenameColumn { from, to } => {
                let done = column_of(table, from).is_none() && column_of(table, to).is_some();
                (!done).then(|| statement::rename_column(project, name, from, to))
            }
            Self::DropColumns(columns) => {
                let left: Vec<_> = columns
                    .iter()
                    .map(String::as_str)
                    .filter(|column| column_of(table, column).is_some())
                    .collect();
                (!left.is_empty()).then(|| statement::drop_columns(project, name, &left))
            }
            Self::ChangeType { column, data_type, comment } => {
                let done = column_of(table, column).is_some_and(|found| {
                    found.data_type == *data_type
                        && comment.as_deref().is_none_or(|wanted| same_comment(&found.comment, wanted))
                });
                let issue = || statement::change_type(project, name, column, data_type, comment.as_deref());
                (!done).then(issue)
            }
            Self::MakeNullable { column } => {
                let done = column_of(table, column).is_some_and(|found| found.nullable);
                (!done).then(|| statement::set_nullable(project, name, column))
            }
            Self::SetComment(comment) => (!same_comment(&table.comment, comment))
                .then(|| statement::set_comment(project, name, comment)),
        }
    }
}

/// The service does not distinguish case in names.
fn column_of<'a>(table: &'a Table, name: &str) -> Option<&'a Column> {
    table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}

/// Compares with what a statement can carry of the comment that is wanted.
fn same_comment(found: &Option<String>, wanted: &str) -> bool {
    found.as_deref().unwrap_or_default() == statement::carried(wanted)
}

impl Client {
    /// Creates a table unless one of its name exists, whatever that one looks like: describe it to compare.
    ///
    /// ```no_run
    /// # use sluicebox_maxcompute::{Client, Column, DataType, Hints, Result, TableName, statement::TableDefinition};
    /// # async fn example(client: Client) -> Result<()> {
    /// let column = |name: &str, data_type| Column { name: name.to_owned(), data_type, nullable: true, comment: None };
    /// let definition = TableDefinition {
    ///     columns: vec![column("id", DataType::Bigint), column("name", DataType::String)],
    ///     primary_key: vec!["id".to_owned()],
    ///     buckets: Some(16),
    ///     ..TableDefinition::default()
    /// };
    /// client.create_table(&TableName::new(None, "orders"), &definition, &Hints::modern(false)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_table(
        &self,
        table: &TableName,
        definition: &TableDefinition,
        hints: &Hints,
    ) -> Result<bool> {
        if self.table_exists(table).await? {
            return Ok(false);
        }
        let sql = statement::create_table(self.project_name(), table, definition);
        self.run(&sql, hints, None).await.map(|_| true)
    }

    /// Changes a table so far as it has not been changed already. [`Error::NotFound`] when there is no such table.
    ///
    /// ```no_run
    /// # use sluicebox_maxcompute::{Client, Hints, Result, TableChange, TableName};
    /// # async fn example(client: Client) -> Result<()> {
    /// let rename = TableChange::RenameColumn { from: "name".to_owned(), to: "label".to_owned() };
    /// let table = TableName::new(None, "orders");
    /// client.alter_table(&table, &rename, &Hints::modern(false)).await?;
    /// assert!(!client.alter_table(&table, &rename, &Hints::modern(false)).await?, "nothing left to do");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn alter_table(&self, table: &TableName, change: &TableChange, hints: &Hints) -> Result<bool> {
        let Some(sql) = self.left_of(table, change).await? else { return Ok(false) };
        match self.run(&sql, hints, None).await {
            Ok(_) => Ok(true),
            Err(error @ Error::StatementFailed { .. }) => match self.left_of(table, change).await? {
                None => Ok(true),
                Some(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn left_of(&self, table: &TableName, change: &TableChange) -> Result<Option<String>> {
        match self.describe(table).await? {
            Some(found) => Ok(change.statement(self.project_name(), table, &found)),
            None => Err(Error::NotFound(Box::new(Answer {
                operation: format!("alter `{table}`"),
                status: 404,
                code: "NoSuchTable".to_owned(),
                message: "there is no such table".to_owned(),
                request_id: None,
            }))),
        }
    }

    /// Renames a table within its schema, unless the old name is gone and the new one is there.
    pub async fn rename_table(&self, table: &TableName, to: &str, hints: &Hints) -> Result<bool> {
        let renamed = TableName::new(table.schema.as_deref(), to);
        if !self.table_exists(table).await? && self.table_exists(&renamed).await? {
            return Ok(false);
        }
        let sql = statement::rename_table(self.project_name(), table, to);
        self.run(&sql, hints, None).await.map(|_| true)
    }

    /// Drops a table if there is one of this name.
    pub async fn drop_table(&self, table: &TableName, hints: &Hints) -> Result<bool> {
        if !self.table_exists(table).await? {
            return Ok(false);
        }
        let sql = statement::drop_table(self.project_name(), table);
        self.run(&sql, hints, None).await.map(|_| true)
    }

    /// Deletes all rows of a table, and whatever was written since it was asked for before.
    pub async fn truncate_table(&self, table: &TableName, hints: &Hints) -> Result<()> {
        let sql = statement::truncate_table(self.project_name(), table);
        self.run(&sql, hints, None).await.map(|_| ())
    }

    /// Adds a partition unless it is there. `values` are pairs of partition column and value, in key order.
    pub async fn add_partition(
        &self,
        table: &TableName,
        values: &[(&str, &str)],
        hints: &Hints,
    ) -> Result<bool> {
        // Quotes inside have no escaped form here; the official clients send them as they are.
        let listed: Vec<_> = values.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
        if self.partition_exists(table, &listed.join(",")).await? {
            return Ok(false);
        }
        let sql = statement::add_partition(self.project_name(), table, values);
        self.run(&sql, hints, None).await.map(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: DataType, nullable: bool) -> Column {
        Column { name: name.to_owned(), data_type, nullable, comment: None }
    }

    fn orders() -> Table {
        Table {
            columns: vec![
                column("id", DataType::Bigint, false),
                column("Name", DataType::String, true),
                Column { comment: Some("euro".to_owned()), ..column("price", DataType::Double, false) },
            ],
            partition_keys: Vec::new(),
            primary_key: vec!["id".to_owned()],
            transactional: true,
            buckets: Some(4),
            comment: Some("it's".to_owned()),
            lifecycle_days: None,
            view: false,
        }
    }

    /// What a change leaves to do on `orders`.
    fn left(change: &TableChange) -> Option<String> {
        let sql = change.statement("p", &TableName::new(None, "t"), &orders())?;
        Some(sql.strip_prefix("ALTER TABLE `p`.`t` ").unwrap().to_owned())
    }

    #[test]
    fn only_what_is_missing_is_issued() {
        let rename =
            |from: &str, to: &str| TableChange::RenameColumn { from: from.to_owned(), to: to.to_owned() };
        let retype = |column: &str, data_type, comment: Option<&str>| TableChange::ChangeType {
            column: column.to_owned(),
            data_type,
            comment: comment.map(str::to_owned),
        };
        let add = |columns: &[(&str, DataType)]| {
            let columns = columns.iter().map(|(name, kind)| column(name, kind.clone(), true));
            TableChange::AddColumns(columns.collect())
        };
        let drop =
            |names: &[&str]| TableChange::DropColumns(names.iter().map(|&name| name.to_owned()).collect());
        let nullable = |column: &str| TableChange::MakeNullable { column: column.to_owned() };
        let comment = |text: &str| TableChange::SetComment(text.to_owned());
        let cases = [
            (add(&[("name", DataType::String)]), None),
            (add(&[("NAME", DataType::String), ("qty", DataType::Int)]), Some("ADD COLUMNS (`qty` INT);")),
            (add(&[("name", DataType::Int)]), Some("ADD COLUMNS (`name` INT);")),
            (rename("name", "label"), Some("CHANGE COLUMN `name` RENAME TO `label`;")),
            (rename("title", "name"), None),
            (rename("price", "name"), Some("CHANGE COLUMN `price` RENAME TO `name`;")),
            (rename("title", "label"), Some("CHANGE COLUMN `title` RENAME TO `label`;")),
            (drop(&["name", "gone"]), Some("DROP COLUMNS `name`;")),
            (drop(&["gone"]), None),
            (retype("PRICE", DataType::Double, None), None),
            (retype("price", DataType::Double, Some("euro")), None),
            (
                retype("price", DataType::Double, Some("cent")),
                Some("CHANGE COLUMN `price` `price` DOUBLE COMMENT 'cent';"),
            ),
            (retype("id", DataType::String, None), Some("CHANGE COLUMN `id` `id` STRING;")),
            (nullable("name"), None),
            (nullable("price"), Some("CHANGE COLUMN `price` NULL;")),
            (comment("it's"), None),
            (comment("it\u{1}'s"), None),
            (comment(""), Some("SET COMMENT '';")),
        ];
        for (change, want) in cases {
            assert_eq!(left(&change).as_deref(), want, "{change:?}");
        }
        let bare = Table { comment: None, ..orders() };
        assert_eq!(comment("").statement("p", &TableName::new(None, "t"), &bare), None);
    }
}
