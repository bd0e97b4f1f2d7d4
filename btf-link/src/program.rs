//! BPF objects as they come from a compiler or linker: instructions, types, and what belongs to instructions.
//!
//! Spec: Documentation/bpf/btf.rst, 4 "ELF File Format Interface"; `Documentation/bpf/llvm_reloc.rst`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use btf_core::core_relo::{Insn, essential_name, insn};
use btf_core::elf;
use btf_core::ext::{Block, BtfExt, CoreRelo, FuncInfo};
use btf_core::{Btf, ByteOrder, Error, ErrorKind, Result, StrOffset, Type};
use object::elf::{EM_BPF, FileHeader64, SHF_EXECINSTR, SHT_PROGBITS, SHT_REL};
use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, read};

/// The longest name of a section that is looked for, in bytes. Names of hostile input may overlap in megabytes.
const MAX_SECTION_NAME: usize = 4096;

/// A BPF object.
#[derive(Debug)]
pub struct Program {
    /// Its types.
    pub btf: Btf,
    /// What belongs to its instructions; empty if there is no `.BTF.ext`.
    pub ext: BtfExt,
    /// Its sections of instructions, in the order of the file.
    pub sections: Vec<Code>,
    /// Its CO-RE relocations, in the order in which a loader takes them.
    pub relocations: Vec<Relocation>,
    /// The blocks of `func_info` and `line_info` of each section.
    functions: HashMap<usize, usize>,
    lines: HashMap<usize, usize>,
}

/// A CO-RE relocation and its section.
#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    /// The section's index in [`Program::sections`]; `None` if there is none of that name.
    pub section: Option<usize>,
    /// The section's name.
    pub section_name: StrOffset,
    /// The relocation.
    pub relo: CoreRelo,
}

/// A section of instructions.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Its name.
    pub name: Vec<u8>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The offsets in bytes of the instructions that the loader or linker changes, because they refer to a map, a variable
    /// or a function.
    pub relocated: HashSet<u64>,
}

impl Program {
    /// Reads an object.
    ///
    /// # Errors
    /// [`ErrorKind::Elf`] if it is no object for BPF or has no BTF; [`ErrorKind::Io`]; what [`Btf::parse`] and
    /// [`BtfExt::parse`] return.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|error| Error::new(ErrorKind::Io("read the file")).caused_by(error))?;
        Self::parse(&bytes)
    }

    /// Takes an object apart.
    ///
    /// # Errors
    /// Those of [`Program::open`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let sections = code_sections(bytes)?;
        let loaded = elf::load(bytes, None)?;
        let (btf, ext) = (loaded.btf, loaded.ext.unwrap_or_default());
        let names = SectionNames::new(&btf, &sections);
        let relocations = ext.core_relo.iter().flat_map(|block| {
            let (section_name, section) = (block.section, names.find(block.section));
            block.records.iter().map(move |&relo| Relocation {
                section,
                section_name,
                relo,
            })
        });
        let relocations = relocations.collect();
        let (functions, lines) = (names.blocks(&ext.func_info), names.blocks(&ext.line_info));
        Ok(Self {
            btf,
            ext,
            sections,
            relocations,
            functions,
            lines,
        })
    }

    /// The byte order of the instructions.
    #[must_use]
    pub fn order(&self) -> ByteOrder {
        self.btf.byte_order()
    }

    /// The names of what the program attaches to or refers to in the kernel, as the kernel's BTF has them.
    ///
    /// A section of instructions tells where it attaches to (`fentry/vfs_read`); the section `.ksyms` of the BTF holds functions
    /// and variables.
    #[must_use]
    pub fn kernel_symbols(&self) -> Vec<Vec<u8>> {
        let sections = self.sections.iter();
        let mut names: Vec<_> = sections
            .filter_map(|code| attach_name(&code.name))
            .collect();
        for (_, ty) in self.btf.types() {
            let Type::Datasec(section) = ty else {
                continue;
            };
            if self
                .btf
                .string(section.name)
                .is_ok_and(|name| name == b".ksyms")
            {
                let symbols = section
                    .entries()
                    .filter_map(|entry| self.btf.name(entry.ty).ok());
                names.extend(symbols.map(|name| essential_name(name).to_vec()));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The name of the function that the instruction at `offset` bytes of a section belongs to.
    #[must_use]
    pub fn function(&self, section: usize, offset: u32) -> Option<&[u8]> {
        let records = self.functions_of(section);
        let at = records.partition_point(|record| record.insn_off <= offset);
        let id = records.get(at.checked_sub(1)?)?.type_id;
        self.btf.name(id).ok()
    }

    /// Where the functions of a section start.
    #[must_use]
    pub fn functions_of(&self, section: usize) -> &[FuncInfo] {
        let block = self.functions.get(&section);
        let block = block.and_then(|&block| self.ext.func_info.get(block));
        block.map_or(&[], |block| &block.records)
    }

    /// The source line of the instruction at `offset` bytes of a section.
    #[must_use]
    pub fn line(&self, section: usize, offset: u32) -> Option<Line<'_>> {
        let block = self.ext.line_info.get(*self.lines.get(&section)?)?;
        let records = &block.records;
        let at = records.partition_point(|record| record.insn_off <= offset);
        let record = records.get(at.checked_sub(1)?)?;
        Some(Line {
            file: self.btf.string(record.file_name).ok()?,
            text: self.btf.string(record.line_text).unwrap_or_default(),
            line: record.line_col >> 10,
            column: record.line_col & 0x3ff,
        })
    }
}

/// The function or tracepoint that the programs of a section attach to, as the kernel's BTF names it.
fn attach_name(section: &[u8]) -> Option<Vec<u8>> {
    let section = section.strip_prefix(b"?").unwrap_or(section);
    let at = section.iter().position(|&byte| byte == b'/')?;
    let (kind, name) = (section.get(..at)?, section.get(at + 1..)?);
    let prefix: &[u8] = match kind.strip_suffix(b".s").unwrap_or(kind) {
        b"fentry" | b"fexit" | b"fmod_ret" | b"fsession" => b"",
        b"lsm" | b"lsm_cgroup" => b"bpf_lsm_",
        b"tp_btf" => b"btf_trace_",
        b"iter" => b"bpf_iter_",
        _ => return None,
    };
    Some([prefix, name].concat())
}

/// Finds sections by the names that `.BTF.ext` gives them.
struct SectionNames<'a> {
    btf: &'a Btf,
    by_name: HashMap<&'a [u8], usize>,
}

