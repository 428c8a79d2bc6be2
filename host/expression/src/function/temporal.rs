//! Dates and times.
//!
//! A wall clock (`TIMESTAMP`) has no zone. An instant (`TIMESTAMP_LTZ`, MySQL's `TIMESTAMP`) is shown, cut and shifted by months
//! in the session's zone. "Now" is read once for a batch, so all functions of a row agree.

use sluicebox_model::ColumnType;

use super::{Changes, Derive, Function, Signature, Want, bring};
use crate::ast::Unit;
use crate::civil::{
    self, DAY, Date, SECOND, add_months, date_of, day_of_year, days_of, iso_week, read_timestamp, split,
    weekday, write_date,
};
use crate::evaluate::{Call, Cell};
use crate::pattern::{DEFAULT_DATE, DEFAULT_TIMESTAMP, Pattern};
use crate::prepared::Prepared;
use crate::settings::Settings;
use crate::types::{self, BIGINT, DATE, INT, TEXT, Type, comparable};
use crate::vector::{Values, Vector};
use crate::zone::Zone;

const T: Want = Want::Text;
const I: Want = Want::Integer;
const M: Want = Want::Moment;

const SECONDS: Type = Type::Plain(ColumnType::Time { fraction: 0 });
const WALL: Type = Type::Plain(ColumnType::DateTime { fraction: 3 });
const INSTANT: Type = Type::Plain(ColumnType::Timestamp { fraction: 3 });
/// What `UNIX_TIMESTAMP` makes of a text that is no time.
const NO_TIME: i64 = i64::MIN;

