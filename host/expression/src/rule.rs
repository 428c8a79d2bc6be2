//! One `transform` entry's expressions: parsed once, planned for each table and schema version.

use std::sync::Arc;

use sluicebox_model::{Column, ColumnType, TableSchema};

use crate::ast::{Expr, Item, Kind};
use crate::bind::{self, Bound, EVENT_TYPE, META, OP_TS, Scope};
use crate::error::ExpressionError;
use crate::evaluate::Node;
use crate::function::Changes;
use crate::parser;
use crate::process::RulePlan;
use crate::settings::Settings;
use crate::types::Type;

/// What a `transform` entry says, as written.
#[derive(Debug, Clone, Copy, Default)]
pub struct RuleText<'t> {
    /// `projection`; none or blank: all columns.
    pub projection: Option<&'t str>,
    /// `filter`; none or blank: all rows.
    pub filter: Option<&'t str>,
    /// `primary-keys`.
    pub primary_keys: Option<&'t str>,
    /// `partition-keys`.
    pub partition_keys: Option<&'t str>,
    /// `converter-after-transform`.
    pub converter: Option<&'t str>,
    /// Whether the texts hold what messages must not show.
    pub hidden: bool,
}

/// The option that something is wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `projection`.
    Projection,
    /// `filter`.
    Filter,
    /// `primary-keys`.
    PrimaryKeys,
    /// `partition-keys`.
    PartitionKeys,
    /// `converter-after-transform`.
    Converter,
}

impl Part {
    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Projection => "projection",
            Self::Filter => "filter",
            Self::PrimaryKeys => "primary-keys",
            Self::PartitionKeys => "partition-keys",
            Self::Converter => "converter-after-transform",
        }
    }
}

/// Something wrong with an option of an entry.
pub type RuleError = (Part, ExpressionError);

/// The expressions of an entry.
#[derive(Clone)]
pub struct Rule {
    /// None: all columns, as they are.
    projection: Option<(String, Vec<Item>)>,
    filter: Option<(String, Expr)>,
    primary_keys: Vec<String>,
    partition_keys: Vec<String>,
    soft_delete: bool,
    hidden: bool,
}

/// The texts may hold what must not be shown.
impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rule(***)")
    }
}

/// Where an output column comes from.
#[derive(Debug)]
pub(crate) enum Output {
    /// The table's column at this place.
    Column(usize),
    Computed(Computed),
}

/// A column that is computed.
#[derive(Debug)]
pub(crate) struct Computed {
    pub node: Node,
    pub kind: Type,
    /// For messages.
    pub written: String,
}

impl Rule {
    /// Reads an entry; everything that can be known to be wrong without a table comes at once.
    ///
    /// # Errors
    /// What is wrong with each option.
    pub fn parse(text: &RuleText<'_>) -> Result<Self, Vec<RuleError>> {
        let mut errors: Vec<RuleError> = Vec::new();
        let written =
            |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let projection = written(text.projection)
            .map(|text| projection(&text).map(|items| (text, items)))
            .transpose()
            .unwrap_or_else(|error| {
                errors.push((Part::Projection, error));
                None
            });
        let filter = written(text.filter)
            .map(|text| filter(&text).map(|expr| (text, expr)))
            .transpose()
            .unwrap_or_else(|error| {
                errors.push((Part::Filter, error));
                None
            });
        let mut names = |part, text: Option<&str>| {
            names(text.unwrap_or_default()).unwrap_or_else(|error| {
                errors.push((part, error));
                Vec::new()
            })
        };
        let primary_keys = names(Part::PrimaryKeys, text.primary_keys);
        let partition_keys = names(Part::PartitionKeys, text.partition_keys);
        let soft_delete = match written(text.converter).as_deref() {
            None => false,
            Some("SOFT_DELETE") => true,
            Some(other) => {
                let message = format!("there is no converter `{other}`; letter case counts");
                errors.push((Part::Converter, ExpressionError::new(message).near(other, ["SOFT_DELETE"])));
                false
            }
        };
        if errors.is_empty() {
            Ok(Self { projection, filter, primary_keys, partition_keys, soft_delete, hidden: text.hidden })
        } else {
            Err(errors)
        }
    }

    /// Whether it does anything to a table's rows or schema.
    pub fn is_empty(&self) -> bool {
        let columns = match &self.projection {
            None => true,
            Some((_, items)) => items.iter().all(|item| *item == Item::All),
        };
        columns
            && self.filter.is_none()
            && self.primary_keys.is_empty()
            && self.partition_keys.is_empty()
            && !self.soft_delete
    }

    /// Whether columns that the table gets later reach the output by themselves.
    pub fn follows_columns(&self) -> bool {
        self.projection.as_ref().is_none_or(|(_, items)| items.contains(&Item::All))
    }

