//! Reading hand-made ELF files: [`build`] writes one of either class and order from a list of sections.

use std::io::Write;

use super::super::relocation::Relocated;
use super::*;

/// A section to write: its name, type, flags, link, info and contents.
struct Part<'p>(&'p str, u32, u64, u32, u32, Vec<u8>);

#[derive(Clone, Copy)]
struct Shape {
    is_64: bool,
    order: ByteOrder,
    file_type: u16,
    /// Index and number of the sections stand in section 0.
    is_extended: bool,
}

const LITTLE_64: Shape = Shape {
    is_64: true,
    order: ByteOrder::Little,
    file_type: 1,
    is_extended: false,
};
const BIG_32: Shape = Shape {
    is_64: false,
    order: ByteOrder::Big,
    ..LITTLE_64
};

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const RELA: u32 = 4;
const NOBITS: u32 = 8;

impl Shape {
    fn int(self, out: &mut Vec<u8>, value: u64, bytes: usize) {
        match self.order {
            ByteOrder::Little => out.extend(&value.to_le_bytes()[..bytes]),
            ByteOrder::Big => out.extend(&value.to_be_bytes()[8 - bytes..]),
        }
    }

    fn word(self, out: &mut Vec<u8>, value: u64) {
        self.int(out, value, if self.is_64 { 8 } else { 4 });
    }

    fn symbol(self, name: u64, value: u64, section: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.int(&mut out, name, 4);
        if !self.is_64 {
            self.word(&mut out, value);
            self.word(&mut out, 8);
        }
        out.extend([0x12, 0]);
        self.int(&mut out, section, 2);
        if self.is_64 {
            self.word(&mut out, value);
            self.word(&mut out, 8);
        }
        out
    }

    fn rela(self, offset: u64, symbol: u64, kind: u64, addend: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.word(&mut out, offset);
        let shift = if self.is_64 { 32 } else { 8 };
        self.word(&mut out, symbol << shift | kind);
        self.word(&mut out, addend);
        out
    }

    fn chdr(self, method: u64, size: u64, packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.int(&mut out, method, 4);
        if self.is_64 {
            self.int(&mut out, 0, 4);
        }
        self.word(&mut out, size);
        self.word(&mut out, 1);
        out.extend(packed);
        out
    }
}

/// Writes an ELF file of x86-64's number; the null section and `.shstrtab` are added as first and last.
fn build(shape: Shape, parts: Vec<Part<'_>>) -> Vec<u8> {
    let header_size = if shape.is_64 { 64 } else { 52 };
    let mut names = vec![0];
    let mut body = Vec::new();
    let mut headers = Vec::new();
    let count = parts.len() as u64 + 2;
    let shstrtab = Part(".shstrtab", STRTAB, 0, 0, 0, Vec::new());
    let null = if shape.is_extended {
        (count, count - 1)
    } else {
        (0, 0)
    };
    let mut header =
        |name: u64, kind: u32, flags: u64, offset: u64, size: u64, link: u64, info: u32| {
            shape.int(&mut headers, name, 4);
            shape.int(&mut headers, kind.into(), 4);
            shape.word(&mut headers, flags);
            shape.word(&mut headers, 0);
            shape.word(&mut headers, offset);
            shape.word(&mut headers, size);
            shape.int(&mut headers, link, 4);
            shape.int(&mut headers, info.into(), 4);
            shape.word(&mut headers, 1);
            let entry = if kind == SYMTAB {
                if shape.is_64 { 24 } else { 16 }
            } else {
                0
            };
            shape.word(&mut headers, entry);
        };
    header(0, 0, 0, 0, null.0, null.1, 0);
    for Part(name, kind, flags, link, info, mut data) in parts.into_iter().chain([shstrtab]) {
        let name_offset = names.len() as u64;
        names.extend(name.bytes().chain([0]));
        if name == ".shstrtab" {
            data.clone_from(&names);
        }
        let offset = header_size + body.len() as u64;
        header(
            name_offset,
            kind,
            flags,
            offset,
            data.len() as u64,
            link.into(),
            info,
        );
        body.extend(data);
    }
    let mut out = file_header(shape, header_size, header_size + body.len() as u64, count);
    out.extend(body);
    out.extend(headers);
    out
}

