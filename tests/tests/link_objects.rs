//! Goal: `btf-link link` makes one object of several that is right, valid ELF, and loads.
//! Method: the objects of `corpus/bpf`, of two compilers and both byte orders: bpftool links the same, the running kernel runs
//! the result, values are computed by hand; damaged objects by the thousand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use btf_core::elf::{Loaded, load};
use btf_core::validate::{Profile, check_ext};
use btf_core::{Btf, ByteOrder, Type, TypeId};
use btf_link::link::{Failure, File, Options, link};
use btf_link::program::Program;
use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, peer, run, skip};
use btf_tests::random::Random;
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

/// A name for a program that is loaded for a moment.
const PINNED: &str = "/sys/fs/bpf/btf_link_objects_test";

const FOLDERS: [&str; 4] = ["clang", "clang-eb", "gcc", "gcc-eb"];

/// Those of this machine's byte order.
const NATIVE: [&str; 2] = if cfg!(target_endian = "little") {
    ["clang", "gcc"]
} else {
    ["clang-eb", "gcc-eb"]
};

fn path(folder: &str, name: &str) -> PathBuf {
    corpus::root()
        .join("bpf")
        .join(folder)
        .join(format!("{name}.o"))
}

fn read(folder: &str, name: &str) -> File {
    File::read(&path(folder, name)).unwrap()
}

/// Links objects of the corpus.
#[track_caller]
fn linked(folder: &str, names: &[&str]) -> Vec<u8> {
    let files: Vec<_> = names.iter().map(|name| read(folder, name)).collect();
    link_files(&files, &Options::default())
}

#[track_caller]
fn link_files(files: &[File], options: &Options<'_>) -> Vec<u8> {
    match link(files, options) {
        Ok(bytes) => bytes,
        Err(failure) => panic!("{failure:?}"),
    }
}

/// What keeps objects from being linked, as lines.
#[track_caller]
fn problems(files: &[File]) -> Vec<String> {
    match link(files, &Options::default()) {
        Err(Failure::Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn in_memory(name: &str, bytes: Vec<u8>) -> File {
    File::new(name.to_owned(), bytes)
}

/// The names, values and sections of the symbols that name something.
fn symbols(bytes: &[u8]) -> BTreeMap<String, Option<u64>> {
    let file = ElfFile64::<object::Endianness>::parse(bytes).unwrap();
    let named = file.symbols().filter(object::ObjectSymbol::is_global);
    named
        .map(|symbol| {
            let value = symbol.section_index().map(|_| symbol.address());
            (symbol.name().unwrap().to_owned(), value)
        })
        .collect()
}

fn section<'d>(bytes: &'d [u8], name: &str) -> &'d [u8] {
    let file = ElfFile64::<object::Endianness>::parse(bytes).unwrap();
    file.section_by_name(name).unwrap().data().unwrap()
}

fn btf(bytes: &[u8]) -> Loaded {
    load(bytes, None).unwrap()
}

/// A section of BTF: name, size, and its variables with their offsets.
type Datasec = (String, u32, Vec<(String, u32)>);

/// The sections of BTF.
fn datasecs(btf: &Btf) -> Vec<Datasec> {
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
    let mut found = Vec::new();
    for (id, ty) in btf.types() {
        if let Type::Datasec(section) = ty {
            let entry = |e: btf_core::types::VarSecinfo| (text(btf.name(e.ty).unwrap()), e.offset);
            let entries = section.entries().map(entry).collect();
            found.push((text(btf.name(id).unwrap()), section.size, entries));
        }
    }
    found
}

#[test]
fn linking_the_output_again_changes_nothing() {
    for folder in FOLDERS {
        for names in [
            &["first"][..],
            &["first", "second"],
            &["second", "first", "tables"],
            &["unused", "user"],
            &["tables"],
            &["plain"],
        ] {
            let once = linked(folder, names);
            let again = link_files(&[in_memory("once.o", once.clone())], &Options::default());
            assert!(once == again, "{folder} {names:?}");
        }
    }
}

#[test]
fn the_running_kernel_computes_the_values() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    for folder in NATIVE {
        for (names, expect) in [
            (&["first", "second"][..], 1197),
            (&["second", "first"], 2089),
            (&["split"], 42),
        ] {
            let dir = TestDir::new();
            let object = dir.write("out.o", &linked(folder, names));
            let data = dir.write("data", &[0; 64]);
            let load = [
                "prog".as_ref(),
                "load".as_ref(),
                object.as_os_str(),
                PINNED.as_ref(),
            ];
            let _ = std::fs::remove_file(PINNED);
            let loaded = run(&bpftool, load);
            if loaded.stderr.contains("not permitted") {
                return skip("no right to load BPF programs");
            }
            let _ = loaded.success();
            let words = ["-j", "prog", "run", "pinned", PINNED, "data_in"].map(AsRef::as_ref);
            let ran = run(&bpftool, words.into_iter().chain([data.as_os_str()]));
            let _ = std::fs::remove_file(PINNED);
            let value = format!("\"retval\":{expect},");
            assert!(ran.stdout.contains(&value), "{folder} {names:?}: {ran}");
        }
    }
}

