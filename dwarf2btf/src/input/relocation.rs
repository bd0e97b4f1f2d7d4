//! Relocations of the debug sections of a relocatable file, decoded one by one and only where a value is read.
//!
//! In a kernel module for x86-64, `.rela.debug_info` is larger than `.debug_info` itself, and BTF needs about one value in
//! five. So nothing is applied to a copy: the raw entries stay in the mapped file, sorted by offset as assemblers and
//! linkers leave them, and a cursor walks them beside the reader. A file whose entries are not sorted costs a sorted copy.
//!
//! Spec: gABI ch. 4 "Relocation".
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;

use btf_core::{ByteOrder, Error, ErrorKind, Result};

use super::machines::{self, EM_MIPS, EM_SPARCV9, Operation, Rule};

/// A value as a linker would have written it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// The value; in a relocatable file an address counts from the start of [`Self::section`].
    pub value: u64,
    /// The index of the section that the value is an address in or an offset into; none if no relocation was applied,
    /// if its symbol has no section, or if the value is a difference of two addresses.
    pub section: Option<u32>,
}

/// How the file writes its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ElfForm {
    pub(super) is_64: bool,
    pub(super) order: ByteOrder,
    pub(super) machine: u16,
}

impl ElfForm {
    fn u16(self, data: &[u8], offset: usize) -> Option<u16> {
        let bytes = *data.get(offset..)?.first_chunk()?;
        Some(self.order.u16(bytes))
    }

    fn u32(self, data: &[u8], offset: usize) -> Option<u32> {
        let bytes = *data.get(offset..)?.first_chunk()?;
        Some(self.order.u32(bytes))
    }

    fn u64(self, data: &[u8], offset: usize) -> Option<u64> {
        let bytes = *data.get(offset..)?.first_chunk()?;
        Some(self.order.u64(bytes))
    }
}

/// The raw symbol table that relocations refer to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawSymbols<'a> {
    /// The bytes of `.symtab`.
    pub(super) data: &'a [u8],
    /// The bytes of `.symtab_shndx`, if there is one.
    pub(super) extended: &'a [u8],
}

const SHN_LORESERVE: u16 = 0xff00;
const SHN_XINDEX: u16 = 0xffff;

impl RawSymbols<'_> {
    /// The value and section index of the symbol `index`.
    fn get(&self, form: ElfForm, index: usize) -> Option<(u64, Option<u32>)> {
        let (value, number) = if form.is_64 {
            let start = index.checked_mul(24)?;
            let entry = self.data.get(start..start.checked_add(24)?)?;
            (form.u64(entry, 8)?, form.u16(entry, 6)?)
        } else {
            let start = index.checked_mul(16)?;
            let entry = self.data.get(start..start.checked_add(16)?)?;
            (u64::from(form.u32(entry, 4)?), form.u16(entry, 14)?)
        };
        let section = match number {
            0 => None,
            SHN_XINDEX => Some(form.u32(self.extended, index.checked_mul(4)?)?),
            SHN_LORESERVE.. => None,
            number => Some(u32::from(number)),
        };
        Some((value, section))
    }
}

/// The relocations of one section, by offset.
#[derive(Clone, Debug)]
pub struct Relocations<'a> {
    /// The entries, sorted by offset; entries of one offset stand in the file's order.
    entries: Cow<'a, [u8]>,
    entry_size: usize,
    count: usize,
    has_addend: bool,
    form: ElfForm,
    /// What the machine's relocation types do.
    rules: &'static [Rule],
    symbols: RawSymbols<'a>,
    /// The name of the section that is relocated, for errors.
    section: &'static str,
}

/// One entry, decoded.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    symbol: u32,
    kind: u32,
    /// None where the addend stands in place (`SHT_REL`).
    addend: Option<u64>,
}

impl<'a> Relocations<'a> {
    /// No relocations: every value stays as it is.
    pub(super) fn none(section: &'static str) -> Self {
        let form = ElfForm {
            is_64: true,
            order: ByteOrder::Little,
            machine: 0,
        };
        Self {
            entries: Cow::Borrowed(&[]),
            entry_size: 1,
            count: 0,
            has_addend: true,
            form,
            rules: &[],
            symbols: RawSymbols::default(),
            section,
        }
    }

