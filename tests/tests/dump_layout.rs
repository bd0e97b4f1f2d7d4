//! Goal: `btf-dump layout` tells where members lie as compilers place them, in pahole's words.
//! Method: the text of every structure of whole kernels beside pahole's, with the reason for each that differs; offsets and
//! sizes of C beside those that gcc computes; reordered structures compiled by gcc to the sizes that are told; BTF made to
//! never end; the program's answers and exit status.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use btf_core::builder::{Builder, MemberSpec, WriteOptions};
use btf_core::wire::{ByteOrder, int};
use btf_core::{Btf, Kind, TypeId};
use btf_dump::layout::{Layouts, Machine};
use btf_tests::program::{Outcome, TestDir, kernels, ours, pahole, peer, run};
use dwarf2btf::Unobserved;
use dwarf2btf::input::Image;
use dwarf2btf::options::Options;

/// Of how many structures at most one may have another text than pahole's; with members of members there is more to differ.
const ONE_IN: usize = 300;
const EXPANDED_ONE_IN: usize = 100;

fn layout(args: &[&str], file: &Path) -> Outcome {
    let file = file.to_str().unwrap();
    let words = [&["layout", "--file", file], args].concat();
    run(&ours("btf-dump"), words)
}

/// The structures of a text, by name; homonyms in one entry.
fn blocks(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut blocks = BTreeMap::<_, Vec<_>>::new();
    let mut start = 0;
    for (at, _) in text.match_indices("\n}") {
        let Some(len) = text[at + 1..].find('\n') else {
            break;
        };
        let end = at + 1 + len + 1;
        let block = &text[start..end];
        let name = block.split(" {").next().unwrap();
        blocks.entry(name).or_default().push(block);
        start = end;
    }
    blocks
}

/// Why a line of ours is another one than pahole's: what `layout::text` lists.
fn reason(line: &str) -> Option<&'static str> {
    let code = line.split(';').next().unwrap_or_default();
    if code.contains("* const ") || code.contains("* const,") || code.contains("* const)") {
        Some("a constant pointer")
    } else if code.contains("(*const ") {
        Some("a constant pointer to a function")
    } else if code.contains("(*") && (code.ends_with(']') || code.contains("])(")) {
        Some("a pointer to an array, or an array of pointers to functions")
    } else if code.contains("} __attribute__((__aligned__(") && code.contains(']') {
        Some("an array of aligned structures")
    } else {
        None
    }
}

/// Whether a block is as pahole's but for what there are reasons for.
fn is_explained(ours: &str, theirs: &str) -> bool {
    let has_constant = |text: &str| {
        let starts = |line: &str| line.trim_start().starts_with("const ") && line.ends_with('{');
        text.lines().any(starts)
    };
    if has_constant(theirs) {
        // pahole writes sums inside of it, and no name behind it.
        return has_constant(ours);
    }
    if theirs.contains("\t} *") && ours.contains("\t} *") {
        // Offsets in what an unnamed pointer points to.
        return true;
    }
    let (ours, theirs) = (ours.lines(), theirs.lines());
    ours.clone().count() == theirs.clone().count()
        && ours.zip(theirs).all(|(a, b)| a == b || reason(a).is_some())
}

/// What pahole infers, and depends there on what it has printed before, members of the same structure included.
const PACKED: &str = " __attribute__((__packed__))";

/// Whether pahole calls a structure packed, among all others, that it does not call so on its own.
fn is_packed_by_accident(
    pahole: &Path,
    kernel: &str,
    flags: &[&str],
    name: &str,
    ours: &str,
    theirs: &str,
) -> bool {
    if theirs.replace(PACKED, "") != ours {
        return false;
    }
    let name = name.trim_start_matches("struct ");
    let alone = run(pahole, [&["-F", "btf", "-C", name, kernel], flags].concat()).success();
    alone.stdout.trim_end() == ours.trim_end()
}

/// Whether only structures within another one are packed for pahole.
fn is_packed_inside(ours: &str, theirs: &str) -> bool {
    ours.lines().last() == theirs.lines().last()
        && ours.replace(PACKED, "") == theirs.replace(PACKED, "")
}

