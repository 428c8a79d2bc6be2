//! From an expression as written to one that can be evaluated: names are looked up, types are worked out, and what
//! does not depend on a row is computed.

use std::ops::Range;

use sluicebox_model::{ColumnType, TableSchema};

use crate::ast::{Expr, Kind, Literal, Unit};
use crate::civil::{read_clock, read_date, read_timestamp};
use crate::decimal;
use crate::error::ExpressionError;
use crate::evaluate::{Env, Node};
use crate::function::{self, Changes, Function};
use crate::prepared::Prepared;
use crate::settings::Settings;
use crate::types::{self, Type, common};
use crate::vector::{Values, Vector};

use arrow::array::{BooleanArray, Decimal128Array, Float64Array, Int64Array};

/// Metadata columns, in the order of their places.
pub(crate) const META: [(&str, Type); 5] = [
    ("__namespace_name__", types::TEXT),
    ("__schema_name__", types::TEXT),
    ("__table_name__", types::TEXT),
    ("__data_event_type__", types::TEXT),
    ("op_ts", types::BIGINT),
];
/// The place of the row's kind among them.
pub(crate) const EVENT_TYPE: usize = 3;
/// The place of the commit time among them.
pub(crate) const OP_TS: usize = 4;

/// Functions that decide which of their arguments are evaluated: name, how it is written, arguments.
const LAZY: [(&str, &str, usize, usize); 6] = [
    ("AND", "a AND b", 2, 2),
    ("OR", "a OR b", 2, 2),
    ("COALESCE", "COALESCE(a, …)", 1, 1000),
    ("IFNULL", "IFNULL(a, b)", 2, 2),
    ("IF", "IF(condition, a, b)", 3, 3),
    ("NULLIF", "NULLIF(a, b)", 2, 2),
];

/// Functions of Flink CDC that call models.
const MODELS: [&str; 5] =
    ["AI_COMPLETE", "AI_EMBED", "AI_CHAT_PREDICT", "GET_EMBEDDING", "AI_LANGCHAIN_PREDICT"];
const AGGREGATES: [&str; 6] = ["COUNT", "SUM", "AVG", "MIN", "MAX", "COLLECT"];

/// What names mean.
pub(crate) struct Scope<'a> {
    pub schema: &'a TableSchema,
    pub settings: &'a Settings,
    /// Columns that the projection computes, which come before the table's of the same name.
    pub computed: &'a [(String, Option<Type>)],
    /// Other names that the projection gives columns of the table, and their places there.
    pub aliases: &'a [(String, usize)],
}

/// A planned expression and its type.
#[derive(Debug)]
pub(crate) struct Bound {
    pub node: Node,
    pub kind: Type,
}

/// All names that can be called, for suggestions and for the documentation's test.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let plain = function::all().flat_map(|function| function.names.iter().copied());
    plain.chain(LAZY.iter().map(|lazy| lazy.0)).chain(["CAST", "TRY_CAST", "TRIM"])
}

/// Checks what can be checked without a table: names of functions and how many arguments they have.
pub(crate) fn check(expr: &Expr, text: &str) -> Result<(), ExpressionError> {
    match &expr.kind {
        Kind::Name(_) | Kind::Literal(_) | Kind::Unit(_) => Ok(()),
        Kind::Cast { value, .. } => check(value, text),
        Kind::Case { arms, otherwise } => {
            let inner =
                arms.iter().flat_map(|(condition, value)| [condition, value]).chain(otherwise.as_deref());
            inner.into_iter().try_for_each(|inner| check(inner, text))
        }
        Kind::Call { name, args } => {
            let lazy = LAZY.iter().find(|lazy| lazy.0 == name).map(|lazy| (lazy.1, lazy.2, lazy.3));
            let plain = function::find(name).map(|function| (function.usage, function.least, function.most));
            let Some((usage, least, most)) = lazy.or(plain) else {
                return Err(unknown(name, &expr.span, text));
            };
            if !(least..=most).contains(&args.len()) {
                let message = format!("`{usage}` does not take {} arguments", args.len());
                return Err(ExpressionError::new(message).at(text, expr.span.start));
            }
            args.iter().try_for_each(|arg| check(arg, text))
        }
    }
}