    /// Takes the contents of a section of the type `SHT_RELA` (`has_addend`) or `SHT_REL`; sorts them if need be.
    pub(super) fn new(
        data: &'a [u8],
        has_addend: bool,
        form: ElfForm,
        symbols: RawSymbols<'a>,
        section: &'static str,
    ) -> Self {
        let word = if form.is_64 { 8 } else { 4 };
        let entry_size = if has_addend { 3 * word } else { 2 * word };
        let mut table = Self {
            entries: Cow::Borrowed(data),
            entry_size,
            count: data.len() / entry_size,
            has_addend,
            form,
            rules: machines::rules(form.machine),
            symbols,
            section,
        };
        let offsets = (0..table.count).map(|index| table.offset(index));
        if !offsets.is_sorted() {
            let mut entries: Vec<&[u8]> = data.chunks_exact(entry_size).collect();
            entries.sort_by_key(|entry| table.word(entry, 0));
            table.entries = Cow::Owned(entries.concat());
        }
        table
    }

    /// Whether there are none, so that every value stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// A cursor that stands before the value at `offset`, which counts in bytes from the start of the section.
    #[must_use]
    pub fn cursor(&self, offset: u64) -> RelocationCursor<'_> {
        let mut cursor = RelocationCursor {
            table: self,
            index: 0,
            next_offset: 0,
            reached: 0,
        };
        cursor.seek(offset);
        cursor
    }

    /// Relocates one value, by a binary search; a reader in order uses [`Self::cursor`].
    ///
    /// # Errors
    /// As [`RelocationCursor::value`].
    pub fn value(&self, offset: u64, in_place: u64) -> Result<Relocated> {
        if self.is_empty() {
            return Ok(Relocated {
                value: in_place,
                section: None,
            });
        }
        self.cursor(offset).value(offset, in_place)
    }

    fn word(&self, data: &[u8], index: usize) -> Option<u64> {
        if self.form.is_64 {
            self.form.u64(data, index * 8)
        } else {
            self.form.u32(data, index * 4).map(u64::from)
        }
    }

    /// The offset of the entry `index`, or the largest number past the end.
    fn offset(&self, index: usize) -> u64 {
        self.raw(index)
            .and_then(|entry| self.word(entry, 0))
            .unwrap_or(u64::MAX)
    }

    fn raw(&self, index: usize) -> Option<&[u8]> {
        let start = index.checked_mul(self.entry_size)?;
        self.entries.get(start..start.checked_add(self.entry_size)?)
    }

    fn entry(&self, index: usize) -> Option<Entry> {
        let raw = self.raw(index)?;
        let info = self.word(raw, 1)?;
        let (symbol, kind) = split_info(info, self.form);
        Some(Entry {
            offset: self.word(raw, 0)?,
            symbol,
            kind,
            addend: if self.has_addend {
                Some(self.word(raw, 2)?)
            } else {
                None
            },
        })
    }

    /// The first entry in `from..to` whose offset is not below `offset`, or `to`.
    fn lower_bound(&self, mut from: usize, mut to: usize, offset: u64) -> usize {
        while from < to {
            let middle = from + (to - from) / 2;
            if self.offset(middle) < offset {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// Applies the entry to `before`.
    #[inline]
    fn apply(&self, entry: Entry, before: Relocated) -> Result<Relocated> {
        // Type 0 does nothing on every machine.
        if entry.kind == 0 {
            return Ok(before);
        }
        let Some(rule) = self.rules.iter().find(|rule| rule.kind == entry.kind) else {
            let machine = self.form.machine;
            return Err(Error::new(ErrorKind::Relocation {
                machine,
                kind: entry.kind,
            })
            .at(self.section, entry.offset));
        };
        if rule.operation == Operation::Nothing {
            return Ok(before);
        }
        let symbol = usize::try_from(entry.symbol).unwrap_or(usize::MAX);
        let (value, section) = self.symbols.get(self.form, symbol).ok_or_else(|| {
            Error::new(ErrorKind::Invalid {
                what: "symbol index of a relocation",
                value: u64::from(entry.symbol),
            })
            .at(self.section, entry.offset)
        })?;
        // Without an addend of its own the entry's addend is what stands in place.
        let target = value.wrapping_add(entry.addend.unwrap_or(0));
        let (result, section) = match (rule.operation, entry.addend) {
            (Operation::Set, Some(_)) => (target, section),
            (Operation::Set, None) | (Operation::Add, _) => {
                (before.value.wrapping_add(target), section)
            }
            // The difference of two addresses of one section is no address.
            (Operation::Subtract | Operation::Nothing, _) => {
                (before.value.wrapping_sub(target), None)
            }
        };
        Ok(Relocated {
            value: (before.value & !rule.mask) | (result & rule.mask),
            section,
        })
    }
}

/// Splits `r_info` into the symbol's index and the relocation's type.
#[expect(
    clippy::cast_possible_truncation,
    reason = "fields are cut out of a wider word"
)]
fn split_info(info: u64, form: ElfForm) -> (u32, u32) {
    match (form.is_64, form.machine) {
        (false, _) => ((info >> 8) as u32, (info & 0xff) as u32),
        // Little-endian MIPS64: the symbol is the first word, then come single bytes with the type last.
        (true, EM_MIPS) if form.order == ByteOrder::Little => {
            (info as u32, ((info >> 32) as u32).swap_bytes())
        }
        // The upper 24 bits of SPARC's type are data.
        (true, EM_SPARCV9) => ((info >> 32) as u32, (info & 0xff) as u32),
        (true, _) => ((info >> 32) as u32, info as u32),
    }
}

