//! The cursor over the DIEs of a unit: the hot path.
//!
//! gimli's readers decode every attribute of every DIE. This cursor follows compiled plans ([`crate::abbrev`]): it jumps
//! over what BTF does not need, and puts what it reads into fixed slots, without a decision per attribute name.
//!
//! Spec: DWARF 5, 7.5 "Format of Debugging Information".
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::{ByteOrder, Error, ErrorKind};
use gimli::constants as dw;

use crate::abbrev::{Encoding, Plan, SLOTS, Sizes, Slot, Step, Steps, Table, encoding};

/// Why bytes could not be read: small, so that the hot path returns it in registers. Where it says what was expected,
/// the section and the file are added at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The offset in bytes from the start of what was being read.
    pub(crate) offset: usize,
    /// What was expected there.
    pub(crate) expected: &'static str,
}

impl Malformed {
    #[cold]
    pub(crate) fn new(offset: usize, expected: &'static str) -> Self {
        Self { offset, expected }
    }

    /// The error for users; `start` is where in the section the bytes began.
    #[cold]
    pub(crate) fn located(self, section: &'static str, start: usize) -> Error {
        Error::new(ErrorKind::Malformed(self.expected)).at(section, (start + self.offset) as u64)
    }
}

/// Bytes with a position and a byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    data: &'a [u8],
    position: usize,
    order: ByteOrder,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(data: &'a [u8], position: usize, order: ByteOrder) -> Self {
        Self {
            data,
            position,
            order,
        }
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.position >= self.data.len()
    }

    /// Refuses a position behind the end, where a jump over attributes may have led.
    pub(crate) fn check_inside(&self) -> Result<(), Malformed> {
        if self.position > self.data.len() {
            return Err(Malformed::new(self.data.len(), "DIE that ends in its unit"));
        }
        Ok(())
    }

    /// Moves to `position`, which may lie behind the end; then the next read fails.
    #[inline]
    pub(crate) fn seek(&mut self, position: usize) {
        self.position = position;
    }

    #[inline]
    pub(crate) fn skip(&mut self, count: usize) {
        self.position = self.position.saturating_add(count);
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let value = self
            .data
            .get(self.position..)
            .and_then(|rest| rest.first_chunk::<N>());
        let value = *value.ok_or(Malformed {
            offset: self.position,
            expected: "more bytes",
        })?;
        self.position += N;
        Ok(value)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.array()?;
        Ok(self.order.u16(bytes))
    }

    #[inline]
    fn u24(&mut self) -> Result<u32, Malformed> {
        let [a, b, c] = self.array()?;
        Ok(self.order.u32(match self.order {
            ByteOrder::Little => [a, b, c, 0],
            ByteOrder::Big => [0, a, b, c],
        }))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.array()?;
        Ok(self.order.u32(bytes))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.array()?;
        Ok(self.order.u64(bytes))
    }

    /// An unsigned number of 4 or 8 bytes, or another size up to 8.
    pub(crate) fn uint(&mut self, size: u8) -> Result<u64, Malformed> {
        match size {
            1 => self.u8().map(u64::from),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            _ => Err(Malformed::new(self.position, "size of 1, 2, 4 or 8 bytes")),
        }
    }

    /// An unsigned LEB128 number; what does not fit 64 bits is an error.
    #[inline]
    pub(crate) fn uleb(&mut self) -> Result<u64, Malformed> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.uleb_rest(first)
    }

    fn uleb_rest(&mut self, first: u8) -> Result<u64, Malformed> {
        let start = self.position - 1;
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift >= 64 && bits != 0 || shift == 63 && bits > 1 {
                return Err(Malformed::new(start, "LEB128 of at most 64 bits"));
            }
            value |= bits.checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A signed LEB128 number; bits beyond 64 are dropped.
    pub(crate) fn sleb(&mut self) -> Result<i64, Malformed> {
        let mut value = 0_i64;
        let mut shift = 0_u32;
        loop {
            let byte = self.u8()?;
            value |= i64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift = shift.saturating_add(7);
            if byte < 0x80 {
                if shift < 64 && byte & 0x40 != 0 {
                    value |= -1 << shift;
                }
                return Ok(value);
            }
        }
    }

    /// The next `count` bytes, as bytes of their own; the position moves behind them.
    #[inline]
    pub(crate) fn take(&mut self, count: u32) -> Result<Self, Malformed> {
        let end = self.position.saturating_add(count as usize);
        let data = self.data.get(self.position..end);
        let data = data.ok_or(Malformed {
            offset: self.position,
            expected: "more bytes",
        })?;
        self.position = end;
        Ok(Self {
            data,
            position: 0,
            order: self.order,
        })
    }

    /// The number of 1, 2, 4 or 8 bytes at `position`.
    #[inline]
    pub(crate) fn uint_at(&self, position: u16, size: u8) -> Result<u64, Malformed> {
        let mut at = *self;
        at.position = position as usize;
        match size {
            1 => at.u8().map(u64::from),
            2 => at.u16().map(u64::from),
            4 => at.u32().map(u64::from),
            _ => at.u64(),
        }
    }

    /// A NUL-terminated string, without the NUL.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        // Strings in DIEs are short: compilers put longer ones elsewhere.
        let length = rest.iter().position(|byte| *byte == 0);
        let length = length.ok_or(Malformed {
            offset: self.position,
            expected: "string that ends in NUL",
        })?;
        self.position += length + 1;
        Ok(&rest[..length])
    }

    /// The bytes up to the NUL at or after `position`.
    pub(crate) fn text_at(&self, position: usize) -> &'a [u8] {
        let rest = self.data.get(position..).unwrap_or_default();
        &rest[..rest
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(rest.len())]
    }
}

