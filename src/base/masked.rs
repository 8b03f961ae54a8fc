//! Commands as they may be shown and kept: without what looks like a secret.
//!
//! A command may be given a password, however little it should be. What is kept of it is to tell
//! which command it was, so that a word too many is hidden rather than one too few.

/// What stands in the place of a secret.
const MASK: &str = "***";

/// What the names of secrets contain.
const NAMES: &[&str] =
    &["password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "api-key"];

/// Programs whose `-pWORD` is a password.
const DATABASE_PROGRAMS: &[&str] = &["mysql", "mariadb"];

/// Returns the words of a command, masked.
pub fn words(words: &[String]) -> Vec<String> {
    let mut reader = Reader::default();
    let masked = words.iter().map(|word| {
        // A flag and its value are one word, blanks and all; others may be a script.
        if word.starts_with('-') { reader.word(word) } else { reader.text(word) }
    });
    masked.collect()
}

/// Returns a line for the shell, masked.
pub fn line(line: &str) -> String {
    Reader::default().text(line)
}

/// Reads a command word by word.
#[derive(Default)]
struct Reader {
    /// Whether a program of the database was named.
    is_of_database: bool,
    /// Whether the word before is a flag whose value is a secret.
    is_value: bool,
}

impl Reader {
    /// Returns a text that may be several words.
    fn text(&mut self, text: &str) -> String {
        if self.is_value {
            return self.word(text);
        }
        let mut quote = None;
        let pieces = text.split_inclusive(|c: char| {
            match quote {
                None if matches!(c, '\'' | '"') => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ => {}
            }
            quote.is_none() && c.is_whitespace()
        });
        let masked = pieces.map(|piece| {
            let word = piece.trim_end();
            self.quoted(word).unwrap_or_else(|| self.word(word)) + &piece[word.len()..]
        });
        masked.collect()
    }

    /// Returns a script between quotes; `None` for all else.
    fn quoted(&mut self, word: &str) -> Option<String> {
        let quote = word.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let script = word[1..].strip_suffix(quote).unwrap_or(&word[1..]);
        let end =
            if word.len() > 1 && word.ends_with(quote) { quote.to_string() } else { String::new() };
        let is_script = !self.is_value && script.contains(char::is_whitespace);
        is_script.then(|| format!("{quote}{}{end}", self.text(script)))
    }

    fn word(&mut self, word: &str) -> String {
        let bare = word.trim_matches(['\'', '"']);
        if bare.is_empty() {
            return word.to_owned();
        }
        let is_flag = bare.starts_with('-');
        if std::mem::take(&mut self.is_value) && !is_flag {
            return MASK.to_owned();
        }
        let program = bare.rsplit('/').next().unwrap_or_default();
        self.is_of_database |= DATABASE_PROGRAMS.iter().any(|name| program.starts_with(name));
        if self.is_of_database && bare.starts_with("-p") && bare.len() > 2 {
            return format!("-p{MASK}");
        }
        self.is_value = is_flag && !bare.contains('=') && is_name_of_secret(bare);
        without_values(&without_userinfo(word))
    }
}

fn is_name_of_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('_', "-");
    NAMES.iter().any(|secret| name.contains(secret))
}

/// Returns a word without the passwords of its URLs.
fn without_userinfo(word: &str) -> String {
    let mut parts = word.split("://");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', '?', '#']).unwrap_or(part.len());
        // A password that was not encoded may hold an `@`.
        let shown = match part[..end].rfind('@').or_else(|| part.rfind('@')) {
            Some(at) => match part[..at].find(':') {
                Some(colon) => format!("{}:{MASK}{}", &part[..colon], &part[at..]),
                None => part.to_owned(),
            },
            None => part.to_owned(),
        };
        masked.push_str("://");
        masked.push_str(&shown);
    }
    masked
}

/// Returns a word without the values of what its names call a secret, as in `--password=WORD` and
/// `?token=WORD&`.
fn without_values(word: &str) -> String {
    let ends = |c: char| matches!(c, '&' | ';' | ',' | '?');
    let masked = word.split_inclusive(ends).map(|part| {
        let (part, end) = match part.chars().next_back().filter(|c| ends(*c)) {
            Some(end) => (&part[..part.len() - 1], end.to_string()),
            None => (part, String::new()),
        };
        match part.split_once('=') {
            Some((name, value)) if !value.is_empty() && is_name_of_secret(name) => {
                format!("{name}={MASK}{end}")
            }
            _ => format!("{part}{end}"),
        }
    });
    masked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_and_all_else_is_shown() {
        for (text, shown) in [
            ("yum -y update centreon-map-server", "yum -y update centreon-map-server"),
            ("tar -pxf a.tar --tokens", "tar -pxf a.tar --tokens"),
            ("curl https://snap:hunter2@host:8443/x?a=b", "curl https://snap:***@host:8443/x?a=b"),
            ("get http://u:hun/ter2@host/x", "get http://u:***@host/x"),
            ("get https://host:80/x?token=hunter2&b=c", "get https://host:80/x?token=***&b=c"),
            ("x --password=hunter2 --yes", "x --password=*** --yes"),
            ("x --api_key  hunter2 --yes", "x --api_key  *** --yes"),
            ("x --password --yes", "x --password --yes"),
            ("DB_PASSWORD='hunter2' x", "DB_PASSWORD=*** x"),
            ("/usr/bin/mysql -u root -phunter2 -e 'x'", "/usr/bin/mysql -u root -p*** -e 'x'"),
            ("MYSQL_PWD=hunter2 x", "MYSQL_PWD=*** x"),
            ("", ""),
        ] {
            assert_eq!(line(text), shown);
            let split: Vec<String> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(words(&split).join(" "), shown);
        }
        let shell = ["sh", "-c", "mariadb -phunter2 x; y --secret hunter2"].map(str::to_owned);
        assert_eq!(words(&shell)[2], "mariadb -p*** x; y --secret ***");
        let quoted = [
            ("mariadb -p'hun ter' x", "mariadb -p*** x"),
            ("x --password 'hun ter' y", "x --password *** y"),
            ("DB_PASSWORD=\"hun ter\" x", "DB_PASSWORD=*** x"),
            ("sh -c 'mariadb -phunter2 x' y", "sh -c 'mariadb -p*** x' y"),
            ("echo it's -x", "echo it's -x"),
        ];
        for (text, shown) in quoted {
            assert_eq!(line(text), shown);
        }
        let split = ["x", "--password=hun ter", "--token", "hun ter", "y z"].map(str::to_owned);
        assert_eq!(words(&split), ["x", "--password=***", "--token", "***", "y z"]);
    }
}
