//! TABLE_MAP: what the row events behind it look like.
//!
//! Read here and not by `mysql_cdc`, which refuses maps with newer types or fields and labels that are not UTF-8.
//! Optional fields that are not known are skipped by their length; those that are known come only from some servers
//! and settings, so everything in them may be missing.

use std::collections::BTreeMap;

use super::{Cursor, Fault};

/// Numbers of column types in table maps, as far as code needs their names.
pub(crate) mod wire {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONG_LONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const DECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// A table as its rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableMap {
    pub(crate) table_id: u64,
    /// As the server stores it.
    pub(crate) database: String,
    /// As the server stores it.
    pub(crate) table: String,
    pub(crate) columns: Vec<MapColumn>,
    /// Column names; only with full metadata.
    pub(crate) names: Option<Vec<String>>,
    /// Labels of ENUM and SET columns by the column's place, in the column's own character set; only with full metadata.
    pub(crate) labels: BTreeMap<usize, Vec<Vec<u8>>>,
}

/// A column as its values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapColumn {
    /// One of [`wire`], with ENUM and SET told apart from CHAR.
    pub(crate) kind: u8,
    /// CHAR, BINARY: most bytes. ENUM, SET: bytes of a value. DECIMAL: precision, scale above it. BIT: bits modulo 8,
    /// bytes above it. VARCHAR: most bytes. BLOB and its kind: bytes of a length. Times: digits of the fraction. Else 0.
    pub(crate) meta: u16,
    pub(crate) nullable: bool,
    /// For numbers; none where the server does not say.
    pub(crate) unsigned: Option<bool>,
    /// Collation number, for text, bytes (63) and labels; none where the server does not say.
    pub(crate) collation: Option<u16>,
}

impl MapColumn {
    fn is_numeric(&self) -> bool {
        use wire::{DECIMAL, DOUBLE, FLOAT, INT24, LONG, LONG_LONG, SHORT, TINY, YEAR};
        // YEAR counts: seen on MySQL 9.7 and MariaDB 10.11, where it has a bit of its own, and that says unsigned.
        matches!(self.kind, TINY | SHORT | INT24 | LONG | LONG_LONG | FLOAT | DOUBLE | DECIMAL | YEAR)
    }

    fn is_character(&self) -> bool {
        use wire::{BLOB, BLOB_COMPRESSED, STRING, TINY_BLOB, VAR_STRING, VARCHAR, VARCHAR_COMPRESSED};
        matches!(
            self.kind,
            STRING | VAR_STRING | VARCHAR | VARCHAR_COMPRESSED | BLOB_COMPRESSED | TINY_BLOB..=BLOB
        )
    }

    fn is_labelled(&self) -> bool {
        matches!(self.kind, wire::ENUM | wire::SET)
    }
}

/// The id in front of a table map's or a row event's body.
#[inline]
pub(crate) fn table_id(body: &[u8]) -> Option<u64> {
    Cursor::new(body).uint(6)
}

