//! Units: where each one lies, and what its header says.
//!
//! Spec: DWARF 5, 7.5.1 "Unit Headers".
#![expect(
    clippy::cast_possible_truncation,
    reason = "units are shorter than 1 GiB, and there are fewer than bytes in a section that is mapped"
)]

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use btf_core::{ByteOrder, Error, ErrorKind, Result};
use gimli::constants as dw;

use crate::abbrev::{Sizes, Table};
use crate::die::{Bytes, Malformed};
use crate::input::{Image, Section};
use crate::names::FastMap;

/// The largest unit, in bytes: offsets in a unit are kept in 30 bits.
const MAX_UNIT_LEN: u64 = 0x3fff_ffff;

/// The header of a unit.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// The index of its section in [`Units::sections`].
    pub(crate) section: u32,
    /// The bytes of the unit in its section, header included.
    pub(crate) range: Range<usize>,
    pub(crate) sizes: Sizes,
    pub(crate) abbrev_offset: u64,
    /// The index of its abbreviations in [`Units::tables`].
    pub(crate) table: u32,
    /// Where the root DIE is, in bytes from the start of the unit.
    pub(crate) root: usize,
}

impl Unit {
    /// The encoding as gimli's readers want it.
    pub(crate) fn encoding(&self) -> gimli::Encoding {
        let format = if self.sizes.offset == 8 {
            gimli::Format::Dwarf64
        } else {
            gimli::Format::Dwarf32
        };
        gimli::Encoding {
            address_size: self.sizes.address,
            format,
            version: self.sizes.version,
        }
    }
}

/// The abbreviations of one unit or more.
///
/// Compiling a table takes much longer than reading a small unit, so none is compiled time and again: what is used once is
/// compiled for its unit and given up, what is used more often is kept for all threads.
#[derive(Debug)]
pub(crate) struct TableSlot {
    /// Where it begins in `.debug_abbrev`.
    start: u64,
    sizes: Sizes,
    /// Where the next one begins that a unit has: tables do not overlap, or the time to compile all of them would not
    /// be in proportion to the section.
    end: u64,
    /// The number of units that have it and of times that it was compiled for one.
    uses: AtomicU32,
    shared: OnceLock<Result<Arc<Table>, Malformed>>,
}

/// The number of uses of a table from which on it is kept for all.
const SHARED_FROM: u32 = 4;

impl TableSlot {
    /// The compiled table.
    ///
    /// # Errors
    /// Where in `.debug_abbrev` it is malformed.
    pub(crate) fn table(&self, abbrev: &[u8], order: ByteOrder) -> Result<Arc<Table>, Malformed> {
        if let Some(shared) = self.shared.get() {
            return shared.clone();
        }
        if self.uses.fetch_add(1, Ordering::Relaxed) < SHARED_FROM - 1 {
            return self.compile(abbrev, order);
        }
        let compile = || self.compile(abbrev, order);
        self.shared.get_or_init(compile).clone()
    }

    fn compile(&self, abbrev: &[u8], order: ByteOrder) -> Result<Arc<Table>, Malformed> {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX);
        let mut bytes = Bytes::new(abbrev, start, order);
        let table = Table::compile(&mut bytes, self.sizes)?;
        if bytes.position() as u64 > self.end {
            let expected = "abbreviation table that ends before that of another unit begins";
            return Err(Malformed::new(start, expected));
        }
        Ok(Arc::new(table))
    }
}

/// All units of the input, in the order that numbers the output's types: type units of `.debug_types` first.
#[derive(Debug, Default)]
pub(crate) struct Units<'a> {
    pub(crate) all: Vec<Unit>,
    /// The abbreviation tables that they have.
    pub(crate) tables: Vec<TableSlot>,
    /// The sections that hold units, and for each the index of its first unit.
    pub(crate) sections: Vec<(&'a Section<'a>, usize)>,
    /// The index in `sections` of `.debug_info`, to which references between units lead.
    info: usize,
    /// For each type signature the unit and the type's offset in it.
    signatures: FastMap<u64, (u32, u32)>,
}

impl<'a> Units<'a> {
    /// Lists the units of all sections.
    ///
    /// # Errors
    /// A unit whose header is not whole, does not end in its section, or is of a version other than 2 to 5.
    pub(crate) fn list(image: &'a Image<'a>) -> Result<Self> {
        let mut units = Self::default();
        let types = std::iter::once(&image.debug_types);
        for section in types
            .chain(&image.more_units)
            .chain(std::iter::once(&image.debug_info))
        {
            units.info = units.sections.len();
            units.sections.push((section, units.all.len()));
            units.list_section(section, image.order)?;
        }
        units.list_tables()?;
        Ok(units)
    }

    /// Finds out which units have one abbreviation table.
    ///
    /// # Errors
    /// Units with one table, but other sizes of addresses and offsets: each would need the table compiled for it.
    fn list_tables(&mut self) -> Result<()> {
        let mut order: Vec<u32> = (0..self.all.len() as u32).collect();
        order.sort_by_key(|&index| self.all[index as usize].abbrev_offset);
        for index in order {
            let unit = &mut self.all[index as usize];
            let last = self.tables.last_mut();
            if let Some(same) = last.filter(|last| last.start == unit.abbrev_offset) {
                if !same.sizes.are_stored_as(unit.sizes) {
                    let expected =
                        "sizes of addresses and offsets as in other units with these abbreviations";
                    let section = self.sections[unit.section as usize].0.name;
                    return Err(Malformed::new(0, expected).located(section, unit.range.start));
                }
                *same.uses.get_mut() += 1;
            } else {
                if let Some(last) = self.tables.last_mut() {
                    last.end = unit.abbrev_offset;
                }
                self.tables.push(TableSlot {
                    start: unit.abbrev_offset,
                    sizes: unit.sizes,
                    end: u64::MAX,
                    uses: AtomicU32::new(1),
                    shared: OnceLock::new(),
                });
            }
            unit.table = self.tables.len() as u32 - 1;
        }
        Ok(())
    }

