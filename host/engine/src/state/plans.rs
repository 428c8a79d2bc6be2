//! Changes of sink tables whose statements are kept before the first of them is sent.
//!
//! What is left to do of a change is mostly told by the table itself. Not where a statement takes a name away and gives it again: a table
//! in which two columns have swapped their names looks as it did. Such a change is finished by its kept steps, each of which is
//! recorded when it begins and when it ends.

use rusqlite::OptionalExtension as _;

use super::records::json;
use super::{StateError, Store};
use crate::sink::evolve::Step;

impl Store {
    /// The kept steps of a change; none where nothing was kept of it.
    pub(crate) async fn kept_steps(
        &self,
        target: &str,
        change: &str,
    ) -> Result<Option<Vec<Step>>, StateError> {
        let (target, change) = (target.to_owned(), change.to_owned());
        self.call(move |tx| {
            let found: Option<String> = tx
                .query_row(
                    "SELECT steps_json FROM sink_plans WHERE target = ?1 AND change = ?2",
                    (target, change),
                    |row| row.get(0),
                )
                .optional()?;
            Ok(found.map(|steps| serde_json::from_str(&steps)).transpose()?)
        })
        .await
    }

    /// Whether a statement of a change was ever begun.
    pub(crate) async fn is_begun(&self, target: &str, change: &str) -> Result<bool, StateError> {
        let (target, change) = (target.to_owned(), change.to_owned());
        self.call(move |tx| {
            let asked = "SELECT EXISTS (SELECT 1 FROM sink_statements WHERE target = ?1 AND change = ?2)";
            Ok(tx.query_row(asked, (target, change), |row| row.get(0))?)
        })
        .await
    }

    /// Forgets the kept steps of a change, and what was recorded of its statements.
    pub(crate) async fn forget_steps(&self, target: &str, change: &str) -> Result<(), StateError> {
        let (target, change) = (target.to_owned(), change.to_owned());
        self.call(move |tx| {
            for table in ["sink_plans", "sink_statements"] {
                tx.execute(
                    &format!("DELETE FROM {table} WHERE target = ?1 AND change = ?2"),
                    (&target, &change),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Keeps the steps of a change.
    pub(crate) async fn keep_steps(
        &self,
        target: &str,
        change: &str,
        steps: &[Step],
    ) -> Result<(), StateError> {
        let (target, change, steps) = (target.to_owned(), change.to_owned(), json(&steps)?);
        self.call(move |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO sink_plans (target, change, steps_json) VALUES (?1, ?2, ?3)",
                (target, change, steps),
            )?;
            Ok(())
        })
        .await
    }
}