    /// Plans it for a table.
    ///
    /// # Errors
    /// What does not fit the table, and the option that says it.
    pub fn plan(&self, schema: &Arc<TableSchema>, settings: &Arc<Settings>) -> Result<RulePlan, RuleError> {
        self.plan_openly(schema, settings).map_err(|(part, error)| match self.hidden {
            true => (part, ExpressionError::new("does not fit the table, with what is put in for `${…}`")),
            false => (part, error),
        })
    }

    fn plan_openly(
        &self,
        schema: &Arc<TableSchema>,
        settings: &Arc<Settings>,
    ) -> Result<RulePlan, RuleError> {
        let planning = Planning { rule: self, schema, settings };
        let (mut columns, outputs) = planning.outputs().map_err(|error| (Part::Projection, error))?;
        let computed: Vec<(String, Option<Type>)> = columns
            .iter()
            .zip(&outputs)
            .map(|(column, output)| match output {
                Output::Column(_) => (column.name.to_string(), None),
                Output::Computed(computed) => (column.name.to_string(), Some(computed.kind.clone())),
            })
            .collect();
        let alias = |(column, output): (&Column, &Output)| match output {
            Output::Column(place) => Some((column.name.to_string(), *place)),
            Output::Computed(_) => None,
        };
        let aliases: Vec<(String, usize)> = columns.iter().zip(&outputs).filter_map(alias).collect();
        let filter = planning.filter(&computed, &aliases).map_err(|error| (Part::Filter, error))?;
        let key = planning.key(&columns, &outputs)?;
        let checked: Vec<usize> = key.iter().copied().filter(|place| columns[*place].nullable).collect();
        key.iter().for_each(|place| columns[*place].nullable = false);
        let find = |name: &String| place_of(&columns, name).map_err(|error| (Part::PartitionKeys, error));
        let partition_keys: Vec<usize> = self.partition_keys.iter().map(find).collect::<Result<_, _>>()?;
        let partition_keys =
            partition_keys.into_iter().map(|place| Arc::clone(&columns[place].name)).collect();
        let output = TableSchema { columns, key, ..TableSchema::clone(schema) };
        let output = if output == **schema { Arc::clone(schema) } else { Arc::new(output) };
        Ok(RulePlan::new(
            Arc::clone(schema),
            output,
            outputs,
            filter,
            self.soft_delete,
            checked,
            partition_keys,
            Arc::clone(settings),
        ))
    }
}

fn projection(text: &str) -> Result<Vec<Item>, ExpressionError> {
    let items = parser::projection(text)?;
    for item in &items {
        let Item::Value { value, name, written } = item else { continue };
        bind::check(value, text)?;
        let nameless = name.is_none() && !matches!(value.kind, Kind::Name(_));
        if nameless && !is_plain(written) {
            let message = format!("`{written}` needs a name: write `{written} AS …`");
            return Err(ExpressionError::new(message).at(text, value.span.start));
        }
        let meta = name.as_deref().filter(|name| META[..OP_TS].iter().any(|meta| meta.0 == *name));
        if let Some(name) = meta {
            let message = format!("`{name}` is the name of a metadata column; take another one");
            return Err(ExpressionError::new(message).at(text, value.span.start));
        }
    }
    Ok(items)
}