macro_rules! part {
    ($name:literal, $unit:expr) => {
        Function::new(
            &[$name],
            concat!($name, "(date or timestamp)"),
            (1, 1),
            Derive::By(part_types),
            |call| extract(call, 0, $unit),
        )
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(&["LOCALTIME", "CURRENT_TIME"], "LOCALTIME", (0, 0), Derive::Fixed(&[], SECONDS), |call| {
        now(call, |instant, zone| zone.to_local(instant).rem_euclid(DAY) / SECOND * SECOND)
    })
    .changing(Changes::EachBatch),
    Function::new(&["LOCALTIMESTAMP"], "LOCALTIMESTAMP", (0, 0), Derive::Fixed(&[], WALL), |call| {
        now(call, |instant, zone| zone.to_local(cut_fraction(instant, 3)))
    })
    .changing(Changes::EachBatch),
    Function::new(
        &["CURRENT_TIMESTAMP", "NOW"],
        "CURRENT_TIMESTAMP",
        (0, 0),
        Derive::Fixed(&[], INSTANT),
        |call| now(call, |instant, _| cut_fraction(instant, 3)),
    )
    .changing(Changes::EachBatch),
    Function::new(&["CURRENT_DATE"], "CURRENT_DATE", (0, 0), Derive::Fixed(&[], DATE), |call| {
        now(call, |instant, zone| zone.to_local(instant).div_euclid(DAY))
    })
    .changing(Changes::EachBatch),
    Function::new(&["EXTRACT"], "EXTRACT(unit FROM date or time)", (2, 2), Derive::By(part_types), |call| {
        extract(call, 1, call.prepared.unit().unwrap_or(Unit::Year))
    })
    .prepared(unit_first),
    part!("YEAR", Unit::Year),
    part!("QUARTER", Unit::Quarter),
    part!("MONTH", Unit::Month),
    part!("WEEK", Unit::Week),
    part!("DAYOFYEAR", Unit::DayOfYear),
    part!("DAYOFMONTH", Unit::Day),
    part!("DAYOFWEEK", Unit::DayOfWeek),
    part!("HOUR", Unit::Hour),
    part!("MINUTE", Unit::Minute),
    part!("SECOND", Unit::Second),
    Function::new(
        &["DATE_FORMAT"],
        "DATE_FORMAT(date or time, pattern)",
        (2, 2),
        Derive::By(format_types),
        |call| date_format(call, &call.settings().zone),
    )
    .prepared(|args, _, _| pattern(args, 1, DEFAULT_TIMESTAMP)),
    Function::new(
        &["DATE_FORMAT_TZ"],
        "DATE_FORMAT_TZ(timestamp, pattern, zone)",
        (3, 3),
        Derive::Fixed(&[M, T, T], TEXT),
        date_format_zone,
    )
    .prepared(pattern_and_zone),
    Function::new(
        &["TIMESTAMPADD", "TIMESTAMP_ADD"],
        "TIMESTAMPADD(unit, number, date or timestamp)",
        (3, 3),
        Derive::By(add_types),
        |call| shift_units(call, call.prepared.unit().unwrap_or(Unit::Day)),
    )
    .prepared(unit_first),
    Function::new(
        &["TIMESTAMPDIFF", "TIMESTAMP_DIFF"],
        "TIMESTAMPDIFF(unit, from, to)",
        (3, 3),
        Derive::By(difference_types),
        difference,
    )
    .prepared(unit_first),
    Function::new(&["TO_DATE"], "TO_DATE(text[, pattern])", (1, 2), Derive::By(to_date_types), to_date)
        .prepared(|args, _, _| pattern(args, 1, DEFAULT_DATE)),
    Function::new(
        &["TO_TIMESTAMP"],
        "TO_TIMESTAMP(text[, pattern])",
        (1, 2),
        Derive::Fixed(&[T], WALL),
        |call| to_timestamp(call, |local, _, _| local),
    )
    .prepared(|args, _, _| pattern(args, 1, DEFAULT_TIMESTAMP)),
    Function::new(
        &["TO_TIMESTAMP_LTZ"],
        "TO_TIMESTAMP_LTZ(text[, pattern])",
        (1, 2),
        Derive::Fixed(&[T], INSTANT),
        |call| to_timestamp(call, instant_of),
    )
    .prepared(|args, _, _| pattern(args, 1, DEFAULT_TIMESTAMP)),
    Function::new(
        &["FROM_UNIXTIME"],
        "FROM_UNIXTIME(seconds[, pattern])",
        (1, 2),
        Derive::Fixed(&[I, T], TEXT),
        from_unixtime,
    )
    .prepared(|args, _, _| pattern(args, 1, DEFAULT_TIMESTAMP)),
    Function::new(
        &["UNIX_TIMESTAMP"],
        "UNIX_TIMESTAMP([text[, pattern]])",
        (0, 2),
        Derive::Fixed(&[T], BIGINT),
        unix_timestamp,
    )
    .prepared(|args, _, _| pattern(args, 1, DEFAULT_TIMESTAMP))
    .changing(Changes::EachBatch),
    Function::new(&["DATE_ADD"], "DATE_ADD(date, days)", (2, 2), Derive::Fixed(&[M, I], TEXT), |call| {
        let (days, more) = (day_of(call, 0), call.int(1));
        call.texts(|row, out| {
            let sum = days(row).checked_add(more.at(row)).filter(|days| days.unsigned_abs() < 40_000_000);
            write_date(sum.ok_or("the date is out of range")?, out);
            Ok(true)
        })
    }),
];

fn now(call: &Call<'_>, of: impl Fn(i64, &Zone) -> i64) -> Vector {
    call.ints(|_| Ok(Some(of(call.env.now, &call.settings().zone))))
}

/// So many digits of a second's fraction.
pub(super) fn cut_fraction(micros: i64, digits: u8) -> i64 {
    let unit = 10_i64.pow(6 - u32::from(digits.min(6)));
    micros.div_euclid(unit) * unit
}

/// The argument's wall clock: midnight of a day, an instant in the session's zone, a time on the first day.
pub(super) fn wall<'a>(call: &'a Call<'a>, arg: usize) -> impl Fn(usize) -> i64 + 'a {
    let values = call.int(arg);
    let kind = call.types.get(arg).and_then(Type::plain);
    move |row| match kind {
        Some(ColumnType::Date) => values.at(row).saturating_mul(DAY),
        Some(ColumnType::Timestamp { .. }) => call.settings().zone.to_local(values.at(row)),
        _ => values.at(row),
    }
}

fn day_of<'a>(call: &'a Call<'a>, arg: usize) -> impl Fn(usize) -> i64 + 'a {
    let wall = wall(call, arg);
    move |row| wall(row).div_euclid(DAY)
}

fn unit_of(place: usize, types: &[Type]) -> Option<usize> {
    (types.get(place) == Some(&Type::Unit)).then_some(place)
}

/// The unit is written as the first argument; the binder passes its name.
fn unit_first(args: &[Option<String>], types: &[Type], _: &Settings) -> Result<Prepared, String> {
    unit_at(0, args, types)
}

/// The unit, where there is one, is the second argument.
pub(super) fn unit_behind(args: &[Option<String>], types: &[Type], _: &Settings) -> Result<Prepared, String> {
    unit_at(1, args, types)
}

fn unit_at(place: usize, args: &[Option<String>], types: &[Type]) -> Result<Prepared, String> {
    let name = unit_of(place, types).and_then(|place| args.get(place)).and_then(Option::as_deref);
    Ok(name.and_then(Unit::named).map_or(Prepared::Nothing, Prepared::Unit))
}

/// The pattern at this place, when it is written out; the default where there is none.
fn pattern(args: &[Option<String>], place: usize, default: &str) -> Result<Prepared, String> {
    match args.get(place) {
        Some(Some(text)) => Ok(Prepared::Format(Pattern::parse(text)?, None)),
        Some(None) => Ok(Prepared::Nothing),
        None => Ok(Prepared::Format(Pattern::parse(default)?, None)),
    }
}

fn pattern_and_zone(args: &[Option<String>], _: &[Type], _: &Settings) -> Result<Prepared, String> {
    match (args.get(1), args.get(2)) {
        (Some(Some(text)), Some(Some(zone))) => {
            Ok(Prepared::Format(Pattern::parse(text)?, Some(Zone::named(zone)?)))
        }
        (Some(Some(text)), _) => Pattern::parse(text).map(|_| Prepared::Nothing),
        _ => Ok(Prepared::Nothing),
    }
}

/// Gives each row its pattern.
struct Patterns<'a> {
    call: &'a Call<'a>,
    arg: usize,
    last: Option<(String, Pattern)>,
}