fn compare_with_pahole(pahole: &Path, kernel: &Path, flags: &[&str], one_in: usize) {
    let kernel_name = kernel.to_str().unwrap();
    let theirs = run(pahole, [&["-F", "btf", kernel_name], flags].concat());
    let theirs = theirs.success().stdout;
    let ours = layout(flags, kernel).success().stdout;
    let (theirs, ours) = (blocks(&theirs), blocks(&ours));
    assert!(theirs.len() > 5_000, "{kernel_name}: {}", theirs.len());
    assert!(
        theirs.keys().eq(ours.keys()),
        "{kernel_name}: other structures"
    );
    let mut different = 0;
    for (name, theirs) in &theirs {
        let ours = &ours[name];
        // Of homonyms of one size pahole shows the first.
        assert!(theirs.len() <= ours.len(), "{kernel_name}: {name}");
        for theirs in theirs {
            if ours.contains(theirs) {
                continue;
            }
            different += 1;
            let is_explained = ours.iter().any(|ours| {
                is_explained(ours, theirs)
                    || is_packed_inside(ours, theirs)
                    || is_packed_by_accident(pahole, kernel_name, flags, name, ours, theirs)
            });
            assert!(
                is_explained,
                "{kernel_name}:\n{theirs}\nours:\n{}",
                ours.concat()
            );
        }
    }
    assert!(
        different * one_in < theirs.len(),
        "{kernel_name}: {different} differ"
    );
}

#[test]
fn kernels_have_pahole_text() {
    let Some(pahole) = pahole() else { return };
    for kernel in kernels() {
        compare_with_pahole(&pahole, &kernel, &[], ONE_IN);
        compare_with_pahole(&pahole, &kernel, &["-E"], EXPANDED_ONE_IN);
    }
}

#[test]
fn kinds_of_types_are_as_by_pahole() {
    let Some(pahole) = pahole() else { return };
    for kernel in kernels() {
        let name = kernel.to_str().unwrap();
        for ty in [
            "atomic_t",
            "u32",
            "pid_type",
            "rcu_special",
            "work_func_t",
            "list_head,mutex",
        ] {
            let types: Vec<_> = ty.split(',').collect();
            for (theirs, ours) in [
                (&["-F", "btf"][..], &[][..]),
                (&["-F", "btf", "--hex"], &["--hex"]),
            ] {
                let theirs = run(&pahole, [theirs, &["-C", ty, name]].concat()).success();
                let ours = layout(&[ours, &types].concat(), &kernel).success();
                assert_eq!(ours.stdout, theirs.stdout, "{name}: {ty}");
            }
        }
    }
}

#[test]
fn sizes_are_those_of_pahole() {
    let Some(pahole) = pahole() else { return };
    for kernel in kernels() {
        let theirs = run(&pahole, ["-F", "btf", "--sizes", kernel.to_str().unwrap()]).success();
        let ours = layout(&["--sizes"], &kernel).success();
        let ours: std::collections::BTreeSet<_> = ours.stdout.lines().collect();
        let theirs: Vec<_> = theirs.stdout.lines().collect();
        assert!(theirs.len() > 5_000);
        for line in theirs {
            assert!(ours.contains(line), "{line}");
        }
    }
}

#[test]
fn holders_are_those_that_pahole_finds() {
    let Some(pahole) = pahole() else { return };
    for kernel in kernels() {
        let name = kernel.to_str().unwrap();
        let found = |option: &str| layout(&[option, "mutex"], &kernel).success().stdout;
        let theirs = run(&pahole, ["-F", "btf", "-i", "mutex", name])
            .success()
            .stdout;
        let ours = found("--contains");
        assert!(theirs.lines().count() > 100);
        for holder in theirs.lines() {
            assert!(ours.contains(&format!("{holder}: ")), "{name}: {holder}");
        }
        let theirs = run(&pahole, ["-F", "btf", "-f", "mutex", name])
            .success()
            .stdout;
        let ours = found("--pointers-to");
        assert!(!theirs.is_empty());
        for line in theirs.lines() {
            assert!(ours.lines().any(|ours| ours == line), "{name}: {line}");
        }
    }
}

/// Structures that compilers have much to decide about.
const SOURCE: &str = r"
typedef unsigned char u8; typedef void (*callback_t)(int);
enum __attribute__((packed)) small { SMALL };
struct inner { char a; long b; u8 flags:3; };
struct plain { char a; int b; char c; long d; short e; callback_t f; struct inner g; enum small h; };
struct bits { int a:3; int b:7; char c; unsigned long d:33; _Bool e:1; short f:9; int g:31; };
struct __attribute__((packed)) packed { char a; long b; struct inner c; short d; };
struct aligned { char a; int b __attribute__((aligned(64))); char c; } __attribute__((aligned(128)));
struct nested { char a; struct { char b; union { long c; struct { char d; int e; }; }; }; char f[3]; };
struct flexible { char a; short b; int c[]; };
union overlay { char a[9]; long b; struct inner c; };
struct wide { char a; __int128 b; long double c; char d; double e; };
";

