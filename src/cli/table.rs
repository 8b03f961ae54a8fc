//! A table of text with aligned columns.

use crate::cli::human::printable;

/// The space between two columns.
const GAP: &str = "  ";

/// Rows of cells below a heading.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// Returns a table with these headings; a column whose heading begins with `>` is aligned to
    /// the right, as numbers are.
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heading = |heading: &&str| heading.trim_start_matches('>').to_owned();
        Self { rows: vec![headings.iter().map(heading).collect()], right }
    }

    /// Returns a table of names and values, without headings.
    pub(super) fn of_values() -> Self {
        Self { rows: Vec::new(), right: vec![false, false] }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.right.len(), "a row has a cell for each column");
        self.rows.push(Vec::from(cells.map(|cell| printable(&cell))));
    }

    /// Returns the lines of the table, none of which ends in spaces.
    pub(super) fn to_text(&self) -> String {
        let widths: Vec<usize> = (0..self.right.len()).map(|column| self.width(column)).collect();
        self.rows.iter().map(|row| self.line(row, &widths) + "\n").collect()
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).zip(&self.right);
        let cells =
            cells.map(
                |((cell, &width), &right)| {
                    if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            );
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let mut table = Table::new(&["NAME", ">ROWS", "NOTE"]);
        table.row(["é".to_owned(), "1,000".to_owned(), String::new()]);
        table.row(["longer".to_owned(), "1".to_owned(), "two\nlines".to_owned()]);
        let expected = "NAME     ROWS  NOTE\né       1,000\nlonger      1  two\\nlines\n";
        assert_eq!(table.to_text(), expected);
    }
}
