//! What may be said of a command of the shell: the program that it begins with.
//!
//! All else may hold a password, also what comes before it: `PGPASSWORD='my secret' pg_dump`. So
//! quotes are heeded, and what is not plainly the name of a program is called `sh`.

use std::mem::take;

/// What is said of a command whose program has no plain name.
const SHELL: &str = "sh";

/// Returns the program that a command begins with, after the variables that it is given.
pub fn program_of(command: &str) -> &str {
    let mut rest = command.trim_start();
    loop {
        let word = first_word(rest);
        if !is_assignment(word) {
            return if is_plain(word) { word } else { SHELL };
        }
        // What the shell puts in there may have quotes of its own.
        if word.contains(['(', '{', '`']) || word.contains("$'") {
            return SHELL;
        }
        rest = rest[word.len()..].trim_start();
    }
}

/// Returns a text up to the first white space that is not quoted.
fn first_word(text: &str) -> &str {
    let (mut quote, mut is_escaped) = (None, false);
    let is_end = |letter: char| {
        if take(&mut is_escaped) {
            return false;
        }
        match quote {
            Some(open) if open == letter => quote = None,
            Some('\'') => {}
            _ if letter == '\\' => is_escaped = true,
            None if matches!(letter, '\'' | '"') => quote = Some(letter),
            None => return letter.is_whitespace(),
            Some(_) => {}
        }
        false
    };
    text.split(is_end).next().unwrap_or_default()
}

/// Returns whether a word gives a variable its value.
fn is_assignment(word: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    word.split_once('=').is_some_and(|(name, _)| {
        let name = name.strip_suffix('+').unwrap_or(name);
        !name.is_empty() && name.chars().all(is_letter)
    })
}

fn is_plain(word: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./+-".contains(letter);
    !word.is_empty() && word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_comes_after_its_variables_and_nothing_of_their_values_is_taken_for_it() {
        for (command, program) in [
            ("pg_dump --format=custom studio", "pg_dump"),
            ("  PGPASSWORD='my secret' pg_dump", "pg_dump"),
            ("A=1 PGPASSWORD=\"my \\\" 'secret\" /usr/bin/pg_dump x", "/usr/bin/pg_dump"),
            ("PGPASSWORD=my\\ secret pg_dump", "pg_dump"),
            ("A+=b\npg_dump", "pg_dump"),
            ("PGPASSWORD='my secret", "sh"),
            ("PGPASSWORD=$(echo my secret) pg_dump", "sh"),
            ("PGPASSWORD=`echo my secret` pg_dump", "sh"),
            ("PGPASSWORD=${X:-my secret} pg_dump", "sh"),
            ("PGPASSWORD=$'it\\'s my secret' pg_dump", "sh"),
            ("'my secret' x", "sh"),
            ("\"$DUMP\" x", "sh"),
            ("a-b=secret x", "sh"),
            ("A=secret", "sh"),
            ("", "sh"),
        ] {
            assert_eq!(program_of(command), program, "{command}");
        }
    }
}
