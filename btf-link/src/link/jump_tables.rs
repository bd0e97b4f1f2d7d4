//! clang's tables of jumps, which move with the code that jumps by them.
//!
//! A table is an array of 64-bit words in `.jumptables`, with a symbol: each word is the place of an instruction, in bytes from the
//! start of the section of the code. There are no relocations on them; whose section is meant tells the one instruction that
//! loads the table's address.
//!
//! Spec: `create_jt_map` of Linux 7.2's tools/lib/bpf/libbpf.c.
#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use btf_core::ByteOrder;

use super::contents::Contents;
use super::layout::Layout;
use super::object::{Object, Place, Symbol};
use super::problem::{Problem, show};

/// The section of the tables.
pub(crate) const SECTION: &[u8] = b".jumptables";

/// The size of a word in bytes.
const WORD: u64 = 8;

/// A table of an object.
struct Table<'a, 'd> {
    symbol: &'a Symbol<'d>,
    /// The number of its section.
    section: usize,
    /// The number of the section that its words are places in.
    code: usize,
}

/// Moves the tables of all objects.
pub(crate) fn move_tables(
    objects: &[Object<'_>],
    layout: &Layout<'_, '_>,
    filled: &mut [Contents],
    problems: &mut Vec<Problem>,
) {
    for (index, object) in objects.iter().enumerate() {
        let mut end = (0, 0);
        for table in tables(index, object, layout) {
            let start = (table.section, table.symbol.value);
            let done = if start < end {
                Err("lies in another one".to_owned())
            } else {
                move_table(index, object, &table, layout, filled)
            };
            end = (table.section, start.1.saturating_add(table.symbol.size));
            if let Err(why) = done {
                let text = format!("the table of jumps {} {why}", show(table.symbol.name));
                problems.push(Problem::of(object, text));
            }
        }
    }
}

/// The tables that code which stays jumps by, in the order of their places.
fn tables<'a, 'd>(
    index: usize,
    object: &'a Object<'d>,
    layout: &Layout<'_, '_>,
) -> Vec<Table<'a, 'd>> {
    let mut tables = BTreeMap::new();
    for (code, section) in object.sections.iter().enumerate() {
        let relocations = section.relocations.iter();
        let relocations = relocations.filter(|_| section.is_code());
        for relocation in relocations.filter(|entry| layout.stays((index, code), entry.offset)) {
            let Some(symbol) = object.symbols.get(relocation.symbol) else {
                continue;
            };
            let Place::Section(number) = symbol.place else {
                continue;
            };
            let of_tables = object.sections.get(number);
            // Older compilers write relocations on the words, which do without this.
            if of_tables.is_some_and(|of| of.name == SECTION && of.relocations.is_empty()) {
                let table = Table {
                    symbol,
                    section: number,
                    code,
                };
                tables.insert((number, symbol.value, symbol.size, code), table);
            }
        }
    }
    tables.into_values().collect()
}

/// Moves one table; says what is wrong with it if that is not possible.
fn move_table(
    index: usize,
    object: &Object<'_>,
    table: &Table<'_, '_>,
    layout: &Layout<'_, '_>,
    filled: &mut [Contents],
) -> Result<(), String> {
    let (at, code) = ((index, table.section), (index, table.code));
    let bytes = object.sections.get(table.section);
    let bytes = bytes.map_or(&[][..], |section| section.bytes);
    let size = object.sections.get(table.code).map_or(0, |code| code.size);
    let out = layout.out_of(at).and_then(|out| filled.get_mut(out));
    let out = &mut out.ok_or("goes")?.bytes;
    let Symbol {
        value, size: len, ..
    } = *table.symbol;
    if table.symbol.is_section() || !len.is_multiple_of(WORD) {
        return Err("has no length".to_owned());
    }
    let end = value
        .checked_add(len)
        .filter(|&end| end <= bytes.len() as u64);
    let end = end.ok_or("reaches out of its section")?;
    for offset in (value..end).step_by(8) {
        let word = usize::try_from(offset).ok();
        let word = word.and_then(|from| bytes.get(from..)?.first_chunk());
        let old = word.map(|&word| object.order.u64(word));
        let old = old.filter(|&old| old < size);
        let new = old.and_then(|old| layout.offset(code, i64::try_from(old).ok()?));
        let new = new.ok_or("leads out of the code")?;
        let place = layout.offset(at, i64::try_from(offset).unwrap_or(i64::MAX));
        let place = place.and_then(|place| usize::try_from(place).ok());
        let place = place.and_then(|from| out.get_mut(from..)?.first_chunk_mut());
        let place = place.ok_or("goes")?;
        *place = match object.order {
            ByteOrder::Little => new.to_le_bytes(),
            ByteOrder::Big => new.to_be_bytes(),
        };
    }
    Ok(())
}
