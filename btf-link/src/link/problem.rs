//! What keeps objects from being linked, each with the places that do not fit together.

use std::borrow::Cow;
use std::fmt;

use btf_core::cli::escape_name;
use btf_core::ext::LineInfo;
use btf_core::{Info, Kind, TypeId};

use super::object::{Object, Place as SymbolPlace};

/// Something that keeps the objects from being linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is.
    pub text: String,
    /// Where it is; two places if two objects disagree.
    pub places: Vec<Place>,
}

/// A place in an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The object: a path, or an archive's path with the member's name.
    pub file: String,
    /// The source file and line, if BTF has them.
    pub source: Option<(String, u32)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for (index, place) in self.places.iter().enumerate() {
            let between = if index == 0 { ": " } else { " and " };
            write!(f, "{between}{}", place.file)?;
            if let Some((source, line)) = &place.source {
                write!(f, " ({source}:{line})")?;
            }
        }
        Ok(())
    }
}

impl Problem {
    /// A problem of one object as a whole.
    pub(crate) fn of(object: &Object<'_>, text: String) -> Self {
        let places = vec![Place {
            file: object.name.clone(),
            source: None,
        }];
        Self { text, places }
    }

    /// A problem of a symbol in several objects.
    pub(crate) fn of_symbols(
        text: String,
        objects: &[Object<'_>],
        symbols: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let symbols = symbols.into_iter();
        let places = symbols.filter_map(|(object, symbol)| {
            let object = objects.get(object)?;
            Some(Place {
                file: object.name.clone(),
                source: source_of(object, symbol),
            })
        });
        Self {
            text,
            places: places.collect(),
        }
    }
}

/// The length of a name in messages, in bytes; what is longer is cut off.
const MAX_SHOWN: usize = 256;

/// A name as messages show it.
pub(crate) fn show(name: &[u8]) -> String {
    format!("`{}`", shown(name))
}

/// What messages show of a name.
fn shown(name: &[u8]) -> Cow<'_, str> {
    match name.get(..MAX_SHOWN) {
        Some(start) => Cow::Owned(format!("{}…", escape_name(start))),
        None => escape_name(name),
    }
}

/// The source line where a function starts. BTF has none for variables.
fn source_of(object: &Object<'_>, symbol: usize) -> Option<(String, u32)> {
    let symbol = object.symbols.get(symbol)?;
    let (btf, ext) = (object.btf.as_ref()?, object.ext.as_ref()?);
    let SymbolPlace::Section(section) = symbol.place else {
        return None;
    };
    let name = object.sections.get(section)?.name;
    let mut blocks = ext.line_info.iter();
    let block = blocks.find(|block| btf.string(block.section).is_ok_and(|found| found == name))?;
    let is_before = |record: &LineInfo| u64::from(record.insn_off) < symbol.value;
    let record = block
        .records
        .get(block.records.partition_point(is_before))?;
    let file = btf.string(record.file_name).ok()?;
    Some((shown(file).into_owned(), record.line_col >> 10))
}

/// A type in C's words, short: for messages about types that differ.
pub(crate) fn describe(btf: &btf_core::Btf, id: TypeId) -> String {
    let name = btf.name(id).unwrap_or_default();
    match btf.info(id).and_then(Info::kind) {
        None => "void".to_owned(),
        Some(Kind::Struct) => format!("struct {}", shown(name)),
        Some(Kind::Union) => format!("union {}", shown(name)),
        Some(Kind::Enum | Kind::Enum64) => format!("enum {}", shown(name)),
        Some(kind) if name.is_empty() => format!("a {kind}"),
        Some(_) => shown(name).into_owned(),
    }
}
