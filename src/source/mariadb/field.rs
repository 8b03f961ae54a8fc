//! The fields of a row, as the binary protocol sends them.
//!
//! A row is read where it lies in its packet, and a field borrows its bytes: no value is copied
//! before it is written down. The client of other statements makes a value of each field instead;
//! both come to the same [`Field`], which a property test holds them to.

use mysql_async::Column;
use mysql_async::Value;
use mysql_async::consts::ColumnFlags;
use mysql_async::consts::ColumnType;

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Field<'a> {
    Null,
    Bytes(&'a [u8]),
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    Date(Date),
    Time(Time),
}

/// A date, with its time of day where its type has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) micros: u32,
}

/// A TIME, which may be negative and longer than a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time {
    pub(super) is_negative: bool,
    pub(super) days: u32,
    pub(super) hours: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) micros: u32,
}

impl<'a> From<&'a Value> for Field<'a> {
    fn from(value: &'a Value) -> Self {
        match *value {
            Value::NULL => Self::Null,
            Value::Bytes(ref bytes) => Self::Bytes(bytes),
            Value::Int(number) => Self::Int(number),
            Value::UInt(number) => Self::UInt(number),
            Value::Float(number) => Self::Float(number),
            Value::Double(number) => Self::Double(number),
            Value::Date(year, month, day, hour, minute, second, micros) => {
                Self::Date(Date { year, month, day, hour, minute, second, micros })
            }
            Value::Time(is_negative, days, hours, minute, second, micros) => {
                Self::Time(Time { is_negative, days, hours, minute, second, micros })
            }
        }
    }
}

impl From<Field<'_>> for Value {
    fn from(field: Field<'_>) -> Self {
        match field {
            Field::Null => Self::NULL,
            Field::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Field::Int(number) => Self::Int(number),
            Field::UInt(number) => Self::UInt(number),
            Field::Float(number) => Self::Float(number),
            Field::Double(number) => Self::Double(number),
            Field::Date(it) => {
                Self::Date(it.year, it.month, it.day, it.hour, it.minute, it.second, it.micros)
            }
            Field::Time(it) => {
                Self::Time(it.is_negative, it.days, it.hours, it.minute, it.second, it.micros)
            }
        }
    }
}

/// How the values of a column are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float,
    Double,
    Date,
    Time,
    Null,
    Bytes,
}

impl Sent {
    /// Returns how the values of a result's column are sent.
    pub(super) fn of(column: &Column) -> Self {
        let is_unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
        match (column.column_type(), is_unsigned) {
            (ColumnType::MYSQL_TYPE_TINY, false) => Self::Int8,
            (ColumnType::MYSQL_TYPE_TINY, true) => Self::UInt8,
            (ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_YEAR, false) => Self::Int16,
            (ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_YEAR, true) => Self::UInt16,
            (ColumnType::MYSQL_TYPE_LONG | ColumnType::MYSQL_TYPE_INT24, false) => Self::Int32,
            (ColumnType::MYSQL_TYPE_LONG | ColumnType::MYSQL_TYPE_INT24, true) => Self::UInt32,
            (ColumnType::MYSQL_TYPE_LONGLONG, false) => Self::Int64,
            (ColumnType::MYSQL_TYPE_LONGLONG, true) => Self::UInt64,
            (ColumnType::MYSQL_TYPE_FLOAT, _) => Self::Float,
            (ColumnType::MYSQL_TYPE_DOUBLE, _) => Self::Double,
            (
                ColumnType::MYSQL_TYPE_DATE
                | ColumnType::MYSQL_TYPE_NEWDATE
                | ColumnType::MYSQL_TYPE_DATETIME
                | ColumnType::MYSQL_TYPE_TIMESTAMP,
                _,
            ) => Self::Date,
            (ColumnType::MYSQL_TYPE_TIME, _) => Self::Time,
            (ColumnType::MYSQL_TYPE_NULL, _) => Self::Null,
            _ => Self::Bytes,
        }
    }
}

/// Bits before those of the columns, which no column of a result has.
const UNUSED_BITS: usize = 2;

/// Returns the row of a packet: a bit for each column that is NULL, and the values of the others.
pub(super) fn image(packet: &[u8]) -> Option<&[u8]> {
    packet.get(1..)
}

/// Returns how many bytes say which of so many columns are NULL.
pub(super) const fn null_bytes(columns: usize) -> usize {
    (columns + 7 + UNUSED_BITS) / 8
}

/// Says of a column of a row that it is NULL.
pub(super) fn mark_null(image: &mut [u8], column: usize) {
    let bit = column + UNUSED_BITS;
    image[bit / 8] |= 1 << (bit % 8);
}

