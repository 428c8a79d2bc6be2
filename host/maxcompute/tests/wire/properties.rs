//! What holds for any schema, any value and any key. Each case comes from a seed, which a failure names.

use std::num::NonZeroU32;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sluicebox_maxcompute::bucket::{self, Hasher};
use sluicebox_maxcompute::record::{RecordBody, RecordWriter, Value, read_records};
use sluicebox_maxcompute::{Compression, DataType, StructField, statement};

const COMPRESSIONS: [Compression; 5] =
    [Compression::Raw, Compression::Zlib, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A type, with parts not deeper than `depth`.
fn any_type(random: &mut StdRng, depth: u32) -> DataType {
    let simple = [
        DataType::Tinyint,
        DataType::Smallint,
        DataType::Int,
        DataType::Bigint,
        DataType::Float,
        DataType::Double,
        DataType::Boolean,
        DataType::String,
        DataType::Char(20),
        DataType::Varchar(200),
        DataType::Binary,
        DataType::Decimal { precision: 10, scale: 2 },
        DataType::Decimal { precision: 38, scale: 18 },
        DataType::Date,
        DataType::Datetime,
        DataType::Timestamp,
        DataType::TimestampNtz,
        DataType::Json,
        DataType::IntervalDayTime,
        DataType::IntervalYearMonth,
    ];
    let choice = random.random_range(0..simple.len() + if depth == 0 { 0 } else { 6 });
    match choice.checked_sub(simple.len()) {
        None => simple[choice].clone(),
        Some(0 | 1) => DataType::Array(Box::new(any_type(random, depth - 1))),
        Some(2 | 3) => {
            let key = any_type(random, depth - 1);
            DataType::Map(Box::new(key), Box::new(any_type(random, depth - 1)))
        }
        Some(_) => {
            let fields = random.random_range(1..5);
            let field =
                |index| StructField { name: format!("f{index}"), data_type: any_type(random, depth - 1) };
            DataType::Struct((0..fields).map(field).collect())
        }
    }
}

/// A number of any magnitude, the ends included.
fn any_bigint(random: &mut StdRng, bits: u32) -> i64 {
    let (least, most) = (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits));
    match random.random_range(0..8) {
        0 => least,
        1 => most,
        2 => 0,
        _ => (random.random::<i64>() >> random.random_range(0..64)).clamp(least, most),
    }
}

fn any_bytes(random: &mut StdRng) -> Vec<u8> {
    let longest = [0, 1, 8, 40, 300, 3000][random.random_range(0..6)];
    (0..random.random_range(0..=longest)).map(|_| random.random()).collect()
}

