//! Rows as canonical TSV: the default format of `LOAD DATA`, one line per row.
//!
//! Values come by the binary protocol, which gives numbers and times as numbers: FLOAT loses
//! digits in the text protocol, and formatting costs the server more than sending. `\N` is NULL;
//! tab, newline, backslash and NUL are escaped; text keeps the bytes of its column's own
//! character set; FLOAT and DOUBLE take the shortest form that reads back as the same value.

use memchr::memchr;
use memchr::memchr3;
use mysql_async::consts::ColumnType;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::field::Field;

/// As many decimals as this and more say that their number is not fixed.
const NOT_FIXED: u8 = 31;

/// How a column of a result is written, taken from the metadata of the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Format {
    kind: FormatKind,
    fraction_digits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum FormatKind {
    /// A date without a time.
    Date,
    /// Four digits: the text `0` would become the year 2000.
    Year,
    /// A FLOAT or DOUBLE of so many digits before and after the point: `FLOAT(8,3)` has 5 and 3,
    /// and every number of it is nearer to zero than `beyond`.
    Fixed { whole: u32, fraction: u32, beyond: f64 },
    /// What its value shows by itself.
    Plain,
}

/// Returns how each column of a result is written.
pub(super) fn formats(columns: &[mysql_async::Column]) -> Vec<Format> {
    columns
        .iter()
        .map(|column| Format {
            kind: match column.column_type() {
                ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => FormatKind::Date,
                ColumnType::MYSQL_TYPE_YEAR => FormatKind::Year,
                ColumnType::MYSQL_TYPE_FLOAT | ColumnType::MYSQL_TYPE_DOUBLE
                    if column.decimals() < NOT_FIXED =>
                {
                    let fraction = u32::from(column.decimals());
                    FormatKind::fixed(column.column_length().saturating_sub(fraction), fraction)
                }
                _ => FormatKind::Plain,
            },
            // Times have at most six.
            fraction_digits: column.decimals().min(6),
        })
        .collect()
}

/// Appends one field of a line.
pub(super) fn append_field(field: Field<'_>, format: Format, line: &mut Vec<u8>) {
    match field {
        Field::Null => line.extend_from_slice(b"\\N"),
        Field::Bytes(bytes) => append_escaped(bytes, line),
        Field::Int(year) if format.kind == FormatKind::Year => {
            append_padded(year.unsigned_abs(), 4, line);
        }
        Field::Int(number) => append_text(itoa::Buffer::new().format(number), line),
        Field::UInt(number) => append_text(itoa::Buffer::new().format(number), line),
        // The server refuses a FLOAT whose text is larger than the largest one, if only as a
        // double; the shortest text of the largest one is.
        Field::Float(number) if number.abs() >= f32::MAX => {
            append_float(ryu::Buffer::new().format(f64::from(number)), line);
        }
        Field::Float(number) if format.is_beyond(f64::from(number)) => {
            append_largest(format, number.is_sign_negative(), line);
        }
        Field::Double(number) if format.is_beyond(number) => {
            append_largest(format, number.is_sign_negative(), line);
        }
        Field::Float(number) => append_float(ryu::Buffer::new().format(number), line),
        Field::Double(number) => append_float(ryu::Buffer::new().format(number), line),
        Field::Date(date) => {
            append_padded(date.year, 4, line);
            line.push(b'-');
            append_two(date.month, line);
            line.push(b'-');
            append_two(date.day, line);
            if format.kind != FormatKind::Date {
                line.push(b' ');
                append_two(date.hour, line);
                append_clock(date.minute, date.second, line);
                append_fraction(date.micros, format.fraction_digits, line);
            }
        }
        Field::Time(time) => {
            if time.is_negative {
                line.push(b'-');
            }
            append_padded(time.days * 24 + u32::from(time.hours), 2, line);
            append_clock(time.minute, time.second, line);
            append_fraction(time.micros, format.fraction_digits, line);
        }
    }
}

impl FormatKind {
    fn fixed(whole: u32, fraction: u32) -> Self {
        let beyond = i32::try_from(whole).map_or(f64::INFINITY, |whole| 10_f64.powi(whole));
        Self::Fixed { whole, fraction, beyond }
    }
}

impl Format {
    /// Returns whether a number has more digits before the point than its column allows: the
    /// largest one of the column may have been rounded up to that when it was stored.
    fn is_beyond(self, number: f64) -> bool {
        matches!(self.kind, FormatKind::Fixed { beyond, .. } if number.abs() >= beyond)
    }
}