impl TableMap {
    /// Reads the event's body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let short = || Fault::short("a table map");
        let mut cursor = Cursor::new(body);
        let (table_id, database, table) = head(&mut cursor).ok_or_else(short)?;
        let count = cursor.length_encoded().and_then(|n| usize::try_from(n).ok()).ok_or_else(short)?;
        let kinds = cursor.take(count).ok_or_else(short)?;
        let mut metadata = Cursor::new(cursor.length_encoded_bytes().ok_or_else(short)?);
        let nullable = cursor.take(count.div_ceil(8)).ok_or_else(short)?;
        let mut columns = Vec::with_capacity(count);
        for (place, kind) in kinds.iter().enumerate() {
            let nullable = nullable[place / 8] >> (place % 8) & 1 == 1;
            columns.push(column(*kind, nullable, &mut metadata)?);
        }
        let mut map = Self { table_id, database, table, columns, names: None, labels: BTreeMap::new() };
        map.read_optional(cursor).ok_or_else(short)?;
        Ok(map)
    }

    /// Whether it can be a MariaDB sequence, which is written like a table of one row: eight columns, none of them nullable.
    pub(crate) fn is_sequence(&self) -> bool {
        use wire::{LONG_LONG as L, TINY as T};
        self.columns.iter().map(|c| c.kind).eq([L, L, L, L, L, L, T, L])
            && !self.columns.iter().any(|c| c.nullable)
    }

    fn read_optional(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        const SIGNS: u8 = 1;
        const DEFAULT_CHARSET: u8 = 2;
        const CHARSETS: u8 = 3;
        const NAMES: u8 = 4;
        const SET_LABELS: u8 = 5;
        const ENUM_LABELS: u8 = 6;
        const DEFAULT_LABEL_CHARSET: u8 = 10;
        const LABEL_CHARSETS: u8 = 11;
        while !cursor.is_empty() {
            let field = cursor.u8()?;
            let value = Cursor::new(cursor.length_encoded_bytes()?);
            match field {
                SIGNS => self.read_signs(value),
                DEFAULT_CHARSET => self.read_default_charset(value, MapColumn::is_character)?,
                CHARSETS => self.read_charsets(value, MapColumn::is_character)?,
                NAMES => self.names = Some(read_names(value)?),
                SET_LABELS => self.read_labels(value, wire::SET)?,
                ENUM_LABELS => self.read_labels(value, wire::ENUM)?,
                DEFAULT_LABEL_CHARSET => self.read_default_charset(value, MapColumn::is_labelled)?,
                LABEL_CHARSETS => self.read_charsets(value, MapColumn::is_labelled)?,
                _ => {}
            }
        }
        Some(())
    }

    /// One bit for each numeric column, most significant first.
    fn read_signs(&mut self, signs: Cursor<'_>) {
        let signs = signs.rest();
        for (place, column) in self.columns.iter_mut().filter(|c| c.is_numeric()).enumerate() {
            column.unsigned = signs.get(place / 8).map(|byte| byte << (place % 8) & 0x80 != 0);
        }
    }

    /// A collation for all columns that are meant, then (place among them, collation) of those that differ.
    fn read_default_charset(&mut self, mut value: Cursor<'_>, meant: fn(&MapColumn) -> bool) -> Option<()> {
        let default = collation(&mut value)?;
        let mut columns: Vec<_> = self.columns.iter_mut().filter(|c| meant(c)).collect();
        for column in &mut columns {
            column.collation = Some(default);
        }
        while !value.is_empty() {
            let place = usize::try_from(value.length_encoded()?).ok()?;
            let other = collation(&mut value)?;
            columns.get_mut(place)?.collation = Some(other);
        }
        Some(())
    }

    /// A collation for each column that is meant.
    fn read_charsets(&mut self, mut value: Cursor<'_>, meant: fn(&MapColumn) -> bool) -> Option<()> {
        for column in self.columns.iter_mut().filter(|c| meant(c)) {
            column.collation = Some(collation(&mut value)?);
        }
        Some(())
    }

    /// For each column of the kind its number of labels, then the labels.
    fn read_labels(&mut self, mut value: Cursor<'_>, kind: u8) -> Option<()> {
        for (place, _) in self.columns.iter().enumerate().filter(|(_, c)| c.kind == kind) {
            let count = value.length_encoded()?;
            let labels = (0..count).map(|_| value.length_encoded_bytes().map(<[u8]>::to_vec));
            self.labels.insert(place, labels.collect::<Option<_>>()?);
        }
        Some(())
    }
}

fn head(cursor: &mut Cursor<'_>) -> Option<(u64, String, String)> {
    let table_id = cursor.uint(6)?;
    cursor.take(2)?;
    let mut name = || {
        let length = usize::from(cursor.u8()?);
        let name = String::from_utf8_lossy(cursor.take(length)?).into_owned();
        cursor.take(1)?;
        Some(name)
    };
    Some((table_id, name()?, name()?))
}

fn collation(value: &mut Cursor<'_>) -> Option<u16> {
    u16::try_from(value.length_encoded()?).ok()
}

fn read_names(mut value: Cursor<'_>) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !value.is_empty() {
        names.push(String::from_utf8_lossy(value.length_encoded_bytes()?).into_owned());
    }
    Some(names)
}

fn column(kind: u8, nullable: bool, metadata: &mut Cursor<'_>) -> Result<MapColumn, Fault> {
    use wire as w;
    let (kind, meta) = match kind {
        w::FLOAT
        | w::DOUBLE
        | w::TINY_BLOB..=w::BLOB
        | w::GEOMETRY
        | w::JSON
        | w::VECTOR
        | w::BLOB_COMPRESSED
        | w::TIME2
        | w::DATETIME2
        | w::TIMESTAMP2 => (kind, metadata.u8().map(u16::from)),
        w::VARCHAR | w::VAR_STRING | w::VARCHAR_COMPRESSED | w::BIT | w::DECIMAL => (kind, metadata.u16()),
        w::STRING | w::ENUM | w::SET => {
            let bytes = metadata.array().ok_or_else(|| Fault::short("a table map"))?;
            let (kind, meta) = string_kind(bytes);
            (kind, Some(meta))
        }
        0..=14 => (kind, Some(0)),
        other => return Err(format!("a table map has a column of type {other}, which is not known").into()),
    };
    // BLOB's own kind is always told by the length of its length.
    let kind = if (w::TINY_BLOB..=w::BLOB).contains(&kind) { w::BLOB } else { kind };
    let meta = meta.ok_or_else(|| Fault::short("a table map"))?;
    Ok(MapColumn { kind, meta, nullable, unsigned: None, collation: None })
}

