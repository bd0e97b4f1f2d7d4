//! Finds the BTF sections of an ELF file and reads them; a file that is BTF itself will do as well.
//!
//! Only the section headers and the sections that are asked for are read, so a mapped kernel image costs little.
#![deny(clippy::indexing_slicing)]

use std::sync::Arc;

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_PROGBITS};
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader};

use super::{elf_error, is_elf};
use crate::error::Result;
use crate::ext::BtfExt;
use crate::reader::Btf;

/// The bytes of the BTF sections of an ELF file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections<'a> {
    /// `.BTF`: types and strings.
    pub btf: Option<&'a [u8]>,
    /// `.BTF.base`: the small base that a module's `.BTF` continues instead of the kernel's.
    pub base: Option<&'a [u8]>,
    /// `.BTF.ext`: what belongs to instructions.
    pub ext: Option<&'a [u8]>,
    /// The size of a pointer in bytes, by the file's class: 4 or 8.
    pub pointer_size: u8,
}

/// What a file holds.
#[derive(Debug)]
pub struct Loaded {
    /// The types.
    pub btf: Btf,
    /// What belongs to instructions, in object files for BPF.
    pub ext: Option<BtfExt>,
    /// Whether the base of `btf` is the file's own `.BTF.base`.
    pub has_own_base: bool,
    /// The size of a pointer in bytes, if the file is ELF.
    pub pointer_size: Option<u8>,
}

/// Finds the BTF sections of an ELF file of any class and byte order; of several with one name the first counts.
///
/// `file` is the bytes of a file, or an [`object::ReadCache`] that reads no more of it than is asked for.
///
/// # Errors
/// [`ErrorKind::Elf`](crate::ErrorKind::Elf) if the file cannot be read or a section of that name is not `PROGBITS`.
pub fn sections<'a>(file: impl ReadRef<'a>) -> Result<Sections<'a>> {
    // The class is the byte behind the magic number.
    match file.read_bytes_at(4, 1) {
        Ok([1]) => find::<FileHeader32<Endianness>, _>(file),
        Ok([2]) => find::<FileHeader64<Endianness>, _>(file),
        class => {
            let class = class.ok().and_then(<[u8]>::first);
            Err(elf_error(format!("unknown ELF class: {class:?}")))
        }
    }
}

fn find<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    bytes: R,
) -> Result<Sections<'a>> {
    let read_error = |what: &str, error: object::read::Error| {
        let text = format!("cannot read the {what}");
        elf_error(text).caused_by(error)
    };
    let header = Elf::parse(bytes).map_err(|error| read_error("ELF header", error))?;
    let endian = header
        .endian()
        .map_err(|error| read_error("ELF header", error))?;
    let table = header
        .sections(endian, bytes)
        .map_err(|error| read_error("section headers", error))?;
    let mut found = Sections {
        pointer_size: if header.is_class_64() { 8 } else { 4 },
        ..Sections::default()
    };
    for section in table.iter() {
        // A section whose name cannot be read is not one of ours.
        let Ok(name) = table.section_name(endian, section) else {
            continue;
        };
        let slot = match name {
            b".BTF" => &mut found.btf,
            b".BTF.base" => &mut found.base,
            b".BTF.ext" => &mut found.ext,
            _ => continue,
        };
        if slot.is_some() {
            continue;
        }
        let name = String::from_utf8_lossy(name);
        if section.sh_type(endian) != SHT_PROGBITS {
            return Err(elf_error(format!("section `{name}` is not PROGBITS")));
        }
        let data = section
            .data(endian, bytes)
            .map_err(|error| read_error(&format!("section `{name}`"), error))?;
        *slot = Some(data);
    }
    Ok(found)
}

/// Reads the BTF of an ELF file, or bytes that are BTF themselves; the first bytes tell which.
///
/// `base` is what the BTF continues, unless the file has a `.BTF.base`: the ids then count from that one, and moving
/// them onto another base is `relocate`'s task.
///
/// # Errors
/// What [`sections`], [`Btf::parse`] and [`BtfExt::parse`] return, and [`ErrorKind::Elf`](crate::ErrorKind::Elf) if there is no `.BTF`.
pub fn load(bytes: &[u8], base: Option<Arc<Btf>>) -> Result<Loaded> {
    if !is_elf(bytes) {
        return Ok(Loaded {
            btf: Btf::parse(bytes, base)?,
            ext: None,
            has_own_base: false,
            pointer_size: None,
        });
    }
    let sections = sections(bytes)?;
    let Some(btf) = sections.btf else {
        return Err(elf_error("no section `.BTF`".to_owned()));
    };
    let own_base = sections.base.map(|bytes| Btf::parse(bytes, None));
    let own_base = own_base.transpose()?.map(Arc::new);
    let ext = sections.ext.map(BtfExt::parse).transpose()?;
    Ok(Loaded {
        has_own_base: own_base.is_some(),
        btf: Btf::parse(btf, own_base.or(base))?,
        ext: ext.map(|(_, ext)| ext),
        pointer_size: Some(sections.pointer_size),
    })
}
