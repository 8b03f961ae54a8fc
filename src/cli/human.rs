//! How people read numbers, times and names; JSON has the exact values.

use std::fmt::Write as _;

use jiff::Timestamp;

/// Returns a size such as `12.3 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of a unit in whole numbers: a float would round 1023.99 KiB to 1024.0 KiB.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Returns a number such as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with its noun, such as `1 blob` or `2 blobs`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// Returns how long ago this was, such as `5 min`, in the largest unit of which there are two.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    // A clock that went back makes no snapshot younger than now.
    let seconds = (now.as_second() - then.as_second()).max(0);
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "min")] {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
}

/// Returns a moment such as `2026-03-01 04:05:06 UTC`.
pub(super) fn moment(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns the words with commas between them, `-` for none.
pub(super) fn listed(words: &[String]) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// Returns the lines as one text, in which each line ends.
pub(super) fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

/// Returns the text with control characters escaped. Names and notes come from archives of
/// strangers, and must not steer the terminal that shows them.
pub(super) fn printable(text: &str) -> String {
    escaped(text, &[])
}

/// Returns the lines with control characters escaped, except for line ends and tabs.
pub(super) fn printable_lines(text: &str) -> String {
    escaped(text, &['\n', '\t'])
}

fn escaped(text: &str, allowed: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && !allowed.contains(&letter) {
            write!(shown, "{}", letter.escape_default()).expect("a string takes all");
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1_048_576, "1.0 MiB"),
            (12_900_000, "12.3 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn a_count_has_its_thousands_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "blob"), "1 blob");
        assert_eq!(counted(0, "blob"), "0 blobs");
    }

    #[test]
    fn an_age_is_shown_in_the_largest_unit_of_which_there_are_two() {
        let now = Timestamp::from_second(1_000_000_000).expect("in range");
        for (seconds, text) in [
            (-5, "0 s"),
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
            (86_400_000, "1000 d"),
        ] {
            let then = Timestamp::from_second(1_000_000_000 - seconds).expect("in range");
            assert_eq!(age(now, then), text);
        }
    }

    #[test]
    fn a_moment_is_shown_in_utc() {
        let then = Timestamp::from_second(1_772_337_906).expect("in range");
        assert_eq!(moment(then), "2026-03-01 04:05:06 UTC");
    }

    #[test]
    fn a_text_of_a_stranger_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}é"), "a\\u{1b}[2Jb\\nc\\u{9b}é");
        assert_eq!(printable_lines("a\tb\nc\r"), "a\tb\nc\\r");
    }
}