fn unknown(name: &str, span: &Range<usize>, text: &str) -> ExpressionError {
    if MODELS.contains(&name) {
        let message = format!(
            "`{name}` calls a model, which expressions do not; write a WebAssembly plugin (`plugin`)"
        );
        return ExpressionError::new(message).at(text, span.start);
    }
    if AGGREGATES.contains(&name) {
        let message = format!("`{name}` is of many rows; an expression sees one row");
        return ExpressionError::new(message).at(text, span.start);
    }
    let words = names().filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    let error = ExpressionError::new(format!(
        "there is no function `{name}`; functions of your own are WebAssembly plugins (`plugin`)"
    ));
    error.at(text, span.start).near(name, words)
}

/// Plans an expression.
pub(crate) fn bind(expr: &Expr, text: &str, scope: &Scope<'_>) -> Result<Bound, ExpressionError> {
    Binder { text, scope }.bind(expr)
}

/// Plans a condition.
pub(crate) fn condition(expr: &Expr, text: &str, scope: &Scope<'_>) -> Result<Node, ExpressionError> {
    Binder { text, scope }.condition(expr)
}

struct Binder<'a> {
    text: &'a str,
    scope: &'a Scope<'a>,
}

impl Binder<'_> {
    fn error(&self, span: &Range<usize>, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(message).at(self.text, span.start)
    }

    fn bind(&self, expr: &Expr) -> Result<Bound, ExpressionError> {
        match &expr.kind {
            Kind::Name(name) => self.name(name, &expr.span),
            Kind::Literal(literal) => self.literal(literal, &expr.span),
            Kind::Unit(_) => {
                Ok(Bound { node: Node::Constant(Vector::single(Values::Null(1))), kind: Type::Unit })
            }
            Kind::Cast { value, to, safe } => {
                let bound = self.bind(value)?;
                let function = if *safe { &function::TRY_CAST } else { &function::CAST };
                self.cast(bound, &Type::of_column(*to), function, &expr.span)
            }
            Kind::Case { arms, otherwise } => {
                let arms = arms.iter().map(|(condition, value)| {
                    Ok((self.condition(condition)?, (self.bind(value)?, value.span.clone())))
                });
                let arms: Vec<_> = arms.collect::<Result<_, ExpressionError>>()?;
                let otherwise = match otherwise {
                    Some(value) => (self.bind(value)?, value.span.clone()),
                    None => (null(), expr.span.clone()),
                };
                self.case(arms, otherwise, &expr.span)
            }
            Kind::Call { name, args } => self.call(name, args, expr),
        }
    }

    fn condition(&self, expr: &Expr) -> Result<Node, ExpressionError> {
        let bound = self.bind(expr)?;
        if bound.kind != types::BOOLEAN && bound.kind != Type::Null {
            return Err(
                self.error(&expr.span, format!("expected a condition, found a value of type {}", bound.kind))
            );
        }
        self.coerce(bound, &types::BOOLEAN, &expr.span)
    }

    fn name(&self, name: &str, span: &Range<usize>) -> Result<Bound, ExpressionError> {
        let same =
            |other: &str| other.eq_ignore_ascii_case(name) || other.to_lowercase() == name.to_lowercase();
        if let Some(place) =
            self.scope.computed.iter().position(|(other, kind)| kind.is_some() && same(other))
        {
            let kind = self.scope.computed[place].1.clone().unwrap_or(Type::Null);
            return Ok(Bound { node: Node::Computed(place), kind });
        }
        let alias = || self.scope.aliases.iter().find(|(other, _)| same(other)).map(|(_, place)| *place);
        if let Some(place) = self.scope.schema.index_of(name).or_else(alias) {
            let kind = Type::of_column(self.scope.schema.columns[place].column_type);
            return Ok(Bound { node: Node::Column(place), kind });
        }
        match META.iter().position(|(other, _)| *other == name) {
            Some(OP_TS) if !self.scope.settings.op_ts => {
                Err(self
                    .error(span, "`op_ts` is there with `metadata.list: op_ts` in `source`, and only then"))
            }
            Some(place) => Ok(Bound { node: Node::Meta(place), kind: META[place].1.clone() }),
            None => {
                let columns = self.scope.schema.columns.iter().map(|column| column.name.as_ref());
                let known = columns.chain(self.scope.computed.iter().map(|(name, _)| name.as_str()));
                let known = known.chain(META[..OP_TS].iter().map(|meta| meta.0));
                let message = format!("table `{}` has no column `{name}`", self.scope.schema.id);
                Err(self.error(span, message).near(name, known))
            }
        }
    }

    fn literal(&self, literal: &Literal, span: &Range<usize>) -> Result<Bound, ExpressionError> {
        let constant = |values, kind| Ok(Bound { node: Node::Constant(Vector::single(values)), kind });
        let int = |value: i64| Values::Int(Int64Array::from(vec![value]));
        match literal {
            Literal::Null => Ok(null()),
            Literal::Boolean(value) => {
                constant(Values::Boolean(BooleanArray::from(vec![*value])), types::BOOLEAN)
            }
            Literal::Text(text) => Ok(Bound { node: Node::Constant(Vector::text(text)), kind: types::TEXT }),
            Literal::Months(months) => constant(int(*months), Type::Months),
            Literal::Days(micros) => constant(int(*micros), Type::Days),
            Literal::Micros(micros) => constant(int(*micros), Type::Micros),
            Literal::Moment(column, text) => {
                let value = match column {
                    ColumnType::Date => read_date(text),
                    ColumnType::Time { .. } => read_clock(text),
                    _ => read_timestamp(text),
                };
                let value = value.ok_or_else(|| self.error(span, format!("`{text}` is no {column}")))?;
                constant(int(value), Type::Plain(*column))
            }
            Literal::Number(digits) => {
                let (values, kind) = number(digits)
                    .ok_or_else(|| self.error(span, format!("`{digits}` has too many digits")))?;
                constant(values, kind)
            }
        }
    }

    fn call(&self, name: &str, args: &[Expr], expr: &Expr) -> Result<Bound, ExpressionError> {
        match (name, args) {
            ("AND" | "OR", [left, right]) => {
                let sides = Box::new((self.condition(left)?, self.condition(right)?));
                let node = if name == "AND" { Node::And(sides) } else { Node::Or(sides) };
                Ok(Bound { node, kind: types::BOOLEAN })
            }
            ("COALESCE" | "IFNULL", args) => self.coalesce(args, &expr.span),
            ("IF", [condition, yes, no]) => {
                let arms = vec![(self.condition(condition)?, (self.bind(yes)?, yes.span.clone()))];
                self.case(arms, (self.bind(no)?, no.span.clone()), &expr.span)
            }
            ("NULLIF", [left, right]) => {
                let same = self.plain("=", args, &expr.span, true)?;
                let arms = vec![(same.node, (null(), right.span.clone()))];
                self.case(arms, (self.bind(left)?, left.span.clone()), &expr.span)
            }
            _ => self.plain(name, args, &expr.span, false),
        }
    }

    /// A function that is given all its arguments. `numeric`: two numbers are compared by value, whatever their types.
    fn plain(
        &self,
        name: &str,
        args: &[Expr],
        span: &Range<usize>,
        numeric: bool,
    ) -> Result<Bound, ExpressionError> {
        let function = function::find(name).ok_or_else(|| unknown(name, span, self.text))?;
        let bound: Vec<Bound> = args.iter().map(|arg| self.bind(arg)).collect::<Result<_, _>>()?;
        let mut kinds: Vec<Type> = bound.iter().map(|bound| bound.kind.clone()).collect();
        if numeric
            && let [a, b] = kinds.as_slice()
            && let Some(both) = types::comparable(a, b)
        {
            kinds = vec![both; 2];
        }
        let about = |reason: String| self.error(span, format!("`{}` {reason}", function.usage));
        let signature = function.derive(&kinds, self.scope.settings).map_err(about)?;
        let sides = bound.into_iter().zip(&signature.args).zip(args);
        let nodes: Vec<Node> =
            sides.map(|((bound, to), arg)| self.coerce(bound, to, &arg.span)).collect::<Result<_, _>>()?;
        let prepared = self.prepare(function, &nodes, args, &signature.args).map_err(about)?;
        let node = Node::Call {
            function,
            args: nodes,
            types: signature.args,
            result: signature.result.clone(),
            prepared,
        };
        Ok(Bound { node: self.folded(node).0, kind: signature.result })
    }

    fn prepare(
        &self,
        function: &Function,
        nodes: &[Node],
        args: &[Expr],
        kinds: &[Type],
    ) -> Result<Prepared, String> {
        let Some(prepare) = function.prepare else { return Ok(Prepared::Nothing) };
        let text = |(node, arg): (&Node, &Expr)| match (node, &arg.kind) {
            (_, Kind::Unit(unit)) => unit_name(*unit),
            (Node::Constant(Vector { values: Values::Text(array), .. }), _) => {
                (!arrow::array::Array::is_null(array, 0)).then(|| array.value(0).to_owned())
            }
            _ => None,
        };
        let texts: Vec<Option<String>> = nodes.iter().zip(args).map(text).collect();
        prepare(&texts, kinds, self.scope.settings)
    }

    fn coalesce(&self, args: &[Expr], span: &Range<usize>) -> Result<Bound, ExpressionError> {
        let bound: Vec<Bound> = args.iter().map(|arg| self.bind(arg)).collect::<Result<_, _>>()?;
        let kind = self.common(bound.iter().map(|bound| &bound.kind), span)?;
        let nodes = bound.into_iter().zip(args).map(|(bound, arg)| self.coerce(bound, &kind, &arg.span));
        Ok(Bound { node: Node::Coalesce(nodes.collect::<Result<_, _>>()?, kind.clone()), kind })
    }

    fn case(
        &self,
        arms: Vec<(Node, (Bound, Range<usize>))>,
        otherwise: (Bound, Range<usize>),
        span: &Range<usize>,
    ) -> Result<Bound, ExpressionError> {
        let kinds = arms.iter().map(|(_, (bound, _))| &bound.kind).chain([&otherwise.0.kind]);
        let result = self.common(kinds, span)?;
        let arms = arms
            .into_iter()
            .map(|(condition, (value, span))| Ok((condition, self.coerce(value, &result, &span)?)));
        let arms = arms.collect::<Result<Vec<_>, ExpressionError>>()?;
        let otherwise = Box::new(self.coerce(otherwise.0, &result, &otherwise.1)?);
        Ok(Bound { node: Node::Case { arms, otherwise, result: result.clone() }, kind: result })
    }

    /// The type of a value that is one of several.
    fn common<'t>(
        &self,
        kinds: impl Iterator<Item = &'t Type>,
        span: &Range<usize>,
    ) -> Result<Type, ExpressionError> {
        let mut all = Type::Null;
        for kind in kinds {
            let both = common(&all, kind);
            all = both.ok_or_else(|| {
                self.error(span, format!("{all} and {kind} have no common type; cast one of them"))
            })?;
        }
        if all.is_structure() || all == Type::Unit {
            return Err(self.error(span, format!("values of type {all} cannot be chosen from")));
        }
        Ok(all)
    }

    /// Brings a value to a type that its function takes.
    fn coerce(&self, bound: Bound, to: &Type, span: &Range<usize>) -> Result<Node, ExpressionError> {
        if bound.kind == *to || same_values(&bound.kind, to) {
            return Ok(bound.node);
        }
        if bound.kind == Type::Null {
            return Ok(Node::Constant(Vector::single(Values::nulls_of(to, 1))));
        }
        let constant = matches!(bound.node, Node::Constant(_));
        let Bound { node, .. } = self.cast(bound, to, &function::CAST, span)?;
        match node {
            Node::Call { .. } if constant => Err(self.error(span, format!("this is no {to}"))),
            node => Ok(node),
        }
    }

    fn cast(
        &self,
        bound: Bound,
        to: &Type,
        function: &'static Function,
        span: &Range<usize>,
    ) -> Result<Bound, ExpressionError> {
        if !crate::function::cast_exists(&bound.kind, to) {
            return Err(self.error(span, format!("{} cannot be cast to {to}", bound.kind)));
        }
        let node = Node::Call {
            function,
            args: vec![bound.node],
            types: vec![bound.kind],
            result: to.clone(),
            prepared: Prepared::Nothing,
        };
        Ok(Bound { node: self.folded(node).0, kind: to.clone() })
    }

    /// Computes a call whose arguments are written out; one that fails stays, for it may never be needed.
    fn folded(&self, node: Node) -> (Node, bool) {
        let Node::Call { function, args, .. } = &node else { return (node, false) };
        let fixed = args.iter().all(|arg| matches!(arg, Node::Constant(_)));
        if !fixed || function.changes != Changes::Never {
            return (node, false);
        }
        let env = Env::constant(self.scope.settings, 0);
        let vector = node.evaluate(&env, None);
        if env.faults.borrow().is_empty() && vector.single {
            (Node::Constant(vector), true)
        } else {
            (node, false)
        }
    }
}

