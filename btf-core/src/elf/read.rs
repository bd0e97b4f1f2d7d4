//! Finds the BTF sections of an ELF file and reads them; a file that is BTF itself will do as well.
//!
//! Only the section headers and the sections that are asked for are read, so a mapped kernel image costs little.
#![deny(clippy::indexing_slicing)]

use std::ops::Range;
use std::sync::Arc;

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHT_NOBITS, SHT_PROGBITS};
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader, SectionTable};

use super::{damaged, elf_error, is_elf, unknown_class};
use crate::error::{Error, Result};
use crate::ext::BtfExt;
use crate::reader::{Btf, Opened};

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
pub struct Loaded<B = Btf> {
    /// The types.
    pub btf: B,
    /// What belongs to instructions, in object files for BPF.
    pub ext: Option<BtfExt>,
    /// Whether the base of `btf` is the file's own `.BTF.base`.
    pub has_own_base: bool,
    /// The size of a pointer in bytes, if the file is ELF.
    pub pointer_size: Option<u8>,
}

/// Where the BTF sections of an ELF file lie in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of `.BTF`.
    pub btf: Option<Range<u64>>,
    /// Of `.BTF.base`.
    pub base: Option<Range<u64>>,
    /// Of `.BTF.ext`.
    pub ext: Option<Range<u64>>,
    /// The size of a pointer in bytes, by the file's class: 4 or 8.
    pub pointer_size: u8,
}

/// Finds the BTF sections of an ELF file of any class and byte order; of several with one name the first counts
/// that has contents.
///
/// `file` is the bytes of a file, or an [`object::ReadCache`] that reads no more of it than is asked for.
///
/// # Errors
/// [`ErrorKind::Elf`](crate::ErrorKind::Elf) if the file cannot be read or a section of that name is not `PROGBITS`.
pub fn sections<'a>(file: impl ReadRef<'a>) -> Result<Sections<'a>> {
    let places = places(file)?;
    let read = |place: Option<Range<u64>>| {
        let bytes = place.map(|place| {
            let bytes = file.read_bytes_at(place.start, place.end.saturating_sub(place.start));
            bytes.map_err(|()| out_of_file(&place, file.len()))
        });
        bytes.transpose()
    };
    Ok(Sections {
        btf: read(places.btf)?,
        base: read(places.base)?,
        ext: read(places.ext)?,
        pointer_size: places.pointer_size,
    })
}

/// The error for a BTF section that is not in a file of `len` bytes as a whole.
pub(crate) fn out_of_file(place: &Range<u64>, len: Result<u64, ()>) -> Error {
    let size = place.end.saturating_sub(place.start);
    damaged(&format!("{size} bytes of a BTF section"), place.start, len)
}

/// Finds the BTF sections as [`sections`] does and reads none of them.
///
/// # Errors
/// Those of [`sections`].
pub fn places<'a>(file: impl ReadRef<'a>) -> Result<Places> {
    // The class is the byte behind the magic number.
    match file.read_bytes_at(4, 1) {
        Ok([1]) => find::<FileHeader32<Endianness>, _>(file),
        Ok([2]) => find::<FileHeader64<Endianness>, _>(file),
        class => {
            let class = class.ok().and_then(<[u8]>::first);
            Err(unknown_class(class.copied()))
        }
    }
}

/// The header of an ELF file, its byte order, and its sections.
pub type Tables<'a, Elf, R> = (&'a Elf, Endianness, SectionTable<'a, Elf, R>);

/// Reads the headers of an ELF file of the class that the caller names.
///
/// # Errors
/// [`ErrorKind::Elf`](crate::ErrorKind::Elf) with the place of what is not there.
pub fn tables<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(
    file: R,
) -> Result<Tables<'a, Elf, R>> {
    let failed = |what, offset| {
        move |error: object::read::Error| damaged(what, offset, file.len()).caused_by(error)
    };
    let header = Elf::parse(file).map_err(failed("an ELF header", 0))?;
    let endian = header.endian().map_err(failed("an ELF header", 0))?;
    let offset = header.e_shoff(endian).into();
    let sections = header.sections(endian, file);
    let sections = sections.map_err(failed("section headers and their names", offset))?;
    Ok((header, endian, sections))
}

fn find<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(bytes: R) -> Result<Places> {
    let (header, endian, table) = tables::<Elf, R>(bytes)?;
    let mut found = Places {
        pointer_size: if header.is_class_64() { 8 } else { 4 },
        ..Places::default()
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
        // Files that hold only debugging symbols have the other sections without their contents.
        if slot.is_some() || section.sh_type(endian) == SHT_NOBITS {
            continue;
        }
        let name = String::from_utf8_lossy(name);
        if section.sh_type(endian) != SHT_PROGBITS {
            return Err(elf_error(format!("section `{name}` is not PROGBITS")));
        }
        let (start, len) = section.file_range(endian).unwrap_or_default();
        // One that ends behind all numbers does not end in the file either.
        *slot = Some(start..start.saturating_add(len));
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
    load_with(bytes, base, Btf::parse, Ok)
}

/// As [`load`], of bytes that stay where they are, without the types; see [`Opened::of_static`].
///
/// # Errors
/// Those of [`load`] that are not about records.
pub fn open_static(bytes: &'static [u8], base: Option<Arc<Btf>>) -> Result<Loaded<Opened>> {
    load_with(bytes, base, Opened::of_static, Opened::read)
}

/// `open` gives what `bytes` hold, `read` all of it.
fn load_with<'a, B>(
    bytes: &'a [u8],
    base: Option<Arc<Btf>>,
    open: impl Fn(&'a [u8], Option<Arc<Btf>>) -> Result<B>,
    read: impl Fn(B) -> Result<Btf>,
) -> Result<Loaded<B>> {
    if !is_elf(bytes) {
        return Ok(Loaded {
            btf: open(bytes, base)?,
            ext: None,
            has_own_base: false,
            pointer_size: None,
        });
    }
    let sections = sections(bytes)?;
    let Some(btf) = sections.btf else {
        return Err(elf_error("no section `.BTF`".to_owned()));
    };
    let own_base = sections.base.map(|bytes| read(open(bytes, None)?));
    let own_base = own_base.transpose()?.map(Arc::new);
    let ext = sections.ext.map(BtfExt::parse).transpose()?;
    Ok(Loaded {
        has_own_base: own_base.is_some(),
        btf: open(btf, own_base.or(base))?,
        ext: ext.map(|(_, ext)| ext),
        pointer_size: Some(sections.pointer_size),
    })
}

/// Bytes as the words of this machine that they are; `None` if they do not start or end where words do.
pub(crate) fn as_words(bytes: &[u8]) -> Option<&[u32]> {
    object::pod::slice_from_all_bytes(bytes).ok()
}

/// Words as the bytes that they are in this machine's byte order.
#[cfg(feature = "cli")]
pub(crate) fn as_bytes_mut(words: &mut [u32]) -> &mut [u8] {
    object::pod::bytes_of_slice_mut(words)
}
