//! What the choices of the plugin interface cost or save, one against the other in turns in one run: rows in batches against a call a
//! row, columns against records, texts as offsets and bytes against lists of strings, lent lists against copies, and what stops an
//! endless loop.
//!
//!     cargo bench -p sluicebox-wasm --bench interface_choices
//!
//! The guest is written in WebAssembly's own text and does next to nothing, so that what is measured is the way to it and back. Prints
//! nanoseconds for each row: the least and the median of the repetitions, and the least as a multiple of the choice that was made.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]
#![allow(clippy::type_complexity, reason = "a function's type says what it is given")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use wasmtime::component::{Component, ComponentType, Linker, Lower, TypedFunc};
use wasmtime::{Config, Engine, Store};

const ROWS: usize = 256;
const REPETITIONS: usize = 15;
const REPETITION: Duration = Duration::from_millis(40);

/// Arguments lie behind the first page; each call gives them all back.
const GUEST: &str = r#"
(component
  (core module $m
    (memory (export "memory") 32)
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (local.get $at))
    (func $done (global.set $top (i32.const 65536)))
    ;; The sum of so many numbers that lie so many bytes apart.
    (func $sum (param $at i32) (param $count i32) (param $step i32) (result i64)
      (local $sum i64)
      (block $end
        (loop $next
          (br_if $end (i32.eqz (local.get $count)))
          (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $at))))
          (local.set $at (i32.add (local.get $at) (local.get $step)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $next)))
      (call $done)
      (local.get $sum))
    (func (export "nothing"))
    (func (export "ints") (param i32 i32) (result i64) (call $sum (local.get 0) (local.get 1) (i32.const 8)))
    (func (export "texts") (param i32 i32) (result i64) (call $done) (i64.extend_i32_u (local.get 1)))
    (func (export "strings") (param i32 i32 i32 i32) (result i64) (call $done) (i64.extend_i32_u (local.get 1)))
    (func (export "columns") (param i32 i32 i32 i32 i32 i32) (result i64)
      (call $sum (local.get 0) (local.get 1) (i32.const 8)))
    (func (export "records") (param i32 i32) (result i64) (call $done) (i64.extend_i32_u (local.get 1))))
  (core instance $i (instantiate $m))
  (type $value-type (variant (case "int" s64) (case "text" string)))
  (export $value "value" (type $value-type))
  (func (export "nothing") (canon lift (core func $i "nothing")))
  (func (export "ints") (param "values" (list s64)) (result s64)
    (canon lift (core func $i "ints") (memory $i "memory") (realloc (func $i "realloc"))))
  (func (export "texts") (param "values" (list string)) (result s64)
    (canon lift (core func $i "texts") (memory $i "memory") (realloc (func $i "realloc"))))
  (func (export "strings") (param "offsets" (list u32)) (param "data" (list u8)) (result s64)
    (canon lift (core func $i "strings") (memory $i "memory") (realloc (func $i "realloc"))))
  (func (export "columns") (param "values" (list s64)) (param "offsets" (list u32)) (param "data" (list u8)) (result s64)
    (canon lift (core func $i "columns") (memory $i "memory") (realloc (func $i "realloc"))))
  (func (export "records") (param "rows" (list (list (tuple string $value)))) (result s64)
    (canon lift (core func $i "records") (memory $i "memory") (realloc (func $i "realloc")))))
"#;

#[derive(ComponentType, Lower)]
#[component(variant)]
enum Value<'a> {
    #[component(name = "int")]
    Int(i64),
    #[component(name = "text")]
    Text(&'a str),
}

/// What ends an endless loop.
#[derive(Clone, Copy)]
enum Stop {
    Epochs,
    Fuel,
    Nothing,
}