/// The file header: its own size, where the section headers are, and how many.
fn file_header(shape: Shape, size: u64, section_headers: u64, count: u64) -> Vec<u8> {
    let mut out = vec![0x7f, b'E', b'L', b'F', if shape.is_64 { 2 } else { 1 }];
    out.extend([
        if shape.order == ByteOrder::Little {
            1
        } else {
            2
        },
        1,
    ]);
    out.extend([0; 9]);
    shape.int(&mut out, shape.file_type.into(), 2);
    shape.int(&mut out, 62, 2);
    shape.int(&mut out, 1, 4);
    shape.word(&mut out, 0);
    shape.word(&mut out, 0);
    shape.word(&mut out, section_headers);
    shape.int(&mut out, 0, 4);
    let (number, names_index) = if shape.is_extended {
        (0, 0xffff)
    } else {
        (count, count - 1)
    };
    let entry_size = if shape.is_64 { 64 } else { 40 };
    for value in [size, 0, 0, entry_size, number, names_index] {
        shape.int(&mut out, value, 2);
    }
    out
}

/// A file with one relocation in `.debug_info` against a symbol `f` in section 1.
fn relocated(shape: Shape) -> Vec<u8> {
    let symtab = [shape.symbol(0, 0, 0), shape.symbol(1, 0x40, 1)].concat();
    build(
        shape,
        vec![
            Part(".text", PROGBITS, 6, 0, 0, vec![0; 16]),
            Part(".debug_info", PROGBITS, 0, 0, 0, vec![0; 16]),
            Part(".rela.debug_info", RELA, 0, 4, 2, shape.rela(8, 1, 10, 2)),
            Part(".symtab", SYMTAB, 0, 5, 1, symtab),
            Part(".strtab", STRTAB, 0, 0, 0, b"\0f\0".to_vec()),
        ],
    )
}

#[test]
fn both_classes_and_orders_give_the_same_picture() {
    for shape in [LITTLE_64, BIG_32] {
        let file = relocated(shape);
        let image = Image::parse(&file).unwrap();
        assert_eq!((image.is_64, image.order), (shape.is_64, shape.order));
        assert_eq!((image.machine, image.file_type), (62, 1));
        let [symbol] = image.symbols[..] else {
            panic!("one symbol")
        };
        assert_eq!(
            (symbol.name, symbol.value, symbol.size),
            (&b"f"[..], 0x40, 8)
        );
        assert_eq!(
            (symbol.section, symbol.symbol_type, symbol.binding),
            (Some(1), 2, 1)
        );
        let section = &image.debug_info;
        assert_eq!(
            section.relocations.value(8, 7).unwrap(),
            Relocated {
                value: 0x42,
                section: Some(1)
            }
        );
        let range = section.file_range.clone().unwrap();
        assert_eq!(range.end - range.start, 16);
        assert!(image.debug_str.is_empty());
        assert_eq!(image.section_by_name(".text").unwrap().index, 1);
    }
}

#[test]
fn an_executable_keeps_its_values() {
    let file = relocated(Shape {
        file_type: 2,
        ..LITTLE_64
    });
    let image = Image::parse(&file).unwrap();
    assert!(image.debug_info.relocations.is_empty());
    assert_eq!(image.debug_info.relocations.value(8, 7).unwrap().value, 7);
}

