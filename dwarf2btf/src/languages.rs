//! Source languages by name, and which units to read by their language.
//!
//! DWARF up to 5 has one code for each edition of a language (`DW_AT_language`), DWARF 6 one for the language and a version
//! beside it (`DW_AT_language_name`, `DW_AT_language_version`). Compilers write the latter into DWARF 5 too, beside a code that
//! may be of an older edition (C23 as C11), so they win where both are there. One table serves both.
//!
//! A name of a list means the code of that name only, as pahole has it: `c` is not `c11`. A name with `*` means every
//! edition: `c*` is C of any year (not C++), `c++*` is C++ of any year.
//!
//! Spec: DWARF 5 §7.12; dwarfstd.org, "DWARF Version 5 Language Codes" and "DWARF Language Names".

use btf_core::cli::nearest;

/// A row of the table: an edition of a language.
struct Row {
    /// The name, in small letters.
    name: &'static str,
    /// The language without its edition.
    family: &'static str,
    /// `DW_LANG_*`.
    code: u16,
    /// `DW_LNAME_*`, 0 if there is none.
    language: u16,
}

const fn row(name: &'static str, family: &'static str, code: u16, language: u16) -> Row {
    Row {
        name,
        family,
        code,
        language,
    }
}

/// The versions of the languages that have several editions, in the scheme of each: a year, or year and month of a standard.
const EDITIONS: &[(&str, u32)] = &[
    ("c89", 198_912),
    ("c99", 199_901),
    ("c11", 201_112),
    ("c17", 201_710),
    ("c23", 202_311),
    ("c++", 199_711),
    ("c++03", 200_310),
    ("c++11", 201_103),
    ("c++14", 201_402),
    ("c++17", 201_703),
    ("c++20", 202_002),
    ("c++23", 202_302),
    ("ada83", 1983),
    ("ada95", 1995),
    ("ada2005", 2005),
    ("ada2012", 2012),
    ("cobol74", 1974),
    ("cobol85", 1985),
    ("fortran77", 1977),
    ("fortran90", 1990),
    ("fortran95", 1995),
    ("fortran03", 2003),
    ("fortran08", 2008),
    ("fortran18", 2018),
    ("fortran23", 2023),
];

impl Row {
    /// The version of this edition, 0 if there is none.
    fn version(&self) -> u32 {
        let found = EDITIONS.iter().find(|(name, _)| *name == self.name);
        found.map_or(0, |&(_, version)| version)
    }
}

/// The version of the edition that a version belongs to: the first that is not older, else the newest. A draft of C23 is C23.
fn edition(language: u16, version: u32) -> u32 {
    let versions = ROWS.iter().filter(|row| row.language == language);
    let versions = versions.map(Row::version).filter(|&edition| edition != 0);
    let later = versions.clone().filter(|&edition| edition >= version);
    later.min().or_else(|| versions.max()).unwrap_or(0)
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("c", "c", 0x02, 0x03),            row("c89", "c", 0x01, 0x03),           row("c99", "c", 0x0c, 0x03),
    row("c11", "c", 0x1d, 0x03),          row("c17", "c", 0x2c, 0x03),           row("c23", "c", 0x3e, 0x03),
    row("c++", "c++", 0x04, 0x04),        row("c++03", "c++", 0x19, 0x04),       row("c++11", "c++", 0x1a, 0x04),
    row("c++14", "c++", 0x21, 0x04),      row("c++17", "c++", 0x2a, 0x04),       row("c++20", "c++", 0x2b, 0x04),
    row("c++23", "c++", 0x3a, 0x04),      row("rust", "rust", 0x1c, 0x19),       row("asm", "asm", 0x8001, 0x1d),
    row("assembly", "asm", 0x31, 0x1d),   row("ada83", "ada", 0x03, 0x01),       row("ada95", "ada", 0x0d, 0x01),
    row("ada2005", "ada", 0x2e, 0x01),    row("ada2012", "ada", 0x2f, 0x01),     row("bliss", "bliss", 0x25, 0x02),
    row("cobol74", "cobol", 0x05, 0x05),  row("cobol85", "cobol", 0x06, 0x05),   row("crystal", "crystal", 0x28, 0x06),
    row("c#", "c#", 0x32, 0x1e),          row("d", "d", 0x13, 0x07),             row("dylan", "dylan", 0x20, 0x08),
    row("fortran77", "fortran", 0x07, 0x09), row("fortran90", "fortran", 0x08, 0x09), row("fortran95", "fortran", 0x0e, 0x09),
    row("fortran03", "fortran", 0x22, 0x09), row("fortran08", "fortran", 0x23, 0x09), row("fortran18", "fortran", 0x2d, 0x09),
    row("fortran23", "fortran", 0x3f, 0x09), row("go", "go", 0x16, 0x0a),        row("haskell", "haskell", 0x18, 0x0b),
    row("hip", "hip", 0x30, 0x29),        row("java", "java", 0x0b, 0x0c),       row("julia", "julia", 0x1f, 0x0d),
    row("kotlin", "kotlin", 0x26, 0x0e),  row("modula2", "modula2", 0x0a, 0x0f), row("modula3", "modula3", 0x17, 0x10),
    row("mojo", "mojo", 0x33, 0x1f),      row("objc", "objc", 0x10, 0x11),       row("objc++", "objc++", 0x11, 0x12),
    row("ocaml", "ocaml", 0x1b, 0x13),    row("odin", "odin", 0x3b, 0x2a),       row("opencl", "opencl", 0x15, 0x14),
    row("pascal83", "pascal", 0x09, 0x15), row("pli", "pli", 0x0f, 0x16),        row("python", "python", 0x14, 0x17),
    row("renderscript", "renderscript", 0x24, 0x18), row("swift", "swift", 0x1e, 0x1a), row("sycl", "sycl", 0x39, 0x25),
    row("upc", "upc", 0x12, 0x1b),        row("zig", "zig", 0x27, 0x1c),
];

