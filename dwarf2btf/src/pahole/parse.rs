//! Takes a command line apart as GNU `argp` does, by a table.
//!
//! Options and files come in any order. A long option may be cut down to any beginning that fits only one; a full name
//! always wins. Its value follows after `=` or, if it needs one, as the next word, whatever that looks like. Letters may stand
//! together behind one dash; what follows a letter that takes a value is that value. `--` ends the options, and `-` is a file.
//!
//! Not clap: it would find abbreviations (`infer_long_args`), but not a value that is optional and attached, `-j4` beside
//! `-j`, and it forgets the order, by which `--btf_gen_floats --btf_features=var` is not
//! `--btf_features=var --btf_gen_floats`, and `--version --no_such_option` is no error.
//!
//! Unlike glibc's, it does not stop at the first file if `POSIXLY_CORRECT` is set: kernel builds set it for nobody's sake, and
//! what they then pass is the same.
//!
//! Spec: glibc manual, "Argp" and "Using Getopt"; behaviour compared with pahole 1.32 in `tests/tests/pahole.rs`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use btf_core::cli::nearest;

use super::table::{Argument, Row};

/// What stands on a command line.
#[derive(Debug)]
pub(super) enum Item {
    /// An option and its value.
    Option(&'static Row, Option<OsString>),
    /// A file.
    File(OsString),
}

/// The items of a command line, one by one: whoever finds enough said need not go on.
#[derive(Debug)]
pub(super) struct Items<I> {
    words: I,
    table: &'static [Row],
    /// The letters that are left of a word behind one dash.
    letters: Vec<u8>,
    /// Whether `--` was there.
    has_ended: bool,
}

/// A word that is no option of the table, or not as the table wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UsageError {
    /// A long option that nothing begins with.
    Unknown {
        /// What was typed, without dashes.
        typed: String,
        /// An option that looks like it.
        nearest: Option<&'static str>,
    },
    /// A letter that is none.
    UnknownLetter(String),
    /// The beginning of several.
    Ambiguous(String, Vec<&'static str>),
    /// An option without its value.
    NoValue(&'static str),
    /// An option with a value that it does not take.
    UnwantedValue(&'static str),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { typed, nearest } => {
                write!(f, "unknown option: `--{typed}`")?;
                nearest.map_or(Ok(()), |name| write!(f, "; did you mean `--{name}`?"))
            }
            Self::UnknownLetter(letter) => write!(f, "unknown option: `-{letter}`"),
            Self::Ambiguous(typed, names) => {
                write!(f, "option may mean several: `--{typed}`: ")?;
                write!(f, "`--{}`", names.join("`, `--"))
            }
            Self::NoValue(name) => write!(f, "option needs a value: `--{name}`"),
            Self::UnwantedValue(name) => write!(f, "option takes no value: `--{name}`"),
        }
    }
}

impl std::error::Error for UsageError {}

impl<I: Iterator<Item = OsString>> Items<I> {
    /// The items of `words`, which are without the name of the program.
    pub(super) fn new(words: I, table: &'static [Row]) -> Self {
        Self {
            words,
            table,
            letters: Vec::new(),
            has_ended: false,
        }
    }

    /// An option with two dashes.
    fn long(&mut self, word: &[u8]) -> Result<Item, UsageError> {
        let mut parts = word.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default();
        let value = parts
            .next()
            .map(|value| OsStr::from_bytes(value).to_owned());
        let row = self.named(name)?;
        match (row.argument, value) {
            (Argument::No, Some(_)) => Err(UsageError::UnwantedValue(row.long)),
            (Argument::Needed(_), None) => self.next_word(row),
            (_, value) => Ok(Item::Option(row, value)),
        }
    }

    /// The option of this name, or that alone begins with it.
    fn named(&self, name: &[u8]) -> Result<&'static Row, UsageError> {
        let begins = |row: &&Row| row.long.as_bytes().starts_with(name);
        let fitting: Vec<&'static Row> = self.table.iter().filter(begins).collect();
        let typed = || String::from_utf8_lossy(name).into_owned();
        match *fitting {
            [row] => Ok(row),
            [] => Err(UsageError::Unknown {
                nearest: nearest(&typed(), self.table.iter().map(|row| row.long)),
                typed: typed(),
            }),
            _ => {
                let whole = fitting.iter().find(|row| row.long.as_bytes() == name);
                let names = || fitting.iter().map(|row| row.long).collect();
                whole
                    .copied()
                    .ok_or_else(|| UsageError::Ambiguous(typed(), names()))
            }
        }
    }

    /// The first letter of [`Self::letters`]. What is behind it stays there unless it is its value.
    fn letter(&mut self, letter: u8) -> Result<Item, UsageError> {
        let rest = self.letters.split_off(1);
        let is_it = |row: &&Row| row.short == Some(char::from(letter));
        let Some(row) = self.table.iter().find(is_it) else {
            let typed = OsString::from_vec(std::mem::take(&mut self.letters));
            return Err(UsageError::UnknownLetter(
                typed.to_string_lossy().into_owned(),
            ));
        };
        let attached = (!rest.is_empty()).then(|| OsStr::from_bytes(&rest).to_owned());
        self.letters.clear();
        match (row.argument, attached) {
            (Argument::No, _) => {
                self.letters = rest;
                Ok(Item::Option(row, None))
            }
            (Argument::Needed(_), None) => self.next_word(row),
            (_, value) => Ok(Item::Option(row, value)),
        }
    }

    /// The option with the next word as its value.
    fn next_word(&mut self, row: &'static Row) -> Result<Item, UsageError> {
        let value = self.words.next().ok_or(UsageError::NoValue(row.long))?;
        Ok(Item::Option(row, Some(value)))
    }
}