/// STRING hides three types in its two bytes.
fn string_kind([high, low]: [u8; 2]) -> (u8, u16) {
    let low = u16::from(low);
    match high {
        wire::ENUM | wire::SET => (high, low),
        _ if high & 0x30 != 0x30 => (wire::STRING, low | u16::from((high & 0x30) ^ 0x30) << 4),
        _ => (wire::STRING, low),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Vec<u8> {
        let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 2, b't', b'2', 0];
        body.extend([5, 3, 254, 246, 15, 254]);
        body.extend([8, 247, 1, 10, 2, 144, 1, 238, 64]);
        body.push(0b01010);
        body.extend([1, 1, 0b0100_0000]);
        body.extend([2, 3, 45, 1, 63]);
        body.extend([77, 2, 9, 9]);
        body.extend([4, 10, 1, b'a', 1, b'b', 1, b'c', 1, b'd', 1, b'e']);
        body.extend([10, 1, 8]);
        body.extend([6, 5, 2, 1, b'x', 1, 0xe9]);
        body
    }

    #[test]
    fn columns_come_with_what_the_optional_fields_say() {
        let map = TableMap::parse(&body()).expect("a map");
        assert_eq!((map.table_id, &*map.database, &*map.table), (5, "d", "t2"));
        let kinds: Vec<_> = map.columns.iter().map(|c| (c.kind, c.meta)).collect();
        assert_eq!(
            kinds,
            [
                (wire::LONG, 0),
                (wire::ENUM, 1),
                (wire::DECIMAL, 522),
                (wire::VARCHAR, 400),
                (wire::STRING, 320)
            ]
        );
        let signs: Vec<_> = map.columns.iter().map(|c| c.unsigned).collect();
        assert_eq!(signs, [Some(false), None, Some(true), None, None]);
        let collations: Vec<_> = map.columns.iter().map(|c| c.collation).collect();
        assert_eq!(collations, [None, Some(8), None, Some(45), Some(63)]);
        assert_eq!(map.labels, BTreeMap::from([(1, vec![b"x".to_vec(), vec![0xe9]])]));
        assert_eq!(map.names.as_deref().map(<[_]>::len), Some(5));
        assert!(map.columns[1].nullable && !map.columns[0].nullable && map.columns[3].nullable);
    }

    #[test]
    fn labels_go_to_the_columns_of_their_kind() {
        let mut body = vec![5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0];
        body.extend([4, 254, 254, 3, 254, 6, 248, 1, 247, 1, 248, 1, 0]);
        // A character set for each, labels of both sets, then those of the enum.
        body.extend([11, 5, 8, 252, 255, 0, 33]);
        body.extend([5, 7, 1, 1, b'a', 2, 0, 1, b'b']);
        body.extend([6, 3, 1, 1, b'e']);
        let map = TableMap::parse(&body).expect("a map");
        let labels = |all: &[&str]| all.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>();
        let wanted = [(0, labels(&["a"])), (1, labels(&["e"])), (3, labels(&["", "b"]))];
        assert_eq!(map.labels, BTreeMap::from(wanted));
        let collations: Vec<_> = map.columns.iter().map(|c| c.collation).collect();
        assert_eq!(collations, [Some(8), Some(255), None, Some(33)]);
    }

    #[test]
    fn a_cut_map_is_refused_or_lacks_only_its_optional_fields() {
        let body = body();
        let whole = TableMap::parse(&body).expect("a map");
        for length in 0..body.len() {
            if let Ok(map) = TableMap::parse(&body[..length]) {
                assert_eq!(map.columns.len(), whole.columns.len(), "{length}");
            }
        }
        assert!(TableMap::parse(&body[..20]).is_err());
    }

    #[test]
    fn a_long_char_keeps_its_length() {
        assert_eq!(string_kind([0xce, 0x20]), (wire::STRING, 0x320));
        assert_eq!(string_kind([254, 20]), (wire::STRING, 20));
        assert_eq!(string_kind([248, 8]), (wire::SET, 8));
    }
}
