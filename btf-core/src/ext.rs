//! `.BTF.ext`: which function and source line each instruction belongs to, and where CO-RE relocations apply.
//!
//! Read into plain lists and written from them, in either byte order. Type ids and strings are those of the `.BTF`
//! beside it; whoever renumbers that rewrites them here through [`BtfExt::rewrite_refs`].
//!
//! Spec: Documentation/bpf/btf.rst, 4.2 "`.BTF.ext` section"; `Documentation/bpf/llvm_reloc.rst`, "CO-RE Relocations".
#![deny(clippy::indexing_slicing)]

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
use crate::wire::{ByteOrder, MAGIC, VERSION, parse_header};

/// The section's name in errors.
pub(crate) const SECTION: &str = ".BTF.ext";

/// The header's length in bytes without CO-RE relocations; the shortest there is.
const HEADER_LEN: u32 = 24;

/// The header's length in bytes with CO-RE relocations.
const HEADER_LEN_CORE: u32 = 32;

/// What `.BTF.ext` says, per section of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BtfExt {
    /// Where functions start.
    pub func_info: Vec<Block<FuncInfo>>,
    /// Where source lines start.
    pub line_info: Vec<Block<LineInfo>>,
    /// CO-RE relocations.
    pub core_relo: Vec<Block<CoreRelo>>,
}

/// The records of one section of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block<R> {
    /// The section's name.
    pub section: StrOffset,
    /// Its records; at least one.
    pub records: Vec<R>,
}

/// The start of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FuncInfo {
    /// The first instruction, in bytes from the start of the section.
    pub insn_off: u32,
    /// The FUNC.
    pub type_id: TypeId,
}

/// The start of a source line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineInfo {
    /// The first instruction, in bytes from the start of the section.
    pub insn_off: u32,
    /// The name of the source file.
    pub file_name: StrOffset,
    /// The text of the line.
    pub line_text: StrOffset,
    /// The line in bits 10 to 31 and the column in bits 0 to 9, both from 1.
    pub line_col: u32,
}

/// A CO-RE relocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreRelo {
    /// The instruction, in bytes from the start of the section.
    pub insn_off: u32,
    /// The type that the access starts from.
    pub type_id: TypeId,
    /// The access as text, such as `0:1:2`.
    pub access: StrOffset,
    /// What is asked about it: 0 field offset, 1 field size, …, 12 type matches.
    pub kind: u32,
}

/// A record that is a few words.
trait Record<const WORDS: usize>: Copy {
    fn from_words(words: [u32; WORDS]) -> Self;
    fn words(&self) -> [u32; WORDS];
}

impl Record<2> for FuncInfo {
    fn from_words([insn_off, type_id]: [u32; 2]) -> Self {
        Self {
            insn_off,
            type_id: TypeId(type_id),
        }
    }

    fn words(&self) -> [u32; 2] {
        [self.insn_off, self.type_id.0]
    }
}

impl Record<4> for LineInfo {
    fn from_words([insn_off, file_name, line_text, line_col]: [u32; 4]) -> Self {
        Self {
            insn_off,
            file_name: StrOffset(file_name),
            line_text: StrOffset(line_text),
            line_col,
        }
    }

    fn words(&self) -> [u32; 4] {
        let (file_name, line_text) = (self.file_name.0, self.line_text.0);
        [self.insn_off, file_name, line_text, self.line_col]
    }
}

impl Record<4> for CoreRelo {
    fn from_words([insn_off, type_id, access, kind]: [u32; 4]) -> Self {
        Self {
            insn_off,
            type_id: TypeId(type_id),
            access: StrOffset(access),
            kind,
        }
    }

    fn words(&self) -> [u32; 4] {
        [self.insn_off, self.type_id.0, self.access.0, self.kind]
    }
}