/// What bpftool prints of BTF, without ids and offsets that differ because it keeps bodies that have lost.
fn dump(bpftool: &Path, file: &Path) -> Vec<String> {
    let words = ["btf", "dump", "file"].map(AsRef::as_ref);
    let text = run(bpftool, words.into_iter().chain([file.as_os_str()]))
        .success()
        .stdout;
    let without = |line: &str| {
        let words = line.trim().split(' ').filter(|word| {
            !["type_id=", "ret_type_id=", "index_type_id=", "bits_offset="]
                .iter()
                .any(|key| word.starts_with(key))
                && !word.starts_with('[')
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<_> = text.lines().map(without).collect();
    lines.sort();
    lines
}

#[test]
fn bpftool_links_the_same() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    for folder in FOLDERS {
        // bpftool keeps the body of a weak function that has lost, and refuses tables of addresses.
        for names in [["user", "unused"], ["unused", "first"], ["user", "second"]] {
            let dir = TestDir::new();
            let ours = dir.write("ours.o", &linked(folder, &names));
            let theirs = dir.path("theirs.o");
            let inputs = names.map(|name| path(folder, name));
            let words = ["gen".into(), "object".into(), theirs.clone()];
            let _ = run(&bpftool, words.into_iter().chain(inputs)).success();
            assert_eq!(
                dump(&bpftool, &ours),
                dump(&bpftool, &theirs),
                "{folder} {names:?}"
            );
            let (ours, theirs) = (std::fs::read(ours).unwrap(), std::fs::read(theirs).unwrap());
            assert_eq!(symbols(&ours), symbols(&theirs), "{folder} {names:?}");
            for name in [".text", "tc", ".data"] {
                assert_eq!(
                    section(&ours, name),
                    section(&theirs, name),
                    "{folder} {names:?} {name}"
                );
            }
        }
    }
}

#[test]
fn elf_checkers_find_nothing() {
    let Some(elflint) = peer("eu-elflint") else {
        return;
    };
    for folder in FOLDERS {
        let dir = TestDir::new();
        let file = dir.write("out.o", &linked(folder, &["second", "first", "tables"]));
        let found = run(&elflint, ["--gnu-ld".as_ref(), file.as_os_str()]);
        // It does not know that BPF has no dynamic linker, but it knows symbol tables.
        let text = format!("{}{}", found.stdout, found.stderr);
        assert!(!text.contains("symbol"), "{folder}: {text}");
    }
}

#[test]
fn symbols_of_one_object_come_first() {
    for folder in FOLDERS {
        let bytes = linked(folder, &["first", "second"]);
        let file = ElfFile64::<object::Endianness>::parse(&bytes[..]).unwrap();
        let locals = file
            .symbols()
            .take_while(object::ObjectSymbol::is_local)
            .count();
        assert!(file.symbols().skip(locals).all(|symbol| symbol.is_global()));
        let table = file.section_by_name(".symtab").unwrap();
        // The null symbol counts, and is not told.
        assert_eq!(
            usize::try_from(table.elf_section_header().sh_info.get(file.endian())),
            Ok(locals + 1)
        );
    }
}

#[test]
fn the_body_of_a_weak_function_that_has_lost_goes() {
    for folder in FOLDERS {
        let alone =
            ["first", "second"].map(|name| section(&linked(folder, &[name]), ".text").len());
        let size_of_pick = {
            let bytes = linked(folder, &["second"]);
            let file = ElfFile64::<object::Endianness>::parse(&bytes[..]).unwrap();
            let pick = file.symbol_by_name("pick").unwrap();
            usize::try_from(pick.size()).unwrap()
        };
        let both = linked(folder, &["first", "second"]);
        assert_eq!(
            section(&both, ".text").len(),
            alone[0] + alone[1] - size_of_pick,
            "{folder}"
        );
    }
}

#[test]
fn a_type_id_in_an_instruction_is_the_types() {
    for folder in ["clang", "clang-eb"] {
        let bytes = linked(folder, &["second", "first", "ids"]);
        let Loaded { btf, .. } = btf(&bytes);
        let TypeId(id) = btf.find_by_name(b"own").next().unwrap();
        let at = usize::try_from(symbols(&bytes)["own_id"].unwrap()).unwrap();
        let word = section(&bytes, "tc")[at + 4..]
            .first_chunk()
            .copied()
            .unwrap();
        assert_eq!(btf.byte_order().u32(word), id, "{folder}");
        let ids_alone = load(&read(folder, "ids").bytes, None).unwrap().btf;
        assert_ne!(ids_alone.find_by_name(b"own").next(), Some(TypeId(id)));
    }
}

#[test]
fn tables_of_jumps_move_with_the_code() {
    for folder in ["clang", "clang-eb"] {
        let words = |bytes: &[u8]| -> Vec<u64> {
            let order = btf(bytes).btf.byte_order();
            let (words, _) = section(bytes, ".jumptables").as_chunks::<8>();
            words.iter().map(|&word| order.u64(word)).collect()
        };
        let alone = words(&linked(folder, &["jumps"]));
        assert_eq!(alone, words(&read(folder, "jumps").bytes), "{folder}");
        let moved = |by: i64| -> Vec<u64> {
            let moved = alone.iter().map(|&word| word.checked_add_signed(by));
            moved.map(Option::unwrap).collect()
        };
        let start = section(&linked(folder, &["second", "first"]), "tc").len();
        let behind = linked(folder, &["second", "first", "jumps"]);
        let expect = moved(i64::try_from(start).unwrap());
        assert_eq!(words(&behind), expect, "{folder}");
        let again = link_files(&[in_memory("again", behind)], &Options::default());
        assert_eq!(words(&again), expect, "{folder}");
        let mut damaged = read(folder, "jumps").bytes;
        let table = section(&damaged, ".jumptables").to_vec();
        let at = damaged.windows(table.len()).position(|part| part == table);
        damaged[at.unwrap()..][..8].fill(0x7f);
        let said = problems(&[in_memory("damaged.o", damaged)]);
        assert_eq!(
            said,
            ["the table of jumps `BPF.JT.1.0` leads out of the code: damaged.o"],
            "{folder}"
        );
    }
}

#[test]
fn tables_of_addresses_move_with_their_data() {
    for folder in FOLDERS {
        let bytes = linked(folder, &["second", "tables"]);
        let Loaded { btf, .. } = btf(&bytes);
        let data = section(&bytes, ".data");
        let order = btf.byte_order();
        let (addresses, _) = section(&bytes, ".data.table").as_chunks::<8>();
        let values = addresses.iter().map(|&address| {
            let at = usize::try_from(order.u64(address)).unwrap();
            order.u32(data[at..].first_chunk().copied().unwrap())
        });
        assert_eq!(values.collect::<Vec<_>>(), [2, 3, 1], "{folder}");
    }
}

/// An archive as `ar` writes it, with short names.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let name = format!("{name}/");
        out.extend(
            format!(
                "{name:16}{:12}{:6}{:6}{:8}{:<10}`\n",
                0,
                0,
                0,
                644,
                bytes.len()
            )
            .bytes(),
        );
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

#[test]
fn of_archives_only_what_is_needed_is_taken() {
    for folder in FOLDERS {
        let [unused, disagrees, user] =
            ["unused", "disagrees", "user"].map(|name| read(folder, name));
        let library = archive(&[
            ("disagrees.o", &disagrees.bytes),
            ("notes.txt", b"no object"),
            ("unused.o", &unused.bytes),
        ]);
        // Whichever stands first.
        for swap in [false, true] {
            let mut files = vec![read(folder, "user"), in_memory("lib.a", library.clone())];
            if swap {
                files.reverse();
            }
            let bytes = link_files(&files, &Options::default());
            let expect = link_files(
                &[read(folder, "user"), read(folder, "unused")],
                &Options::default(),
            );
            assert!(bytes == expect, "{folder}");
        }
        let alone = link_files(
            &[user, in_memory("lib.a", archive(&[]))],
            &Options::default(),
        );
        assert_eq!(symbols(&alone)["used"], None);
    }
}

#[test]
fn an_archive_that_is_cut_off_is_refused_wherever_that_is() {
    let unused = read("clang", "unused");
    // The first is a table of symbols, which may be empty.
    let members: [(&str, &[u8]); 2] = [("", &[0; 4]), ("unused.o", &unused.bytes)];
    let whole = archive(&members);
    let second = archive(&members[..1]).len();
    link_files(
        &[read("clang", "user"), in_memory("lib.a", whole.clone())],
        &Options::default(),
    );
    for len in (9..whole.len()).filter(|&len| len != second) {
        let files = [
            read("clang", "user"),
            in_memory("lib.a", whole[..len].to_vec()),
        ];
        let Err(Failure::Unreadable(errors)) = link(&files, &Options::default()) else {
            panic!("{len}: it is taken");
        };
        let problem = errors[0].1.to_string();
        let start = if len < second { 8 } else { second };
        let expect = format!("damaged archive of {len} bytes: expected ");
        assert!(problem.contains(&expect), "{len}: {problem}");
        assert!(problem.ends_with(&format!(" at {start:#x}")), "{problem}");
    }
}

#[test]
fn members_of_thin_archives_are_files_beside_them() {
    let dir = TestDir::new();
    dir.write("unused.o", &read("clang", "unused").bytes);
    let mut thin = b"!<thin>\n".to_vec();
    let size = read("clang", "unused").bytes.len();
    thin.extend(
        format!(
            "{:16}{:12}{:6}{:6}{:8}{size:<10}`\n",
            "unused.o/", 0, 0, 0, 644
        )
        .bytes(),
    );
    let library = File::read(&dir.write("lib.a", &thin)).unwrap();
    let bytes = link_files(&[read("clang", "user"), library], &Options::default());
    assert!(bytes == linked("clang", &["user", "unused"]));
}

/// The object with its relocations as `SHT_RELA`: addends are in them, and what is in the fields does not count.
fn with_addends(bytes: &[u8], order: ByteOrder) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let word = |out: &[u8], at: usize| order.u32(out[at..].first_chunk().copied().unwrap());
    let long = |out: &[u8], at: usize| order.u64(out[at..].first_chunk().copied().unwrap());
    let put = |out: &mut Vec<u8>, at: usize, value: u64| {
        let mut bytes = value.to_le_bytes();
        if order == ByteOrder::Big {
            bytes.reverse();
        }
        out[at..at + 8].copy_from_slice(&bytes);
    };
    let start = |value: u64| usize::try_from(value).unwrap();
    let table = start(long(bytes, 40));
    let headers = (bytes.len() - table) / 64;
    for header in (0..headers).map(|index| table + 64 * index) {
        if word(bytes, header + 4) != 9 {
            continue;
        }
        let target = table + 64 * start(word(bytes, header + 44).into());
        let is_code = long(bytes, target + 8) & 4 != 0;
        let contents = start(long(bytes, target + 24));
        let (from, size) = (
            start(long(bytes, header + 24)),
            start(long(bytes, header + 32)),
        );
        let new = out.len();
        for entry in (from..from + size).step_by(16) {
            let at = contents + start(long(bytes, entry));
            let imm = |at| i64::from(word(bytes, at).cast_signed());
            let (addend, field) = match (is_code, bytes[at]) {
                (true, 0x85) => (8 * (imm(at + 4) + 1), at + 4),
                (true, _) => (imm(at + 4), at + 4),
                (false, _) => (long(bytes, at).cast_signed(), at),
            };
            let len = out.len();
            out.extend_from_slice(&bytes[entry..entry + 16]);
            out.extend([0; 8]);
            put(&mut out, len + 16, addend.cast_unsigned());
            out[field..field + 4].copy_from_slice(&[0x55; 4]);
        }
        out[header + 4..header + 8].copy_from_slice(&order.u32_bytes(4));
        let size = (out.len() - new) as u64;
        put(&mut out, header + 24, new as u64);
        put(&mut out, header + 32, size);
        put(&mut out, header + 56, 24);
    }
    out
}

#[test]
fn relocations_may_have_addends() {
    for folder in FOLDERS {
        let plain = linked(folder, &["second", "first", "tables"]);
        let order = btf(&plain).btf.byte_order();
        let object = in_memory("addends.o", with_addends(&plain, order));
        let bytes = link_files(&[object], &Options::default());
        // The kinds and places of relocations are the same, and so is what the fields hold.
        assert!(bytes == plain, "{folder}");
    }
}

#[test]
fn functions_with_sections_of_their_own_are_in_one() {
    for folder in FOLDERS {
        let bytes = linked(folder, &["split"]);
        let file = ElfFile64::<object::Endianness>::parse(&bytes[..]).unwrap();
        let names = file
            .sections()
            .map(|section| section.name().unwrap().to_owned());
        assert_eq!(
            names.filter(|name| name.starts_with(".text")).count(),
            1,
            "{folder}"
        );
        let gc = Options {
            gc: Some(&[]),
            ..Options::default()
        };
        let bytes = link_files(&[read(folder, "split")], &gc);
        assert!(
            symbols(&bytes).keys().eq(["LICENSE", "outer", "split"]),
            "{folder}"
        );
    }
}

#[test]
fn what_no_program_reaches_goes_if_wanted() {
    for folder in FOLDERS {
        let files = [read(folder, "user"), read(folder, "unused")];
        let gc = Options {
            gc: Some(&[]),
            ..Options::default()
        };
        let bytes = link_files(&files, &gc);
        assert!(
            symbols(&bytes).keys().eq(["LICENSE", "used", "user"]),
            "{folder}"
        );
        assert_eq!(section(&bytes, ".data").len(), 4, "{folder}");
        let Loaded { btf, .. } = btf(&bytes);
        for name in [&b"big"[..], b"unused", b"unresolved"] {
            assert_eq!(btf.find_by_name(name).count(), 0, "{folder}");
        }
        let small = (".data".to_owned(), 4, vec![("small".to_owned(), 0)]);
        assert!(datasecs(&btf).contains(&small), "{folder}");
        let ext = section(&bytes, ".BTF.ext");
        assert_eq!(check_ext(ext, &btf, Profile::User.into()), []);
        let keep = ["un?sed"].map(|text| btf_core::cli::pattern::Pattern::parse(text).unwrap());
        let kept = link_files(
            &files,
            &Options {
                gc: Some(&keep),
                ..Options::default()
            },
        );
        assert!(symbols(&kept).contains_key("big"), "{folder}");
        let again = link_files(&[in_memory("once.o", bytes.clone())], &gc);
        assert!(bytes == again, "{folder}");
    }
}

#[test]
fn the_map_of_an_arena_stays_with_its_data() {
    for folder in ["clang", "clang-eb"] {
        let gc = Options {
            gc: Some(&[]),
            ..Options::default()
        };
        let bytes = link_files(&[read(folder, "arena")], &gc);
        assert!(
            symbols(&bytes)
                .keys()
                .eq(["LICENSE", "arena", "counter", "in_arena"]),
            "{folder}"
        );
    }
}

/// The kernel wants to know all functions of a program, or none.
#[test]
fn code_without_btf_is_refused_beside_other_that_has_it() {
    for folder in FOLDERS {
        let [user, mut plain] = ["user", "plain"].map(|name| read(folder, name));
        plain.name = "plain.o".to_owned();
        let plain_alone = read(folder, "plain");
        assert!(symbols(&link_files(&[plain_alone], &Options::default()))["used"].is_some());
        assert_eq!(
            problems(&[user, plain]),
            [
                "code without BTF, which other objects have; compile it with `-g`, or gcc's `-gbtf`: plain.o"
            ]
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_with_both_places() {
    let files = ["first", "second", "disagrees"].map(|name| {
        let mut file = read("clang", name);
        file.name = format!("{name}.o");
        file
    });
    assert_eq!(
        problems(&files),
        [
            "section `license` must be the same in all objects, and is `GPL` and `MIT`: first.o and disagrees.o",
            "`twice` is defined twice: first.o (./first.c:23) and disagrees.o (./disagrees.c:17)",
            "`first` is defined twice: first.o (./first.c:27) and disagrees.o (./disagrees.c:17)",
            "`counts` is defined twice: second.o and disagrees.o",
            "`counts` is declared in different ways: `type` is 2 and 1: second.o and disagrees.o",
            "`scale` is declared in different ways: 1 parameters are not 2: second.o (./second.c:22) and disagrees.o",
            "`origin` is declared in different ways: struct point is not struct origin: second.o and disagrees.o",
        ]
    );
    let mixed = problems(&[read("clang", "first"), read("clang-eb", "second")]);
    assert!(
        mixed[0].starts_with("objects of different byte orders: "),
        "{mixed:?}"
    );
}

fn program(words: &[&Path]) -> Outcome {
    run(&ours("btf-link"), words)
}

#[test]
fn the_program_writes_all_or_nothing() {
    let dir = TestDir::new();
    let (out, old) = (dir.path("out.o"), dir.write("old.o", b"old"));
    let [first, second, disagrees] =
        ["first", "second", "disagrees"].map(|name| path("clang", name));
    let link = Path::new("link");
    let _ = program(&[link, &first, &second, Path::new("-o"), &out]).success();
    assert_eq!(
        std::fs::read(&out).unwrap(),
        linked("clang", &["first", "second"])
    );
    let same = dir.path("same.o");
    let _ = program(&[
        Path::new("gen"),
        Path::new("object"),
        &same,
        &first,
        &second,
    ])
    .success();
    assert_eq!(std::fs::read(&same).unwrap(), std::fs::read(&out).unwrap());
    let failed = program(&[link, &first, &disagrees, Path::new("-o"), &old]);
    assert_eq!(failed.status, Some(1), "{failed}");
    let bad = dir.write("bad.o", b"\x7fELF bad");
    let failed = program(&[link, &first, &bad, Path::new("-o"), &old]);
    assert_eq!(failed.status, Some(2), "{failed}");
    assert!(
        failed
            .stderr
            .contains("bad.o: damaged ELF file of 8 bytes: expected an ELF header at 0x0: "),
        "{failed}"
    );
    assert_eq!(std::fs::read(&old).unwrap(), b"old");
    assert_eq!(dir.names(), ["bad.o", "old.o", "out.o", "same.o"]);
}

/// The object with copies of the header of a section, changed, behind its section headers.
fn with_copies(
    bytes: &[u8],
    name: &str,
    count: u16,
    change: impl Fn(&mut [u8], ByteOrder),
) -> Vec<u8> {
    let file = ElfFile64::<object::Endianness>::parse(bytes).unwrap();
    let index = file.section_by_name(name).unwrap().index().0;
    let order = btf(bytes).btf.byte_order();
    let start = usize::try_from(order.u64(*bytes[40..].first_chunk().unwrap())).unwrap();
    let headers = order.u16(*bytes[60..].first_chunk().unwrap());
    let table = &bytes[start..][..usize::from(headers) * 64];
    let mut copy = table[index * 64..][..64].to_vec();
    change(&mut copy, order);
    let mut out = bytes.to_vec();
    out.resize(out.len().next_multiple_of(8), 0);
    let mut at = (out.len() as u64).to_le_bytes();
    if order == ByteOrder::Big {
        at.reverse();
    }
    out.extend_from_slice(table);
    out.extend(copy.repeat(count.into()));
    out[40..48].copy_from_slice(&at);
    out[60..62].copy_from_slice(&order.u16_bytes(headers + count));
    out
}

#[test]
fn small_files_do_not_become_large() {
    for folder in FOLDERS {
        let object = read(folder, "second").bytes;
        let zeros = with_copies(&object, ".data", 1, |header, order| {
            header[4..8].copy_from_slice(&order.u32_bytes(8));
            let at = if order == ByteOrder::Little { 32 } else { 36 };
            header[at..at + 4].copy_from_slice(&order.u32_bytes(1 << 30));
        });
        let said = problems(&[in_memory("zeros.o", zeros)]);
        let expect = "section `.data` would be written with too many zeros: ";
        assert!(said[0].starts_with(expect), "{folder}: {said:?}");

        let overlaps = with_copies(&object, "tc", 20_000, |_, _| {});
        let error = Program::parse(&overlaps).unwrap_err().to_string();
        assert!(error.contains("sections overlap"), "{folder}: {error}");
        let Err(Failure::Unreadable(errors)) =
            link(&[in_memory("overlaps.o", overlaps)], &Options::default())
        else {
            panic!("{folder}: this was linked");
        };
        assert!(errors[0].1.to_string().contains("overlaps others"));
    }
}

#[test]
fn damaged_objects_are_refused_or_linked() {
    let mut random = Random::new(7);
    let mut linked = 0;
    for folder in FOLDERS {
        for _ in 0..800 {
            let mut files = vec![read(folder, "first"), read(folder, "second")];
            let names = ["first", "second", "unused", "tables", "disagrees"];
            let victim = read(folder, names[random.below(5)]);
            files[random.below(2)].bytes = random.damage(&victim.bytes);
            let gc = Options {
                gc: Some(&[]),
                ..Options::default()
            };
            for options in [Options::default(), gc] {
                if let Ok(bytes) = link(&files, &options) {
                    linked += 1;
                    let again = link(&[in_memory("once.o", bytes)], &options);
                    assert!(!matches!(again, Err(Failure::Impossible(_))), "{again:?}");
                }
            }
        }
    }
    assert!(linked > 100, "{linked}");
}

#[test]
fn a_pattern_to_keep_that_matches_nothing_is_warned_of() {
    let dir = TestDir::new();
    let (object, out) = (path("clang", "user"), dir.path("out.o"));
    let other = path("clang", "unused");
    let words = [
        "link", "--gc", "--keep", "un?sed", "--keep", "nothing", "-o",
    ]
    .map(Path::new);
    let [words @ .., o] = words;
    let files = [&*object, &other, o, &out];
    let outcome = program(&[&words[..], &files].concat()).success();
    assert!(
        outcome.stderr.contains("no symbol is called `nothing`"),
        "{outcome}"
    );
    assert!(!outcome.stderr.contains("un?sed"), "{outcome}");
}