impl<'a> Patterns<'a> {
    fn new(call: &'a Call<'a>, arg: usize) -> Self {
        Self { call, arg, last: None }
    }

    fn at(&mut self, row: usize) -> Result<&Pattern, String> {
        if let Prepared::Format(pattern, _) = self.call.prepared {
            return Ok(pattern);
        }
        let text = self.call.text(self.arg).at(row);
        let known = self.last.take().filter(|(last, _)| last == text);
        let entry = match known {
            Some(known) => known,
            None => (text.to_owned(), Pattern::parse(text)?),
        };
        Ok(&self.last.insert(entry).1)
    }
}

/// `EXTRACT(unit FROM x)` and the functions that are named like a unit; from a time too.
fn part_types(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let bring_part = |arg: &Type| match arg {
        Type::Plain(ColumnType::Time { .. }) => Ok(arg.clone()),
        Type::Unit => Ok(Type::Unit),
        other => bring(M, other),
    };
    Ok(Signature { args: args.iter().map(bring_part).collect::<Result<_, _>>()?, result: BIGINT })
}

fn extract(call: &Call<'_>, arg: usize, unit: Unit) -> Vector {
    let wall = wall(call, arg);
    let instant = matches!(call.types.get(arg), Some(Type::Plain(ColumnType::Timestamp { .. })));
    let values = call.int(arg);
    call.ints(|row| {
        let micros = if unit == Unit::Epoch && instant { values.at(row) } else { wall(row) };
        Ok(Some(field(micros, unit)))
    })
}

fn field(micros: i64, unit: Unit) -> i64 {
    let (days, clock) = split(micros);
    let Date { year, month, day } = date_of(days);
    match unit {
        Unit::Year => year,
        Unit::Quarter => (month + 2) / 3,
        Unit::Month => month,
        Unit::Week => iso_week(days).1,
        Unit::Day => day,
        Unit::DayOfYear => day_of_year(days),
        Unit::DayOfWeek => weekday(days) % 7 + 1,
        Unit::IsoDayOfWeek => weekday(days),
        Unit::Hour => clock.hour,
        Unit::Minute => clock.minute,
        Unit::Second => clock.second,
        Unit::Millisecond => clock.second * 1000 + clock.micros / 1000,
        Unit::Microsecond => clock.second * SECOND + clock.micros,
        Unit::Decade => year.div_euclid(10),
        Unit::Century => (year + 99).div_euclid(100),
        Unit::Millennium => (year + 999).div_euclid(1000),
        Unit::Epoch => micros.div_euclid(SECOND),
    }
}