/// A walk over the relocations of a section in the order of their offsets.
///
/// Values may be asked for in any order; ascending offsets are cheap.
#[derive(Clone, Debug)]
pub struct RelocationCursor<'r> {
    table: &'r Relocations<'r>,
    /// The first entry that is not before `reached`.
    index: usize,
    /// The offset of that entry.
    next_offset: u64,
    reached: u64,
}

impl RelocationCursor<'_> {
    /// The value at `offset` (in bytes from the start of the section), which reads as `in_place` before relocation.
    ///
    /// Entries of one offset are applied one after the other, as RISC-V and `LoongArch` need it for differences.
    ///
    /// # Errors
    /// [`ErrorKind::Relocation`] if the type of an entry at `offset` is not known, [`ErrorKind::Invalid`] if its symbol does
    /// not exist.
    #[inline]
    pub fn value(&mut self, offset: u64, in_place: u64) -> Result<Relocated> {
        let before = Relocated {
            value: in_place,
            section: None,
        };
        if self.table.is_empty() || (self.reached <= offset && offset < self.next_offset) {
            return Ok(before);
        }
        self.relocate(offset, before)
    }

    fn relocate(&mut self, offset: u64, before: Relocated) -> Result<Relocated> {
        self.seek(offset);
        let mut result = before;
        let mut index = self.index;
        while let Some(entry) = self.table.entry(index).filter(|e| e.offset == offset) {
            result = self.table.apply(entry, result)?;
            index += 1;
        }
        Ok(result)
    }

    /// Moves to the first entry that is not before `offset`.
    fn seek(&mut self, offset: u64) {
        let table = self.table;
        if offset < self.reached {
            self.index = table.lower_bound(0, self.index, offset);
        } else {
            // Gallop: most steps are short, but a subtree that is skipped can hold thousands of entries.
            let mut from = self.index;
            let mut step = 1;
            while table.offset(from) < offset {
                let to = from.saturating_add(step).min(table.count);
                if table.offset(to) >= offset {
                    from = table.lower_bound(from + 1, to, offset);
                    break;
                }
                from = to;
                step *= 2;
            }
            self.index = from;
        }
        self.reached = offset;
        self.next_offset = table.offset(self.index);
    }
}

#[cfg(test)]
#[path = "relocation_tests.rs"]
mod tests;
