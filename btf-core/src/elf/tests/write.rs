//! Adding and replacing sections: random files of every class, order and type, read again by `object` alone.

use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, ReadRef};

use super::super::headers::{Entry, Format};
use super::super::{NewSection, put_sections};
use super::*;

const ET_REL: u16 = 1;
const ET_DYN: u16 = 3;
const SHF_ALLOC: u64 = 2;
const SHF_COMPRESSED: u64 = 0x800;
const SHT_STRTAB: u32 = 3;
const SHT_RELA: u32 = 4;

/// A file to be made: its sections follow each other in this order, and each header tells what it says.
struct Make {
    format: Format,
    file_type: u16,
    sections: Vec<Part>,
    /// The index in `sections`, from 1 as in the file, of the names.
    names: usize,
    /// Whether the section headers stand in front of the sections.
    table_first: bool,
    segments: Vec<(u64, u64)>,
    tail: Vec<u8>,
}

#[derive(Clone)]
struct Part {
    name: &'static str,
    kind: u32,
    flags: u64,
    /// How far the contents are from the end of those before.
    gap: usize,
    bytes: Vec<u8>,
    info: u32,
}

fn part(name: &'static str, bytes: &[u8]) -> Part {
    Part {
        name,
        kind: PROGBITS,
        flags: 0,
        gap: 0,
        bytes: bytes.to_vec(),
        info: 0,
    }
}

const NAMES: &str = ".shstrtab";