impl BtfExt {
    /// Reads the section, of either byte order.
    ///
    /// Records may be longer than what is known here if the rest of each is 0.
    ///
    /// # Errors
    /// [`ErrorKind::Magic`], [`ErrorKind::Truncated`], or [`ErrorKind::Invalid`] for an unknown version, flag, length
    /// or field, an empty list, or a part that is not aligned.
    pub fn parse(bytes: &[u8]) -> Result<(ByteOrder, Self)> {
        let [func_info, line_info, core_relo] = parts(bytes)?;
        let ext = Self {
            func_info: blocks(&func_info)?,
            line_info: blocks(&line_info)?,
            core_relo: blocks(&core_relo)?,
        };
        let order = ByteOrder::of_magic(bytes).unwrap_or(ByteOrder::NATIVE);
        Ok((order, ext))
    }

    /// Writes the section; the header has 32 bytes, as clang writes it.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the section does not fit 32 bits, and [`ErrorKind::Invalid`] for a block without
    /// records, which readers refuse.
    pub fn write(&self, order: ByteOrder) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut header = vec![HEADER_LEN_CORE];
        let mut part = |words: Result<Vec<u32>>, is_optional: bool| -> Result<()> {
            let words = words?;
            let fits = |bytes: usize| {
                u32::try_from(bytes).map_err(|_| ErrorKind::TooLarge {
                    what: "`.BTF.ext` in bytes",
                    value: bytes as u64,
                    limit: u32::MAX.into(),
                })
            };
            let start = fits(body.len())?;
            order.put_words(&words, &mut body);
            let len = fits(body.len())? - start;
            header.extend(if is_optional && len == 0 {
                [0, 0]
            } else {
                [start, len]
            });
            Ok(())
        };
        part(block_words(&self.func_info), false)?;
        part(block_words(&self.line_info), false)?;
        part(block_words(&self.core_relo), true)?;
        let mut out = Vec::with_capacity(HEADER_LEN_CORE as usize + body.len());
        out.extend(order.u16_bytes(MAGIC));
        out.extend([VERSION, 0]);
        order.put_words(&header, &mut out);
        out.append(&mut body);
        Ok(out)
    }

    /// Replaces every string offset and type id.
    ///
    /// The order is that of the lists; in each block, the section's name comes first.
    ///
    /// # Errors
    /// The first error of `map_name` or `map_type`; what comes before it is already replaced.
    pub fn rewrite_refs<E>(
        &mut self,
        mut map_name: impl FnMut(StrOffset) -> std::result::Result<StrOffset, E>,
        mut map_type: impl FnMut(TypeId) -> std::result::Result<TypeId, E>,
    ) -> std::result::Result<(), E> {
        for block in &mut self.func_info {
            block.section = map_name(block.section)?;
            for record in &mut block.records {
                record.type_id = map_type(record.type_id)?;
            }
        }
        for block in &mut self.line_info {
            block.section = map_name(block.section)?;
            for record in &mut block.records {
                record.file_name = map_name(record.file_name)?;
                record.line_text = map_name(record.line_text)?;
            }
        }
        for block in &mut self.core_relo {
            block.section = map_name(block.section)?;
            for record in &mut block.records {
                record.type_id = map_type(record.type_id)?;
                record.access = map_name(record.access)?;
            }
        }
        Ok(())
    }
}

/// The three lists of the section: `func_info`, `line_info` and `core_relo`.
pub(crate) fn parts(bytes: &[u8]) -> Result<[Part; 3]> {
    let (order, header) =
        parse_header(bytes, HEADER_LEN, HEADER_LEN_CORE).map_err(|error| error.at(SECTION, 0))?;
    let input = Input {
        bytes,
        order,
        header,
    };
    Ok([input.part(8)?, input.part(16)?, input.part(24)?])
}

/// Whether there is nothing behind the header.
pub(crate) fn is_header_only(bytes: &[u8]) -> bool {
    parse_header(bytes, HEADER_LEN, HEADER_LEN_CORE)
        .is_ok_and(|(_, header)| header.len() == bytes.len())
}

/// The section while it is read.
struct Input<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    header: &'a [u8],
}

/// A list in the section: where it starts in bytes from the section's start, and its words.
pub(crate) struct Part {
    pub(crate) start: u64,
    pub(crate) words: Vec<u32>,
}