/// Appends the largest number of a column of fixed digits, which is stored as the same again.
fn append_largest(format: Format, is_negative: bool, line: &mut Vec<u8>) {
    let FormatKind::Fixed { whole, fraction, .. } = format.kind else { return };
    if is_negative {
        line.push(b'-');
    }
    line.extend((0..whole).map(|_| b'9'));
    line.push(b'.');
    line.extend((0..fraction).map(|_| b'9'));
}

fn append_escaped(bytes: &[u8], line: &mut Vec<u8>) {
    let (mut written, mut mark, mut nul) = (0, 0, 0);
    // Most text needs no escape at all: both searches are over at once.
    let next = |searched: &mut usize, found: Option<usize>| {
        *searched = found.map_or(bytes.len(), |distance| *searched + distance);
    };
    next(&mut mark, memchr3(b'\t', b'\n', b'\\', bytes));
    next(&mut nul, memchr(0, bytes));
    while mark.min(nul) < bytes.len() {
        let position = mark.min(nul);
        line.extend_from_slice(&bytes[written..position]);
        line.extend_from_slice(&[b'\\', escape(bytes[position])]);
        written = position + 1;
        if position == mark {
            mark = written;
            next(&mut mark, memchr3(b'\t', b'\n', b'\\', &bytes[written..]));
        } else {
            nul = written;
            next(&mut nul, memchr(0, &bytes[written..]));
        }
    }
    line.extend_from_slice(&bytes[written..]);
}

/// Returns the lines of a chunk, without their newlines.
pub(super) fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    chunk
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// Returns the values at some places of a line; `None` for NULL.
pub(super) fn cells<const N: usize>(
    line: &[u8],
    places: [usize; N],
) -> Result<[Option<Vec<u8>>; N]> {
    let all: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
    let malformed = || Error::damaged("cannot read a row: it has other columns than its table");
    let mut values = [const { None }; N];
    for (value, place) in values.iter_mut().zip(places) {
        let cell = all.get(place).ok_or_else(malformed)?;
        *value = (*cell != b"\\N").then(|| unescaped(cell)).transpose()?;
    }
    Ok(values)
}

pub(super) fn unescaped(cell: &[u8]) -> Result<Vec<u8>> {
    let malformed = || Error::damaged("cannot read a value: nothing of ours writes it so");
    let (mut bytes, mut rest) = (Vec::with_capacity(cell.len()), cell);
    while let Some(at) = memchr(b'\\', rest) {
        bytes.extend_from_slice(&rest[..at]);
        bytes.push(match rest.get(at + 1) {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'\\') => b'\\',
            Some(b'0') => 0,
            _ => return Err(malformed()),
        });
        rest = &rest[at + 2..];
    }
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

/// Returns a value as text; bytes that are not UTF-8 are written out, so that different ones look
/// different.
pub(super) fn text(value: &[u8]) -> String {
    let piece = |chunk: std::str::Utf8Chunk<'_>| {
        let bytes = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        chunk.valid().to_owned() + &bytes.collect::<String>()
    };
    value.utf8_chunks().map(piece).collect()
}

/// Returns what stands after the backslash for a byte that must be escaped.
const fn escape(byte: u8) -> u8 {
    match byte {
        b'\t' => b't',
        b'\n' => b'n',
        0 => b'0',
        other => other,
    }
}

fn append_text(text: &str, line: &mut Vec<u8>) {
    line.extend_from_slice(text.as_bytes());
}

/// Appends a number as `ryu` writes it, without the `.0` of whole numbers.
fn append_float(text: &str, line: &mut Vec<u8>) {
    append_text(text.strip_suffix(".0").unwrap_or(text), line);
}

/// Appends what follows the hours.
fn append_clock(minute: u8, second: u8, line: &mut Vec<u8>) {
    line.push(b':');
    append_two(minute, line);
    line.push(b':');
    append_two(second, line);
}

/// Appends as many digits of the microseconds as the column keeps.
fn append_fraction(micros: u32, digits: u8, line: &mut Vec<u8>) {
    if digits > 0 {
        line.push(b'.');
        let kept = micros / 10_u32.pow(6 - u32::from(digits));
        append_padded(kept, usize::from(digits), line);
    }
}

/// Appends a number of a calendar or a clock, of two digits.
fn append_two(number: u8, line: &mut Vec<u8>) {
    if number < 100 {
        line.extend_from_slice(&[b'0' + number / 10, b'0' + number % 10]);
    } else {
        append_padded(number, 2, line);
    }
}

