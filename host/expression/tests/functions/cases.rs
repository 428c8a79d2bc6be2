//! What holds for all tables of cases.

use sluicebox_expression::function_names;

use crate::support::{Case, batch, evaluate, plan, settings};
use crate::{comparison, conditional, convert, numeric, patterns, structures, temporal, text};
use sluicebox_expression::RuleText;

pub fn all() -> Vec<Case> {
    [
        text::CASES,
        numeric::CASES,
        temporal::CASES,
        conditional::CASES,
        comparison::CASES,
        convert::CASES,
        patterns::CASES,
        structures::CASES,
    ]
    .concat()
}

#[test]
fn every_function_has_a_case() {
    let text: String = all().iter().map(|case| case.0.to_uppercase() + "\n").collect();
    // Written by a sign of their own.
    let signs = ["NEGATE", "ITEM", "IS UNKNOWN", "IS NOT UNKNOWN"];
    let missing: Vec<_> =
        function_names().into_iter().filter(|name| !signs.contains(name) && !text.contains(name)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// A value does not depend on which rows stand beside it, nor on whether its arguments come from a column or are written out.
#[test]
fn a_row_is_evaluated_for_itself() {
    for (expression, _, value) in all() {
        if expression.contains("UUID") || value.starts_with("error: ") {
            continue;
        }
        let (first, last) = (evaluate(expression, 0, settings()), evaluate(expression, 2, settings()));
        assert_eq!(first, last, "{expression}");
        let projection = format!("id, {expression} AS r");
        let plan = plan(&RuleText { projection: Some(&projection), ..RuleText::default() }, settings())
            .expect("a plan");
        let whole = batch();
        let one = sluicebox_model::ChangeBatch {
            kinds: whole.kinds[..1].to_vec(),
            columns: whole.columns.iter().map(|column| column.slice(0, 1)).collect(),
            ..whole
        };
        let done = plan.process(&one, crate::support::NOW).expect("the batch fits");
        let kind = plan.output.columns[1].column_type;
        assert_eq!(crate::support::show(kind, &done.batch.columns[1], 0), first.1, "{expression} alone");
    }
}

/// Nulls everywhere: nothing fails, but where the expression itself says so for a row without a value.
#[test]
fn nulls_fail_nothing() {
    for (expression, _, value) in all() {
        if value.starts_with("error: ") || expression == "COALESCE(i, 1 / 0)" {
            continue;
        }
        let (_, found) = evaluate(expression, 1, settings());
        assert!(!found.starts_with("error: "), "{expression}: {found}");
    }
}