impl<'a> SectionNames<'a> {
    /// Of several sections with one name the first counts.
    fn new(btf: &'a Btf, sections: &'a [Code]) -> Self {
        let mut by_name = HashMap::new();
        for (index, code) in sections.iter().enumerate() {
            if code.name.len() <= MAX_SECTION_NAME {
                by_name.entry(&*code.name).or_insert(index);
            }
        }
        Self { btf, by_name }
    }

    fn find(&self, name: StrOffset) -> Option<usize> {
        let name = self.btf.string(name).ok()?;
        let name = (name.len() <= MAX_SECTION_NAME).then_some(name)?;
        self.by_name.get(name).copied()
    }

    /// The first block of each section.
    fn blocks<R>(&self, blocks: &[Block<R>]) -> HashMap<usize, usize> {
        let mut found = HashMap::new();
        for (index, block) in blocks.iter().enumerate() {
            if let Some(section) = self.find(block.section) {
                found.entry(section).or_insert(index);
            }
        }
        found
    }
}

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The file.
    pub file: &'a [u8],
    /// The text of the line; empty if the compiler does not keep it.
    pub text: &'a [u8],
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Code {
    /// The instruction at `offset` bytes.
    #[must_use]
    pub fn insn(&self, order: ByteOrder, offset: u64) -> Option<Insn> {
        let offset = usize::try_from(offset).ok()?;
        let bytes = self.bytes.get(offset..)?.first_chunk::<{ insn::LEN }>()?;
        Some(Insn::parse(order, *bytes))
    }
}

/// Reads the sections of instructions.
fn code_sections(bytes: &[u8]) -> Result<Vec<Code>> {
    if !elf::is_elf(bytes) {
        return Err(ErrorKind::Elf("not an ELF file".to_owned()).into());
    }
    let (header, endian, table) = elf::tables::<FileHeader64<Endianness>, _>(bytes)?;
    let failed = |what: &str, offset: u64| {
        let error = elf::damaged(what, offset, Ok(bytes.len() as u64));
        move |cause: read::Error| error.caused_by(cause)
    };
    if header.e_machine(endian) != EM_BPF {
        let text = "not an object for BPF".to_owned();
        return Err(ErrorKind::Elf(text).into());
    }
    // Parts that lie on each other could be read without end.
    let mut left = bytes.len();
    let mut take = |size: usize| {
        let overlap = || ErrorKind::Elf("sections overlap".to_owned());
        left = left.checked_sub(size).ok_or_else(overlap)?;
        Ok::<_, Error>(())
    };
    let mut sections: Vec<Option<Code>> = Vec::new();
    for section in table.iter() {
        let is_code = section.sh_type(endian) == SHT_PROGBITS
            && section.sh_flags(endian).0 & SHF_EXECINSTR.0 != 0;
        sections.push(if is_code {
            let name = table.section_name(endian, section);
            let name = name.map_err(failed("names of sections", header.e_shoff(endian)))?;
            let code = section.data(endian, bytes);
            let code = code.map_err(failed("instructions", section.sh_offset(endian)))?;
            take(name.len() + code.len())?;
            Some(Code {
                name: name.to_vec(),
                bytes: code.to_vec(),
                relocated: HashSet::new(),
            })
        } else {
            None
        });
    }
    for section in table.iter() {
        if section.sh_type(endian) != SHT_REL {
            continue;
        }
        let target = sections.get_mut(section.sh_info(endian) as usize);
        let (Some(Some(code)), Ok(Some((entries, _)))) = (target, section.rel(endian, bytes))
        else {
            continue;
        };
        take(size_of_val(entries))?;
        let offsets = entries.iter().map(|entry| entry.r_offset.get(endian));
        code.relocated.extend(offsets);
    }
    Ok(sections.into_iter().flatten().collect())
}