fn append_padded(number: impl Into<u64>, width: usize, line: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number.into());
    line.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    append_text(digits, line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::Value;
    use proptest::prelude::*;

    const DATETIME_3: Format = Format { kind: FormatKind::Plain, fraction_digits: 3 };
    const DATE: Format = Format { kind: FormatKind::Date, fraction_digits: 0 };
    const PLAIN: Format = Format { kind: FormatKind::Plain, fraction_digits: 0 };

    fn written(value: &Value, format: Format) -> String {
        let mut line = Vec::new();
        append_field(value.into(), format, &mut line);
        String::from_utf8(line).unwrap()
    }

    proptest! {
        #[test]
        fn a_line_is_read_as_it_was_written(values in prop::collection::vec(any::<Option<Vec<u8>>>(), 3)) {
            let mut line = Vec::new();
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    line.push(b'\t');
                }
                append_field(value.as_deref().map_or(Field::Null, Field::Bytes), PLAIN, &mut line);
            }
            let chunk = [line.as_slice(), b"\n", &line, b"\n"].concat();
            let read: Vec<_> = lines(&chunk).map(|line| cells(line, [0, 1, 2]).unwrap()).collect();
            let values: [_; 3] = values.try_into().unwrap();
            prop_assert_eq!(read, vec![values.clone(), values]);
        }
    }

    #[test]
    fn a_line_that_nothing_of_ours_wrote_is_refused() {
        for line in [&b"a"[..], b"a\t\\", b"a\t\\x"] {
            assert!(cells(line, [1]).is_err(), "{line:?}");
        }
    }

    #[test]
    fn null_is_not_the_empty_string_and_not_the_letter_n() {
        assert_eq!(written(&Value::NULL, PLAIN), "\\N");
        assert_eq!(written(&Value::Bytes(Vec::new()), PLAIN), "");
        assert_eq!(written(&Value::Bytes(b"\\N".to_vec()), PLAIN), "\\\\N");
    }

    #[test]
    fn times_keep_the_digits_of_their_column_and_zero_dates_stay() {
        let moment = Value::Date(2038, 1, 19, 3, 14, 7, 120_000);
        assert_eq!(written(&moment, DATETIME_3), "2038-01-19 03:14:07.120");
        assert_eq!(written(&Value::Date(0, 0, 0, 0, 0, 0, 0), DATE), "0000-00-00");
        assert_eq!(written(&Value::Date(0, 0, 0, 0, 0, 0, 0), PLAIN), "0000-00-00 00:00:00");
        let year = Format { kind: FormatKind::Year, fraction_digits: 0 };
        assert_eq!(written(&Value::Int(0), year), "0000");
        assert_eq!(written(&Value::Time(true, 34, 22, 59, 59, 0), PLAIN), "-838:59:59");
        assert_eq!(written(&Value::Time(false, 0, 0, 0, 0, 1_000), DATETIME_3), "00:00:00.001");
    }

    #[test]
    fn floats_take_the_shortest_form_that_reads_back() {
        assert_eq!(written(&Value::Float(16_777_216.0), PLAIN), "16777216");
        assert_eq!(written(&Value::Float(0.1), PLAIN), "0.1");
        assert_eq!(written(&Value::Float(f32::MIN), PLAIN), "-3.4028234663852886e38");
        assert_eq!(written(&Value::Double(1e300), PLAIN), "1e300");
        assert_eq!(written(&Value::Double(-0.0), PLAIN), "-0");
    }

    #[test]
    fn what_was_rounded_beyond_its_column_is_written_as_its_largest_number() {
        let kind = FormatKind::fixed(5, 3);
        let format = Format { kind, fraction_digits: 3 };
        assert_eq!(written(&Value::Float(99_999.999), format), "99999.999");
        assert_eq!(written(&Value::Double(-100_000.0), format), "-99999.999");
        assert_eq!(written(&Value::Float(99_999.99), format), "99999.99");
    }

    /// Reads a field as `LOAD DATA` does.
    fn unescaped(field: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = field.iter();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'\\' => match rest.next().unwrap() {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'0' => 0,
                    other => *other,
                },
                other => *other,
            });
        }
        bytes
    }

    proptest! {
        #[test]
        fn any_bytes_read_back_and_never_hold_a_separator(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\0\t\n\\".to_vec())], 0..200),
        ) {
            let mut field = Vec::new();
            append_escaped(&bytes, &mut field);
            prop_assert!(!field.contains(&b'\t') && !field.contains(&b'\n') && !field.contains(&0));
            prop_assert_eq!(unescaped(&field), bytes);
        }

        #[test]
        fn any_float_reads_back_through_a_double(bits: u32) {
            let number = f32::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = written(&Value::Float(number), PLAIN);
            let double = text.parse::<f64>().unwrap();
            prop_assert!(double.abs() <= f64::from(f32::MAX));
            #[expect(clippy::cast_possible_truncation, reason = "the server narrows the same way")]
            let read = double as f32;
            prop_assert_eq!(read.to_bits(), bits);
        }
    }
}