#[test]
fn section_numbers_may_stand_in_the_null_section() {
    let mut parts: Vec<_> = (0..65_400)
        .map(|_| Part(".x", NOBITS, 0, 0, 0, Vec::new()))
        .collect();
    parts.push(Part(".debug_str", PROGBITS, 0, 0, 0, b"text\0".to_vec()));
    let file = build(
        Shape {
            is_extended: true,
            ..LITTLE_64
        },
        parts,
    );
    let image = Image::parse(&file).unwrap();
    assert_eq!(image.sections.len(), 65_403);
    assert_eq!(image.debug_str.data[..], *b"text\0");
}

#[test]
fn packed_sections_are_unpacked() {
    let text = vec![7; 5000];
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    let zlib = encoder.finish().unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
    let old = [b"ZLIB", &5000u64.to_be_bytes()[..], &zlib].concat();
    for shape in [LITTLE_64, BIG_32] {
        let file = build(
            shape,
            vec![
                Part(
                    ".debug_info",
                    PROGBITS,
                    0x800,
                    0,
                    0,
                    shape.chdr(1, 5000, &zlib),
                ),
                Part(
                    ".debug_str",
                    PROGBITS,
                    0x800,
                    0,
                    0,
                    shape.chdr(2, 5000, &zstd),
                ),
                Part(".zdebug_abbrev", PROGBITS, 0, 0, 0, old.clone()),
            ],
        );
        let image = Image::parse(&file).unwrap();
        for section in [&image.debug_info, &image.debug_str, &image.debug_abbrev] {
            assert_eq!(section.data[..], text[..], "{}", section.name);
            assert_eq!(section.file_range, None);
        }
    }
}

#[test]
fn packed_sections_that_lie_are_errors_with_their_name() {
    for (name, flags, data, expect) in [
        (
            ".debug_str",
            0x800,
            LITTLE_64.chdr(1, 1 << 60, b"x"),
            ".debug_str+0x0: size in bytes of the debug sections up to this one, when unpacked, too large: 1152921504606846976",
        ),
        (
            ".debug_str",
            0x800,
            LITTLE_64.chdr(9, 1, b"x"),
            ".debug_str+0x0: not supported: compression type 9",
        ),
        (
            ".debug_loc",
            0x800,
            LITTLE_64.chdr(1, 1, b"x"),
            ".debug_loc+0x0: cannot unpack: damaged zlib data",
        ),
        (
            ".zdebug_str",
            0,
            b"ZLIB".to_vec(),
            ".debug_str+0x0: cannot unpack",
        ),
    ] {
        let file = build(LITTLE_64, vec![Part(name, PROGBITS, flags, 0, 0, data)]);
        let error = Image::parse(&file).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{error}");
    }
}

#[test]
fn further_sections_with_units_are_kept_apart() {
    let part = |name, byte| Part(name, PROGBITS, 0, 0, 0, vec![byte]);
    let parts = vec![
        part(".debug_types", 1),
        part(".debug_info", 2),
        part(".debug_types", 3),
        part(".debug_info", 4),
        part(".debug_str", 5),
        part(".debug_str", 6),
    ];
    let file = build(LITTLE_64, parts);
    let image = Image::parse(&file).unwrap();
    assert_eq!(
        (
            image.debug_info.data[..].to_vec(),
            image.debug_types.data[0]
        ),
        (vec![2], 1)
    );
    let more: Vec<_> = image
        .more_units
        .iter()
        .map(|s| (s.name, s.data[0]))
        .collect();
    assert_eq!(more, [(".debug_types", 3), (".debug_info", 4)]);
    assert_eq!(image.debug_str.data[..], [5]);
}

#[test]
fn damaged_files_never_panic() {
    let file = relocated(BIG_32);
    for length in 0..file.len() {
        assert!(Image::parse(&file[..length]).is_err(), "{length}");
    }
    let file = relocated(LITTLE_64);
    for index in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[index] ^= 1 << bit;
            if let Ok(image) = Image::parse(&file) {
                let _ = image.debug_info.relocations.value(8, 0);
                for section in &image.sections {
                    let _ = image.section_data(section);
                }
            }
        }
    }
}
