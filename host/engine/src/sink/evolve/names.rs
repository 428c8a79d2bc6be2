//! Columns of a sink table that go or get other names, by the clauses of one statement.
//!
//! Every clause of an ALTER means a column by the name that it had before the statement. So a name can be taken away and given again in
//! one: two columns swap theirs, or one that comes has the name of one that goes. The sink takes one statement after the other: columns
//! go first, then each rename waits until its new name is free, and where names go round in a circle one column has another name
//! for a moment.

use std::sync::Arc;

use sluicebox_model::SchemaChange;

use super::{EvolvePolicy, SinkColumn, Step, find};
use crate::config::SchemaChangeTag as Tag;
use crate::sink::shape::{Shape, same_name};

/// What columns are called for a moment, with a number behind it.
const FOR_A_MOMENT: &str = "sluicebox_renamed_";

/// Plans what goes and what is renamed; leaves `sink` as it is then.
pub(super) fn renames_and_drops(
    policy: &EvolvePolicy,
    changes: &[SchemaChange],
    shape: Option<&Shape>,
    sink: &mut Vec<SinkColumn>,
) -> Vec<Step> {
    let wanted = |name: &str| shape.is_some_and(|s| s.find(name).is_some());
    // Rows that still have a name which the statement took away have it from a plugin or an expression, unless it gave it again.
    let given = given(changes);
    let stays = |name: &str| wanted(name) && !given.iter().any(|given| same_name(given, name));
    let (mut steps, mut renames) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            SchemaChange::RenameColumn { old, new } if policy.allows(Tag::RenameColumn) => {
                if wanted(new)
                    && !stays(old)
                    && !same_name(old, new)
                    && let Some(at) = find(sink, old)
                {
                    renames.push((sink[at].name.clone(), new.to_string()));
                }
            }
            SchemaChange::DropColumns(names) if policy.allows(Tag::DropColumn) => {
                let gone: Vec<String> = names
                    .iter()
                    .filter(|name| !stays(name))
                    .filter_map(|name| find(sink, name).map(|at| sink.remove(at).name))
                    .collect();
                if !gone.is_empty() {
                    steps.push(Step::Drop(gone));
                }
            }
            _ => {}
        }
    }
    order(renames, sink, &mut steps);
    steps
}

/// Puts renames into an order in which each finds its name free. A name that a column has which only the sink knows is never free: rows
/// are written into that column.
fn order(mut renames: Vec<(String, String)>, sink: &mut [SinkColumn], steps: &mut Vec<Step>) {
    let is_taken = |sink: &[SinkColumn], name: &str| find(sink, name).is_some();
    loop {
        let olds: Vec<String> = renames.iter().map(|(old, _)| old.clone()).collect();
        let known = renames.len();
        renames.retain(|(_, new)| !is_taken(sink, new) || olds.iter().any(|old| same_name(old, new)));
        if renames.len() == known {
            break;
        }
    }
    while !renames.is_empty() {
        let free = renames.iter().position(|(_, new)| !is_taken(sink, new));
        let (old, new) = match free {
            Some(at) => renames.remove(at),
            None => {
                let between = |number| format!("{FOR_A_MOMENT}{number}");
                let Some(spare) = (1..=sink.len() + 1).map(between).find(|name| !is_taken(sink, name)) else {
                    return;
                };
                let old = std::mem::replace(&mut renames[0].0, spare.clone());
                (old, spare)
            }
        };
        if let Some(at) = find(sink, &old) {
            sink[at].name.clone_from(&new);
        }
        steps.push(Step::Rename { old, new });
    }
}

/// Names that columns have from the statement on which it renames or adds.
fn given(changes: &[SchemaChange]) -> Vec<Arc<str>> {
    let mut given = Vec::new();
    for change in changes {
        match change {
            SchemaChange::RenameColumn { new, .. } => given.push(Arc::clone(new)),
            SchemaChange::AddColumns(added) => {
                given.extend(added.iter().map(|(column, _)| Arc::clone(&column.name)));
            }
            _ => {}
        }
    }
    given
}

/// The name that a column of this name has behind the statement.
pub(super) fn after(changes: &[SchemaChange], name: &Arc<str>) -> Arc<str> {
    let new = changes.iter().find_map(|change| match change {
        SchemaChange::RenameColumn { old, new } if same_name(old, name) => Some(Arc::clone(new)),
        _ => None,
    });
    new.unwrap_or_else(|| Arc::clone(name))
}
