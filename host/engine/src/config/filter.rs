//! Which schema changes may reach the sink: `include.schema.changes` and `exclude.schema.changes`.

use std::collections::BTreeSet;

use sluicebox_model::SchemaChange;

use super::block::{Block, Context};
use super::document::Node;
use super::expand::Forms;
use super::kinds::{self, Word};
use super::option::Structure;
use super::options::SchemaBehaviour;

/// A kind of schema change, as the pipeline file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaChangeTag {
    /// `add.column`
    AddColumn,
    /// `alter.column.type`
    AlterColumnType,
    /// `create.table`
    CreateTable,
    /// `drop.column`
    DropColumn,
    /// `drop.table`
    DropTable,
    /// `rename.column`
    RenameColumn,
    /// `truncate.table`
    TruncateTable,
    /// `alter.table.comment`
    AlterTableComment,
}

use SchemaChangeTag as Tag;

impl SchemaChangeTag {
    /// Every tag.
    pub const ALL: [Self; 8] = [
        Tag::AddColumn,
        Tag::AlterColumnType,
        Tag::CreateTable,
        Tag::DropColumn,
        Tag::DropTable,
        Tag::RenameColumn,
        Tag::TruncateTable,
        Tag::AlterTableComment,
    ];

    /// The tag of a change; none for those that Flink CDC has no event for, which no filter holds back.
    pub fn of(change: &SchemaChange) -> Option<Self> {
        match change {
            SchemaChange::CreateTable => Some(Tag::CreateTable),
            SchemaChange::AddColumns(_) => Some(Tag::AddColumn),
            SchemaChange::AlterColumn { .. } => Some(Tag::AlterColumnType),
            SchemaChange::RenameColumn { .. } => Some(Tag::RenameColumn),
            SchemaChange::DropColumns(_) => Some(Tag::DropColumn),
            SchemaChange::AlterComment => Some(Tag::AlterTableComment),
            SchemaChange::TruncateTable => Some(Tag::TruncateTable),
            SchemaChange::DropTable => Some(Tag::DropTable),
            SchemaChange::AlterKey
            | SchemaChange::AlterUniqueKeys
            | SchemaChange::AlterDefaults
            | SchemaChange::AlterCharset
            | SchemaChange::RenameTable { .. } => None,
        }
    }
}

/// A tag or a family of tags, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family(&'static [Tag]);

impl Word for Family {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("add.column", Self(&[Tag::AddColumn])),
        ("alter.column.type", Self(&[Tag::AlterColumnType])),
        ("create.table", Self(&[Tag::CreateTable])),
        ("drop.column", Self(&[Tag::DropColumn])),
        ("drop.table", Self(&[Tag::DropTable])),
        ("rename.column", Self(&[Tag::RenameColumn])),
        ("truncate.table", Self(&[Tag::TruncateTable])),
        ("alter.table.comment", Self(&[Tag::AlterTableComment])),
        ("all", Self(&Tag::ALL)),
        ("add", Self(&[Tag::AddColumn])),
        ("alter", Self(&[Tag::AlterColumnType])),
        ("create", Self(&[Tag::CreateTable])),
        ("drop", Self(&[Tag::DropColumn, Tag::DropTable])),
        ("rename", Self(&[Tag::RenameColumn])),
        ("table", Self(&[Tag::CreateTable, Tag::DropTable, Tag::TruncateTable, Tag::AlterTableComment])),
        ("column", Self(&[Tag::AddColumn, Tag::AlterColumnType, Tag::DropColumn, Tag::RenameColumn])),
    ];
}

/// Which schema changes may reach the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChangeFilter(BTreeSet<Tag>);

impl SchemaChangeFilter {
    /// Include without exclude. `create.table` is added unless it is excluded: nothing works without it. Under `LENIENT`
    /// without a word about excluding, dropping and truncating tables is excluded: what cannot be undone is asked for
    /// by name.
    pub(super) fn new(
        include: Option<&[Family]>,
        exclude: Option<&[Family]>,
        behaviour: SchemaBehaviour,
    ) -> Self {
        let tags = |families: &[Family]| families.iter().flat_map(|f| f.0).copied().collect::<BTreeSet<_>>();
        let mut allowed = match include {
            Some(families) if !families.is_empty() => tags(families),
            _ => BTreeSet::from(Tag::ALL),
        };
        allowed.insert(Tag::CreateTable);
        let excluded = match exclude {
            Some(families) => tags(families),
            None if behaviour == SchemaBehaviour::Lenient => {
                BTreeSet::from([Tag::DropTable, Tag::TruncateTable])
            }
            None => BTreeSet::new(),
        };
        Self(allowed.difference(&excluded).copied().collect())
    }

