use super::*;

/// An expression with a parenthesis around every form.
fn shown(text: &str) -> String {
    show(&expression(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn show(expr: &Expr) -> String {
    match &expr.kind {
        Kind::Name(name) => name.clone(),
        Kind::Literal(Literal::Number(digits)) => digits.clone(),
        Kind::Literal(Literal::Text(text)) => format!("'{text}'"),
        Kind::Literal(other) => format!("{other:?}"),
        Kind::Unit(unit) => format!("{unit:?}"),
        Kind::Cast { value, to, safe } => {
            format!("{}({} AS {to})", if *safe { "TRY_CAST" } else { "CAST" }, show(value))
        }
        Kind::Case { arms, otherwise } => {
            let arms: Vec<_> = arms.iter().map(|(a, b)| format!("{}→{}", show(a), show(b))).collect();
            format!("CASE({}|{})", arms.join(","), otherwise.as_deref().map(show).unwrap_or_default())
        }
        Kind::Call { name, args } => {
            format!("{name}({})", args.iter().map(show).collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn precedence_is_that_of_calcite() {
    for (text, want) in [
        ("a OR b AND c", "OR(a,AND(b,c))"),
        ("NOT a = 1 AND b", "AND(NOT(=(a,1)),b)"),
        ("a = b IS NULL", "IS NULL(=(a,b))"),
        ("a + b * c - d", "-(+(a,*(b,c)),d)"),
        ("a || b || c", "||(||(a,b),c)"),
        ("a - -1", "-(a,-1)"),
        ("-a * b", "*(NEGATE(a),b)"),
        ("a BETWEEN 1 AND 2 AND b", "AND(BETWEEN(a,1,2),b)"),
        ("a NOT IN (1, 2) OR b", "OR(NOT(IN(a,1,2)),b)"),
        ("a LIKE 'x' ESCAPE '!' = b", "=(LIKE(a,'x','!'),b)"),
        ("a SIMILAR TO b", "SIMILAR TO(a,b)"),
        ("a <> 1 AND b != 2", "AND(<>(a,1),<>(b,2))"),
        ("a IS NOT DISTINCT FROM b + 1", "IS NOT DISTINCT FROM(a,+(b,1))"),
        ("x[1] + y['k']", "+(ITEM(x,1),ITEM(y,'k'))"),
        ("(a OR b) AND c", "AND(OR(a,b),c)"),
        ("a < b = c", "=(<(a,b),c)"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn forms_with_keywords_become_calls() {
    for (text, want) in [
        ("CASE a WHEN 1 THEN 'x' ELSE 'y' END", "CASE(=(a,1)→'x'|'y')"),
        ("case when a then 1 when b then 2 end", "CASE(a→1,b→2|)"),
        ("CAST(a AS DECIMAL(10, 2))", "CAST(a AS DECIMAL(10,2))"),
        ("TRY_CAST(a AS TIMESTAMP(3))", "TRY_CAST(a AS DATETIME(3))"),
        ("EXTRACT(YEAR FROM d)", "EXTRACT(Year,d)"),
        ("SUBSTRING(a FROM 2 FOR 3)", "SUBSTRING(a,2,3)"),
        ("substring(a, 2)", "SUBSTRING(a,2)"),
        ("TRIM(BOTH 'x' FROM a)", "BTRIM(a,'x')"),
        ("TRIM(LEADING FROM a)", "LTRIM(a)"),
        ("TRIM(a)", "BTRIM(a)"),
        ("OVERLAY(a PLACING 'x' FROM 2 FOR 1)", "OVERLAY(a,'x',2,1)"),
        ("POSITION('x' IN a)", "POSITION('x',a)"),
        ("TIMESTAMPADD(DAY, 1, t)", "TIMESTAMPADD(Day,1,t)"),
        ("CURRENT_DATE", "CURRENT_DATE()"),
        ("ARRAY[1, 2]", "ARRAY(1,2)"),
        ("MAP['a', 1]['a']", "ITEM(MAP('a',1),'a')"),
        ("t + INTERVAL '1' DAY", "+(t,Days(86400000000))"),
        ("t - INTERVAL '1-2' YEAR TO MONTH", "-(t,Months(14))"),
        ("INTERVAL '1 02:03:04.5' DAY TO SECOND", "Micros(93784500000)"),
        ("INTERVAL -'90' MINUTE(3)", "Micros(-5400000000)"),
        ("`order` + `foo-bar`", "+(order,foo-bar)"),
        ("year + date", "+(year,date)"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn a_mistake_is_told_where_it_stands() {
    for (text, at, words) in [
        ("CONCAT(a, b", 11, "expected `,` or `)`, found the end"),
        ("a = ", 4, "expected a value"),
        ("a == b", 2, "`=`"),
        ("t.a", 1, "without its table"),
        ("CAST(a AS INTEGR)", 10, "did you mean `INTEGER`?"),
        ("EXTRACT(YAER FROM a)", 8, "did you mean `YEAR`?"),
        ("a b", 2, "expected an operator or the end, found `b`"),
        ("CASE a END", 7, "expected `WHEN`"),
        ("a IS 3", 5, "behind `IS`"),
        ("CAST(a AS DECIMAL(40,2))", 17, "1 to 38 digits"),
        ("INTERVAL 'x' DAY", 9, "no interval"),
        ("INTERVAL '999999999999 00:00' DAY TO MINUTE", 9, "no interval"),
    ] {
        let error = expression(text).expect_err(text);
        assert_eq!(error.place.as_ref().map(|p| p.0), Some(at), "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(expression(&deep).expect_err("too deep").message.contains("inside each other"));
}

#[test]
fn a_projection_is_a_list_of_items() {
    let items = projection("\\*, UPPER(a) AS b, c d, `e`, foo-bar").expect("items");
    let names: Vec<_> = items
        .iter()
        .map(|item| match item {
            Item::All => "*".to_owned(),
            Item::Value { name, written, .. } => format!("{written}:{}", name.as_deref().unwrap_or("")),
        })
        .collect();
    assert_eq!(names, ["*", "UPPER(a):b", "c:d", "`e`:", "foo-bar:"]);
    assert!(projection("a, ").is_err());
    assert!(projection("a AS").expect_err("no name").message.contains("a name behind `AS`"));
}
