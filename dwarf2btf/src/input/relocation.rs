//! Relocations of the debug sections of a relocatable file, decoded one by one and only where a value is read.
//!
//! In a kernel module for x86-64, `.rela.debug_info` is larger than `.debug_info` itself. So nothing is applied to a copy: the
//! raw entries stay in the mapped file, sorted by offset as assemblers and linkers leave them, and a cursor walks them
//! beside the reader. Entries that are not sorted, or of another form than most, cost a decoded copy.
//! Nearly all entries refer to the start of `.debug_str`, so the cursor remembers what the last one did.
//!
//! Spec: gABI ch. 4 "Relocation".
#![warn(clippy::indexing_slicing)]

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
    entries: Entries<'a>,
    form: ElfForm,
    /// What the machine's relocation types do.
    rules: &'static [Rule],
    symbols: RawSymbols<'a>,
    /// The name of the section that is relocated, for errors.
    section: &'static str,
}

/// Entries sorted by offset; those of one offset stand in the file's order.
#[derive(Clone, Debug)]
enum Entries<'a> {
    /// `SHT_RELA` of a 64-bit little-endian file, as it stands there: what nearly all modules have.
    Rela64(&'a [[[u8; 8]; 3]]),
    Decoded(Vec<Entry>),
}

/// One entry.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    /// `r_info`: the symbol and the type, see [`split_info`].
    info: u64,
    /// None where the addend stands in place (`SHT_REL`).
    addend: Option<u64>,
}

impl Entry {
    #[inline]
    fn of_rela64([offset, info, addend]: [[u8; 8]; 3]) -> Self {
        Self {
            offset: u64::from_le_bytes(offset),
            info: u64::from_le_bytes(info),
            addend: Some(u64::from_le_bytes(addend)),
        }
    }

    /// Decodes an entry of the type `SHT_RELA` (`has_addend`) or `SHT_REL`.
    fn parse(entry: &[u8], has_addend: bool, form: ElfForm) -> Option<Self> {
        let word = |index: usize| {
            if form.is_64 {
                form.u64(entry, index * 8)
            } else {
                form.u32(entry, index * 4).map(u64::from)
            }
        };
        Some(Self {
            offset: word(0)?,
            info: word(1)?,
            addend: if has_addend { Some(word(2)?) } else { None },
        })
    }
}

impl<'a> Entries<'a> {
    /// Takes the contents of a section of the type `SHT_RELA` (`has_addend`) or `SHT_REL`; sorts them if need be.
    fn new(data: &'a [u8], has_addend: bool, form: ElfForm) -> Self {
        if form.is_64 && form.order == ByteOrder::Little && has_addend {
            let rela64 = Self::Rela64(data.as_chunks().0.as_chunks().0);
            if (0..rela64.len())
                .map(|index| rela64.offset(index))
                .is_sorted()
            {
                return rela64;
            }
        }
        let word = if form.is_64 { 8 } else { 4 };
        let raw = data.chunks_exact(if has_addend { 3 * word } else { 2 * word });
        let entries = raw.filter_map(|raw| Entry::parse(raw, has_addend, form));
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_key(|entry| entry.offset);
        Self::Decoded(entries)
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Rela64(entries) => entries.len(),
            Self::Decoded(entries) => entries.len(),
        }
    }

    #[inline]
    fn get(&self, index: usize) -> Option<Entry> {
        match self {
            Self::Rela64(entries) => entries.get(index).copied().map(Entry::of_rela64),
            Self::Decoded(entries) => entries.get(index).copied(),
        }
    }

    /// The offset of the entry `index`, or the largest number past the end.
    #[inline]
    fn offset(&self, index: usize) -> u64 {
        self.get(index).map_or(u64::MAX, |entry| entry.offset)
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
}

/// What relocations of one `r_info` do that stand alone at their offset and do not depend on what is there.
///
/// The default is that of type 0, which does nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    info: u64,
    symbol_value: u64,
    /// The section of the symbol.
    section: Option<u32>,
    /// The bits that are changed.
    mask: u64,
}