    /// Whether changes of this kind may pass.
    pub fn allows(&self, tag: SchemaChangeTag) -> bool {
        self.0.contains(&tag)
    }

    /// Whether a change may pass.
    pub fn allows_change(&self, change: &SchemaChange) -> bool {
        SchemaChangeTag::of(change).is_none_or(|tag| self.allows(tag))
    }
}

/// Reads a list of tags; none when it is not written.
pub(super) fn tags(context: &mut Context<'_>, block: &Block<'_>, option: &Structure) -> Option<Vec<Family>> {
    let (node, place) = block.node(option)?;
    let path = block.path(option.head.key);
    let items = match node {
        Node::List(items) => items.as_slice(),
        Node::Null => &[],
        Node::Scalar(_) | Node::Map(_) => {
            let message = format!("expected a list of tags (each after `- `), found {}", node.kind());
            context.findings.fault(place, &path, message);
            &[]
        }
    };
    let mut tags = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (path, place) = (format!("{path}[{index}]"), place.item(index));
        let Node::Scalar(scalar) = item else {
            context.findings.fault(&place, path, format!("expected a tag, found {}", item.kind()));
            continue;
        };
        let text = match context.surroundings.expand(&scalar.text, Forms::All) {
            Ok(text) => text,
            Err(missing) => {
                missing.into_iter().for_each(|m| context.findings.fault(&place, &path, m));
                continue;
            }
        };
        match kinds::word::<Family>(&text) {
            Ok(family) => tags.push(family),
            Err(expected) => {
                let message = format!("expected {}, found `{}`", expected.what, scalar.text);
                context.findings.suggest(&place, path, message, expected.near);
            }
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(words: &[&str]) -> Vec<Family> {
        words.iter().map(|w| kinds::word(w).expect("a tag")).collect()
    }

    /// Each row: include, exclude, behaviour, tags that do not pass.
    #[test]
    fn include_without_exclude_passes() {
        use SchemaBehaviour::{Evolve, Lenient};
        type Row<'r> = (Option<&'r [&'r str]>, Option<&'r [&'r str]>, SchemaBehaviour, &'r [Tag]);
        let rows: [Row<'_>; 9] = [
            (None, None, Evolve, &[]),
            (None, None, Lenient, &[Tag::DropTable, Tag::TruncateTable]),
            (None, Some(&[]), Lenient, &[]),
            (Some(&[]), None, Evolve, &[]),
            (None, Some(&["drop"]), Lenient, &[Tag::DropColumn, Tag::DropTable]),
            (
                Some(&["table"]),
                Some(&["drop.table"]),
                Evolve,
                &[Tag::AddColumn, Tag::AlterColumnType, Tag::DropColumn, Tag::DropTable, Tag::RenameColumn],
            ),
            (Some(&["column"]), None, Evolve, &[Tag::DropTable, Tag::TruncateTable, Tag::AlterTableComment]),
            (Some(&["all"]), Some(&["create", "alter"]), Evolve, &[Tag::AlterColumnType, Tag::CreateTable]),
            (Some(&["all"]), Some(&["all"]), Evolve, &Tag::ALL),
        ];
        for (include, exclude, behaviour, barred) in rows {
            let filter = SchemaChangeFilter::new(
                include.map(families).as_deref(),
                exclude.map(families).as_deref(),
                behaviour,
            );
            let got: Vec<_> = Tag::ALL.into_iter().filter(|t| !filter.allows(*t)).collect();
            assert_eq!(got, barred, "{include:?} {exclude:?} {behaviour:?}");
        }
    }

    #[test]
    fn a_change_without_a_tag_always_passes() {
        let filter = SchemaChangeFilter::new(None, Some(&families(&["all"])), SchemaBehaviour::Evolve);
        assert!(filter.allows_change(&SchemaChange::AlterKey));
        assert!(!filter.allows_change(&SchemaChange::TruncateTable));
    }
}