/// The named structures of [`SOURCE`] with members that have an address.
const MEMBERS: [(&str, &str); 9] = [
    ("struct plain", "a b c d e f g h"),
    ("struct inner", "a b"),
    ("struct bits", "c"),
    ("struct packed", "a b c d"),
    ("struct aligned", "a b c"),
    ("struct nested", "a b c d e f"),
    ("struct flexible", "a b c"),
    ("union overlay", "a b c"),
    ("struct wide", "a b c d e"),
];

fn gcc(folder: &TestDir, name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let gcc = peer("gcc")?;
    let source = folder.write(&format!("{name}.c"), source.as_bytes());
    let output = folder.path(name);
    let words = [
        "-w",
        "-std=gnu11",
        "-fms-extensions",
        "-o",
        output.to_str().unwrap(),
    ];
    let words = words.iter().chain(flags).copied();
    let words = words.chain([source.to_str().unwrap()]);
    let _ = run(&gcc, words).success();
    Some(output)
}

#[test]
fn offsets_and_sizes_are_those_of_the_compiler() {
    let folder = TestDir::new();
    let mut uses = String::from(SOURCE);
    let mut prints =
        format!("{SOURCE}\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {{\n");
    for (index, (ty, members)) in MEMBERS.into_iter().enumerate() {
        writeln!(uses, "{ty} v{index};").unwrap();
        writeln!(prints, "printf(\"{ty} %zu\\n\", sizeof({ty}));").unwrap();
        for member in members.split(' ') {
            writeln!(
                prints,
                "printf(\"{ty} {member} %zu\\n\", offsetof({ty}, {member}));"
            )
            .unwrap();
        }
    }
    prints.push_str("}\n");
    let Some(object) = gcc(&folder, "object", &uses, &["-g", "-c"]) else {
        return;
    };
    let program = gcc(&folder, "program", &prints, &[]).unwrap();
    let expect = run::<&str>(&program, []).success().stdout;
    let bytes = std::fs::read(object).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let encoded = dwarf2btf::encode(&image, None, &Options::default(), &Unobserved).unwrap();
    let btf = Btf::parse(&encoded.btf, None).unwrap();
    let layouts = Layouts::new(&btf, Machine::default());
    let mut told = String::new();
    for (ty, members) in MEMBERS {
        let name = ty.split(' ').nth(1).unwrap();
        let mut ids = btf.find_by_name(name.as_bytes());
        let id = ids.find(|&id| layouts.get(id).is_some()).unwrap();
        writeln!(told, "{ty} {}", layouts.get(id).unwrap().size).unwrap();
        for member in members.split(' ') {
            let offset = offset_of(&layouts, id, member.as_bytes()).unwrap();
            writeln!(told, "{ty} {member} {offset}").unwrap();
        }
    }
    assert_eq!(told, expect);
}

/// The offset of a member, which may be one of an unnamed structure.
fn offset_of(layouts: &Layouts<'_>, id: TypeId, name: &[u8]) -> Option<u32> {
    let layout = layouts.get(id)?;
    layouts.members(layout).iter().find_map(|member| {
        if layouts
            .btf()
            .string(member.name)
            .is_ok_and(|string| string == name)
        {
            return Some(member.offset);
        }
        let inner = || offset_of(layouts, member.bare, name);
        let inner = if member.is_anonymous() { inner() } else { None };
        Some(member.offset + inner?)
    })
}

#[test]
fn reordered_structures_compile_to_what_is_told() {
    let folder = TestDir::new();
    let Some(gcc_path) = peer("gcc") else { return };
    for kernel in kernels() {
        let header = run(&ours("btf-dump"), ["c", kernel.to_str().unwrap()])
            .success()
            .stdout;
        folder.write("vmlinux.h", header.as_bytes());
        let table = layout(&["--packable"], &kernel).success().stdout;
        let mut sizes = BTreeMap::<&str, Vec<&str>>::new();
        for line in table.lines() {
            let words: Vec<_> = line.split('\t').collect();
            sizes.entry(words[0]).or_default().push(words[2]);
        }
        // What is declared twice cannot be declared again: homonyms, and the values of unnamed enumerations.
        sizes.retain(|_, sizes| sizes.len() == 1);
        let names: Vec<_> = std::iter::once("--reorganize")
            .chain(sizes.keys().copied())
            .collect();
        let text = layout(&names, &kernel).success().stdout;
        let mut source = "#include \"vmlinux.h\"\n".to_owned();
        let mut count = 0;
        for (start, blocks) in blocks(&text) {
            let [block] = blocks[..] else { continue };
            let name = start.trim_start().trim_start_matches("struct ");
            let has_enumeration = block.contains("enum {");
            if let Some(size) = sizes.get(name)
                && !has_enumeration
                && !block.contains("struct  *")
            {
                source += &block.replacen(name, "reordered", 1).replacen(
                    "reordered",
                    &format!("{name}__new"),
                    1,
                );
                writeln!(
                    source,
                    "_Static_assert(sizeof(struct {name}__new) == {}, \"{name}\");",
                    size[0]
                )
                .unwrap();
                count += 1;
            }
        }
        assert!(count > 300, "{count}");
        let source = folder.write("reordered.c", source.as_bytes());
        let words = [
            "-w",
            "-std=gnu11",
            "-fms-extensions",
            "-fsyntax-only",
            source.to_str().unwrap(),
        ];
        let _ = run(&gcc_path, words).success();
    }
}