/// Where the bytes of a block or expression are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// The attributes of one DIE that were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    /// Bit `n` tells whether slot `n` holds a value of this DIE.
    present: u32,
    values: [u64; SLOTS],
    forms: [dw::DwForm; SLOTS],
    /// Where in the unit the value of each slot is stored, for relocations.
    places: [u32; SLOTS],
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            present: 0,
            values: [0; SLOTS],
            forms: [dw::DwForm(0); SLOTS],
            places: [0; SLOTS],
        }
    }
}

impl Attributes {
    #[inline]
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.present >> slot as u32 & 1 != 0
    }

    /// The value, as stored.
    #[inline]
    pub(crate) fn raw(&self, slot: Slot) -> Option<u64> {
        if self.has(slot) {
            Some(self.values[slot as usize])
        } else {
            None
        }
    }

    /// The form, if there is a value.
    #[inline]
    pub(crate) fn form(&self, slot: Slot) -> dw::DwForm {
        if self.has(slot) {
            self.forms[slot as usize]
        } else {
            dw::DwForm(0)
        }
    }

    /// Where in the unit the value is stored.
    #[inline]
    pub(crate) fn place(&self, slot: Slot) -> usize {
        self.places[slot as usize] as usize
    }

    /// Whether a flag is there and set.
    #[inline]
    pub(crate) fn flag(&self, slot: Slot) -> bool {
        self.raw(slot).is_some_and(|value| value != 0)
    }

    /// The value as a block, if its form is one.
    pub(crate) fn block(&self, slot: Slot) -> Option<Block> {
        let value = self.raw(slot)?;
        let is_block = matches!(
            self.form(slot),
            dw::DW_FORM_block
                | dw::DW_FORM_block1
                | dw::DW_FORM_block2
                | dw::DW_FORM_block4
                | dw::DW_FORM_exprloc
        );
        is_block.then_some(Block {
            start: (value & 0xffff_ffff) as usize,
            len: (value >> 32) as usize,
        })
    }

    /// The value as a number, if its form is that of a constant.
    pub(crate) fn constant(&self, slot: Slot) -> Option<i64> {
        let value = self.raw(slot)?;
        match self.form(slot) {
            dw::DW_FORM_data1
            | dw::DW_FORM_data2
            | dw::DW_FORM_data4
            | dw::DW_FORM_data8
            | dw::DW_FORM_udata
            | dw::DW_FORM_sdata
            | dw::DW_FORM_implicit_const
            | dw::DW_FORM_flag
            | dw::DW_FORM_flag_present
            | dw::DW_FORM_addr => Some(value.cast_signed()),
            _ => None,
        }
    }
}

