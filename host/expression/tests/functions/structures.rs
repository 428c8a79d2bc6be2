//! JSON, lists, maps and rows.

use crate::support::{Case, check, settings};

pub const CASES: &[Case] = &[
    ("PARSE_JSON(' {\"a\": 1.10} ')", "JSON", "{\"a\": 1.10}"),
    ("PARSE_JSON('{')", "JSON", "error: not JSON"),
    ("PARSE_JSON('{\"a\":1,\"a\":2}')", "JSON", "error: a key comes twice"),
    ("PARSE_JSON('{\"a\":1,\"a\":2}', TRUE)", "JSON", "{\"a\":1,\"a\":2}"),
    ("PARSE_JSON(nothing)", "JSON", "NULL"),
    ("TRY_PARSE_JSON('{')", "JSON", "NULL"),
    ("TRY_PARSE_JSON('[1]')", "JSON", "[1]"),
    ("PARSE_JSON(json)['a']['b'][2]", "JSON", "2.50"),
    ("json['é']", "JSON", "\"x\""),
    ("json['none']", "JSON", "NULL"),
    ("json[1]", "JSON", "NULL"),
    ("ARRAY[1, 2, 3]", "JSON", "[1,2,3]"),
    ("ARRAY[i, nil]", "JSON", "[7,null]"),
    ("ARRAY['a\"b']", "JSON", "[\"a\\\"b\"]"),
    ("ARRAY[d, 1]", "JSON", "[12.50,1.00]"),
    ("ARRAY[day]", "JSON", "[\"2024-02-29\"]"),
    ("ARRAY[1, 2][2]", "INT", "2"),
    ("ARRAY[1, 2][0]", "INT", "NULL"),
    ("ARRAY[1, 2][3]", "INT", "NULL"),
    ("ARRAY[i, 2][1]", "INT", "7"),
    ("ARRAY[1, 2][nil]", "INT", "NULL"),
    ("ARRAY[ARRAY[1]]", "", "error: plain values"),
    ("ARRAY[bin, 1]", "", "error: no common type"),
    ("MAP['a', 1, 'b', i]", "JSON", "{\"a\":1,\"b\":7}"),
    ("MAP['a', 1, 'b', i]['b']", "INT", "7"),
    ("MAP['a', 1]['c']", "INT", "NULL"),
    ("MAP[1, 'x']", "JSON", "{\"1\":\"x\"}"),
    ("MAP['a']", "", "error: keys and values in turn"),
    ("ROW(1, 'x', NULL)", "JSON", "[1,\"x\",null]"),
    ("ROW(i, s)", "JSON", "[7,\"Hello World\"]"),
    ("CARDINALITY(ARRAY[1, 2])", "INT", "2"),
    ("CARDINALITY(ARRAY[])", "INT", "0"),
    ("CARDINALITY(MAP['a', 1])", "INT", "1"),
    ("CARDINALITY(s)", "", "error: takes an array or a map"),
    ("ARRAY_CONTAINS(ARRAY[1, 7], i)", "BOOLEAN", "TRUE"),
    ("ARRAY_CONTAINS(ARRAY[1, 2], i)", "BOOLEAN", "FALSE"),
    ("ARRAY_CONTAINS(ARRAY[1, NULL], nil)", "BOOLEAN", "NULL"),
    ("ARRAY_CONTAINS(ARRAY[1], 'x')", "", "error: cast it"),
    ("ARRAY_POSITION(ARRAY['a', 'b'], 'b')", "INT", "2"),
    ("ARRAY_POSITION(ARRAY['a', 'b'], 'c')", "INT", "0"),
    ("ELEMENT(ARRAY[i])", "INT", "7"),
    ("ELEMENT(ARRAY[1, 2])", "INT", "error: more than one item"),
    ("s[1]", "", "error: takes an array, a map or JSON"),
    ("AI_COMPLETE('m', s, 'p')", "", "error: write a WebAssembly plugin"),
    ("COUNT(i)", "", "error: an expression sees one row"),
    ("FROB(i)", "", "error: functions of your own are WebAssembly plugins"),
];

#[test]
fn structures() {
    check(CASES, &settings());
}
