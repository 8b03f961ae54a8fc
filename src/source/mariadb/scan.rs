//! Looks at SQL as the server shows it, under `sql_mode=''`, outside of its strings and quoted names.

/// The members of a statement, and where the parentheses around them open and close.
pub(super) struct TopLevel<'a> {
    pub(super) open: usize,
    pub(super) members: Vec<&'a str>,
    pub(super) close: usize,
}

/// Returns the members between the outermost parentheses, and where those stand.
pub(super) fn top_level(statement: &str) -> Option<TopLevel<'_>> {
    let mut depth = 0_usize;
    let mut open = None;
    let mut start = 0;
    let mut members = Vec::new();
    for (position, byte) in unquoted(statement) {
        match byte {
            b'(' => {
                depth += 1;
                if depth == 1 {
                    open = Some(position + 1);
                    start = position + 1;
                }
            }
            b',' if depth == 1 => {
                members.push(&statement[start..position]);
                start = position + 1;
            }
            b')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    members.push(&statement[start..position]);
                    return Some(TopLevel { open: open?, members, close: position });
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns what stands between the outermost parentheses, parted by commas.
pub(super) fn members(statement: &str) -> Vec<&str> {
    top_level(statement).map(|pieces| pieces.members).unwrap_or_default()
}

/// Returns each byte of SQL outside of strings and quoted names, with its position.
pub(super) fn unquoted(sql: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let bytes = sql.as_bytes();
    let mut position = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = bytes.get(position) {
            if !matches!(byte, b'\'' | b'"' | b'`') {
                position += 1;
                return Some((position - 1, byte));
            }
            position = end_of_quoted(bytes, position);
        }
        None
    })
}

/// Returns where words stand first outside of strings and quoted names.
pub(super) fn find(sql: &str, words: &str) -> Option<usize> {
    let plain: Vec<(usize, u8)> = unquoted(sql).collect();
    let is_found = |window: &&[(usize, u8)]| window.iter().map(|(_, byte)| *byte).eq(words.bytes());
    plain.windows(words.len()).find(is_found).map(|window| window[0].0)
}

/// Returns the position after the string or name that opens at `start`. A doubled quote reads as
/// two strings side by side, which comes to the same.
pub(super) fn end_of_quoted(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let mut position = start + 1;
    while let Some(&byte) = bytes.get(position) {
        if byte == quote {
            return position + 1;
        }
        position += if byte == b'\\' && quote != b'`' { 2 } else { 1 };
    }
    bytes.len()
}

/// Returns bytes as text to look for keywords in: what is not ASCII becomes `?`, one for each byte,
/// so that positions are those of the bytes.
pub(super) fn in_ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
}

/// Returns what stands outside of strings and quoted names.
pub(super) fn outside_quotes(sql: &str) -> String {
    unquoted(sql).map(|(_, byte)| char::from(byte)).collect()
}

/// Returns the quoted name that `text` starts with, its backticks included.
pub(super) fn quoted_name(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut end = 0;
    while bytes.get(end) == Some(&b'`') {
        end = end_of_quoted(bytes, end);
    }
    (end > 0).then(|| &text[..end])
}