/// Returns the fields of a row's packet one after another; `None` in the place of the first that
/// the packet is too short for.
pub(super) fn fields<'a>(
    packet: &'a [u8],
    sent: &'a [Sent],
) -> impl Iterator<Item = Option<Field<'a>>> {
    let nulls = null_bytes(sent.len());
    let (nulls, values) =
        image(packet).and_then(|row| row.split_at_checked(nulls)).unwrap_or_default();
    let mut rest = values;
    sent.iter().enumerate().map(move |(position, sent)| {
        let bit = position + UNUSED_BITS;
        let is_null = nulls.get(bit / 8)? & (1 << (bit % 8)) != 0;
        if is_null { Some(Field::Null) } else { take_field(&mut rest, *sent) }
    })
}

fn take_field<'a>(rest: &mut &'a [u8], sent: Sent) -> Option<Field<'a>> {
    Some(match sent {
        Sent::Int8 => Field::Int(i8::from_le_bytes(take(rest)?).into()),
        Sent::Int16 => Field::Int(i16::from_le_bytes(take(rest)?).into()),
        Sent::Int32 => Field::Int(i32::from_le_bytes(take(rest)?).into()),
        Sent::Int64 => Field::Int(i64::from_le_bytes(take(rest)?)),
        Sent::UInt8 => Field::Int(u8::from_le_bytes(take(rest)?).into()),
        Sent::UInt16 => Field::Int(u16::from_le_bytes(take(rest)?).into()),
        Sent::UInt32 => Field::Int(u32::from_le_bytes(take(rest)?).into()),
        Sent::UInt64 => {
            let number = u64::from_le_bytes(take(rest)?);
            i64::try_from(number).map_or(Field::UInt(number), Field::Int)
        }
        Sent::Float => Field::Float(f32::from_le_bytes(take(rest)?)),
        Sent::Double => Field::Double(f64::from_le_bytes(take(rest)?)),
        Sent::Date => Field::Date(take_date(rest)?),
        Sent::Time => Field::Time(take_time(rest)?),
        Sent::Null => Field::Null,
        Sent::Bytes => {
            let length = take_length(rest)?;
            Field::Bytes(rest.split_off(..usize::try_from(length).ok()?)?)
        }
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn take_length(rest: &mut &[u8]) -> Option<u64> {
    Some(match take::<1>(rest)? {
        [0xfc] => u16::from_le_bytes(take(rest)?).into(),
        [0xfd] => {
            let [low, middle, high] = take(rest)?;
            u32::from_le_bytes([low, middle, high, 0]).into()
        }
        [0xfe] => u64::from_le_bytes(take(rest)?),
        [length] => length.into(),
    })
}

/// Takes a date of 0, 4, 7 or 11 bytes: what is not sent is zero.
fn take_date(rest: &mut &[u8]) -> Option<Date> {
    let [length] = take(rest)?;
    let mut sent = rest.split_off(..usize::from(length))?;
    let mut date = Date::default();
    if length >= 4 {
        date.year = u16::from_le_bytes(take(&mut sent)?);
        [date.month, date.day] = take(&mut sent)?;
    }
    if length >= 7 {
        [date.hour, date.minute, date.second] = take(&mut sent)?;
    }
    if length == 11 {
        date.micros = u32::from_le_bytes(take(&mut sent)?);
    }
    Some(date)
}

/// Takes a time of 0, 8 or 12 bytes.
fn take_time(rest: &mut &[u8]) -> Option<Time> {
    let [length] = take(rest)?;
    let mut sent = rest.split_off(..usize::from(length))?;
    let mut time = Time::default();
    if length >= 8 {
        time.is_negative = take(&mut sent)? == [1];
        time.days = u32::from_le_bytes(take(&mut sent)?);
        [time.hours, time.minute, time.second] = take(&mut sent)?;
    }
    if length == 12 {
        time.micros = u32::from_le_bytes(take(&mut sent)?);
    }
    Some(time)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mysql_common::io::ParseBuf;
    use mysql_common::proto::Binary;
    use mysql_common::row::RowDeserializer;
    use mysql_common::value::ServerSide;
    use proptest::prelude::*;

    use super::*;

    /// Every type that a result may have, and bytes as a server sends them.
    fn column() -> impl Strategy<Value = (Column, Option<Vec<u8>>)> {
        let types = [
            (ColumnType::MYSQL_TYPE_TINY, 1),
            (ColumnType::MYSQL_TYPE_SHORT, 2),
            (ColumnType::MYSQL_TYPE_YEAR, 2),
            (ColumnType::MYSQL_TYPE_INT24, 4),
            (ColumnType::MYSQL_TYPE_LONG, 4),
            (ColumnType::MYSQL_TYPE_LONGLONG, 8),
            (ColumnType::MYSQL_TYPE_FLOAT, 4),
            (ColumnType::MYSQL_TYPE_DOUBLE, 8),
        ];
        let number = (prop::sample::select(types.to_vec()), any::<bool>(), any::<[u8; 8]>());
        let number = number.prop_map(|((column_type, size), is_unsigned, bytes)| {
            let flags = if is_unsigned { ColumnFlags::UNSIGNED_FLAG } else { ColumnFlags::empty() };
            (Column::new(column_type).with_flags(flags), bytes[..size].to_vec())
        });
        let times = [
            (ColumnType::MYSQL_TYPE_DATE, &[0, 4, 7, 11][..]),
            (ColumnType::MYSQL_TYPE_DATETIME, &[0, 4, 7, 11]),
            (ColumnType::MYSQL_TYPE_TIMESTAMP, &[0, 4, 7, 11]),
            (ColumnType::MYSQL_TYPE_TIME, &[0, 8, 12]),
        ];
        let times: Vec<_> = times
            .iter()
            .flat_map(|(column_type, sizes)| sizes.iter().map(|size| (*column_type, *size)))
            .collect();
        let time = (prop::sample::select(times), any::<[u8; 12]>(), 0..2_u8);
        let time = time.prop_map(|((column_type, size), mut bytes, sign)| {
            bytes[0] = if size == 8 || size == 12 { sign } else { bytes[0] };
            let length = u8::try_from(size).unwrap();
            (Column::new(column_type), [&[length], &bytes[..size]].concat())
        });
        let texts = [
            ColumnType::MYSQL_TYPE_VAR_STRING,
            ColumnType::MYSQL_TYPE_NEWDECIMAL,
            ColumnType::MYSQL_TYPE_BIT,
            ColumnType::MYSQL_TYPE_BLOB,
            ColumnType::MYSQL_TYPE_GEOMETRY,
        ];
        let lengths = prop_oneof![0..300_usize, Just(65_535), Just(65_536), Just(70_000)];
        let text = (prop::sample::select(texts.to_vec()), lengths, any::<u8>());
        let text = text.prop_map(|(column_type, length, byte)| {
            let mut bytes = Vec::new();
            mysql_common::io::BufMutExt::put_lenenc_str(&mut bytes, &vec![byte; length]);
            (Column::new(column_type), bytes)
        });
        (prop_oneof![number, time, text], any::<bool>())
            .prop_map(|((column, bytes), is_null)| (column, (!is_null).then_some(bytes)))
    }

    /// Returns the packet of a row of these values.
    fn packet(values: &[(Column, Option<Vec<u8>>)]) -> Vec<u8> {
        let mut nulls = vec![0_u8; (values.len() + 9) / 8];
        for (position, (_, value)) in values.iter().enumerate() {
            if value.is_none() {
                nulls[(position + 2) / 8] |= 1 << ((position + 2) % 8);
            }
        }
        let values = values.iter().flat_map(|(_, value)| value.iter().flatten().copied());
        [0].into_iter().chain(nulls).chain(values).collect()
    }

    fn read(packet: &[u8], sent: &[Sent]) -> Option<Vec<Value>> {
        fields(packet, sent).map(|field| field.map(Value::from)).collect()
    }

    /// Not a number is equal to nothing; its bits are to be the same.
    fn shown(values: &[Value]) -> Vec<String> {
        let bits = |value: &Value| match value {
            Value::Float(number) => format!("float {:x}", number.to_bits()),
            Value::Double(number) => format!("double {:x}", number.to_bits()),
            Value::Bytes(bytes) => format!("bytes {bytes:?}"),
            // The client shows the hours of all days, which may be more than it can count.
            Value::Time(is_negative, days, hours, minute, second, micros) => {
                format!("time {is_negative} {days} {hours} {minute} {second} {micros}")
            }
            other => format!("{other:?}"),
        };
        values.iter().map(bits).collect()
    }

    proptest! {
        #[test]
        fn a_row_reads_as_the_client_reads_it(values in prop::collection::vec(column(), 1..20)) {
            let packet = packet(&values);
            let columns: Arc<[Column]> = values.iter().map(|(column, _)| column.clone()).collect();
            let sent: Vec<Sent> = columns.iter().map(Sent::of).collect();
            let row: RowDeserializer<ServerSide, Binary> = ParseBuf(&packet).parse(columns).unwrap();
            let theirs = row.into_inner().unwrap();
            prop_assert_eq!(shown(&read(&packet, &sent).unwrap()), shown(&theirs));
            let again: Vec<Value> = theirs.iter().map(|value| Field::from(value).into()).collect();
            prop_assert_eq!(shown(&again), shown(&theirs));
        }

        #[test]
        fn a_row_that_is_cut_short_is_none(values in prop::collection::vec(column(), 1..6), cut: prop::sample::Index) {
            let packet = packet(&values);
            let sent: Vec<Sent> = values.iter().map(|(column, _)| Sent::of(column)).collect();
            prop_assert_eq!(read(&packet[..cut.index(packet.len())], &sent), None);
        }
    }
}