/// Reads what `steps` want of the DIE at the position of `bytes`, and moves behind it.
#[inline]
pub(crate) fn read(
    bytes: &mut Bytes<'_>,
    table: &Table,
    steps: Steps,
    sizes: Sizes,
    into: &mut Attributes,
) -> Result<(), Malformed> {
    into.present = 0;
    for step in table.steps(steps) {
        bytes.skip(step.skip as usize);
        let place = bytes.position;
        let (value, form) = read_value(bytes, table, step, sizes)?;
        if let Some(slot) = into.values.get_mut(step.slot as usize) {
            *slot = value;
            into.forms[step.slot as usize] = form;
            into.places[step.slot as usize] = place as u32;
            into.present |= 1 << step.slot;
        }
    }
    bytes.skip(steps.tail as usize);
    Ok(())
}

/// Moves behind the DIE at the position of `bytes`.
#[inline]
pub(crate) fn pass(
    bytes: &mut Bytes<'_>,
    table: &Table,
    plan: &Plan,
    sizes: Sizes,
) -> Result<(), Malformed> {
    for step in table.steps(plan.pass) {
        bytes.skip(step.skip as usize);
        read_value(bytes, table, step, sizes)?;
    }
    bytes.skip(plan.pass.tail as usize);
    Ok(())
}

/// Reads one attribute: blocks give their start in the lower half and their length in the upper, strings their start.
#[inline]
fn read_value(
    bytes: &mut Bytes<'_>,
    table: &Table,
    step: &Step,
    sizes: Sizes,
) -> Result<(u64, dw::DwForm), Malformed> {
    let value = match step.encoding {
        Encoding::Fixed1 => u64::from(bytes.u8()?),
        Encoding::Fixed2 => u64::from(bytes.u16()?),
        Encoding::Fixed3 => u64::from(bytes.u24()?),
        Encoding::Fixed4 => u64::from(bytes.u32()?),
        Encoding::Fixed8 => bytes.u64()?,
        Encoding::Fixed16 => {
            bytes.skip(16);
            0
        }
        Encoding::Uleb => bytes.uleb()?,
        Encoding::Sleb => bytes.sleb()?.cast_unsigned(),
        Encoding::Text => {
            let start = bytes.position;
            bytes.text()?;
            start as u64
        }
        Encoding::Block1 => {
            let length = bytes.u8()?;
            skip_block(bytes, u64::from(length))?
        }
        Encoding::Block2 => {
            let length = bytes.u16()?;
            skip_block(bytes, u64::from(length))?
        }
        Encoding::Block4 => {
            let length = bytes.u32()?;
            skip_block(bytes, u64::from(length))?
        }
        Encoding::BlockUleb => {
            let length = bytes.uleb()?;
            skip_block(bytes, length)?
        }
        Encoding::Implicit => table.implicit[step.implicit as usize].cast_unsigned(),
        Encoding::Present => 1,
        Encoding::Indirect => return read_indirect(bytes, table, step, sizes),
    };
    Ok((value, step.form))
}

/// Moves behind a block whose length has been read.
#[inline]
fn skip_block(bytes: &mut Bytes<'_>, length: u64) -> Result<u64, Malformed> {
    let start = bytes.position;
    let rest = bytes.data.len().saturating_sub(start) as u64;
    if length > rest {
        return Err(Malformed::new(start, "block that ends in the unit"));
    }
    bytes.position += length as usize;
    Ok(length << 32 | start as u64)
}

#[cold]
fn read_indirect(
    bytes: &mut Bytes<'_>,
    table: &Table,
    step: &Step,
    sizes: Sizes,
) -> Result<(u64, dw::DwForm), Malformed> {
    let at = bytes.position;
    let form = u16::try_from(bytes.uleb()?).map_err(|_| Malformed::new(at, "form"))?;
    let form = dw::DwForm(form);
    match encoding(form, sizes) {
        // Neither makes sense here: one holds its value in the abbreviation, the other could go on for ever.
        None | Some(Encoding::Indirect | Encoding::Implicit) => {
            Err(Malformed::new(at, "form of an indirect value"))
        }
        Some(encoding) => read_value(
            bytes,
            table,
            &Step {
                encoding,
                form,
                ..*step
            },
            sizes,
        ),
    }
}