fn null() -> Bound {
    Bound { node: Node::Constant(Vector::single(Values::Null(1))), kind: Type::Null }
}

fn unit_name(unit: Unit) -> Option<String> {
    Unit::NAMES.iter().find(|(_, known)| *known == unit).map(|(name, _)| (*name).to_owned())
}

/// Whether values of two types are held the same way, so that nothing has to be done.
fn same_values(from: &Type, to: &Type) -> bool {
    use ColumnType as C;
    let (Some(a), Some(b)) = (from.plain(), to.plain()) else { return false };
    match (a, b) {
        (C::Decimal { scale: x, .. }, C::Decimal { scale: y, .. }) => x == y,
        (C::DateTime { .. }, C::DateTime { .. }) | (C::Timestamp { .. }, C::Timestamp { .. }) => true,
        (C::Time { .. }, C::Time { .. }) => true,
        _ => {
            (from.is_integer() && to.is_integer())
                || (from.is_floating() && to.is_floating())
                || (from.is_text() && to.is_text())
        }
    }
}

/// A number as written: `INT`, `BIGINT` or a decimal, or a double with an exponent.
fn number(digits: &str) -> Option<(Values, Type)> {
    if digits.contains(['e', 'E']) {
        return Some((Values::Float(Float64Array::from(vec![digits.parse::<f64>().ok()?])), types::DOUBLE));
    }
    let (value, scale) = decimal::parse(digits)?;
    if scale == 0 && !digits.contains('.') {
        let int = |value: i64| Values::Int(Int64Array::from(vec![value]));
        match (i32::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => return Some((int(value.into()), types::INT)),
            (_, Ok(value)) => return Some((int(value), types::BIGINT)),
            _ => {}
        }
    }
    let written = value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    let precision = u8::try_from(written).ok()?.max(scale).max(1);
    let array = Decimal128Array::from(vec![value]);
    (precision <= 38 && scale <= 38).then(|| {
        (
            Values::Decimal(array.with_data_type(arrow::datatypes::DataType::Decimal128(38, 0))),
            Type::Plain(ColumnType::Decimal { precision, scale }),
        )
    })
}
