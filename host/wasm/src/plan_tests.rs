use super::*;

/// `id INT` (key), `ok BOOLEAN`, `name VARCHAR`, nullable.
fn table() -> Arc<TableSchema> {
    let column = |name: &str, column_type, nullable| Column {
        name: name.into(),
        column_type,
        nullable,
        source_type: "as declared".into(),
        default: Default::default(),
        charset: Some("latin1".into()),
        comment: Some("a comment".into()),
    };
    Arc::new(TableSchema {
        id: TableId::new("d", "t"),
        version: 4,
        columns: vec![
            column("id", ColumnType::Int, false),
            column("ok", ColumnType::Boolean, false),
            column("name", ColumnType::Text, true),
        ],
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: Some("ALTER TABLE t".into()),
    })
}

fn plan() -> abi::Plan {
    abi::Plan {
        action: abi::Action::Process,
        before: false,
        reads: Vec::new(),
        output: None,
        key: None,
        rename: None,
        expands: false,
        stateful: false,
        packed: false,
    }
}

fn output(columns: &[(&str, abi::Source)]) -> Option<Vec<abi::OutputColumn>> {
    Some(
        columns
            .iter()
            .map(|(name, source)| abi::OutputColumn { name: (*name).into(), source: source.clone() })
            .collect(),
    )
}

fn computed(computed_type: abi::ComputedType, nullable: bool) -> abi::Source {
    abi::Source::Computed(abi::Computed { computed_type, nullable })
}

fn full(column_type: abi::ColumnType, precision: u32, scale: u32) -> abi::ComputedType {
    abi::ComputedType::Full(abi::FullType { column_type, precision, scale })
}

fn resolve(plan: abi::Plan) -> Result<TablePlan, String> {
    TablePlan::resolve(1, &table(), plan)
}

#[test]
fn without_an_output_the_table_goes_on_as_it_is() {
    let input = table();
    let plan = TablePlan::resolve(1, &input, plan()).expect("a plan");
    assert!(Arc::ptr_eq(&plan.output, &input));
    assert_eq!(plan.sources, [Source::Input(0), Source::Input(1), Source::Input(2)]);
    assert!(!plan.needs_before());
}

#[test]
fn a_column_like_another_has_its_exact_type_and_no_declaration() {
    use abi::Source::Input;
    let wanted = [("id", Input(0)), ("ok", computed(abi::ComputedType::Like(1), true))];
    let plan = resolve(abi::Plan { output: output(&wanted), ..plan() }).expect("a plan");
    let masked = &plan.output.columns[1];
    assert_eq!((masked.column_type, masked.nullable, &*masked.source_type), (ColumnType::Boolean, true, ""));
    assert_eq!(masked.charset.as_deref(), Some("latin1"));
    assert_eq!(&*plan.output.columns[0].source_type, "as declared");
    assert_eq!(plan.computed().map(|column| &*column.name).collect::<Vec<_>>(), ["ok"]);
}

#[test]
fn types_in_full_are_the_widest_of_their_meaning() {
    use abi::ColumnType as T;
    for (full_type, wanted) in [
        (full(T::Int, 0, 0), Some(ColumnType::BigInt)),
        (full(T::Uint, 0, 0), Some(ColumnType::UnsignedBigInt)),
        (full(T::Float, 0, 0), Some(ColumnType::Double)),
        (full(T::Decimal, 65, 30), Some(ColumnType::Decimal { precision: 65, scale: 30 })),
        (full(T::Decimal, 0, 0), None),
        (full(T::Decimal, 66, 0), None),
        (full(T::Decimal, 5, 6), None),
        (full(T::Decimal, 40, 31), None),
        (full(T::Decimal, 300, 0), None),
        (full(T::Timestamp, 6, 0), Some(ColumnType::Timestamp { fraction: 6 })),
        (full(T::Datetime, 7, 0), None),
        (full(T::Time, 3, 1), None),
        (full(T::Text, 10, 0), None),
    ] {
        let wanted_output = [("id", abi::Source::Input(0)), ("x", computed(full_type.clone(), true))];
        let found = resolve(abi::Plan { output: output(&wanted_output), ..plan() });
        assert_eq!(found.ok().map(|plan| plan.output.columns[1].column_type), wanted, "{full_type:?}");
    }
}

#[test]
fn the_key_follows_its_columns_and_cannot_be_lost() {
    use abi::Source::Input;
    let like_id = computed(abi::ComputedType::Like(0), false);
    /// Name, output, the key that the plan names, and the key that comes of it with whether rows before are needed.
    type Case<'a> = (&'a str, &'a [(&'a str, abi::Source)], Option<Vec<u32>>, Option<(Vec<usize>, bool)>);
    let cases: [Case<'_>; 9] = [
        ("moved", &[("name", Input(2)), ("no", Input(0))], None, Some((vec![1], false))),
        ("copied", &[("a", Input(0)), ("b", Input(0))], None, Some((vec![0], false))),
        ("left out", &[("name", Input(2))], None, None),
        ("computed", &[("id", like_id.clone())], None, None),
        ("computed and named", &[("id", like_id)], Some(vec![0]), Some((vec![0], true))),
        ("another", &[("id", Input(0)), ("ok", Input(1))], Some(vec![1, 0]), Some((vec![1, 0], true))),
        ("none on purpose", &[("name", Input(2))], Some(vec![]), Some((vec![], false))),
        ("may be null", &[("id", Input(0)), ("name", Input(2))], Some(vec![1]), None),
        ("named twice", &[("id", Input(0))], Some(vec![0, 0]), None),
    ];
    for (name, columns, key, wanted) in cases {
        let found = resolve(abi::Plan { output: output(columns), key, ..plan() });
        assert_eq!(found.ok().map(|plan| (plan.output.key.clone(), plan.needs_before())), wanted, "{name}");
    }
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_refused() {
    use abi::Source::Input;
    let like = |column| computed(abi::ComputedType::Like(column), false);
    let reads = |reads: &[abi::Read]| abi::Plan { reads: reads.to_vec(), ..plan() };
    let with_output = |columns: &[(&str, abi::Source)]| abi::Plan { output: output(columns), ..plan() };
    for (complaint, refused) in [
        ("input column 3", reads(&[abi::Read::Column(3)])),
        ("same thing twice", reads(&[abi::Read::Column(1), abi::Read::Column(1)])),
        ("same thing twice", reads(&[abi::Read::Meta(abi::Meta::Position); 2])),
        ("no column", with_output(&[])),
        ("has no name", with_output(&[("", Input(0))])),
        ("called `ID`", with_output(&[("id", Input(0)), ("ID", Input(1))])),
        ("input column 9", with_output(&[("id", Input(9))])),
        ("input column 9", with_output(&[("id", Input(0)), ("x", like(9))])),
        ("output column 4", abi::Plan { key: Some(vec![4]), ..plan() }),
        ("empty name", abi::Plan { rename: Some(" ".into()), ..plan() }),
        ("wants state", abi::Plan { stateful: true, action: abi::Action::Pass, ..plan() }),
        ("names no key", abi::Plan { expands: true, ..plan() }),
        ("computes no column of the key", abi::Plan { expands: true, key: Some(vec![0]), ..plan() }),
        ("several rows of one, of a table", abi::Plan { expands: true, action: abi::Action::Pass, ..plan() }),
        (
            "not to be called",
            abi::Plan { action: abi::Action::Pass, ..with_output(&[("id", Input(0)), ("x", like(1))]) },
        ),
    ] {
        let reason = resolve(refused).expect_err(complaint);
        assert!(reason.contains(complaint), "{complaint}: {reason}");
    }
}