    fn list_section(&mut self, section: &Section<'_>, order: ByteOrder) -> Result<()> {
        let data: &[u8] = &section.data;
        let index = self.sections.len() as u32 - 1;
        let mut start = 0;
        while start < data.len() {
            let mut bytes = Bytes::new(data, start, order);
            let header = read_header(&mut bytes, start, index, section.name == ".debug_types");
            let (mut unit, signature) =
                header.map_err(|malformed| malformed.located(section.name, 0))?;
            unit.abbrev_offset = relocated_offset(section, &unit)?;
            let end = unit.range.end;
            if end > data.len() {
                let (needed, available) = ((end - start) as u64, (data.len() - start) as u64);
                return Err(Error::new(ErrorKind::Truncated { needed, available })
                    .at(section.name, start as u64));
            }
            if let Some((signature, type_offset)) = signature {
                self.signatures
                    .entry(signature)
                    .or_insert((self.all.len() as u32, type_offset));
            }
            if unit.sizes.address != 0 {
                self.all.push(unit);
            }
            start = end;
        }
        Ok(())
    }

    /// The unit of `.debug_info` that holds the section offset `offset`, and the offset in it.
    pub(crate) fn at_offset(&self, offset: u64) -> Option<(u32, u32)> {
        let offset = usize::try_from(offset).ok()?;
        let first = self.sections.get(self.info)?.1;
        let info = &self.all[first..];
        let index = info
            .partition_point(|unit| unit.range.start <= offset)
            .checked_sub(1)?;
        let unit = &info[index];
        (offset < unit.range.end)
            .then(|| ((first + index) as u32, (offset - unit.range.start) as u32))
    }

    /// The unit and offset of the type with a signature.
    pub(crate) fn with_signature(&self, signature: u64) -> Option<(u32, u32)> {
        self.signatures.get(&signature).copied()
    }
}

/// Reads what stands in a unit header behind the common part.
fn read_signature(
    bytes: &mut Bytes<'_>,
    kind: dw::DwUt,
    offset_size: u8,
) -> Result<Option<Signature>, Malformed> {
    match kind {
        dw::DW_UT_type | dw::DW_UT_split_type => {
            let value = bytes.u64()?;
            let type_at = bytes.position();
            let type_offset = bytes.uint(offset_size)?;
            let type_offset = u32::try_from(type_offset)
                .map_err(|_| Malformed::new(type_at, "offset in the unit"))?;
            return Ok(Some((value, type_offset)));
        }
        dw::DW_UT_skeleton | dw::DW_UT_split_compile => bytes.skip(8),
        _ => {}
    }
    Ok(None)
}

/// The offset of a unit's abbreviations, which in a relocatable file that is linked of others is not the one stored.
fn relocated_offset(section: &Section<'_>, unit: &Unit) -> Result<u64> {
    if section.relocations.is_empty() || unit.sizes.version == 0 {
        return Ok(unit.abbrev_offset);
    }
    // Behind the length (with its escape in 64-bit DWARF) and the version, and in DWARF 5 type and address size.
    let length_len = if unit.sizes.offset == 8 { 12 } else { 4 };
    let place = unit.range.start + length_len + if unit.sizes.version >= 5 { 4 } else { 2 };
    Ok(section
        .relocations
        .value(place as u64, unit.abbrev_offset)?
        .value)
}

/// A type unit's signature and its type's offset in the unit.
type Signature = (u64, u32);

/// Reads the unit header at `start`; padding of zero length gives a unit without address size.
fn read_header(
    bytes: &mut Bytes<'_>,
    start: usize,
    section: u32,
    is_types: bool,
) -> Result<(Unit, Option<Signature>), Malformed> {
    let mut length = u64::from(bytes.u32()?);
    let mut offset_size = 4;
    if length == 0xffff_ffff {
        length = bytes.u64()?;
        offset_size = 8;
    } else if length >= 0xffff_fff0 {
        return Err(Malformed::new(start, "unit length that is not reserved"));
    }
    if length > MAX_UNIT_LEN {
        return Err(Malformed::new(start, "unit of less than 1 GiB"));
    }
    let range = start..bytes.position() + length as usize;
    let mut sizes = Sizes {
        address: 0,
        offset: offset_size,
        version: 0,
    };
    if length == 0 {
        return Ok((
            Unit {
                section,
                range,
                sizes,
                abbrev_offset: 0,
                table: 0,
                root: 0,
            },
            None,
        ));
    }
    let version_at = bytes.position();
    sizes.version = bytes.u16()?;
    let mut kind = if is_types {
        dw::DW_UT_type
    } else {
        dw::DW_UT_compile
    };
    let abbrev_offset;
    match sizes.version {
        2..=4 => {
            abbrev_offset = bytes.uint(offset_size)?;
            sizes.address = bytes.u8()?;
        }
        5 => {
            kind = dw::DwUt(bytes.u8()?);
            sizes.address = bytes.u8()?;
            abbrev_offset = bytes.uint(offset_size)?;
        }
        _ => return Err(Malformed::new(version_at, "DWARF version 2 to 5")),
    }
    if !matches!(sizes.address, 4 | 8) {
        return Err(Malformed::new(version_at, "address size of 4 or 8 bytes"));
    }
    let signature = read_signature(bytes, kind, offset_size)?;
    let root = bytes.position() - start;
    Ok((
        Unit {
            section,
            range,
            sizes,
            abbrev_offset,
            table: 0,
            root,
        },
        signature,
    ))
}