/// Whether it can be the name of a column such as `foo-bar`, which looks like a subtraction.
fn is_plain(written: &str) -> bool {
    written.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn filter(text: &str) -> Result<Expr, ExpressionError> {
    let expr = parser::expression(text)?;
    bind::check(&expr, text)?;
    Ok(expr)
}

/// Names between commas, in backticks or without.
fn names(text: &str) -> Result<Vec<String>, ExpressionError> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(|name| name.trim().trim_matches('`')).filter(|name| !name.is_empty()) {
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(ExpressionError::new(format!("`{name}` is named twice")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn place_of(columns: &[Column], name: &str) -> Result<usize, ExpressionError> {
    let same = |column: &Column| column.name.to_lowercase() == name.to_lowercase();
    columns.iter().position(same).ok_or_else(|| {
        let error = ExpressionError::new(format!("there is no column `{name}` in what goes on"));
        error.near(name, columns.iter().map(|column| column.name.as_ref()))
    })
}

struct Planning<'a> {
    rule: &'a Rule,
    schema: &'a Arc<TableSchema>,
    settings: &'a Arc<Settings>,
}

impl Planning<'_> {
    /// The columns that go on.
    fn outputs(&self) -> Result<(Vec<Column>, Vec<Output>), ExpressionError> {
        let all = || self.schema.columns.iter().cloned().zip((0..).map(Output::Column));
        let Some((text, items)) = &self.rule.projection else { return Ok(all().unzip()) };
        let (mut columns, mut outputs): (Vec<Column>, Vec<Output>) = (Vec::new(), Vec::new());
        let mut put = |column: Column, output: Output| match place_of(&columns, &column.name) {
            // The later definition counts, at the place of the earlier.
            Ok(place) => {
                columns[place] = column;
                outputs[place] = output;
            }
            Err(_) => {
                columns.push(column);
                outputs.push(output);
            }
        };
        for item in items {
            match item {
                Item::All => all().for_each(|(column, output)| put(column, output)),
                Item::Value { value, name, written } => {
                    let (column, output) = self.item(text, value, name.as_deref(), written)?;
                    put(column, output);
                }
            }
        }
        Ok((columns, outputs))
    }

    fn item(
        &self,
        text: &str,
        value: &Expr,
        name: Option<&str>,
        written: &str,
    ) -> Result<(Column, Output), ExpressionError> {
        // A name such as `foo-bar` is a column when there is one, and else a subtraction.
        let dashed = self.schema.columns.iter().position(|column| *column.name == *written);
        let bound = match dashed {
            Some(place) => Bound { node: Node::Column(place), kind: Type::Null },
            None => {
                let scope =
                    Scope { schema: self.schema, settings: self.settings, computed: &[], aliases: &[] };
                bind::bind(value, text, &scope)?
            }
        };
        if let Node::Column(place) = bound.node {
            let column = self.schema.columns[place].clone();
            let name = name.map_or_else(|| Arc::clone(&column.name), Arc::from);
            return Ok((Column { name, ..column }, Output::Column(place)));
        }
        let meta = if let Node::Meta(place) = bound.node { Some(META[place].0) } else { None };
        let Some(name) = name.or(meta) else {
            let message = format!("`{written}` needs a name: write `{written} AS …`");
            return Err(ExpressionError::new(message).at(text, value.span.start));
        };
        let column_type = bound.kind.clone().into_column().ok_or_else(|| {
            ExpressionError::new(format!("a column cannot hold {}", bound.kind)).at(text, value.span.start)
        })?;
        let column = computed_column(name, column_type, meta.is_none());
        let written = if self.rule.hidden { "…".to_owned() } else { written.to_owned() };
        Ok((column, Output::Computed(Computed { node: bound.node, kind: bound.kind, written })))
    }

    fn filter(
        &self,
        computed: &[(String, Option<Type>)],
        aliases: &[(String, usize)],
    ) -> Result<Option<Node>, ExpressionError> {
        let Some((text, expr)) = &self.rule.filter else { return Ok(None) };
        let scope = Scope { schema: self.schema, settings: self.settings, computed, aliases };
        bind::condition(expr, text, &scope).map(Some)
    }

    /// Places of the output's key: the one that is named, else the table's.
    fn key(&self, columns: &[Column], outputs: &[Output]) -> Result<Vec<usize>, RuleError> {
        if !self.rule.primary_keys.is_empty() {
            let find = |name: &String| place_of(columns, name).map_err(|error| (Part::PrimaryKeys, error));
            return self.rule.primary_keys.iter().map(find).collect();
        }
        let is_input =
            |output: &Output, place: usize| matches!(output, Output::Column(found) if *found == place);
        let follow = |&place: &usize| {
            let name = self.schema.columns.get(place).map_or("", |column| &column.name);
            let named = place_of(columns, name).ok();
            let same = named.filter(|named| is_input(&outputs[*named], place));
            let alias = || outputs.iter().position(|output| is_input(output, place));
            same.or_else(alias).or(named).ok_or_else(|| {
                let message = format!(
                    "column `{name}` of the key is left out; add it, or name another key with `primary-keys`"
                );
                (Part::Projection, ExpressionError::new(message))
            })
        };
        self.schema.key.iter().map(follow).collect()
    }
}

fn computed_column(name: &str, column_type: ColumnType, nullable: bool) -> Column {
    Column {
        name: name.into(),
        column_type,
        nullable,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    }
}

/// Whether a filter says the same of a row image whenever it is asked: then what it said of the row before need not be known.
pub(crate) fn is_lasting(filter: &Node, outputs: &[Output]) -> bool {
    let mut lasting = true;
    filter.visit(&mut |node| {
        lasting &= match node {
            Node::Meta(place) => *place != EVENT_TYPE && *place != OP_TS,
            Node::Call { function, .. } => function.changes == Changes::Never,
            Node::Computed(place) => match outputs.get(*place) {
                Some(Output::Computed(computed)) => is_lasting(&computed.node, &[]),
                _ => true,
            },
            _ => true,
        }
    });
    lasting
}
