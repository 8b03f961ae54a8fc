//! Values as the binary protocol has them, made of the text that stands in a line.
//!
//! A server sends a value of a result in these bytes, and takes almost every one in the same: what is
//! sent can be compared with what comes back without writing either down as text.
//!
//! Lines are taken as `tsv` writes them. Some of what reads as the same value otherwise, such as `007`, is
//! taken too, and is that value in the table; dates and times that are shorter are not.

use memchr::memchr2;
use memchr::memchr3;

use crate::source::mariadb::definition::Column;
use crate::source::mariadb::tsv;
use crate::source::mariadb::wire::bulk::BulkType;

/// The form in which a server sends the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Int8,
    Int16,
    Int32,
    Int64,
    Float,
    Double,
    Year,
    Date,
    DateTime,
    Timestamp,
    Time,
    Bytes,
}

/// How a value goes to the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SentAs {
    /// In the bytes in which it comes back.
    AsItComes,
    /// The same; read as a number without a sign.
    Unsigned,
    /// The same; it is less than zero.
    Negative,
    /// As a double, which the server makes narrower by itself.
    Double(f64),
    /// As its text.
    Text,
}

impl Form {
    /// Returns the form of a column; `None` where a bulk may take its values for others than a
    /// `LOAD DATA` does.
    pub(super) fn of(column: &Column) -> Option<Self> {
        if column.is_generated || column.lifetime.is_some() {
            return None;
        }
        Some(match column.data_type.as_str() {
            "tinyint" => Self::Int8,
            "smallint" => Self::Int16,
            "mediumint" | "int" => Self::Int32,
            "bigint" => Self::Int64,
            "float" => Self::Float,
            "double" => Self::Double,
            "year" => Self::Year,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "decimal" | "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext"
            | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                Self::Bytes
            }
            _ => return None,
        })
    }

    /// Returns the type in which values go to the server.
    pub(super) const fn bulk_type(self) -> BulkType {
        match self {
            Self::Int8 => BulkType::Int8,
            Self::Int16 => BulkType::Int16,
            Self::Int32 => BulkType::Int32,
            Self::Int64 => BulkType::Int64,
            Self::Float | Self::Double => BulkType::Double,
            Self::Date => BulkType::Date,
            Self::DateTime => BulkType::DateTime,
            Self::Timestamp => BulkType::Timestamp,
            Self::Time => BulkType::Time,
            // A number of two digits would be a year of this century or the last one.
            Self::Year | Self::Bytes => BulkType::Text,
        }
    }

    /// Appends the value of the cell that a text begins with, as the server sends it. Returns how it goes
    /// there, and the length of the cell; `None` where it is no value of the form. What follows the cell
    /// is not looked at.
    #[inline]
    pub(super) fn append(self, text: &[u8], image: &mut Vec<u8>) -> Option<(SentAs, usize)> {
        match self {
            Self::Int8 => append_integer::<1>(text, image),
            Self::Int16 => append_integer::<2>(text, image),
            Self::Int32 => append_integer::<4>(text, image),
            Self::Int64 => append_integer::<8>(text, image),
            Self::Float => {
                let (number, length) = double(text)?;
                #[expect(clippy::cast_possible_truncation, reason = "the server narrows it so")]
                image.extend_from_slice(&(number as f32).to_le_bytes());
                Some((SentAs::Double(number), length))
            }
            Self::Double => {
                let (number, length) = double(text)?;
                image.extend_from_slice(&number.to_le_bytes());
                Some((SentAs::AsItComes, length))
            }
            Self::Year => {
                let cell = cell(text, 4)?;
                let year = u16::try_from(digits(cell)?).ok()?;
                image.extend_from_slice(&year.to_le_bytes());
                Some((SentAs::Text, cell.len()))
            }
            Self::Date => {
                let cell = cell(text, DATE)?;
                append_date(cell, Clock::default(), image)?;
                Some((SentAs::AsItComes, cell.len()))
            }
            Self::DateTime | Self::Timestamp => {
                let cell = cell(text, DATE + " 00:00:00".len())?;
                let (date, clock) = cell.split_at_checked(DATE)?;
                let clock = clock.strip_prefix(b" ")?;
                append_date(date, Clock::read(clock).filter(|it| it.hours < 24)?, image)?;
                Some((SentAs::AsItComes, cell.len()))
            }
            Self::Time => {
                let cell = cell(text, "00:00:00".len())?;
                append_time(cell, image)?;
                Some((SentAs::AsItComes, cell.len()))
            }
            Self::Bytes => append_text(text, image),
        }
    }
}

/// The bytes of a date without a time.
const DATE: usize = "0000-00-00".len();

/// Returns whether a byte ends a cell: no byte of a value stands for itself that does.
pub(super) const fn ends_cell(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n')
}

/// Returns the cell that a text begins with, and of which so many bytes are known to be there: any other
/// is no value.
fn cell(text: &[u8], shortest: usize) -> Option<&[u8]> {
    let more = text.get(shortest..)?.iter().position(|byte| ends_cell(*byte))?;
    Some(&text[..shortest + more])
}

/// Appends the integer of so many bytes that a text begins with.
fn append_integer<const BYTES: usize>(text: &[u8], image: &mut Vec<u8>) -> Option<(SentAs, usize)> {
    let (number, is_large, length) = integer(text)?;
    // One more than the largest with a sign; there is none such of eight bytes.
    let beyond = if BYTES < 8 { 1_i64 << (BYTES * 8 - 1) } else { i64::MAX };
    let fits = BYTES == 8 || (!is_large && (-beyond..2 * beyond).contains(&number));
    let is_unsigned = is_large || (BYTES < 8 && number >= beyond);
    image.extend_from_slice(number.to_le_bytes().get(..BYTES).filter(|_| fits)?);
    let sent = if is_unsigned {
        SentAs::Unsigned
    } else if number < 0 {
        SentAs::Negative
    } else {
        SentAs::AsItComes
    };
    Some((sent, length))
}