impl Effect {
    #[inline]
    fn apply(&self, addend: u64, in_place: u64) -> Relocated {
        let target = self.symbol_value.wrapping_add(addend);
        Relocated {
            value: (in_place & !self.mask) | (target & self.mask),
            section: self.section,
        }
    }
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
            entries: Entries::Rela64(&[]),
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
        Self {
            entries: Entries::new(data, has_addend, form),
            form,
            rules: machines::rules(form.machine),
            symbols,
            section,
        }
    }

    /// Whether there are none, so that every value stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A cursor that stands before the value at `offset`, which counts in bytes from the start of the section.
    #[must_use]
    pub fn cursor(&self, offset: u64) -> RelocationCursor<'_> {
        let mut cursor = RelocationCursor {
            table: self,
            index: 0,
            next_offset: self.entries.offset(0),
            reached: 0,
            last: Effect::default(),
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

    /// Applies the entry to `before`.
    fn apply(&self, entry: Entry, before: Relocated) -> Result<Relocated> {
        let Some((operation, effect)) = self.effect(entry)? else {
            return Ok(before);
        };
        // Without an addend of its own the entry's addend is what stands in place.
        let target = effect
            .symbol_value
            .wrapping_add(entry.addend.unwrap_or_default());
        let (result, section) = match (operation, entry.addend) {
            (Operation::Set, Some(_)) => (target, effect.section),
            (Operation::Set, None) | (Operation::Add, _) => {
                (before.value.wrapping_add(target), effect.section)
            }
            // The difference of two addresses of one section is no address.
            (Operation::Subtract | Operation::Nothing, _) => {
                (before.value.wrapping_sub(target), None)
            }
        };
        Ok(Relocated {
            value: (before.value & !effect.mask) | (result & effect.mask),
            section,
        })
    }

    /// What the entry does; `None` if that is nothing.
    fn effect(&self, entry: Entry) -> Result<Option<(Operation, Effect)>> {
        let (symbol, kind) = split_info(entry.info, self.form);
        // Type 0 does nothing on every machine.
        if kind == 0 {
            return Ok(None);
        }
        let Some(rule) = self.rules.iter().find(|rule| rule.kind == kind) else {
            let machine = self.form.machine;
            let kind = ErrorKind::Relocation { machine, kind };
            return Err(Error::new(kind).at(self.section, entry.offset));
        };
        if rule.operation == Operation::Nothing {
            return Ok(None);
        }
        let index = usize::try_from(symbol).unwrap_or(usize::MAX);
        let (symbol_value, section) = self.symbols.get(self.form, index).ok_or_else(|| {
            let (what, value) = ("symbol index of a relocation", u64::from(symbol));
            Error::new(ErrorKind::Invalid { what, value }).at(self.section, entry.offset)
        })?;
        let effect = Effect {
            info: entry.info,
            symbol_value,
            section,
            mask: rule.mask,
        };
        Ok(Some((rule.operation, effect)))
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

/// How many entries a cursor looks at one by one before it leaps.
const NEAR: usize = 8;

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
    last: Effect,
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
        if self.reached <= offset && offset < self.next_offset {
            return Ok(before);
        }
        match self.value_at_next(offset, in_place) {
            Some(relocated) => Ok(relocated),
            None => self.relocate(offset, before),
        }
    }

    /// The value at the offset of the next entry, if that stands alone there and does what the last one did, as nearly all
    /// that a reader asks for; moves behind it. `None` says nothing.
    #[inline]
    pub(crate) fn value_at_next(&mut self, offset: u64, in_place: u64) -> Option<Relocated> {
        let Entries::Rela64(entries) = self.table.entries else {
            return None;
        };
        let entry = Entry::of_rela64(*entries.get(self.index)?);
        let behind = entries.get(self.index + 1);
        let behind = behind.map_or(u64::MAX, |&entry| Entry::of_rela64(entry).offset);
        if entry.offset != offset || behind == offset || entry.info != self.last.info {
            return None;
        }
        self.move_behind(offset, behind);
        Some(self.last.apply(entry.addend?, in_place))
    }

    /// Moves behind the only entry at `offset`, at which it stands, to that at `next_offset`.
    #[inline]
    fn move_behind(&mut self, offset: u64, next_offset: u64) {
        self.index += 1;
        self.next_offset = next_offset;
        self.reached = offset.saturating_add(1);
    }

    #[inline(never)]
    fn relocate(&mut self, offset: u64, before: Relocated) -> Result<Relocated> {
        self.seek(offset);
        if self.next_offset != offset {
            return Ok(before);
        }
        let table = self.table;
        let behind = table.entries.offset(self.index + 1);
        if behind != offset
            && let Some(entry) = table.entries.get(self.index)
            && let Some(addend) = entry.addend
        {
            if entry.info != self.last.info {
                match table.effect(entry)? {
                    Some((Operation::Set, effect)) => self.last = effect,
                    _ => return table.apply(entry, before),
                }
            }
            self.move_behind(offset, behind);
            return Ok(self.last.apply(addend, before.value));
        }
        let entries = (self.index..).map_while(|index| table.entries.get(index));
        entries
            .take_while(|entry| entry.offset == offset)
            .try_fold(before, |value, entry| table.apply(entry, value))
    }

    /// Moves to the first entry that is not before `offset`.
    fn seek(&mut self, offset: u64) {
        let table = self.table;
        if offset < self.reached {
            self.index = table.entries.lower_bound(0, self.index, offset);
            self.next_offset = table.entries.offset(self.index);
        }
        self.reached = offset;
        // Most steps are short.
        for _ in 0..NEAR {
            if self.next_offset >= offset {
                return;
            }
            self.index += 1;
            self.next_offset = table.entries.offset(self.index);
        }
        // A subtree that was skipped can hold thousands of entries.
        let mut step = NEAR;
        while self.next_offset < offset {
            let from = self.index + 1;
            let to = from.saturating_add(step).min(table.len());
            self.index = if table.entries.offset(to) < offset {
                to
            } else {
                table.entries.lower_bound(from, to, offset)
            };
            self.next_offset = table.entries.offset(self.index);
            step *= 2;
        }
    }
}

#[cfg(test)]
#[path = "relocation_tests.rs"]
mod tests;