fn format_types(args: &[Type], settings: &Settings) -> Result<Signature, String> {
    let mut signature = part_types(args.get(..1).unwrap_or_default(), settings)?;
    for arg in args.iter().skip(1) {
        signature.args.push(bring(T, arg)?);
    }
    Ok(Signature { result: TEXT, ..signature })
}

fn date_format(call: &Call<'_>, zone: &Zone) -> Vector {
    let (wall, mut patterns) = (wall(call, 0), Patterns::new(call, 1));
    call.texts(|row, out| {
        let local = wall(row);
        let offset = zone.offset_at(zone.to_instant(local).div_euclid(SECOND));
        patterns.at(row)?.write(local, offset, out);
        Ok(true)
    })
}

/// An instant in a zone; a wall clock counts as UTC.
fn date_format_zone(call: &Call<'_>) -> Vector {
    let (values, mut patterns, zones) = (call.int(0), Patterns::new(call, 1), call.text(2));
    let is_date = call.types.first() == Some(&DATE);
    let fixed = if let Prepared::Format(_, zone) = call.prepared { zone.as_ref() } else { None };
    let mut last: Option<(&str, Zone)> = None;
    call.texts(|row, out| {
        if fixed.is_none() && last.as_ref().is_none_or(|(name, _)| *name != zones.at(row)) {
            last = Some((zones.at(row), Zone::named(zones.at(row))?));
        }
        let zone = fixed.or(last.as_ref().map(|(_, zone)| zone)).unwrap_or(&Zone::UTC);
        let instant = if is_date { values.at(row).saturating_mul(DAY) } else { values.at(row) };
        patterns.at(row)?.write(zone.to_local(instant), zone.offset_at(instant.div_euclid(SECOND)), out);
        Ok(true)
    })
}

/// The type that an interval is added to, and the sum's.
pub(super) fn shifted(from: &Type, span: &Type) -> Result<(Type, Type), String> {
    let from = match from {
        Type::Plain(ColumnType::Time { .. }) if *span == Type::Micros => from.clone(),
        other => bring(M, other)?,
    };
    let result = match (&from, span) {
        (Type::Plain(ColumnType::Date), Type::Micros) => Type::Plain(ColumnType::DateTime { fraction: 3 }),
        _ => from.clone(),
    };
    Ok((from, result))
}

/// A moment and an interval.
pub(super) fn shift(call: &Call<'_>, from: usize, span: usize, subtract: bool) -> Vector {
    let spans = call.int(span);
    let sign = if subtract { -1 } else { 1 };
    let months = call.types.get(span) == Some(&Type::Months);
    let values = call.int(from);
    let kind = call.types.get(from).cloned().unwrap_or(Type::Null);
    call.ints(|row| {
        let span = spans.at(row) * sign;
        moved(call, &kind, values.at(row), if months { Span::Months(span) } else { Span::Micros(span) })
    })
}

#[derive(Clone, Copy)]
enum Span {
    Months(i64),
    Micros(i64),
}

/// A moment so much later, as a value of the result's type.
fn moved(call: &Call<'_>, kind: &Type, value: i64, span: Span) -> Cell<i64> {
    let zone = &call.settings().zone;
    let by_months = |local: i64, months: i64| {
        let days = add_months(local.div_euclid(DAY), months)?;
        days.checked_mul(DAY)?.checked_add(local.rem_euclid(DAY))
    };
    let to_date = *call.result == DATE;
    let later = match (kind.plain(), span) {
        (Some(ColumnType::Date), Span::Months(months)) => add_months(value, months),
        (Some(ColumnType::Date), Span::Micros(micros)) if to_date => {
            value.checked_add(micros.div_euclid(DAY))
        }
        (Some(ColumnType::Date), Span::Micros(micros)) => {
            value.checked_mul(DAY).and_then(|v| v.checked_add(micros))
        }
        (Some(ColumnType::Time { .. }), Span::Micros(micros)) => {
            Some((value.saturating_add(micros)).rem_euclid(DAY))
        }
        (Some(ColumnType::Timestamp { .. }), Span::Months(months)) => {
            by_months(zone.to_local(value), months).map(|local| zone.to_instant(local))
        }
        (_, Span::Months(months)) => by_months(value, months),
        (_, Span::Micros(micros)) => value.checked_add(micros),
    };
    later.map(Some).ok_or_else(|| "the date is out of range".to_owned())
}