impl Make {
    /// A file with these sections and the names behind them.
    fn new(format: Format, file_type: u16, mut sections: Vec<Part>) -> Self {
        sections.push(part(NAMES, b""));
        Self {
            format,
            file_type,
            names: sections.len(),
            sections,
            table_first: false,
            segments: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// The file header and the program headers.
    fn header(&self, table: usize, count: usize) -> Vec<u8> {
        let Format { is_64, order } = self.format;
        let (header_len, program_len) = if is_64 { (64, 56) } else { (52, 32) };
        let entry_len = usize::try_from(self.format.entry_len()).unwrap();
        let is_escaped = count >= 0xff00;
        let mut header = b"\x7fELF".to_vec();
        let order_byte = if order == ByteOrder::Little { 1 } else { 2 };
        header.extend([if is_64 { 2 } else { 1 }, order_byte, 1]);
        header.resize(16, 0);
        let elf = Elf {
            is_64,
            order,
            sections: &[],
        };
        elf.half(&mut header, self.file_type);
        elf.half(&mut header, 62);
        elf.word(&mut header, 1);
        let program_at = if self.segments.is_empty() {
            0
        } else {
            header_len
        };
        for value in [0x40_0000, program_at, table] {
            elf.wide(&mut header, value);
        }
        elf.word(&mut header, 0);
        let short = |value: usize, escape: u16| {
            if is_escaped {
                escape
            } else {
                u16::try_from(value).unwrap()
            }
        };
        let halves = [
            u16::try_from(header_len).unwrap(),
            u16::try_from(program_len).unwrap(),
            u16::try_from(self.segments.len()).unwrap(),
            u16::try_from(entry_len).unwrap(),
            short(count, 0),
            short(self.names, 0xffff),
        ];
        for value in halves {
            elf.half(&mut header, value);
        }
        for &(offset, size) in &self.segments {
            let (offset, size) = (
                usize::try_from(offset).unwrap(),
                usize::try_from(size).unwrap(),
            );
            elf.word(&mut header, 1);
            if is_64 {
                elf.word(&mut header, 5);
            }
            for value in [offset, 0, 0, size, size] {
                elf.wide(&mut header, value);
            }
            if !is_64 {
                elf.word(&mut header, 5);
            }
            elf.wide(&mut header, 1);
        }
        header
    }

    fn bytes(&self) -> Vec<u8> {
        let (header_len, program_len) = if self.format.is_64 {
            (64, 56)
        } else {
            (52, 32)
        };
        let entry_len = usize::try_from(self.format.entry_len()).unwrap();
        let mut strings = vec![0];
        let mut entries = vec![Entry::default()];
        for part in &self.sections {
            entries.push(Entry {
                name: u32::try_from(strings.len()).unwrap(),
                kind: part.kind,
                flags: part.flags,
                info: part.info,
                align: 1,
                ..Entry::default()
            });
            strings.extend(part.name.bytes().chain([0]));
        }
        let mut body = vec![0; header_len + program_len * self.segments.len()];
        let count = entries.len();
        let mut table = body.len().next_multiple_of(8);
        if self.table_first {
            body.resize(table + count * entry_len, 0);
        }
        for (index, part) in self.sections.iter().enumerate() {
            body.resize(body.len() + part.gap, 0);
            let is_names = index + 1 == self.names;
            let bytes = if is_names { &strings } else { &part.bytes };
            let entry = &mut entries[index + 1];
            entry.offset = body.len() as u64;
            entry.size = bytes.len() as u64;
            if is_names {
                entry.kind = SHT_STRTAB;
            }
            if part.kind != NOBITS {
                body.extend(bytes);
            }
        }
        if !self.table_first {
            table = body.len().next_multiple_of(8);
            body.resize(table + count * entry_len, 0);
        }
        if count >= 0xff00 {
            entries[0].size = count as u64;
            entries[0].link = u32::try_from(self.names).unwrap();
        }
        for (index, entry) in entries.iter().enumerate() {
            let encoded = self.format.encode(entry);
            body[table + index * entry_len..][..entry_len].copy_from_slice(&encoded);
        }
        let header = self.header(table, count);
        body[..header.len()].copy_from_slice(&header);
        body.extend(&self.tail);
        body
    }
}

/// A section as `object` reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    entry: Entry,
    data: Vec<u8>,
}

/// All that a file says: the program headers with the rest of the file header, and the sections.
fn read(file: &[u8]) -> (Vec<u8>, Vec<Seen>) {
    if file[4] == 2 {
        read_class::<FileHeader64<Endianness>>(file)
    } else {
        read_class::<FileHeader32<Endianness>>(file)
    }
}

fn read_class<Elf: FileHeader<Endian = Endianness>>(file: &[u8]) -> (Vec<u8>, Vec<Seen>) {
    let header = Elf::parse(file).unwrap();
    let endian = header.endian().unwrap();
    let table = header.sections(endian, file).unwrap();
    let place: u64 = header.e_shoff(endian).into();
    let table_len = table.len() as u64 * u64::from(header.e_shentsize(endian));
    assert!(place + table_len <= file.len() as u64);
    let mut fixed = file[..if header.is_class_64() { 64 } else { 52 }].to_vec();
    let fields = if header.is_class_64() {
        [40..48, 60..62]
    } else {
        [32..36, 48..50]
    };
    for field in fields {
        fixed[field].fill(0);
    }
    let start: u64 = header.e_phoff(endian).into();
    let len = u64::from(header.e_phnum(endian)) * u64::from(header.e_phentsize(endian));
    fixed.extend(file.read_bytes_at(start, len).unwrap());
    let sections = table.iter().map(|section| {
        let name = table.section_name(endian, section).unwrap();
        let entry = Entry {
            name: 0,
            kind: section.sh_type(endian).0,
            flags: section.sh_flags(endian).0,
            addr: section.sh_addr(endian).into(),
            offset: section.sh_offset(endian).into(),
            size: section.sh_size(endian).into(),
            link: section.sh_link(endian),
            info: section.sh_info(endian),
            align: section.sh_addralign(endian).into(),
            entsize: section.sh_entsize(endian).into(),
        };
        if let Some(extent) = entry.extent() {
            assert!(
                extent.end <= place || extent.start >= place + table_len,
                "in the table"
            );
        }
        Seen {
            name: String::from_utf8(name.to_vec()).unwrap(),
            entry,
            data: section.data(endian, file).unwrap().to_vec(),
        }
    });
    (fixed, sections.collect())
}

/// Puts the sections, checks all that must hold, and returns the new file.
#[track_caller]
fn check(file: &[u8], new: &[NewSection<'_>]) -> Vec<u8> {
    let plan = put_sections(file, new).unwrap();
    let bytes = plan.to_vec();
    assert_eq!(bytes.len() as u64, plan.len_bytes());
    let ((old_headers, before), (new_headers, after)) = (read(file), read(&bytes));
    assert_eq!(old_headers, new_headers);
    assert!(after.len() >= before.len());

    let wanted = |name: &str| new.iter().find(|section| section.name == name);
    let mut replaced = Vec::new();
    for (index, (old, seen)) in before.iter().zip(&after).enumerate() {
        assert_eq!(old.name, seen.name);
        if wanted(&old.name).is_some() && !replaced.contains(&old.name) && index > 0 {
            replaced.push(old.name.clone());
        } else if old.name == NAMES {
            assert!(seen.data.starts_with(&old.data));
        } else if index > 0 {
            assert_eq!(old, seen);
        }
    }
    for section in new {
        let seen: Vec<_> = after
            .iter()
            .filter(|seen| seen.name == section.name)
            .collect();
        assert_eq!(seen[0].data, section.bytes, "{}", section.name);
        assert_eq!(seen[0].entry.kind, PROGBITS);
        let is_fixed = seen[0].entry.flags & SHF_ALLOC != 0;
        assert!(is_fixed || seen[0].entry.offset % 8 == 0 && seen[0].entry.align >= 8);
        assert_eq!(seen[0].entry.flags & SHF_COMPRESSED, 0);
    }
    // No two sections share a byte, if none did before.
    let mut extents: Vec<_> = after
        .iter()
        .filter_map(|seen| seen.entry.extent())
        .collect();
    extents.sort_by_key(|extent| extent.start);
    assert!(extents.windows(2).all(|pair| pair[0].end <= pair[1].start));
    let again = put_sections(&bytes, new).unwrap().to_vec();
    assert_eq!(again, bytes, "again");
    bytes
}

fn new<'a>(name: &'a str, bytes: &'a [u8]) -> NewSection<'a> {
    NewSection { name, bytes }
}

fn formats() -> impl Iterator<Item = Format> {
    let classes = [true, false].into_iter();
    classes.flat_map(|is_64| ORDERS.map(|order| Format { is_64, order }))
}

const X86: Format = Format {
    is_64: true,
    order: ByteOrder::Little,
};

#[test]
fn random_files() {
    let mut random = Random(17);
    for round in 0..6000 {
        let format = Format {
            is_64: random.below(2) == 0,
            order: ORDERS[random.below(2) as usize],
        };
        let random_bytes = |random: &mut Random, end: u32| {
            let len = random.below(end);
            (0..len)
                .map(|_| random.next().to_le_bytes()[0] | 1)
                .collect::<Vec<_>>()
        };
        let names = [".text", ".BTF", ".BTF.base", ".data", "x.BTF", ".bss"];
        let mut sections: Vec<_> = (0..random.below(6))
            .map(|_| Part {
                gap: if random.below(3) == 0 {
                    random.below(9) as usize
                } else {
                    0
                },
                bytes: random_bytes(&mut random, 40),
                flags: if random.below(4) == 0 { 0x830 } else { 0 },
                kind: [PROGBITS, NOBITS, SHT_STRTAB][random.below(5).min(2) as usize],
                ..part(names[random.below(6) as usize], b"")
            })
            .collect();
        // The file type of a core is as good as any.
        let mut make = Make::new(format, u16::try_from(random.below(5)).unwrap(), Vec::new());
        let at = random.below(u32::try_from(sections.len()).unwrap() + 1) as usize;
        for section in &mut sections {
            if section.kind == NOBITS && section.name != ".bss" {
                section.kind = PROGBITS;
            }
        }
        sections.insert(at, part(NAMES, b""));
        make.sections = sections;
        make.names = at + 1;
        make.table_first = random.below(3) == 0;
        if random.below(3) == 0 {
            make.tail = random_bytes(&mut random, 30);
        }
        if random.below(3) == 0 {
            make.segments
                .push((u64::from(random.below(100)), u64::from(random.below(60))));
        }
        let file = make.bytes();
        // An empty section has no place that a second run could find again.
        let contents = |random: &mut Random| [random_bytes(random, 60), vec![1]].concat();
        let (btf, base) = (contents(&mut random), contents(&mut random));
        let both = [new(".BTF", &btf), new(".BTF.base", &base)];
        let bytes = check(&file, &both[..=round % 2]);
        check(&bytes, &[new(".BTF", &base), new(".BTF.ids", b"1")]);
    }
}

#[test]
fn the_usual_file_has_no_hole() {
    for format in formats() {
        let make = Make::new(format, ET_REL, vec![part(".text", &[1; 13])]);
        let file = make.bytes();
        let btf = [2; 24];
        let bytes = check(&file, &[new(".BTF", &btf)]);
        // The names grow by five bytes; the table by an entry.
        let padding = 24;
        let most = file.len() + btf.len() + 5 + 64 + padding;
        assert!(bytes.len() <= most, "{} {most}", bytes.len());
        // What was written the last time goes, and with it nothing is left but the new contents.
        let longer = check(&bytes, &[new(".BTF", &[3; 124])]);
        assert!(longer.len() <= bytes.len() + 100 + 8);
        assert_eq!(check(&longer, &[new(".BTF", &btf)]), bytes);
    }
}

#[test]
fn a_section_in_the_middle_keeps_its_place_if_it_can() {
    for format in formats() {
        let sections = vec![part(".BTF", &[1; 40]), part(".text", &[2; 8])];
        let file = Make::new(format, ET_REL, sections).bytes();
        let place = |bytes: &[u8]| read(bytes).1[1].entry.offset;
        let shorter = check(&file, &[new(".BTF", &[3; 30])]);
        assert_eq!(place(&shorter), place(&file).next_multiple_of(8));
        assert_eq!(shorter.len(), file.len());
        let longer = check(&file, &[new(".BTF", &[3; 41])]);
        assert!(place(&longer) > place(&file));
    }
}

#[test]
fn the_tail_stays_but_for_a_signature() {
    let mut make = Make::new(X86, ET_REL, vec![part(".text", &[1; 16])]);
    make.tail = b"appended".to_vec();
    let file = make.bytes();
    let bytes = check(&file, &[new(".BTF", &[2; 8])]);
    assert_eq!(bytes[file.len() - 8..file.len()], make.tail);
    assert!(!put_sections(&file, &[]).unwrap().drops_signature());

    make.tail = vec![0x30; 3];
    make.tail.extend([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    make.tail.extend(b"~Module signature appended~\n");
    let file = make.bytes();
    let plan = put_sections(&file, &[new(".BTF", &[2; 8])]).unwrap();
    assert!(plan.drops_signature());
    let without = file.len() - make.tail.len();
    assert_eq!(
        check(&file, &[new(".BTF", &[2; 8])]),
        check(&file[..without], &[new(".BTF", &[2; 8])])
    );
}

#[test]
fn more_sections_than_the_header_can_count() {
    for (count, format) in (65_277..65_281).zip(formats()) {
        let sections = (0..count).map(|_| part(".s", b"x")).collect();
        let file = Make::new(format, ET_REL, sections).bytes();
        let bytes = check(&file, &[new(".BTF", &[1; 32]), new(".BTF.base", &[2; 9])]);
        let (_, seen) = read(&bytes);
        assert_eq!(seen.len(), count + 4);
        let is_escaped = seen.len() >= 0xff00;
        assert_eq!(
            seen[0].entry.size,
            if is_escaped { seen.len() as u64 } else { 0 }
        );
    }
}

#[test]
fn the_memory_image_stays() {
    for format in formats() {
        let in_image = |name, bytes: &[u8]| Part {
            flags: SHF_ALLOC,
            ..part(name, bytes)
        };
        let sections = vec![
            in_image(".text", &[1; 32]),
            in_image(".BTF", &[2; 33]),
            in_image(".data", &[3; 32]),
        ];
        let mut make = Make::new(format, ET_DYN, sections);
        make.segments = vec![(0, 200)];
        let file = make.bytes();
        for len in [33, 20, 0] {
            let bytes = check(&file, &[new(".BTF", &vec![4; len])]);
            assert_eq!(bytes.len(), file.len());
            let (before, after) = (&read(&file).1[2].entry, &read(&bytes).1[2].entry);
            assert_eq!(before.offset, after.offset);
        }
        let error = put_sections(&file, &[new(".BTF", &[4; 34])]).unwrap_err();
        assert!(error.to_string().ends_with(
            "section 2 `.BTF`: is part of the memory image with room for 33 bytes, and 34 are needed"
        ));
        // A section without bytes has no place in the image, so it may leave it.
        make.sections[1].bytes.clear();
        let file = make.bytes();
        check(&file, &[new(".BTF", &[])]);
        let bytes = check(&file, &[new(".BTF", &[4; 34])]);
        let entry = read(&bytes).1[2].entry;
        assert_eq!((entry.flags, entry.addr), (0, 0));
        make.sections[1].bytes = vec![2; 33];
        // An object file has no image yet.
        let file = Make {
            file_type: ET_REL,
            segments: Vec::new(),
            ..make
        }
        .bytes();
        check(&file, &[new(".BTF", &[4; 34])]);
    }
}

#[test]
fn names_shared_with_symbols_are_found_in_longer_ones() {
    let sections = vec![part("my.BTF", b""), part(".text", &[1; 9])];
    let file = Make::new(X86, ET_REL, sections).bytes();
    let bytes = check(&file, &[new(".BTF", &[2; 8])]);
    let names = |bytes: &[u8]| {
        read(bytes)
            .1
            .into_iter()
            .find(|seen| seen.name == NAMES)
            .unwrap()
    };
    assert_eq!(names(&bytes).data, names(&file).data);
}

#[test]
fn what_cannot_be_done_is_told_with_its_place() {
    #[track_caller]
    fn fails(file: &[u8], sections: &[NewSection<'_>], expect: &str) {
        let error = put_sections(file, sections).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    let btf = [new(".BTF", &[1; 8])];
    let text = || part(".text", &[1; 16]);
    let good = Make::new(X86, ET_REL, vec![text(), part(".BTF", b"old")]);
    fails(b"\x7fELF\x07", &btf, "unknown ELF class: 7");
    let table = u64::from_le_bytes(*good.bytes()[40..].first_chunk().unwrap());
    fails(
        &good.bytes()[..80],
        &btf,
        &format!("damaged ELF file of 80 bytes: expected section headers at {table:#x}"),
    );
    fails(
        &good.bytes(),
        &[btf[0], btf[0]],
        "section `.BTF` is given twice",
    );
    fails(&good.bytes(), &[new("", b"")], "not a section's name: ``");
    let names = "section headers+0xc0: section 3 `.shstrtab`: ";
    let text_of = |what: &str| format!("{names}{what}");
    let expect = text_of("holds the names of the sections and cannot get other contents");
    fails(&good.bytes(), &[new(NAMES, b"x")], &expect);

    let relocations = Part {
        kind: SHT_RELA,
        info: 2,
        ..part(".rela.BTF", &[0; 24])
    };
    let file = Make::new(X86, ET_REL, vec![text(), part(".BTF", b"old"), relocations]).bytes();
    let expect = "section headers+0xc0: section 3 `.rela.BTF`: relocates `.BTF`, which cannot get other contents therefore";
    fails(&file, &btf, expect);

    let mut make = Make::new(X86, ET_DYN, vec![text()]);
    make.sections[1].flags = SHF_ALLOC;
    let expect = "section headers+0x80: section 2 `.shstrtab`: is part of the memory image, so that no name can be added";
    fails(&make.bytes(), &btf, expect);

    let mut file = good.bytes();
    let table = usize::try_from(u64::from_le_bytes(file[40..48].try_into().unwrap())).unwrap();
    file[table + 64 + 32] = 0xff;
    file[table + 64 + 33] = 0xff;
    let expect = "section headers+0x40: section 1 `.text`: 0xffff bytes from 0x40 are not in the file, which has 0x170";
    fails(&file, &btf, expect);
    file[table + 64 * 3 + 4] = 1;
    file[table + 64 + 33] = 0;
    fails(
        &good.bytes()[..0],
        &btf,
        "the file ends before the ELF class",
    );
}

#[test]
fn damaged_files_do_not_panic() {
    let mut random = Random(5);
    for round in 0..20_000 {
        let format = formats().nth(round % 4).unwrap();
        let sections = vec![
            part(".text", &[1; 13]),
            part(".BTF", &[2; 30]),
            part(".z", &[3; 9]),
        ];
        let mut make = Make::new(
            format,
            if round % 3 == 0 { ET_DYN } else { ET_REL },
            sections,
        );
        make.segments = vec![(64, 40)];
        make.table_first = round % 2 == 0;
        let mut bytes = make.bytes();
        let len = u32::try_from(bytes.len()).unwrap();
        for _ in 0..=random.below(3) {
            bytes[random.below(len) as usize] ^= 1 << random.below(8);
        }
        bytes.truncate(random.below(2 * len) as usize);
        if let Ok(plan) = put_sections(&bytes, &[new(".BTF", &[7; 20]), new(".BTF.base", &[8; 20])])
        {
            assert_eq!(plan.to_vec().len() as u64, plan.len_bytes());
        }
    }
}
