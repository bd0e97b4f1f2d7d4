//! Reads an object file's tables: what is not for BPF, damaged or endless is refused here.
//!
//! Spec: gABI chapter 4; `Documentation/bpf/llvm_reloc.rst` of Linux.
#![deny(clippy::indexing_slicing)]

use btf_core::elf::is_elf;
use btf_core::ext::BtfExt;
use btf_core::{Btf, ByteOrder, Error, ErrorKind, Result, wire};
use object::elf::{
    EM_BPF, ET_REL, FileHeader64, GRP_COMDAT, Rel64, Rela64, SHF_EXECINSTR, SHN_ABS, SHN_COMMON,
    SHN_UNDEF, SHT_GROUP, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_PROGBITS, SHT_REL, SHT_RELA,
    SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX, STB_LOCAL, STB_WEAK,
};
use object::read::elf::{
    FileHeader as _, Rel as _, Rela as _, SectionHeader as _, SectionTable, Sym as _, SymbolTable,
};
use object::{Endianness, SectionIndex, SymbolIndex};

use super::{Binding, Declarations, MAX_NAME, Object, Place, Relocation, Section, Symbol};
use crate::link::names::ByName;

type Header = FileHeader64<Endianness>;
type Sections<'d> = SectionTable<'d, Header>;
type Symbols<'d> = SymbolTable<'d, Header>;

/// The most bytes that the sections of an object may have: offsets in BTF and instructions have 32 bits.
const MAX_SECTION_SIZE: u64 = u32::MAX as u64;

/// The longest string of BTF, in bytes: a line of source text, perhaps one that a program wrote.
const MAX_TEXT: usize = 1 << 16;

/// The largest alignment of a section that is taken; a page is the most that a map's memory has.
const MAX_ALIGNMENT: u64 = 1 << 16;

/// The types of sections that LLVM writes for its own tools, such as the list of symbols whose address counts.
const SHT_LLVM: std::ops::RangeInclusive<u32> = 0x6fff_4c00..=0x6fff_4cff;

/// The sections that are left out: debugging information, BTF, which is merged on its own, and what loaders have no use for.
fn is_left_out(name: &[u8]) -> bool {
    name.starts_with(b".debug_")
        || name.starts_with(b".gnu.lto_")
        || matches!(
            name,
            b".BTF" | b".BTF.ext" | b".comment" | b".note.GNU-stack"
        )
}
/// Whether a section whose name starts so is never looked at, so that it need not be read.
pub(crate) fn is_never_read(name: &[u8]) -> bool {
    let rest = name.strip_prefix(b".rela").or(name.strip_prefix(b".rel"));
    name.starts_with(b".debug_") || rest.is_some_and(|rest| rest.starts_with(b".debug_"))
}
impl<'d> Object<'d> {
    /// Takes an object file apart.
    ///
    /// # Errors
    /// [`ErrorKind::Elf`] with what cannot be read or is not for BPF; what [`Btf::parse`] and [`BtfExt::parse`] return;
    /// [`ErrorKind::Unsupported`] for what cannot be linked.
    pub(crate) fn parse(name: String, bytes: &'d [u8]) -> Result<Self> {
        if !is_elf(bytes) {
            return Err(bad("not an ELF file".to_owned()));
        }
        let (header, endian, table) = btf_core::elf::tables::<Header, _>(bytes)?;
        if header.e_machine(endian) != EM_BPF {
            let machine = header.e_machine(endian).0;
            return Err(bad(format!(
                "an object for BPF is needed, not for machine {machine}"
            )));
        }
        if header.e_type(endian) != ET_REL {
            let text = "a relocatable object is needed, as compilers write it with -c";
            return Err(bad(text.to_owned()));
        }
        let reader = Reader {
            bytes,
            endian,
            table,
        };
        reader.check_names()?;
        let symbols = reader
            .table
            .symbols(endian, bytes, SHT_SYMTAB)
            .map_err(|error| elf("the symbol table", error))?;
        let (btf, ext) = reader.btf(&symbols)?;
        let declarations = btf.as_ref().map(Declarations::of).unwrap_or_default();
        if let Some(btf) = &btf {
            check_names(btf, &declarations)?;
        }
        let mut object = Self {
            name,
            order: order_of(endian),
            flags: header.e_flags(endian).0,
            sections: reader.sections()?,
            symbols: Vec::new(),
            btf,
            declarations,
            ext,
            groups: reader.groups(&symbols)?,
            by_name: ByName::default(),
        };
        for (index, section) in object.sections.iter().enumerate() {
            if section.is_linked() {
                object.by_name.entry(section.name).or_insert(index);
            }
        }
        object.symbols = reader.symbols(&symbols, &object.sections)?;
        reader.relocations(&symbols, &mut object)?;
        reader.check_lto(&object)?;
        Ok(object)
    }
}

