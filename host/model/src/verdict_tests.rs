use RowKind::{After, Before, Delete, Insert};

use super::*;

fn bits(text: &str) -> BooleanBuffer {
    text.chars().map(|c| c == '1').collect()
}

#[test]
fn when_all_stay_nothing_is_selected() {
    let folded = fold(&[Insert, Before, After], None, &[], true);
    assert_eq!(folded, Folded { selected: None, kinds: vec![Insert, Before, After], dropped: 0 });
    let folded = fold(&[Insert, Before, After], Some(&bits("111")), &[], true);
    assert_eq!(folded.selected, None);
}

#[test]
fn a_lone_after_that_goes_is_a_delete_only_by_a_key() {
    let folded = fold(&[After, After], Some(&bits("10")), &[], true);
    assert_eq!(folded, Folded { selected: None, kinds: vec![After, Delete], dropped: 0 });
    let folded = fold(&[After, After], Some(&bits("10")), &[], false);
    assert_eq!(folded, Folded { selected: Some(bits("10")), kinds: vec![After], dropped: 1 });
}

#[test]
fn failed_rows_are_neither_kept_nor_dropped() {
    let folded = fold(&[Insert, Before, After, Insert], Some(&bits("1110")), &[1, 2], true);
    assert_eq!(folded, Folded { selected: Some(bits("1000")), kinds: vec![Insert], dropped: 1 });
    let folded = fold(&[Insert, Before, After], None, &[0], true);
    assert_eq!(folded, Folded { selected: Some(bits("011")), kinds: vec![Before, After], dropped: 0 });
}

#[test]
fn a_run_whose_rows_all_went_goes_too() {
    let origin =
        |first_row, ordinal| Origin { first_row, commit_micros: 0, ordinal, transaction: None, absent: None };
    let origins = [origin(0, 1), origin(2, 2), origin(3, 3)];
    let found = select_origins(&origins, &bits("01011"));
    assert_eq!(found, [origin(0, 1), origin(1, 3)]);
}

#[test]
fn of_an_update_that_made_several_rows_the_old_ones_go_and_the_new_ones_come() {
    use RowKind::{After, Before, Delete, Insert, Read};
    let kinds = [Insert, Before, After, Delete, Read];
    assert_eq!(
        kinds_made(&kinds, &[0, 0, 1, 1, 2, 3, 4]),
        [Insert, Insert, Delete, Delete, Insert, Delete, Read]
    );
    let run =
        |first_row, ordinal| Origin { first_row, commit_micros: 0, ordinal, transaction: None, absent: None };
    let origins = [run(0, 7), run(1, 8), run(3, 9)];
    assert_eq!(origins_made(&origins, &[0, 0, 0, 4]), [run(0, 7), run(3, 9)]);
    assert_eq!(origins_made(&origins, &[1, 2, 2]), [run(0, 8)]);
    assert_eq!(origins_made(&origins, &[]), []);
}