impl<I: Iterator<Item = OsString>> Iterator for Items<I> {
    type Item = Result<Item, UsageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(&letter) = self.letters.first() {
            return Some(self.letter(letter));
        }
        let word = self.words.next()?;
        if self.has_ended {
            return Some(Ok(Item::File(word)));
        }
        Some(match word.as_bytes() {
            b"--" => {
                self.has_ended = true;
                return self.next();
            }
            [b'-', b'-', long @ ..] => self.long(long),
            [b'-', letter, letters @ ..] => {
                self.letters = [&[*letter], letters].concat();
                self.letter(*letter)
            }
            _ => Ok(Item::File(word)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::TABLE;
    use super::*;

    /// The items as text: options by their full names, with their values; files as they are.
    fn items(line: &str) -> Result<Vec<String>, UsageError> {
        let words = line.split_whitespace().map(OsString::from);
        let text = |item| match item {
            Item::Option(row, None) => row.long.to_owned(),
            Item::Option(row, Some(value)) => format!("{}={}", row.long, value.display()),
            Item::File(name) => format!("<{}>", name.display()),
        };
        Items::new(words, TABLE)
            .map(|item| item.map(text))
            .collect()
    }

    #[track_caller]
    fn check(line: &str, expect: &[&str]) {
        assert_eq!(items(line).unwrap(), expect);
    }

    #[track_caller]
    fn check_error(line: &str, expect: &str) {
        assert_eq!(items(line).unwrap_err().to_string(), expect);
    }

    #[test]
    fn options_and_files_come_in_any_order() {
        check("a -J b", &["<a>", "btf_encode", "<b>"]);
        check(
            "-J - a -- -V --",
            &["btf_encode", "<->", "<a>", "<-V>", "<-->"],
        );
        check("", &[]);
    }

    #[test]
    fn long_options_may_be_cut() {
        check("--numeric", &["numeric_version"]);
        check("--vers", &["version"]);
        check("--btf_encode", &["btf_encode"]);
        check("--padding=3", &["padding_ge=3"]);
        check("--skip 3", &["skip=3"]);
        check_error(
            "--btf_enc",
            "option may mean several: `--btf_enc`: `--btf_encode`, `--btf_encode_detached`, `--btf_encode_force`",
        );
        check_error(
            "--lan rust",
            "option may mean several: `--lan`: `--lang`, `--lang_exclude`",
        );
        check_error("--bogus", "unknown option: `--bogus`");
        check_error(
            "--btf-base x",
            "unknown option: `--btf-base`; did you mean `--btf_base`?",
        );
    }

    #[test]
    fn values_are_attached_or_follow() {
        check("--btf_base=a=b x", &["btf_base=a=b", "<x>"]);
        check("--btf_base vmlinux x", &["btf_base=vmlinux", "<x>"]);
        check("--btf_base -J x", &["btf_base=-J", "<x>"]);
        check("--btf_base= x", &["btf_base=", "<x>"]);
        check(
            "-F dwarf -Fdwarf",
            &["format_path=dwarf", "format_path=dwarf"],
        );
        check_error("x --btf_base", "option needs a value: `--btf_base`");
        check_error("-B", "option needs a value: `--bit_holes`");
        check_error("--btf_encode=1", "option takes no value: `--btf_encode`");
    }

    #[test]
    fn optional_values_are_attached_only() {
        check("-j -j4 -j 4", &["jobs", "jobs=4", "jobs", "<4>"]);
        check("--jobs --jobs=4 --j 4", &["jobs", "jobs=4", "jobs", "<4>"]);
    }

    #[test]
    fn letters_stand_together() {
        check("-JVj2 x", &["btf_encode", "verbose", "jobs=2", "<x>"]);
        check("-JF dwarf", &["btf_encode", "format_path=dwarf"]);
        check("-J?", &["btf_encode", "help"]);
        check_error("-JQV", "unknown option: `-Q`");
        check_error("-J\u{e4}", "unknown option: `-\u{fffd}`");
    }

    #[test]
    fn words_need_not_be_utf8() {
        let words = [&b"--btf_base=\xff"[..], b"\xfe", b"--\xff"]
            .map(|word| OsStr::from_bytes(word).to_owned());
        let items: Vec<_> = Items::new(words.into_iter(), TABLE).collect();
        let [
            Ok(Item::Option(_, Some(value))),
            Ok(Item::File(file)),
            Err(error),
        ] = items.as_slice()
        else {
            panic!("{items:?}");
        };
        assert_eq!(
            (value.as_bytes(), file.as_bytes()),
            (&b"\xff"[..], &b"\xfe"[..])
        );
        assert_eq!(error.to_string(), "unknown option: `--\u{fffd}`");
    }
}