/// Reads the tables of a file.
struct Reader<'d> {
    bytes: &'d [u8],
    endian: Endianness,
    table: Sections<'d>,
}

impl<'d> Reader<'d> {
    fn name(&self, index: usize) -> Result<&'d [u8]> {
        let section = self
            .table
            .section(SectionIndex(index))
            .map_err(|error| elf("the section headers", error))?;
        self.table
            .section_name(self.endian, section)
            .map_err(|error| elf(&format!("the name of section {index}"), error))
    }

    /// The BTF sections, in which offsets of symbols are made offsets in their sections.
    fn btf(&self, symbols: &Symbols<'d>) -> Result<(Option<Btf>, Option<BtfExt>)> {
        let found = btf_core::elf::sections(self.bytes)?;
        let relocate = |bytes: &[u8], name: &[u8]| -> Result<Vec<u8>> {
            let mut bytes = bytes.to_vec();
            self.apply(name, symbols, &mut bytes)?;
            Ok(bytes)
        };
        let Some(bytes) = found.btf else {
            if found.ext.is_some() {
                return Err(bad("`.BTF.ext` is there, but no `.BTF`".to_owned()));
            }
            return Ok((None, None));
        };
        // What GCC writes for a file without types is not BTF: it has no strings.
        if wire::Header::parse(bytes).is_ok_and(|(_, header)| header.type_len == 0) {
            return Ok((None, None));
        }
        let btf = Btf::parse(&relocate(bytes, b".BTF")?, None)?;
        let ext = found.ext.map(|bytes| relocate(bytes, b".BTF.ext"));
        let ext = ext.transpose()?.map(|bytes| BtfExt::parse(&bytes));
        let ext = ext.transpose()?.map(|(_, ext)| ext);
        Ok((Some(btf), ext))
    }

    /// Applies the relocations of a section by symbols that are not sections': by sections', the offset is there already.
    fn apply(&self, name: &[u8], symbols: &Symbols<'d>, bytes: &mut [u8]) -> Result<()> {
        let named = self.table.section_by_name(self.endian, name);
        let Some((index, _)) = named else {
            return Ok(());
        };
        let order = order_of(self.endian);
        for header in self.table.iter() {
            if header.info_link(self.endian) != index {
                continue;
            }
            for entry in self.relocations_of(header)?.0 {
                let symbol = symbols
                    .symbol(SymbolIndex(entry.symbol))
                    .map_err(|error| elf("a relocation of BTF", error))?;
                let place = usize::try_from(entry.offset).ok();
                let place = place.and_then(|at| bytes.get_mut(at..)?.first_chunk_mut::<4>());
                let Some(place) = place else {
                    return Err(bad("a relocation of BTF is outside of it".to_owned()));
                };
                let here = u64::from(order.u32(*place));
                let addend = entry.addend.map_or(here, i64::cast_unsigned);
                let value = addend.wrapping_add(symbol.st_value(self.endian));
                let value = u32::try_from(value);
                let value = value.map_err(|_| bad("an offset in BTF is too large".to_owned()))?;
                *place = order.u32_bytes(value);
            }
        }
        Ok(())
    }

    /// The relocations in a section, and the section of their symbols.
    fn relocations_of(
        &self,
        header: &object::elf::SectionHeader64<Endianness>,
    ) -> Result<(Vec<Relocation>, SectionIndex)> {
        let read = |error| elf("relocations", error);
        let (endian, bytes) = (self.endian, self.bytes);
        if let Some((list, link)) = header.rel(endian, bytes).map_err(read)? {
            return Ok((list.iter().map(|entry| self.rel(entry)).collect(), link));
        }
        if let Some((list, link)) = header.rela(endian, bytes).map_err(read)? {
            return Ok((list.iter().map(|entry| self.rela(entry)).collect(), link));
        }
        Ok((Vec::new(), SectionIndex(0)))
    }

    /// Checks that no name of a section or symbol is too long.
    fn check_names(&self) -> Result<()> {
        for header in self.table.iter() {
            if header.sh_type(self.endian) == SHT_STRTAB {
                let names = header.data(self.endian, self.bytes);
                let names = names.map_err(|error| elf("a table of names", error))?;
                if has_long_string(names, MAX_NAME) {
                    return Err(bad(format!("a name has more than {MAX_NAME} bytes")));
                }
            }
        }
        Ok(())
    }

    fn sections(&self) -> Result<Vec<Section<'d>>> {
        let mut sections = Vec::with_capacity(self.table.len());
        let mut total = 0;
        for (index, header) in self.table.iter().enumerate() {
            let kind = header.sh_type(self.endian);
            let is_table = [
                SHT_NULL,
                SHT_STRTAB,
                SHT_SYMTAB,
                SHT_SYMTAB_SHNDX,
                SHT_REL,
                SHT_RELA,
                SHT_GROUP,
            ]
            .contains(&kind)
                || SHT_LLVM.contains(&kind.0);
            if is_table || is_left_out(self.name(index)?) {
                sections.push(Section::default());
                continue;
            }
            let name = self.name(index)?;
            let title = String::from_utf8_lossy(name).into_owned();
            if ![SHT_PROGBITS, SHT_NOBITS, SHT_NOTE].contains(&kind) {
                let text = format!("section `{title}` of type {:#x}", kind.0);
                return Err(ErrorKind::Unsupported(text).into());
            }
            if name.is_empty() {
                return Err(bad(format!("section {index} has no name")));
            }
            let align = header.sh_addralign(self.endian).max(1);
            let size = header.sh_size(self.endian);
            let flags = header.sh_flags(self.endian).0;
            if !align.is_power_of_two() || align > MAX_ALIGNMENT || size > MAX_SECTION_SIZE {
                let text = format!("section `{title}` of {size} bytes aligned to {align}");
                return Err(ErrorKind::Unsupported(text).into());
            }
            if flags & SHF_EXECINSTR.0 != 0 && !size.is_multiple_of(8) {
                return Err(bad(format!(
                    "section `{title}` does not end with an instruction"
                )));
            }
            let bytes = header
                .data(self.endian, self.bytes)
                .map_err(|error| elf(&format!("section `{title}`"), error))?;
            total += bytes.len();
            if total > self.bytes.len() {
                return Err(bad(format!("section `{title}` overlaps others")));
            }
            sections.push(Section {
                name,
                kind: kind.0,
                flags,
                align,
                entry_size: header.sh_entsize(self.endian),
                size,
                bytes,
                relocations: Vec::new(),
            });
        }
        // Compilers write an empty `.text` into every object.
        for section in &mut sections {
            if section.name == b".text" && section.size == 0 {
                *section = Section::default();
            }
        }
        Ok(sections)
    }

    fn symbols(&self, table: &Symbols<'d>, sections: &[Section<'d>]) -> Result<Vec<Symbol<'d>>> {
        let mut symbols = Vec::with_capacity(table.len());
        for (index, symbol) in table.iter().enumerate() {
            let name = table
                .symbol_name(self.endian, symbol)
                .map_err(|error| elf(&format!("the name of symbol {index}"), error))?;
            let title = || format!("symbol `{}`", String::from_utf8_lossy(name));
            let value = symbol.st_value(self.endian);
            let place = match symbol.st_shndx(self.endian) {
                SHN_UNDEF => Place::Undefined,
                SHN_ABS => Place::Absolute,
                SHN_COMMON => {
                    let text = format!("{}, which is common: use -fno-common", title());
                    return Err(ErrorKind::Unsupported(text).into());
                }
                _ => {
                    let section = table
                        .symbol_section(self.endian, symbol, SymbolIndex(index))
                        .map_err(|error| elf(&title(), error))?;
                    let Some(section) = section else {
                        let text = format!("{}, whose section is special", title());
                        return Err(ErrorKind::Unsupported(text).into());
                    };
                    let Some(found) = sections.get(section.0) else {
                        return Err(bad(format!("{} is in no section", title())));
                    };
                    if found.is_linked() && value > found.size {
                        return Err(bad(format!("{} is outside of its section", title())));
                    }
                    if found.is_linked() {
                        Place::Section(section.0)
                    } else {
                        Place::Nowhere
                    }
                }
            };
            let binding = match symbol.st_bind() {
                STB_LOCAL => Binding::Local,
                STB_WEAK => Binding::Weak,
                _ => Binding::Global,
            };
            if binding != Binding::Local && name.is_empty() {
                return Err(bad(format!("symbol {index} is global and has no name")));
            }
            symbols.push(Symbol {
                name,
                place,
                value,
                size: symbol.st_size(self.endian),
                binding,
                kind: symbol.st_type().0,
                visibility: symbol.st_visibility().0,
            });
        }
        Ok(symbols)
    }

    /// Puts the relocations to their sections.
    fn relocations(&self, symbols: &Symbols<'d>, object: &mut Object<'d>) -> Result<()> {
        let mut total = 0;
        for (index, header) in self.table.iter().enumerate() {
            let target = header.sh_info(self.endian) as usize;
            let kind = header.sh_type(self.endian);
            if kind != SHT_REL && kind != SHT_RELA {
                continue;
            }
            let Some(section) = object.sections.get_mut(target) else {
                return Err(bad(format!(
                    "section {index} relocates a section that is not there"
                )));
            };
            if !section.is_linked() {
                continue;
            }
            let (list, link) = self.relocations_of(header)?;
            if list.is_empty() {
                continue;
            }
            if link != symbols.section() {
                return Err(bad(format!(
                    "the relocations in section {index} have no symbols"
                )));
            }
            if let Some(bad_one) = list.iter().find(|entry| entry.symbol >= symbols.len()) {
                let symbol = bad_one.symbol;
                let text =
                    format!("section {index} relocates by symbol {symbol}, which is not there");
                return Err(bad(text));
            }
            total += list.len() * size_of::<Rel64<Endianness>>();
            if total > self.bytes.len() {
                return Err(bad(format!(
                    "the relocations in section {index} overlap others"
                )));
            }
            section.relocations.extend(list);
            section.relocations.sort_by_key(|entry| entry.offset);
        }
        Ok(())
    }

    fn rel(&self, entry: &Rel64<Endianness>) -> Relocation {
        Relocation {
            offset: entry.r_offset(self.endian),
            symbol: entry.r_sym(self.endian) as usize,
            kind: entry.r_type(self.endian).0,
            addend: None,
        }
    }

    fn rela(&self, entry: &Rela64<Endianness>) -> Relocation {
        Relocation {
            offset: entry.r_offset(self.endian),
            symbol: entry.r_sym(self.endian, false) as usize,
            kind: entry.r_type(self.endian, false).0,
            addend: Some(entry.r_addend(self.endian)),
        }
    }

    /// The groups of which only one of each signature is kept.
    fn groups(&self, symbols: &Symbols<'d>) -> Result<Vec<(&'d [u8], Vec<usize>)>> {
        let (mut groups, mut total) = (Vec::new(), 0);
        for (index, header) in self.table.iter().enumerate() {
            let read = |error| elf(&format!("the group in section {index}"), error);
            let Some((flags, members)) = header.group(self.endian, self.bytes).map_err(read)?
            else {
                continue;
            };
            if flags.0 & GRP_COMDAT.0 == 0 {
                continue;
            }
            total += size_of_val(members);
            if total > self.bytes.len() {
                return Err(bad(format!("the group in section {index} overlaps others")));
            }
            let symbol = SymbolIndex(header.sh_info(self.endian) as usize);
            let symbol = symbols.symbol(symbol).map_err(read)?;
            let signature = symbols.symbol_name(self.endian, symbol).map_err(read)?;
            let members = members
                .iter()
                .map(|member| member.get(self.endian) as usize);
            groups.push((signature, members.collect()));
        }
        Ok(groups)
    }

    /// Refuses an object of GCC's LTO that has no instructions yet: linked as it is, it would become nothing.
    fn check_lto(&self, object: &Object<'d>) -> Result<()> {
        let has_code = object
            .sections
            .iter()
            .any(|section| section.is_code() && section.size > 0);
        for index in 1..self.table.len() {
            if !has_code && self.name(index)?.starts_with(b".gnu.lto_") {
                let text =
                    "an object of -flto without instructions: use -fno-lto or -ffat-lto-objects";
                return Err(ErrorKind::Unsupported(text.to_owned()).into());
            }
        }
        Ok(())
    }
}

