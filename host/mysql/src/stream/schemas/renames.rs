//! Lists of renames, which happen one after another within a statement.

use sluicebox_model::TableId;

/// The tables that a list of renames begins with: old names that no earlier pair made.
pub(super) fn originals(pairs: &[(TableId, TableId)]) -> Vec<TableId> {
    let mut made: Vec<&TableId> = Vec::new();
    let mut originals = Vec::new();
    for (old, new) in pairs {
        match made.iter().position(|m| *m == old) {
            Some(at) => made[at] = new,
            None => {
                originals.push(old.clone());
                made.push(new);
            }
        }
    }
    originals
}

pub(super) fn last_name(original: &TableId, pairs: &[(TableId, TableId)]) -> TableId {
    pairs.iter().fold(original.clone(), |name, (old, new)| if *old == name { new.clone() } else { name })
}