/// The settings of the host's engine that matter here.
fn guest(stop: Stop) -> (Store<()>, wasmtime::component::Instance) {
    let mut config = Config::new();
    config.concurrency_support(false);
    match stop {
        Stop::Epochs => drop(config.epoch_interruption(true)),
        Stop::Fuel => drop(config.consume_fuel(true)),
        Stop::Nothing => {}
    }
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    match stop {
        Stop::Epochs => store.set_epoch_deadline(1 << 40),
        Stop::Fuel => store.set_fuel(u64::MAX).unwrap(),
        Stop::Nothing => {}
    }
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

fn discard(answer: (i64,)) {
    black_box(answer);
}

/// One way of doing it; gives nothing, and takes one batch.
type Way<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Nanoseconds for each row, of all ways in turns.
fn compare(what: &str, mut ways: Vec<Way<'_>>) {
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..REPETITIONS {
        for ((_, way), times) in ways.iter_mut().zip(&mut times) {
            let (started, mut batches) = (Instant::now(), 0_u32);
            while started.elapsed() < REPETITION {
                for _ in 0..16 {
                    way();
                }
                batches += 16;
            }
            times.push(started.elapsed().as_nanos() as f64 / f64::from(batches) / ROWS as f64);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let chosen = times[0][0];
    println!("\n{what:54} {:>8} {:>8} {:>8}", "least", "median", "times");
    for ((name, _), times) in ways.iter().zip(&times) {
        let (least, median) = (times[0], times[REPETITIONS / 2]);
        println!("{name:54} {least:8.2} {median:8.2} {:8.1}", least / chosen);
    }
}

fn main() {
    println!("ns a row, {ROWS} rows a batch; each group in turns, the choice that was made first");
    let numbers: Vec<i64> = (0..).take(ROWS).collect();
    let texts: Vec<String> = (0..ROWS).map(|row| format!("customer{row}@example.org")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let data = texts.concat().into_bytes();
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.len() as u32;
        Some(*end)
    });
    let offsets: Vec<u32> = std::iter::once(0).chain(ends).collect();
    calls(&numbers);
    layouts(&numbers, &texts, &offsets, &data);
    limits(&numbers);
}

fn calls(numbers: &[i64]) {
    let (mut store, instance) = guest(Stop::Epochs);
    let ints: TypedFunc<(&[i64],), (i64,)> = instance.get_typed_func(&mut store, "ints").unwrap();
    let (mut other, instance) = guest(Stop::Epochs);
    let one: TypedFunc<(&[i64],), (i64,)> = instance.get_typed_func(&mut other, "ints").unwrap();
    let (mut empty, instance) = guest(Stop::Epochs);
    let nothing: TypedFunc<(), ()> = instance.get_typed_func(&mut empty, "nothing").unwrap();
    compare(
        "a column of integers",
        vec![
            ("one call a batch", Box::new(|| discard(ints.call(&mut store, (numbers,)).unwrap()))),
            (
                "a call a row",
                Box::new(|| {
                    for row in numbers.chunks(1) {
                        discard(one.call(&mut other, (row,)).unwrap());
                    }
                }),
            ),
            (
                "a call a row that hands nothing over",
                Box::new(|| (0..ROWS).for_each(|_| nothing.call(&mut empty, ()).unwrap())),
            ),
        ],
    );
}

fn layouts(numbers: &[i64], texts: &[&str], offsets: &[u32], data: &[u8]) {
    let (mut store, instance) = guest(Stop::Epochs);
    let strings: TypedFunc<(&[u32], &[u8]), (i64,)> = instance.get_typed_func(&mut store, "strings").unwrap();
    let (mut other, instance) = guest(Stop::Epochs);
    let list: TypedFunc<(&[&str],), (i64,)> = instance.get_typed_func(&mut other, "texts").unwrap();
    compare(
        "a column of texts",
        vec![
            ("offsets and bytes", Box::new(|| discard(strings.call(&mut store, (offsets, data)).unwrap()))),
            ("a list of strings", Box::new(|| discard(list.call(&mut other, (texts,)).unwrap()))),
        ],
    );

    let (mut store, instance) = guest(Stop::Epochs);
    let columns: TypedFunc<(&[i64], &[u32], &[u8]), (i64,)> =
        instance.get_typed_func(&mut store, "columns").unwrap();
    let (mut other, instance) = guest(Stop::Epochs);
    let copied: TypedFunc<(Vec<i64>, Vec<u32>, Vec<u8>), (i64,)> =
        instance.get_typed_func(&mut other, "columns").unwrap();
    let (mut third, instance) = guest(Stop::Epochs);
    let records: TypedFunc<(&[Vec<(&str, Value<'_>)>],), (i64,)> =
        instance.get_typed_func(&mut third, "records").unwrap();
    compare(
        "an integer and a text",
        vec![
            (
                "columns, lent",
                Box::new(|| discard(columns.call(&mut store, (numbers, offsets, data)).unwrap())),
            ),
            (
                "columns, copied first",
                Box::new(|| {
                    let arguments = (numbers.to_vec(), offsets.to_vec(), data.to_vec());
                    discard(copied.call(&mut other, arguments).unwrap());
                }),
            ),
            (
                "records of names and values",
                Box::new(|| {
                    let record =
                        |(&number, &text)| vec![("id", Value::Int(number)), ("email", Value::Text(text))];
                    let rows: Vec<_> = numbers.iter().zip(texts).map(record).collect();
                    discard(records.call(&mut third, (&rows,)).unwrap());
                }),
            ),
        ],
    );
}

fn limits(numbers: &[i64]) {
    let mut ways: Vec<Way<'_>> = Vec::new();
    for (name, stop) in [("epochs", Stop::Epochs), ("fuel", Stop::Fuel), ("nothing", Stop::Nothing)] {
        let (mut store, instance) = guest(stop);
        let ints: TypedFunc<(&[i64],), (i64,)> = instance.get_typed_func(&mut store, "ints").unwrap();
        let way = move || {
            if let Stop::Fuel = stop {
                store.set_fuel(u64::MAX).unwrap();
            }
            discard(ints.call(&mut store, (numbers,)).unwrap());
        };
        ways.push((name, Box::new(way)));
    }
    compare("what ends an endless loop; the sum of a column", ways);
}