#[test]
fn types_that_never_end_do() {
    let mut builder = Builder::new();
    let char = builder.int(b"char", 1, int::SIGNED).unwrap();
    // Each of these holds the next one twice, and a pointer to it; the last one holds itself.
    let first = builder.next_id().0;
    for index in 0..60 {
        let next = TypeId(first + (index + 1) % 60);
        let member = |name| MemberSpec {
            name,
            ty: next,
            ..MemberSpec::default()
        };
        let members = [member(b""), member(b"again")];
        let name: &[u8] = if index == 0 { b"first" } else { b"" };
        builder.composite(Kind::Struct, name, 8, &members).unwrap();
    }
    let proto = TypeId(builder.next_id().0 + 1);
    let pointer = builder.ptr(proto).unwrap();
    let params: Vec<(&[u8], TypeId)> = vec![(b"", pointer); 50];
    builder.func_proto(pointer, &params).unwrap();
    let member = MemberSpec {
        name: b"f",
        ty: pointer,
        ..MemberSpec::default()
    };
    let many = vec![member; 1000];
    builder
        .composite(Kind::Union, b"callbacks", 8, &many)
        .unwrap();
    builder.array(TypeId(builder.next_id().0), char, 2).unwrap();
    let folder = TestDir::new();
    let bytes = builder
        .write(ByteOrder::Little, WriteOptions::default())
        .unwrap();
    let file = folder.write("hostile.btf", &bytes);
    for args in [
        &[][..],
        &["--expand"],
        &["--json"],
        &["--json", "--expand"],
        &["--reorganize"],
        &["--packable"],
        &["--contains", "first"],
        &["first", "callbacks", "--hex"],
    ] {
        let outcome = layout(args, &file);
        assert!(
            outcome.status.is_some_and(|status| status < 2),
            "{args:?}: {outcome}"
        );
        assert!(
            outcome.stdout.len() < 64 << 20,
            "{args:?}: {}",
            outcome.stdout.len()
        );
    }
}

/// A structure with a hole, one without, and a typedef.
fn sample() -> Vec<u8> {
    let mut builder = Builder::new();
    let char = builder.int(b"char", 1, int::SIGNED).unwrap();
    let long = builder.int(b"long int", 8, int::SIGNED).unwrap();
    let member = |name, ty, bytes: u32| MemberSpec {
        name,
        ty,
        bit_offset: bytes * 8,
        bitfield_size: 0,
    };
    let members = [
        member(b"a", char, 0),
        member(b"b", long, 8),
        member(b"c", char, 16),
    ];
    let holey = builder
        .composite(Kind::Struct, b"holey", 24, &members)
        .unwrap();
    let tight = [member(b"in", holey, 0), member(b"d", long, 24)];
    builder
        .composite(Kind::Struct, b"tight", 32, &tight)
        .unwrap();
    builder.typedef(b"holey_t", holey).unwrap();
    builder
        .write(ByteOrder::Big, WriteOptions::default())
        .unwrap()
}

