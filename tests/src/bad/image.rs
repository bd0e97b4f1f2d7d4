//! Writes small ELF files of `x86_64`, right or wrong.

/// A section to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) entry_size: u64,
    pub(super) data: Vec<u8>,
}

pub(super) const SHT_PROGBITS: u32 = 1;
pub(super) const SHT_SYMTAB: u32 = 2;
pub(super) const SHT_STRTAB: u32 = 3;
pub(super) const SHT_RELA: u32 = 4;
pub(super) const SHF_COMPRESSED: u64 = 0x800;

/// The length of an ELF64 header, of a section header, and of a symbol, in bytes.
pub(super) const HEADER_LEN: usize = 64;
pub(super) const SECTION_HEADER_LEN: usize = 64;

/// `ET_REL` and `ET_EXEC`.
pub(super) const RELOCATABLE: u16 = 1;
pub(super) const EXECUTABLE: u16 = 2;

/// A section of data.
pub(super) fn section(name: &'static str, data: Vec<u8>) -> Section {
    Section {
        name,
        kind: SHT_PROGBITS,
        data,
        ..Section::default()
    }
}

/// An ELF file of these sections; the null section and `.shstrtab` are added, the latter as the last one.
pub(super) fn elf(e_type: u16, sections: &[Section]) -> Vec<u8> {
    let mut names = vec![0];
    let mut headers = vec![[0; SECTION_HEADER_LEN]];
    let mut body = Vec::new();
    let strings = Section {
        name: ".shstrtab",
        kind: SHT_STRTAB,
        ..Section::default()
    };
    for (index, section) in sections.iter().chain([&strings]).enumerate() {
        let name = u32::try_from(names.len()).expect("names are short");
        names.extend_from_slice(section.name.as_bytes());
        names.push(0);
        let data = if index == sections.len() {
            &names
        } else {
            &section.data
        };
        let mut header = Vec::with_capacity(SECTION_HEADER_LEN);
        header.extend(name.to_le_bytes());
        header.extend(section.kind.to_le_bytes());
        header.extend(section.flags.to_le_bytes());
        header.extend(0_u64.to_le_bytes());
        header.extend(((HEADER_LEN + body.len()) as u64).to_le_bytes());
        header.extend((data.len() as u64).to_le_bytes());
        header.extend(section.link.to_le_bytes());
        header.extend(section.info.to_le_bytes());
        header.extend(1_u64.to_le_bytes());
        header.extend(section.entry_size.to_le_bytes());
        headers.push(header.try_into().expect("a section header has 64 bytes"));
        body.extend_from_slice(data);
    }
    let mut out = file_header(e_type, (HEADER_LEN + body.len()) as u64, headers.len());
    out.extend(body);
    out.extend(headers.concat());
    out
}

fn file_header(e_type: u16, section_headers: u64, count: usize) -> Vec<u8> {
    let count = u16::try_from(count).expect("sections are few");
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend(e_type.to_le_bytes());
    out.extend(62_u16.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    out.extend(section_headers.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    for half in [64, 0, 0, 64, count, count - 1] {
        out.extend(u16::to_le_bytes(half));
    }
    out
}

/// Replaces bytes of a file.
pub(super) fn patch(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// Where the section headers of a file that [`elf`] wrote start.
pub(super) fn section_headers(bytes: &[u8]) -> usize {
    let field = bytes[40..48].try_into().expect("eight bytes");
    usize::try_from(u64::from_le_bytes(field)).expect("the file is small")
}

/// A symbol.
pub(super) fn symbol(name: u32, kind: u8, section: u16, value: u64, size: u64) -> Vec<u8> {
    let mut out = name.to_le_bytes().to_vec();
    out.extend([kind, 0]);
    out.extend(section.to_le_bytes());
    out.extend(value.to_le_bytes());
    out.extend(size.to_le_bytes());
    out
}

/// `STB_GLOBAL` in the place of a symbol's kind, and `SHN_ABS`.
const GLOBAL: u8 = 1 << 4;
const ABSOLUTE: u16 = 0xfff1;

/// A file as kernel modules are: BTF in a section, and a symbol of each name; without names there is no table of symbols.
///
/// # Panics
/// If it gets too large.
#[must_use]
pub fn module(btf: &[u8], symbols: &[&str]) -> Vec<u8> {
    let mut names = vec![0];
    let mut table = symbol(0, 0, 0, 0, 0);
    for text in symbols {
        let name = u32::try_from(names.len()).expect("names are short");
        table.extend(symbol(name, GLOBAL, ABSOLUTE, 0, 0));
        names.extend_from_slice(text.as_bytes());
        names.push(0);
    }
    let mut sections = vec![section(".BTF", btf.to_vec())];
    if !symbols.is_empty() {
        sections.push(Section {
            name: ".symtab",
            kind: SHT_SYMTAB,
            link: 3,
            info: 1,
            entry_size: symbol(0, 0, 0, 0, 0).len() as u64,
            data: table,
            ..Section::default()
        });
        sections.push(Section {
            name: ".strtab",
            kind: SHT_STRTAB,
            data: names,
            ..Section::default()
        });
    }
    elf(RELOCATABLE, &sections)
}