impl Input<'_> {
    /// The list whose offset and length stand at `field` of the header; empty if the header has no such field.
    fn part(&self, field: u32) -> Result<Part> {
        let field_error = |kind: ErrorKind| Error::new(kind).at(SECTION, field.into());
        let fields = self.header.get(field as usize..).unwrap_or_default();
        let Some(&[off, len]) = fields.as_chunks::<4>().0.first_chunk() else {
            let (start, words) = (0, Vec::new());
            return Ok(Part { start, words });
        };
        let (off, len) = (self.order.u32(off), self.order.u32(len));
        for (what, value) in [("list offset", off), ("list length", len)] {
            if !value.is_multiple_of(4) {
                let value = value.into();
                return Err(field_error(ErrorKind::Invalid { what, value }));
            }
        }
        let start = self.header.len() as u64 + u64::from(off);
        let end = start + u64::from(len);
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| self.bytes.get(start..end));
        let available = self.bytes.len() as u64;
        let bytes = bytes.ok_or_else(|| {
            let needed = end;
            field_error(ErrorKind::Truncated { needed, available })
        })?;
        let words = self.order.words(bytes);
        Ok(Part { start, words })
    }
}

/// Reads the blocks of a list.
fn blocks<R: Record<WORDS>, const WORDS: usize>(part: &Part) -> Result<Vec<Block<R>>> {
    let Part { start, words } = part;
    let at = |rest: &[u32], kind: ErrorKind| {
        let word = words.len() - rest.len();
        Error::new(kind).at(SECTION, start + 4 * word as u64)
    };
    let invalid = |what, value: u32| ErrorKind::Invalid {
        what,
        value: value.into(),
    };
    let Some((&size, mut rest)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let stride = (size / 4) as usize;
    if !size.is_multiple_of(4) || stride < WORDS {
        return Err(at(words, invalid("record size", size)));
    }
    if rest.is_empty() {
        return Err(at(rest, invalid("number of blocks", 0)));
    }
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let Some((&[section, count], behind)) = rest.split_first_chunk::<2>() else {
            return Err(at(rest, invalid("end of the list", 4)));
        };
        if count == 0 {
            return Err(at(rest, invalid("number of records", 0)));
        }
        let len = (count as usize).checked_mul(stride);
        let Some((records, behind)) = len.and_then(|len| behind.split_at_checked(len)) else {
            let kind = ErrorKind::Truncated {
                needed: u64::from(count) * u64::from(size),
                available: behind.len() as u64 * 4,
            };
            return Err(at(rest, kind));
        };
        let records = read_records(records, stride)
            .ok_or_else(|| at(rest, invalid("record, whose unknown part is not 0", size)))?;
        let section = StrOffset(section);
        blocks.push(Block { section, records });
        rest = behind;
    }
    Ok(blocks)
}

/// Reads records of `stride` words; `None` if one says more than is known here.
fn read_records<R: Record<WORDS>, const WORDS: usize>(
    words: &[u32],
    stride: usize,
) -> Option<Vec<R>> {
    let records = words.chunks_exact(stride).map(|words| {
        let (&known, unknown) = words.split_first_chunk::<WORDS>()?;
        let is_known = unknown.iter().all(|&word| word == 0);
        is_known.then(|| R::from_words(known))
    });
    records.collect()
}

/// The words of a list: its record size and its blocks; nothing if there are none.
fn block_words<R: Record<WORDS>, const WORDS: usize>(blocks: &[Block<R>]) -> Result<Vec<u32>> {
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let mut words = vec![u32::try_from(WORDS * 4).unwrap_or(u32::MAX)];
    for block in blocks {
        let count = u32::try_from(block.records.len()).unwrap_or(u32::MAX);
        if count == 0 {
            let (what, value) = ("number of records", 0);
            return Err(ErrorKind::Invalid { what, value }.into());
        }
        words.extend([block.section.0, count]);
        words.extend(block.records.iter().flat_map(Record::words));
    }
    Ok(words)
}

#[cfg(test)]
mod tests;