fn any_text(random: &mut StdRng) -> Vec<u8> {
    let alphabet = ['a', 'Z', '0', ' ', '"', '\\', '\n', '\0', 'é', '中', '\u{1f600}'];
    let length = [0, 1, 15, 16, 17, 255, 256, 257][random.random_range(0..8)];
    let text: String = (0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect();
    text.into_bytes()
}

fn any_decimal(random: &mut StdRng, precision: u32, scale: u32) -> String {
    let digits = random.random_range(1..=precision);
    let number: String = (0..digits).map(|_| char::from(b'0' + random.random_range(0..10))).collect();
    let padded = format!("{number:0>width$}", width = usize::try_from(scale + 1).unwrap());
    let (whole, fraction) = padded.split_at(padded.len() - usize::try_from(scale).unwrap());
    let sign = if random.random() { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn any_value(random: &mut StdRng, data_type: &DataType) -> Option<Value> {
    if random.random_range(0..6) == 0 {
        return None;
    }
    let few = random.random_range(0..4);
    Some(match data_type {
        DataType::Tinyint => Value::Bigint(any_bigint(random, 8)),
        DataType::Smallint => Value::Bigint(any_bigint(random, 16)),
        DataType::Int => Value::Bigint(any_bigint(random, 32)),
        DataType::Bigint => Value::Bigint(any_bigint(random, 64)),
        DataType::Boolean => Value::Boolean(random.random()),
        DataType::Float => Value::Float(f32::from_bits(random.random())),
        DataType::Double => Value::Double(f64::from_bits(random.random())),
        DataType::String | DataType::Char(_) | DataType::Varchar(_) | DataType::Json => {
            Value::Text(any_text(random))
        }
        DataType::Binary => Value::Text(any_bytes(random)),
        DataType::Decimal { precision, scale } => {
            Value::Text(any_decimal(random, *precision, *scale).into_bytes())
        }
        DataType::Date => Value::Date(i32::try_from(any_bigint(random, 32)).unwrap()),
        DataType::Datetime => Value::Datetime(any_bigint(random, 64)),
        DataType::IntervalYearMonth => Value::Months(any_bigint(random, 64)),
        DataType::Timestamp | DataType::TimestampNtz | DataType::IntervalDayTime => Value::Timestamp {
            seconds: any_bigint(random, 40),
            nanos: [0, 1, 123_456_789, 999_999_999][random.random_range(0..4)],
        },
        DataType::Array(element) => Value::Array((0..few).map(|_| any_value(random, element)).collect()),
        DataType::Map(key, value) => {
            Value::Map((0..few).map(|_| (any_value(random, key), any_value(random, value))).collect())
        }
        DataType::Struct(fields) => {
            Value::Struct(fields.iter().map(|field| any_value(random, &field.data_type)).collect())
        }
    })
}

/// NaN differs from itself, but not in the bits that are shown here.
fn shown(rows: &[Vec<Option<Value>>]) -> String {
    let bits = |value: &Value| match value {
        Value::Float(value) => Value::Text(value.to_bits().to_be_bytes().to_vec()),
        Value::Double(value) => Value::Text(value.to_bits().to_be_bytes().to_vec()),
        other => other.clone(),
    };
    let row = |row: &Vec<Option<Value>>| row.iter().map(|cell| cell.as_ref().map(bits)).collect::<Vec<_>>();
    format!("{:?}", rows.iter().map(row).collect::<Vec<_>>())
}

#[test]
fn any_rows_of_any_schema_are_read_back_as_they_were_written() {
    let mut writer = RecordWriter::new();
    for seed in 0..600 {
        let mut random = StdRng::seed_from_u64(seed);
        let types: Vec<_> = (0..random.random_range(1..24)).map(|_| any_type(&mut random, 3)).collect();
        let rows: Vec<Vec<_>> = (0..random.random_range(0..12))
            .map(|_| types.iter().map(|kind| any_value(&mut random, kind)).collect())
            .collect();
        let mut body = RecordBody::new();
        for row in &rows {
            let mut record = writer.record();
            for (column, cell) in (0_u32..).zip(row) {
                record.value(column, cell.as_ref());
            }
            body.push(record.end());
        }
        let compression = COMPRESSIONS[random.random_range(0..COMPRESSIONS.len())];
        let sealed = body.seal(compression);
        assert_eq!(sealed.records, u64::try_from(rows.len()).unwrap(), "seed {seed}");
        let bytes = sealed.compression.decompress(&sealed.bytes, 1 << 26).unwrap();
        let read = read_records(&bytes, &types).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        assert_eq!(shown(&read), shown(&rows), "seed {seed}");
    }
}

/// The text is the shortest plain one with all digits of the scale, as the bucket hash reads it back.
#[test]
fn any_decimal_is_written_in_plain_notation() {
    let mut writer = RecordWriter::new();
    let mut check = |unscaled: i128, scale: u32, name: &str| {
        let kind = DataType::Decimal { precision: 38, scale };
        let mut record = writer.record();
        record.decimal(0, unscaled, scale);
        let mut body = RecordBody::new();
        body.push(record.end());
        let rows = read_records(&body.finish(), &[kind]).unwrap();
        let text = rows[0][0].as_ref().and_then(Value::as_text).unwrap().to_owned();
        assert_eq!(bucket::unscaled(&text, scale), Some(unscaled), "{name}: {text}");
        let behind = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        assert_eq!(behind, usize::try_from(scale).unwrap(), "{name}: {text}");
        assert!(text.len() < 42 && !text.trim_start_matches('-').starts_with("00"), "{name}: {text}");
        text
    };
    for (unscaled, scale, want) in
        [(-1230, 2, "-12.30"), (0, 0, "0"), (0, 2, "0.00"), (-5, 3, "-0.005"), (7, 0, "7")]
    {
        assert_eq!(check(unscaled, scale, "by hand"), want);
    }
    for seed in 0..4000 {
        let mut random = StdRng::seed_from_u64(seed);
        let unscaled = random.random::<i128>() >> random.random_range(0..128);
        let limit = 10_i128.pow(38) - 1;
        check(unscaled.clamp(-limit, limit), random.random_range(0..=38), &format!("seed {seed}"));
    }
}

/// Bytes that nobody has written, behind a beginning that somebody has: the reader refuses them, or reads what
/// encodes to the same rows; it does not fall over.
#[test]
fn any_bytes_are_read_or_refused() {
    let mut writer = RecordWriter::new();
    let (mut refused, mut read) = (0, 0);
    for seed in 0..3000 {
        let mut random = StdRng::seed_from_u64(seed);
        let types: Vec<_> = (0..random.random_range(1..5)).map(|_| any_type(&mut random, 3)).collect();
        let mut record = writer.record();
        for (column, kind) in (0_u32..).zip(&types) {
            record.value(column, any_value(&mut random, kind).as_ref());
        }
        let mut body = RecordBody::new();
        body.push(record.end());
        let mut bytes = body.finish();
        bytes.truncate(random.random_range(0..=bytes.len()));
        bytes.extend((0..random.random_range(0..40)).map(|_| random.random::<u8>()));
        match read_records(&bytes, &types) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 2800 && read > 0, "{refused} refused, {read} read");
}

/// The bucket hash again, written from its description with unbounded numbers that are wrapped where the description
/// says so: no wrapping operator, no shift.
mod described {
    pub fn wrap(number: i128, bits: u32) -> i128 {
        let modulus = 1_i128 << bits;
        let rest = number.rem_euclid(modulus);
        if rest >= modulus / 2 { rest - modulus } else { rest }
    }

    fn right(number: i128, places: u32) -> i128 {
        number.div_euclid(2_i128.pow(places))
    }

    fn left(number: i128, places: u32, bits: u32) -> i128 {
        wrap(number * 2_i128.pow(places), bits)
    }

    /// A number of 64 bits.
    pub fn long(legacy: bool, value: i128) -> i128 {
        if legacy {
            return wrap(right(value, 32) ^ value, 32);
        }
        let mut l = wrap((-1 - value) + left(value, 18, 64), 64);
        l ^= right(l, 31);
        l = wrap(l * 21, 64);
        l ^= right(l, 11);
        l = wrap(l + left(l, 6, 64), 64);
        l ^= right(l, 22);
        wrap(l, 32)
    }

    pub fn bytes(legacy: bool, bytes: &[u8]) -> i128 {
        let signed = bytes.iter().map(|byte| wrap(i128::from(*byte), 8));
        if legacy {
            return signed.fold(0, |h, byte| wrap(h * 31 + byte, 32));
        }
        let mut h = 0;
        for byte in signed {
            h = wrap(h + byte, 32);
            h = wrap(h + left(h, 10, 32), 32);
            h ^= right(h, 6);
        }
        h = wrap(h + left(h, 3, 32), 32);
        h ^= right(h, 11);
        wrap(h + left(h, 15, 32), 32)
    }

    pub fn binary(legacy: bool, raw: &[u8]) -> i128 {
        let mut text = String::new();
        for byte in raw {
            match byte {
                b'=' => text.push_str("=3D"),
                b'\t' | b' '..=b'~' => text.push(char::from(*byte)),
                _ => text += &format!("={byte:02X}"),
            }
        }
        bytes(legacy, text.as_bytes())
    }

    pub fn decimal(legacy: bool, unscaled: i128, precision: u32) -> i128 {
        let low = wrap(unscaled.rem_euclid(1 << 64), 64);
        if precision <= 18 {
            long(legacy, low)
        } else {
            long(legacy, low) + long(legacy, right(unscaled, 64))
        }
    }

    pub fn boolean(value: bool) -> i128 {
        if value { 0x172B_A9C7 } else { -0x3A59_CB12 }
    }

    pub fn bucket(sum: i128, buckets: u32) -> i128 {
        let sum = wrap(sum, 32);
        (sum ^ right(sum, 8)).rem_euclid(1 << 32) % i128::from(buckets)
    }
}

/// One key column: its hash by this crate, and by the description.
fn any_key(random: &mut StdRng, hasher: Hasher) -> (i32, i128) {
    let legacy = hasher == Hasher::Legacy;
    let number = any_bigint(random, 64);
    let long = |value: i64| described::long(legacy, i128::from(value));
    match random.random_range(0..10) {
        0 => (hasher.bigint(number), long(number)),
        1 => (hasher.datetime(number), long(number)),
        2 => {
            let days = i32::try_from(any_bigint(random, 32)).unwrap();
            (hasher.date(days), long(i64::from(days) * 86_400))
        }
        3 => {
            let value = f32::from_bits(random.random());
            (hasher.float(value), described::long(legacy, i128::from(value.to_bits().cast_signed())))
        }
        4 => {
            let value = f64::from_bits(random.random());
            (hasher.double(value), long(value.to_bits().cast_signed()))
        }
        5 => {
            let text = any_text(random);
            (hasher.text(&text), described::bytes(legacy, &text))
        }
        6 => {
            let raw = any_bytes(random);
            (hasher.binary(&raw), described::binary(legacy, &raw))
        }
        7 => {
            let value = random.random();
            (hasher.boolean(value), described::boolean(value))
        }
        8 => {
            // The years 1 to 9999: before 1698 and behind 2242 the seconds lose their highest bits to the nanoseconds.
            let seconds = random.random_range(-62_135_596_800_i64..253_402_300_800);
            let nanos = random.random_range(0..1_000_000_000);
            let packed = described::wrap(i128::from(seconds) * (1 << 30), 64) + i128::from(nanos);
            (hasher.timestamp(seconds, nanos), described::long(legacy, packed))
        }
        _ => {
            let precision = random.random_range(1..=38);
            let scale = random.random_range(0..=precision.min(18));
            let text = any_decimal(random, precision, scale);
            let unscaled: i128 = text.replace('.', "").parse().unwrap();
            assert_eq!(bucket::unscaled(&text, scale), Some(unscaled), "{text}");
            (hasher.decimal(unscaled, precision), described::decimal(legacy, unscaled, precision))
        }
    }
}

#[test]
fn any_key_goes_to_the_bucket_that_the_description_says() {
    for seed in 0..4000 {
        let mut random = StdRng::seed_from_u64(seed);
        let hasher = if random.random() { Hasher::Default } else { Hasher::Legacy };
        let (mut ours, mut described) = (0_i32, 0_i128);
        for column in 0..random.random_range(1..4) {
            let (hash, wanted) = any_key(&mut random, hasher);
            ours = ours.wrapping_add(hash);
            described += wanted;
            let (ours, described) = (bucket::bucket_of(ours, NonZeroU32::MAX), described);
            let wanted = described::bucket(described, u32::MAX);
            assert_eq!(i128::from(ours), wanted, "seed {seed}, column {column}");
        }
        for buckets in [1, 2, 3, 16, 61, 4096] {
            let wanted = described::bucket(described, buckets);
            let found = bucket::bucket_of(ours, NonZeroU32::new(buckets).unwrap());
            assert_eq!(i128::from(found), wanted, "seed {seed}, {buckets} buckets");
        }
    }
}

/// Digits beyond the scale are rounded half up in magnitude.
#[test]
fn any_decimal_text_is_rounded_to_its_scale() {
    for seed in 0..4000 {
        let mut random = StdRng::seed_from_u64(seed);
        let written = random.random_range(0..=18);
        let scale = random.random_range(0..=18);
        let text = any_decimal(&mut random, 18.max(written), written);
        let number: i128 = text.replace('.', "").parse().unwrap();
        let wanted = match written.checked_sub(scale) {
            None => number * 10_i128.pow(scale - written),
            Some(0) => number,
            Some(beyond) => {
                let unit = 10_i128.pow(beyond);
                number.signum() * ((2 * number.abs() + unit) / (2 * unit))
            }
        };
        assert_eq!(bucket::unscaled(&text, scale), Some(wanted), "seed {seed}: {text} at {scale}");
    }
}

/// What stands between the quotes of a statement reads back as what went in, and nothing ends the quotes early.
#[test]
fn any_text_stays_inside_of_its_quotes() {
    for seed in 0..4000 {
        let mut random = StdRng::seed_from_u64(seed);
        let alphabet = ['\'', '\\', '`', '"', ';', '-', '\n', '\u{7}', 'a', '中'];
        let text: String = (0..random.random_range(0..12))
            .map(|_| alphabet[random.random_range(0..alphabet.len())])
            .collect();

        let literal = statement::literal(&text);
        let inside = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap();
        let (mut read, mut characters) = (String::new(), inside.chars());
        while let Some(character) = characters.next() {
            assert_ne!(character, '\'', "seed {seed}: {literal}");
            read.push(if character == '\\' { characters.next().expect("an escaped one") } else { character });
        }
        assert_eq!(read, text.replace('\u{7}', ""), "seed {seed}: {literal}");

        let name = statement::quoted(&text);
        let inside = name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap();
        assert!(!inside.replace("``", "").contains('`'), "seed {seed}: {name}");
        assert_eq!(inside.replace("``", "`"), text, "seed {seed}");
    }
}