/// The language of a unit, as DWARF gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitLanguage {
    /// `DW_AT_language`, 0 if absent.
    pub code: u16,
    /// `DW_AT_language_name`, 0 if absent.
    pub language: u16,
    /// `DW_AT_language_version`, 0 if absent.
    pub version: u32,
}

/// A language, or an edition of one, that a list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    code: u16,
    language: u16,
    /// The version of the edition; none if every edition is meant.
    version: Option<u32>,
    /// Whether the name is that of the language, such as `c`, which is also what a unit without a version is called.
    is_plain: bool,
}

/// Which units to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanguageFilter {
    /// Keep these only; empty keeps all.
    only: Vec<Entry>,
    /// Leave these out.
    exclude: Vec<Entry>,
    /// Whether names and versions of DWARF 6 do not count.
    by_code: bool,
}

/// A name that the table does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLanguage(pub String);

impl std::fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown language: `{}`", self.0)?;
        let names = || ROWS.iter().map(|row| row.name);
        match nearest(&self.0.to_ascii_lowercase(), names()) {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => write!(f, "; known are {}", names().collect::<Vec<_>>().join(",")),
        }
    }
}

impl std::error::Error for UnknownLanguage {}

impl LanguageFilter {
    /// A filter that keeps only the languages of `only` (all if it is empty), except those of `exclude`. Both hold lists
    /// of names separated by commas.
    ///
    /// # Errors
    /// The first name that is not known.
    pub fn new<S: AsRef<str>>(only: &[S], exclude: &[S]) -> Result<Self, UnknownLanguage> {
        Ok(Self {
            only: parse(only)?,
            exclude: parse(exclude)?,
            by_code: false,
        })
    }

    /// The same languages, told by `DW_AT_language` only, as pahole 1.32 tells them: gcc's C23 is C11.
    #[must_use]
    pub fn by_code(self) -> Self {
        Self {
            by_code: true,
            ..self
        }
    }

    /// Whether every unit is kept, so that its language need not be looked at.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.only.is_empty() && self.exclude.is_empty()
    }

    /// Whether a unit of this language is read.
    #[must_use]
    pub fn keeps(&self, mut unit: UnitLanguage) -> bool {
        if self.by_code && unit.code != 0 {
            unit.language = 0;
        }
        let is_in = |list: &[Entry]| list.iter().any(|entry| entry.matches(unit));
        (self.only.is_empty() || is_in(&self.only)) && !is_in(&self.exclude)
    }
}

impl Entry {
    /// Whether a unit of the language `unit` is meant; the absent code 0 matches nothing.
    fn matches(self, unit: UnitLanguage) -> bool {
        // A name without a version says less than the code beside it.
        if unit.language != 0 && (unit.version != 0 || unit.code == 0) {
            let is_edition = |version| match unit.version {
                0 => self.is_plain,
                own => version == edition(unit.language, own),
            };
            self.language == unit.language && self.version.is_none_or(is_edition)
        } else {
            self.code != 0 && self.code == unit.code
        }
    }
}