fn add_types(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let [unit, number, from] = args else {
        return Err("takes a unit, a number and a date or timestamp".into());
    };
    let from = bring(M, from)?;
    // Whether the unit is one of a day's parts is not known here; a day becomes a timestamp by a cast where that is wanted.
    let result = from.clone();
    Ok(Signature { args: vec![unit.clone(), bring(I, number)?, from], result })
}

fn shift_units(call: &Call<'_>, unit: Unit) -> Vector {
    let (numbers, values) = (call.int(1), call.int(2));
    let kind = call.types.get(2).cloned().unwrap_or(Type::Null);
    call.ints(|row| {
        let number = numbers.at(row);
        let span = match (unit.months(), unit.micros()) {
            (Some(months), _) => number.checked_mul(months).map(Span::Months),
            (None, Some(micros)) => number.checked_mul(micros).map(Span::Micros),
            (None, None) => return Err("this unit cannot be added".to_owned()),
        };
        moved(call, &kind, values.at(row), span.ok_or("the date is out of range")?)
    })
}

fn difference_types(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let [unit, from, to] = args else { return Err("takes a unit and two dates or timestamps".into()) };
    let both = comparable(&bring(M, from)?, &bring(M, to)?).unwrap_or(types::DATE);
    Ok(Signature { args: vec![unit.clone(), both.clone(), both], result: INT })
}

fn difference(call: &Call<'_>) -> Vector {
    let unit = call.prepared.unit().unwrap_or(Unit::Day);
    let instant = matches!(call.types.get(1), Some(Type::Plain(ColumnType::Timestamp { .. })));
    let (x, y) = (wall(call, 1), wall(call, 2));
    let (from, to) = (call.int(1), call.int(2));
    call.ints(|row| {
        let count = match (unit.months(), unit.micros()) {
            (Some(months), _) => whole_months(x(row), y(row)) / months,
            (None, Some(micros)) if instant => (to.at(row).saturating_sub(from.at(row))) / micros,
            (None, Some(micros)) => y(row).saturating_sub(x(row)) / micros,
            (None, None) => return Err("this unit makes no difference".to_owned()),
        };
        Ok(i32::try_from(count).ok().map(i64::from))
    })
}

/// Whole months between two wall clocks, towards zero.
fn whole_months(from: i64, to: i64) -> i64 {
    if to < from {
        return -whole_months(to, from);
    }
    let (start, end) = (date_of(from.div_euclid(DAY)), date_of(to.div_euclid(DAY)));
    let months = (end.year - start.year) * 12 + end.month - start.month;
    let late = (end.day, to.rem_euclid(DAY)) < (start.day, from.rem_euclid(DAY));
    months - i64::from(late)
}

fn to_date_types(args: &[Type], _: &Settings) -> Result<Signature, String> {
    match args {
        [moment] if moment.is_moment() => Signature::keep(args, DATE),
        args => Ok(Signature {
            args: args.iter().map(|arg| bring(T, arg)).collect::<Result<_, _>>()?,
            result: DATE,
        }),
    }
}

fn no_date(pattern: &str) -> String {
    format!("the text is no {pattern}")
}

fn to_date(call: &Call<'_>) -> Vector {
    if matches!(call.arg(0).map(|arg| &arg.values), Some(Values::Int(_))) {
        let days = day_of(call, 0);
        return call.ints(|row| Ok(Some(days(row))));
    }
    let (text, mut patterns) = (call.text(0), Patterns::new(call, 1));
    call.ints(|row| {
        let found = patterns.at(row)?.read(text.at(row)).and_then(|found| found.days());
        found.map(Some).ok_or_else(|| no_date("date of this pattern"))
    })
}

/// Reads a text by the pattern; without one also what stands behind the seconds.
fn to_timestamp(call: &Call<'_>, of: impl Fn(i64, Option<i64>, &Zone) -> i64) -> Vector {
    let (text, mut patterns, zone) = (call.text(0), Patterns::new(call, 1), &call.settings().zone);
    call.ints(|row| {
        let text = text.at(row);
        if call.args.len() == 1
            && let Some(local) = read_timestamp(text)
        {
            return Ok(Some(of(cut_fraction(local, 3), None, zone)));
        }
        let found = patterns.at(row)?.read(text);
        let local = found.as_ref().and_then(|found| found.local());
        let local = local.ok_or_else(|| no_date("timestamp of this pattern"))?;
        Ok(Some(of(cut_fraction(local, 3), found.and_then(|found| found.offset), zone)))
    })
}