/// Returns the integer that a text begins with, whether it is read as one without a sign, and its length.
fn integer(text: &[u8]) -> Option<(i64, bool, usize)> {
    /// So many digits are no number that is too large.
    const SAFE_DIGITS: usize = 18;
    let sign = usize::from(text.first() == Some(&b'-'));
    let (mut number, mut digits) = (0_i64, 0);
    for byte in &text[sign..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
        digits += 1;
    }
    let length = sign + digits;
    if (1..=SAFE_DIGITS).contains(&digits) {
        return Some((if sign == 1 { -number } else { number }, false, length));
    }
    let text = str::from_utf8(&text[..length]).ok()?;
    match text.parse::<i64>() {
        Ok(number) => Some((number, false, length)),
        Err(_) => Some((text.parse::<u64>().ok()?.cast_signed(), true, length)),
    }
}

/// Returns the number that a text begins with, and its length.
fn double(text: &[u8]) -> Option<(f64, usize)> {
    fast_float2::parse_partial(text).ok().filter(|(number, _): &(f64, usize)| number.is_finite())
}

/// Appends the text, or the bytes, of the cell that a text begins with.
fn append_text(text: &[u8], image: &mut Vec<u8>) -> Option<(SentAs, usize)> {
    let mut length = memchr3(b'\t', b'\n', b'\\', text)?;
    if ends_cell(text[length]) {
        append_bytes(&text[..length], image)?;
    } else {
        length += memchr2(b'\t', b'\n', &text[length..])?;
        append_bytes(&tsv::unescaped(&text[..length]).ok()?, image)?;
    }
    Some((SentAs::AsItComes, length))
}

/// Appends bytes behind their length.
fn append_bytes(bytes: &[u8], image: &mut Vec<u8>) -> Option<()> {
    let [low, middle, high, top] = u32::try_from(bytes.len()).ok()?.to_le_bytes();
    match bytes.len() {
        0..=250 => image.push(low),
        251..=0xffff => image.extend_from_slice(&[0xfc, low, middle]),
        0x1_0000..=0xff_ffff => image.extend_from_slice(&[0xfd, low, middle, high]),
        _ => image.extend_from_slice(&[0xfe, low, middle, high, top, 0, 0, 0, 0]),
    }
    image.extend_from_slice(bytes);
    Some(())
}

/// A time of day, or of several.
#[derive(Clone, Copy, Default)]
struct Clock {
    hours: u32,
    minute: u8,
    second: u8,
    micros: u32,
}

impl Clock {
    /// Reads hours, `:59:59` and up to six digits of a fraction.
    fn read(text: &[u8]) -> Option<Self> {
        // It stands behind two digits but where hours are those of days.
        let colon =
            if text.get(2) == Some(&b':') { 2 } else { text.iter().position(|it| *it == b':')? };
        let (hours, rest) = text.split_at(colon);
        let (&[b':', m1, m2, b':', s1, s2], fraction) = rest.split_first_chunk()? else {
            return None;
        };
        let micros = match fraction.split_first() {
            None => 0,
            Some((b'.', fraction @ [_, ..])) => {
                let missing = 6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
                digits(fraction)? * 10_u32.pow(missing)
            }
            Some(_) => return None,
        };
        let (minute, second) = (two(m1, m2)?, two(s1, s2)?);
        Some(Self { hours: digits(hours)?, minute, second, micros })
    }
}

/// Appends a date with its time of day, without what is zero at the end.
fn append_date(text: &[u8], clock: Clock, image: &mut Vec<u8>) -> Option<()> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = u16::from(two(y1, y2)?) * 100 + u16::from(two(y3, y4)?);
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let hours = u8::try_from(clock.hours).ok()?;
    let length = if clock.micros > 0 {
        11
    } else if hours > 0 || clock.minute > 0 || clock.second > 0 {
        7
    } else if year > 0 || month > 0 || day > 0 {
        4
    } else {
        0
    };
    let [low, high] = year.to_le_bytes();
    let [a, b, c, d] = clock.micros.to_le_bytes();
    let all = [low, high, month, day, hours, clock.minute, clock.second, a, b, c, d];
    image.push(length);
    image.extend_from_slice(&all[..usize::from(length)]);
    Some(())
}

/// Appends a time, without what is zero at the end.
fn append_time(text: &[u8], image: &mut Vec<u8>) -> Option<()> {
    let unsigned = text.strip_prefix(b"-");
    let clock = Clock::read(unsigned.unwrap_or(text))?;
    let is_zero = clock.hours == 0 && clock.minute == 0 && clock.second == 0;
    let length = if clock.micros > 0 {
        12
    } else if is_zero {
        0
    } else {
        8
    };
    image.push(length);
    let sign = u8::from(unsigned.is_some());
    let hours = u8::try_from(clock.hours % 24).ok()?;
    let mut all = [0; 12];
    all[0] = sign;
    all[1..5].copy_from_slice(&(clock.hours / 24).to_le_bytes());
    all[5..8].copy_from_slice(&[hours, clock.minute, clock.second]);
    all[8..].copy_from_slice(&clock.micros.to_le_bytes());
    image.extend_from_slice(&all[..usize::from(length)]);
    Some(())
}

/// Returns the number that up to nine digits make.
fn digits(text: &[u8]) -> Option<u32> {
    let add =
        |number, digit: &u8| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'));
    (1..10).contains(&text.len()).then(|| text.iter().try_fold(0, add)).flatten()
}

fn two(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + ones - b'0')
}