fn parse<S: AsRef<str>>(lists: &[S]) -> Result<Vec<Entry>, UnknownLanguage> {
    let mut found = Vec::new();
    let names = lists.iter().flat_map(|list| list.as_ref().split(','));
    for typed in names.map(str::trim).filter(|name| !name.is_empty()) {
        let name = typed.to_ascii_lowercase();
        let before = found.len();
        for row in ROWS {
            let is_meant = match name.strip_suffix('*') {
                Some(family) => row.family == family,
                None => row.name == name,
            };
            if is_meant {
                // A language of one row has no editions to tell apart.
                let is_whole = name.ends_with('*') || edition(row.language, 0) == 0;
                found.push(Entry {
                    code: row.code,
                    language: row.language,
                    version: (!is_whole).then(|| row.version()),
                    is_plain: row.name == row.family,
                });
            }
        }
        if found.len() == before {
            return Err(UnknownLanguage(typed.to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(only: &str, exclude: &str, keeps: &[u16], drops: &[u16]) {
        let filter = LanguageFilter::new(&[only], &[exclude]).unwrap();
        let unit = |&code| UnitLanguage {
            code,
            ..UnitLanguage::default()
        };
        assert!(keeps.iter().map(unit).all(|unit| filter.keeps(unit)));
        assert!(!drops.iter().map(unit).any(|unit| filter.keeps(unit)));
    }

    #[test]
    fn names_mean_one_code_and_families_all() {
        check("", "", &[0, 1, 0x1c], &[]);
        check("", "rust", &[0, 1, 0x1d], &[0x1c]);
        check("", "Rust, ASM", &[0, 1], &[0x1c, 0x8001]);
        check("c", "", &[2], &[0, 0x1d, 4]);
        check("c*", "", &[1, 2, 0x0c, 0x1d, 0x2c, 0x3e], &[0, 4, 5, 0x32]);
        check(
            "",
            "c++*",
            &[0, 1, 2],
            &[4, 0x19, 0x1a, 0x21, 0x2a, 0x2b, 0x3a],
        );
        check("c*,rust", "c11", &[1, 0x1c], &[0x1d, 4]);
    }

    #[test]
    fn names_of_dwarf_6_are_known_too() {
        let unit = |language| UnitLanguage {
            language,
            ..UnitLanguage::default()
        };
        let filter = LanguageFilter::new(&[], &["rust", "c++*", "c11"]).unwrap();
        assert!(!filter.keeps(unit(0x19)));
        assert!(!filter.keeps(unit(4)));
        assert!(filter.keeps(unit(3)));
        assert!(!filter.keeps_all());
    }

    #[test]
    fn a_version_wins_over_the_code_beside_it() {
        // As gcc 15 has C23 and C++20 in DWARF 5.
        let unit = |code, language, version| UnitLanguage {
            code,
            language,
            version,
        };
        let keeps = |name: &str, unit| LanguageFilter::new(&[name], &[]).unwrap().keeps(unit);
        let c23 = unit(0x1d, 3, 202_311);
        assert!(keeps("c23", c23) && keeps("c*", c23) && !keeps("c11", c23) && !keeps("c", c23));
        let by_code = LanguageFilter::new(&["c11"], &[]).unwrap().by_code();
        assert!(by_code.keeps(c23), "as pahole has it");
        let cpp20 = unit(0x21, 4, 202_002);
        assert!(keeps("c++20", cpp20) && !keeps("c++14", cpp20) && !keeps("c*", cpp20));
        assert!(keeps("c23", unit(0, 3, 202_000)), "a draft");
        assert!(
            keeps("c23", unit(0, 3, 299_901)),
            "later than all that is known"
        );
        assert!(keeps("rust", unit(0, 0x19, 1_085)));
        assert!(
            keeps("c11", unit(0x1d, 3, 0)),
            "without a version the code decides"
        );
    }

    #[test]
    fn each_edition_is_a_row_and_later_than_the_one_before() {
        let of = |name: &str| ROWS.iter().find(|row| row.name == name).unwrap();
        for pair in EDITIONS.windows(2) {
            let (first, second) = (of(pair[0].0), of(pair[1].0));
            assert!(first.language != second.language || pair[0].1 < pair[1].1);
        }
    }

    #[test]
    fn unknown_names_are_errors_with_a_hint() {
        let error = LanguageFilter::new(&["rsut"], &[]).unwrap_err().to_string();
        assert_eq!(error, "unknown language: `rsut`; did you mean `rust`?");
        assert!(LanguageFilter::new(&[], &["brainfuck"]).is_err());
        assert!(LanguageFilter::new(&["*"], &[]).is_err());
    }

    #[test]
    fn no_name_and_no_code_stands_twice() {
        for (index, row) in ROWS.iter().enumerate() {
            let rest = &ROWS[index + 1..];
            assert!(
                rest.iter()
                    .all(|other| other.name != row.name && other.code != row.code)
            );
        }
    }
}
