//! What new plans mean: in words for each table, and for the sink tables as they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicebox_maxcompute::TableName;
use sluicebox_model::TableSchema;

use super::{Stays, TableDifference};
use crate::config::{SchemaBehaviour, SchemaChangeTag};
use crate::error::EngineError;
use crate::pipeline::Owners;
use crate::pipeline::applier::Shared;
use crate::pipeline::messages::Scene;
use crate::pipeline::tables::{Landing, Planned};
use crate::sink::shape::Shape;
use crate::sink::table::{NOT_MADE, fit_into, layout_after, layout_of, step_statement, unfit};

/// What is planned otherwise than what is in force.
pub(super) fn differences(scene: &Scene, planned: &[(Arc<TableSchema>, Planned)]) -> Vec<TableDifference> {
    let of_one = |(schema, planned): &(Arc<TableSchema>, Planned)| {
        let old = scene.owners.entered(&schema.id);
        let names: Vec<TableName> = planned.sinks.iter().map(|landing| landing.name.clone()).collect();
        let differences = match (old, names.is_empty()) {
            (None, true) => Vec::new(),
            (None, false) => vec!["its rows go on, and were all dropped before".to_owned()],
            (Some(_), true) => vec!["all its rows are dropped".to_owned()],
            (Some((old, before)), false) => {
                let mut words = columns(&old, &planned.output);
                if before != names {
                    let list = |names: &[TableName]| {
                        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                    };
                    words.push(format!("its rows go to {} instead of {}", list(&names), list(before)));
                }
                words
            }
        };
        TableDifference { table: schema.id.to_string(), differences }
    };
    planned.iter().map(of_one).collect()
}

/// How one table's columns differ from another's.
fn columns(old: &TableSchema, new: &TableSchema) -> Vec<String> {
    let mut words = Vec::new();
    for column in &new.columns {
        match old.index_of(&column.name).map(|at| &old.columns[at]) {
            None => words.push(format!("adds `{}` ({})", column.name, column.column_type)),
            Some(before) if before.column_type != column.column_type => words.push(format!(
                "makes `{}` {} instead of {}",
                column.name, column.column_type, before.column_type
            )),
            Some(before) if before.nullable != column.nullable => words.push(format!(
                "lets `{}` be null: {}",
                column.name,
                if column.nullable { "yes" } else { "no" }
            )),
            Some(_) => {}
        }
    }
    let gone = old.columns.iter().filter(|column| new.index_of(&column.name).is_none());
    words.extend(gone.map(|column| format!("leaves out `{}`, whose sink column gets nulls", column.name)));
    let key = |schema: &TableSchema| schema.key_columns().map(|c| c.name.to_string()).collect::<Vec<_>>();
    if key(old) != key(new) {
        words.push(format!("has the key ({}) instead of ({})", key(new).join(", "), key(old).join(", ")));
    }
    words
}

/// Whether the sink tables take what is planned, as they are or with changes that nobody has to approve. Changes nothing.
pub(super) async fn sink_takes(
    shared: &Shared,
    mut owners: Owners,
    planned: &[(Arc<TableSchema>, Planned)],
) -> Result<(), Stays> {
    let mut concerned = BTreeSet::new();
    for (schema, planned) in planned {
        if !owners.is_known(&schema.id, &planned.output, &planned.sinks) {
            owners.put(&schema.id, &planned.output, &planned.sinks).map_err(Stays::Plugin)?;
            concerned.extend(planned.sinks.iter().map(|landing| landing.name.clone()));
        }
    }
    for name in concerned {
        let Some(shape) = owners.shape(&name).map_err(Stays::Plugin)? else { continue };
        let feeding = planned.iter().flat_map(|(_, planned)| {
            planned
                .sinks
                .iter()
                .filter(|landing| landing.name == name)
                .map(|landing| (&planned.output, landing))
        });
        table_takes(shared, &name, &shape, feeding.collect()).await?;
    }
    Ok(())
}

async fn table_takes(
    shared: &Shared,
    name: &TableName,
    shape: &Shape,
    feeding: Vec<(&Arc<TableSchema>, &Landing)>,
) -> Result<(), Stays> {
    let refuse = |reason: String| Err(Stays::Sink(format!("sink table `{name}`: {reason}")));
    let (client, settings) = (&shared.client, &shared.table);
    let there = client.describe(name).await.map_err(EngineError::sink(format!("describing `{name}`")))?;
    // One that is not there is made, where the file allows it.
    let Some(there) = there else {
        return if settings.policy.allows(SchemaChangeTag::CreateTable) {
            Ok(())
        } else {
            refuse(NOT_MADE.into())
        };
    };
    if let Some(reason) = unfit(&there, shape) {
        return refuse(reason);
    }
    let layout = layout_of(&there);
    let steps = match settings.policy.plan(&[], Some(shape), &layout.columns) {
        Ok(steps) => steps,
        Err(refused) => return refuse(refused.0),
    };
    if !steps.is_empty() {
        let statement = |step| step_statement(client.project_name(), name, step);
        let statements = steps.iter().map(statement).collect::<Vec<_>>().join(" ");
        if settings.policy.behaviour == SchemaBehaviour::Exception {
            return refuse(format!(
                "`schema.change.behavior` is `EXCEPTION`, and it would need {statements}"
            ));
        }
        if settings.approval {
            return refuse(format!(
                "changes of sink tables wait for approval here; run {statements} on the sink, then reload again"
            ));
        }
    }
    let layout = layout_after(layout, &steps);
    for (output, landing) in feeding {
        if let Err(reason) = fit_into(&layout, output, landing.added.as_ref(), settings) {
            return refuse(reason);
        }
    }
    Ok(())
}