fn instant_of(local: i64, offset: Option<i64>, zone: &Zone) -> i64 {
    offset.map_or_else(|| zone.to_instant(local), |offset| local - offset * SECOND)
}

fn from_unixtime(call: &Call<'_>) -> Vector {
    let (seconds, mut patterns, zone) = (call.int(0), Patterns::new(call, 1), &call.settings().zone);
    call.texts(|row, out| {
        let instant = seconds.at(row).checked_mul(SECOND).ok_or("the time is out of range")?;
        patterns.at(row)?.write(zone.to_local(instant), zone.offset_at(seconds.at(row)), out);
        Ok(true)
    })
}

fn unix_timestamp(call: &Call<'_>) -> Vector {
    if call.args.is_empty() {
        return now(call, |instant, _| instant.div_euclid(SECOND));
    }
    let (text, mut patterns, zone) = (call.text(0), Patterns::new(call, 1), &call.settings().zone);
    call.ints(|row| {
        let found = patterns.at(row)?.read(text.at(row));
        let instant = found.and_then(|found| Some(instant_of(found.local()?, found.offset, zone)));
        Ok(Some(instant.map_or(NO_TIME, |instant| instant.div_euclid(SECOND))))
    })
}

/// `FLOOR` and `CEIL` of a moment to a unit.
pub(super) fn cut(call: &Call<'_>, unit: Unit, up: bool) -> Vector {
    let wall = wall(call, 0);
    let zone = &call.settings().zone;
    call.ints(|row| {
        let local = wall(row);
        let low = floor(local, unit).ok_or("a date cannot be cut to this unit")?;
        let local = if up && low < local { next(low, unit).ok_or("the date is out of range")? } else { low };
        Ok(Some(match call.result.plain() {
            Some(ColumnType::Date) => local.div_euclid(DAY),
            Some(ColumnType::Timestamp { .. }) => zone.to_instant(local),
            _ => local,
        }))
    })
}

fn floor(local: i64, unit: Unit) -> Option<i64> {
    let days = local.div_euclid(DAY);
    let Date { year, month, .. } = date_of(days);
    let first = |year: i64, month: i64| days_of(Date { year, month, day: 1 })?.checked_mul(DAY);
    match unit {
        Unit::Week => (days - weekday(days) % 7).checked_mul(DAY),
        Unit::Month => first(year, month),
        Unit::Quarter => first(year, (month - 1) / 3 * 3 + 1),
        Unit::Year => first(year, 1),
        Unit::Decade => first(year.div_euclid(10) * 10, 1),
        Unit::Century => first((year - 1).div_euclid(100) * 100 + 1, 1),
        Unit::Millennium => first((year - 1).div_euclid(1000) * 1000 + 1, 1),
        unit => unit.micros().map(|length| local.div_euclid(length) * length),
    }
}

fn next(low: i64, unit: Unit) -> Option<i64> {
    let months = match unit {
        Unit::Decade => Some(120),
        Unit::Century => Some(1_200),
        Unit::Millennium => Some(12_000),
        unit => unit.months(),
    };
    match months {
        Some(months) => add_months(low.div_euclid(DAY), months)?.checked_mul(DAY),
        None => low.checked_add(unit.micros()?),
    }
}

/// Writes a wall clock in ISO form with `T`; seconds that are zero are left out, a fraction has three or six digits, as Java's.
pub(super) fn write_iso(local: i64, out: &mut String) {
    write_date(local.div_euclid(DAY), out);
    out.push('T');
    write_iso_time(local.rem_euclid(DAY), out);
}

/// The same of a time of day.
pub(super) fn write_iso_time(micros: i64, out: &mut String) {
    let clock = civil::clock_of(micros.saturating_abs());
    let digits = match clock.micros {
        0 => 0,
        fraction if fraction % 1000 == 0 => 3,
        _ => 6,
    };
    let start = out.len();
    civil::write_clock(micros, digits, out);
    if digits == 0 && clock.second == 0 {
        out.truncate(out.len().saturating_sub(3).max(start));
    }
}