/// Whether a string of `strings`, each of which ends with 0, has more than `limit` bytes.
fn has_long_string(strings: &[u8], limit: usize) -> bool {
    let mut start = 0;
    let mut ends = memchr::memchr_iter(0, strings).chain([strings.len()]);
    ends.any(|end| end - std::mem::replace(&mut start, end) > limit)
}

/// Checks that the names of functions, variables and sections, and the texts of tags, are not too long.
fn check_names(btf: &Btf, declarations: &Declarations) -> Result<()> {
    if has_long_string(btf.string_bytes(), MAX_TEXT) {
        let (what, limit) = ("string in bytes", MAX_TEXT as u64);
        let value = btf.string_bytes().len() as u64;
        return Err(ErrorKind::TooLarge { what, value, limit }.into());
    }
    for id in declarations.all() {
        let name = btf.ty(id)?.name();
        let tail = btf.string_bytes().get(name.0 as usize..);
        let tail = tail.map(|tail| tail.get(..=MAX_NAME).unwrap_or(tail));
        if tail.is_some_and(|tail| !tail.contains(&0)) {
            let (what, value) = ("name, which is too long, at", name.0.into());
            return Err(Error::new(ErrorKind::Invalid { what, value }).in_type(id));
        }
    }
    Ok(())
}

fn order_of(endian: Endianness) -> ByteOrder {
    match endian {
        Endianness::Little => ByteOrder::Little,
        Endianness::Big => ByteOrder::Big,
    }
}

fn bad(text: String) -> Error {
    ErrorKind::Elf(text).into()
}

fn elf(what: &str, error: object::read::Error) -> Error {
    bad(format!("cannot read {what}")).caused_by(error)
}
