//! What to say if nothing is called as was typed.

use btf_core::cli::pattern::Pattern;
use btf_core::cli::sources::Source;
use btf_core::cli::{Printer, escape_name, nearest};
use btf_dump::select::own_names;

use super::TOOL;

/// Warns of each pattern that no `what` has such a name, and tells which of `names` may have been meant.
pub(super) fn warn(printer: &Printer, what: &str, patterns: &[Pattern], names: &[&[u8]]) {
    for pattern in patterns {
        let text = text(what, pattern, names);
        printer.warning(TOOL, &text);
    }
}

/// The names of all types of some files, for [`warn`].
pub(super) fn type_names(sources: &[Source]) -> Vec<&[u8]> {
    let names = sources.iter().flat_map(|source| own_names(&source.btf));
    names.collect()
}

fn text(what: &str, pattern: &Pattern, names: &[&[u8]]) -> String {
    let typed = pattern.text();
    if pattern.name().is_none() {
        return format!("no {what} matches `{typed}`");
    }
    let names = names
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok());
    let hint = match nearest(typed, names) {
        Some(near) => format!("; did you mean `{}`?", escape_name(near.as_bytes())),
        None => String::new(),
    };
    format!("no {what} is called `{typed}`{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_told() {
        let names: [&[u8]; 4] = [b"mutex", b"rt_mutex", b"mut\x1b", b"\xff"];
        let text = |typed| text("type", &Pattern::parse(typed).unwrap(), &names);
        assert_eq!(
            text("mutx"),
            "no type is called `mutx`; did you mean `mutex`?"
        );
        assert_eq!(text("inode"), "no type is called `inode`");
        assert_eq!(text("mut[xy]"), "no type matches `mut[xy]`");
        assert_eq!(
            text("mut!"),
            "no type is called `mut!`; did you mean `mut\\u{1b}`?"
        );
    }
}
