//! For tests: asks WASI preview 1 for the time, for random numbers and for the environment, and writes what it gets into columns.

use sluicebox_guest::{NewUInt, Plan, Result, Row, Schema, Transform, Type, Verdict, export_plugin};

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(id: u32, precision: u64, time: *mut u64) -> u32;
    fn random_get(buffer: *mut u8, length: usize) -> u32;
    fn environ_sizes_get(count: *mut u32, size: *mut u32) -> u32;
    fn path_open(
        fd: u32,
        flags: u32,
        path: *const u8,
        length: usize,
        open: u32,
        rights: u64,
        inherited: u64,
        fd_flags: u32,
        opened: *mut u32,
    ) -> u32;
}

struct Preview1;

struct Columns {
    time: NewUInt,
    random: NewUInt,
    variables: NewUInt,
    errno: NewUInt,
}

impl Transform for Preview1 {
    type Table = Columns;

    fn new(_config: &str) -> Result<Self> {
        Ok(Self)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
        Ok(Columns {
            time: plan.add_uint("time", Type::UInt, false)?,
            random: plan.add_uint("random", Type::UInt, false)?,
            variables: plan.add_uint("variables", Type::UInt, false)?,
            errno: plan.add_uint("errno", Type::UInt, false)?,
        })
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        let (mut time, mut random, mut count, mut size, mut opened) = (0_u64, [0_u8; 8], 7_u32, 0_u32, 0_u32);
        let path = "/etc/passwd";
        // Safety: each pointer is to a value of the size that the call writes or reads.
        let errno = unsafe {
            clock_time_get(0, 1, &mut time);
            random_get(random.as_mut_ptr(), random.len());
            environ_sizes_get(&mut count, &mut size);
            path_open(3, 0, path.as_ptr(), path.len(), 0, u64::MAX, 0, 0, &mut opened)
        };
        row.set_uint(columns.time, time);
        row.set_uint(columns.random, u64::from_le_bytes(random));
        row.set_uint(columns.variables, u64::from(count));
        row.set_uint(columns.errno, u64::from(errno));
        Ok(Verdict::Keep)
    }
}

export_plugin!(Preview1);
