//! How layouts look on a terminal: names escaped, comments faint, tables in columns. Elsewhere they are as pahole's, for scripts.

use std::fmt::Write as _;

use btf_core::cli::{Printer, Stream, Style, escape_name};

/// Text with names escaped, and with comments in a faint colour.
pub(super) fn text(text: &[u8], printer: &Printer) -> Vec<u8> {
    let mut out = String::new();
    for line in lines(text) {
        // Tabs are the program's own: names that hold one are not C.
        let line = cells(line).join("\t");
        let (code, comment) = line.split_at(line.rfind("/* ").unwrap_or(line.len()));
        out.push_str(code);
        if !comment.is_empty() {
            out.push_str(&printer.paint(Stream::Out, Style::Faint, comment));
        }
        out.push('\n');
    }
    out.into_bytes()
}

/// Lines of cells that tabs divide, in columns with titles: the first to the left, numbers to the right.
pub(super) fn table(text: &[u8], titles: &[&str], printer: &Printer) -> Vec<u8> {
    let rows: Vec<_> = lines(text).map(cells).collect();
    let is_row = |row: &&Vec<String>| row.len() == titles.len();
    let width = |column: usize| {
        let cells = rows.iter().filter(is_row).filter_map(|row| row.get(column));
        let title = titles.get(column).map_or(0, |title| title.len());
        let widths = cells.map(|cell| cell.chars().count());
        widths.max().unwrap_or(0).max(title)
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let aligned = |row: &[String]| {
        let mut line = String::new();
        for ((index, cell), &width) in row.iter().enumerate().zip(&widths) {
            // A string takes whatever is written.
            let _ = if index == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        line
    };
    let mut out = String::new();
    if rows.iter().any(|row| is_row(&row)) {
        let titles: Vec<_> = titles.iter().map(ToString::to_string).collect();
        out += &printer.paint(Stream::Out, Style::Faint, &aligned(&titles));
        out.push('\n');
    }
    for row in &rows {
        // The title of a file is no row.
        out += &if is_row(&row) {
            aligned(row)
        } else {
            printer.paint(Stream::Out, Style::Faint, &row.join("\t"))
        };
        out.push('\n');
    }
    out.into_bytes()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

/// What stands between tabs, escaped.
fn cells(line: &[u8]) -> Vec<String> {
    let cells = line.split(|&byte| byte == b'\t');
    cells.map(|cell| escape_name(cell).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_columns_on_a_terminal() {
        let printer = Printer::default();
        let text = b"/* file */\nmutex\t24\t0\nmutex_waiter\t32\t10\n";
        let table = table(text, &["NAME", "SIZE", "HOLES"], &printer);
        let expect = "\
NAME          SIZE  HOLES
/* file */
mutex           24      0
mutex_waiter    32     10
";
        assert_eq!(String::from_utf8(table).unwrap(), expect);
    }
}