#[test]
fn answers_and_exit_status() {
    let folder = TestDir::new();
    let file = folder.write("sample.btf", &sample());
    let check = |args: &[&str], status: i32, stdout: &str| {
        let outcome = layout(args, &file);
        assert_eq!(
            (outcome.status, &outcome.stdout[..]),
            (Some(status), stdout),
            "{args:?}: {outcome}"
        );
    };
    check(&["--sizes"], 0, "holey\t24\t1\ntight\t32\t0\n");
    check(
        &["--sizes", "--sort", "size"],
        0,
        "tight\t32\t0\nholey\t24\t1\n",
    );
    check(&["--sizes", "--holes", "1"], 0, "holey\t24\t1\n");
    check(&["--sizes", "t*"], 0, "tight\t32\t0\n");
    check(&["--packable"], 0, "holey\t24\t16\t8\n");
    check(&["--contains", "holey"], 0, "tight: in\n");
    check(&["--contains", "holey", "nosuch"], 1, "");
    check(&["--pointers-to", "holey"], 1, "");
    check(&["holey_t"], 0, "typedef struct holey holey_t;\n\n");
    check(&["-C", "holey_t"], 0, "typedef struct holey holey_t;\n\n");
    check(
        &["--sizes", "-C", "tight,holey"],
        0,
        "tight\t32\t0\nholey\t24\t1\n",
    );
    check(&["--holes", "2"], 1, "");
    check(&["--cacheline", "48"], 2, "");
    check(&["--contains", "holey", "--sort", "size"], 2, "");
    let hint = |outcome: Outcome, status, hint: &str| {
        assert_eq!(outcome.status, Some(status), "{outcome}");
        assert!(outcome.stderr.contains(hint), "{outcome}");
    };
    let name = file.to_str().unwrap();
    let btf_dump = |words: &[&str]| run(&ours("btf-dump"), words);
    hint(layout(&["holy"], &file), 1, "did you mean `holey`?");
    hint(layout(&[name], &file), 1, &format!("`--file {name}`"));
    let roots = btf_dump(&["c", "-r", "holy", name]);
    hint(roots, 1, "did you mean `holey`?");
    hint(btf_dump(&["holey"]), 2, "`btf-dump layout holey`");
    // Neither the running kernel's types nor a file is what was meant.
    let file_last = btf_dump(&["layout", "holey", name]);
    assert_eq!(file_last.stdout, "");
    hint(file_last, 2, &format!("`--file {name}`"));
    hint(
        btf_dump(&[name, "layout", "holey"]),
        2,
        "a command comes first",
    );
    hint(
        btf_dump(&["dump", "file", name]),
        2,
        "types are listed without a word for it",
    );
    let saved = layout(&["--reorganize", "holey"], &file).success().stdout;
    assert!(saved.contains("};   /* saved 8 bytes! */\n"), "{saved}");
    let none = run(&ours("btf-dump"), ["layout", "--file", "/nosuch"]);
    assert_eq!(none.status, Some(2));
}

#[test]
fn json_expands_members() {
    let folder = TestDir::new();
    let mut builder = Builder::new();
    let number = builder.int(b"int", 4, int::SIGNED).unwrap();
    let member = |name, ty, bytes: u32| MemberSpec {
        name,
        ty,
        bit_offset: bytes * 8,
        bitfield_size: 0,
    };
    let inner = [member(b"a", number, 0), member(b"b", number, 4)];
    let inner = builder
        .composite(Kind::Struct, b"inner", 8, &inner)
        .unwrap();
    let alias = builder.typedef(b"alias", inner).unwrap();
    let list = builder.array(alias, number, 2).unwrap();
    let outer = [member(b"x", number, 0), member(b"in", list, 4)];
    builder
        .composite(Kind::Struct, b"outer", 20, &outer)
        .unwrap();
    let bytes = builder
        .write(ByteOrder::Little, WriteOptions::default())
        .unwrap();
    let file = folder.write("nested.btf", &bytes);
    let lines = layout(&["--json", "-E", "outer"], &file).success().stdout;
    let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
    let members = line["members"].as_array().unwrap();
    assert!(members[0].get("members").is_none());
    let inner = members[1]["members"].as_array().unwrap();
    let place = |member: &serde_json::Value| {
        ["offset", "bit_offset"].map(|key| member[key].as_u64().unwrap())
    };
    assert_eq!(
        inner.iter().map(place).collect::<Vec<_>>(),
        [[4, 32], [8, 64]]
    );
}

#[test]
fn json_tells_the_same() {
    let folder = TestDir::new();
    let file = folder.write("sample.btf", &sample());
    let lines = layout(&["--json", "--reorganize", "holey"], &file)
        .success()
        .stdout;
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(
        (&line["type"], &line["saved"]),
        (&"struct".into(), &8.into())
    );
    let offsets = line["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| &member["offset"]);
    assert_eq!(offsets.collect::<Vec<_>>(), [0, 1, 8]);
    let found = layout(&["--json", "--contains", "holey"], &file)
        .success()
        .stdout;
    let found: serde_json::Value = serde_json::from_str(found.trim()).unwrap();
    assert_eq!(
        (&found["name"], &found["member"]),
        (&"tight".into(), &"in".into())
    );
    let btf = Btf::parse(&sample(), None).unwrap();
    assert_eq!(found["id"], btf.find_by_name(b"tight").next().unwrap().0);
}
