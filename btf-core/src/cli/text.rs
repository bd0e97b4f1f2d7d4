//! Numbers and names as people read them.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// A name of the input, safe to print to a terminal.
///
/// Bytes that are not UTF-8 become `\xNN`. Control characters, and the invisible ones that reorder or hide text, become
/// `\u{N}`; a backslash stays, since names have none and paths need it.
#[must_use]
pub fn escape_name(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(name) {
        return escape_text(text);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for chunk in name.utf8_chunks() {
        out.push_str(&escape_text(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    Cow::Owned(out)
}

/// As [`escape_name`], for text.
#[must_use]
pub fn escape_text(text: &str) -> Cow<'_, str> {
    // Nearly all text is printable ASCII, which is known without a look at its characters.
    let is_plain = |all: bool, byte: &u8| all & (b' '..=b'~').contains(byte);
    if text.as_bytes().iter().fold(true, is_plain) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a character can move the cursor, change the terminal's state, or make text look like other text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A size in bytes with a unit, rounded to a tenth, such as `6.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut scale = 1000;
    let mut unit = 0;
    let tenths = |scale: u64| (bytes / (scale / 20)).div_ceil(2);
    while tenths(scale) >= 10_000 && unit + 1 < UNITS.len() {
        scale *= 1000;
        unit += 1;
    }
    let tenths = tenths(scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A number with its digits in groups of three, such as `118,363`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things, such as `1 type` and `118,363 types`.
#[must_use]
pub fn plural(number: u64, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {word}{ending}", count(number))
}

/// A time with a unit, such as `0.47 s` or `3.1 ms`.
#[must_use]
pub fn seconds(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.1} ms", time.as_secs_f64() * 1000.0),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

/// The phases as a tree, each with its time and its part of `total`. A name such as `units/read` hangs below `units`.
#[must_use]
pub fn phase_tree(phases: &[(&'static str, Duration)], total: Duration) -> String {
    let mut out = String::new();
    let mut line = |name: &str, depth: usize, time: Duration| {
        let percent = 100.0 * time.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        let label = format!("{:indent$}{name}", "", indent = 2 * depth);
        let _ = writeln!(out, "{label:<32} {:>9} {percent:>5.1} %", seconds(time));
    };
    line("total", 0, total);
    for &(name, time) in phases {
        let depth = name.matches('/').count();
        let leaf = name.rsplit('/').next().unwrap_or(name);
        line(leaf, depth + 1, time);
    }
    out
}

/// The most memory that this process has had mapped at once (peak RSS), in bytes, where the system tells it.
///
/// Spec: proc(5), `/proc/pid/status`, `VmHWM`.
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Of `known` the name that `typed` is most likely meant to be, if one is near.
#[must_use]
pub fn nearest<'n>(typed: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A third of the letters may differ: enough for slips, too little to suggest another word.
    let len = typed.chars().count();
    let limit = len.div_ceil(3);
    // Names that differ much in length are not near; this spares them the comparison.
    let is_close = |name: &&str| name.chars().count().abs_diff(len) <= limit;
    known
        .into_iter()
        .filter(is_close)
        .map(|name| (distance(typed, name), name))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// The number of characters to insert, delete, replace, or swap with the next one to turn `a` into `b`, where nothing is
/// touched twice (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_names_stay_as_they_are() {
        assert!(matches!(escape_name(b"task_struct"), Cow::Borrowed(_)));
        assert_eq!(escape_name("größe".as_bytes()), "größe");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(escape_name(b"a\x1b[31mb\n"), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(escape_name(b"a\xff\xfeb"), "a\\xff\\xfeb");
        assert_eq!(escape_text("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
    }

    #[test]
    fn numbers_have_units_and_groups() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1000), "1.0 kB");
        assert_eq!(size(6_349_999), "6.3 MB");
        assert_eq!(size(6_350_000), "6.4 MB");
        assert_eq!(size(936_996), "937.0 kB");
        assert_eq!(size(999_949), "999.9 kB");
        assert_eq!(size(999_950), "1.0 MB");
        assert_eq!(size(u64::MAX), "18446744.1 TB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(118_363), "118,363");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "type"), "1 type");
        assert_eq!(plural(1000, "type"), "1,000 types");
        assert_eq!(seconds(Duration::from_micros(7)), "7 µs");
        assert_eq!(seconds(Duration::from_micros(3_149)), "3.1 ms");
        assert_eq!(seconds(Duration::from_millis(468)), "0.47 s");
    }

    #[test]
    fn slips_find_their_word() {
        let known = ["float", "decl_tag", "decl_tag_kfuncs", "var"];
        assert_eq!(nearest("flaot", known), Some("float"));
        assert_eq!(nearest("vra", known), Some("var"));
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("decl-tag", known), Some("decl_tag"));
        assert_eq!(nearest("kfuncs", known), None);
    }

    #[test]
    fn the_peak_is_at_least_a_megabyte() {
        assert!(peak_memory_bytes().is_none_or(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn phases_are_indented_by_their_names() {
        let second = Duration::from_secs(1);
        let phases = [("units", second), ("units/read", second / 2)];
        let tree = phase_tree(&phases, second * 2);
        let lines: Vec<_> = tree.lines().collect();
        assert_eq!(
            lines[0],
            "total                               2.00 s 100.0 %"
        );
        assert_eq!(
            lines[1],
            "  units                             1.00 s  50.0 %"
        );
        assert_eq!(
            lines[2],
            "    read                            0.50 s  25.0 %"
        );
    }
}
