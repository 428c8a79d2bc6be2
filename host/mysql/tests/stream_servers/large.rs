//! Rows above the protocol's 16 MiB.

use arrow::array::AsArray;
use sluicebox_mysql::{Flavour, Images};

use crate::support::{BOTH, Session, cell, decode, outline, rows_of};

#[test]
fn rows_above_sixteen_mebibytes_come_out_whole() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_large");
        session.sql("CREATE TABLE t (id int primary key, v longblob)");
        let mut stream = session.stream(7601);
        // Around the length at which packets are cut, and far above; bytes of a kind that begin packets.
        let lengths = [(1, 16_777_000), (2, 16_777_215), (3, 16_777_300), (4, 40_000_000)];
        for (id, length) in lengths {
            session.sql(&format!("INSERT INTO t VALUES ({id}, REPEAT(x'00', {length}))"));
        }
        session.sql("INSERT INTO t VALUES (5, 'small')");
        let items = session.read(&mut stream);
        assert_eq!(outline(&items), ["rows t", "end"].repeat(5), "{flavour:?}");
        for (event, (id, length)) in rows_of(&items, "t").iter().zip(lengths) {
            let (batch, _) = decode(&[*event], Images::Effective);
            let value = batch.columns[1].as_binary::<i32>().value(0);
            assert_eq!((cell(&batch, 0, 0), value.len()), (id.to_string(), length), "{flavour:?}");
            assert!(value.iter().all(|b| *b == 0), "{flavour:?}");
        }
    }
}

#[test]
fn a_large_compressed_transaction_comes_out_whole() {
    let mut session = Session::new(Flavour::MySql, "stream_large_compressed");
    session.sql("CREATE TABLE t (id int primary key, v longtext)");
    let mut stream = session.stream(7602);
    session.sql("SET SESSION binlog_transaction_compression = ON");
    session.sql("BEGIN");
    for id in 0..5 {
        session.sql(&format!("INSERT INTO t VALUES ({id}, REPEAT('x', 20000000))"));
    }
    session.sql("COMMIT");
    let items = session.read(&mut stream);
    let rows = rows_of(&items, "t");
    assert_eq!(rows.len(), 5);
    let (batch, _) = decode(&rows, Images::Effective);
    assert!((0..5).all(|row| cell(&batch, row, 1).len() == 20_000_000));
}
