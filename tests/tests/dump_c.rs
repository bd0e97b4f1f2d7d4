//! Goal: `btf-dump c` writes headers that compile, with every type at its size and every member at its offset.
//! Method: compilers check the assertions that the header brings, for kernels with and without modules, the corpus and random
//! types; a program looks where the bits of bitfields are; bpftool says which types there are; damaged blobs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use btf_core::builder::{Builder, MemberSpec, WriteOptions};
use btf_core::reader::Btf;
use btf_core::wire::{ByteOrder, int};
use btf_core::{Kind, TypeId};
use btf_dump::c::{Options, Summary, header};
use btf_tests::corpus;
use btf_tests::program::{TestDir, kernels, modules_beside, ours, peer, run, run_within};
use btf_tests::random::Random;
use dwarf2btf::Unobserved;
use dwarf2btf::input::Image;

/// How many assertions a kernel's header has at least.
const KERNEL_ASSERTIONS: usize = 50_000;

/// How many modules of each kernel get headers of their own.
const MODULES: usize = 2;

/// How many structures and unions are made up at once.
const RANDOM_TYPES: usize = 400;

/// How many damaged variants of each blob the library gets.
const VARIANTS: usize = 100;

/// How many KiB of address space the program has for a hostile blob.
const ADDRESS_SPACE_KIB: u32 = 512 << 10;

/// What makes machine code of C here: the compilers for this machine, and clang for BPF.
fn compilers() -> Vec<(PathBuf, &'static [&'static str])> {
    let mut compilers: Vec<(_, &'static [&'static str])> = Vec::new();
    compilers.extend(peer("gcc").map(|gcc| (gcc, &["-std=gnu11"][..])));
    if let Some(clang) = peer("clang") {
        compilers.push((clang.clone(), &["-std=gnu11"]));
        compilers.push((clang, &["-target", "bpf"]));
    }
    compilers
}

/// Warnings are errors, but for attributes that a compiler does not know.
const STRICT: [&str; 6] = [
    "-Wall",
    "-Werror",
    "-Wno-attributes",
    "-Wno-unknown-pragmas",
    "-Wno-unknown-attributes",
    // A module may have no structures of its own.
    "-Wno-pragma-clang-attribute",
];

/// Compiles a header with all compilers.
#[track_caller]
fn check_compiles(dir: &TestDir, header: &str, warnings: &[&str]) {
    let source = dir.write("main.c", format!("#include \"{header}\"\n").as_bytes());
    for (compiler, flags) in compilers() {
        let flags = flags.iter().chain(warnings).chain(&["-fsyntax-only"]);
        let mut args: Vec<_> = flags.map(PathBuf::from).collect();
        args.push(source.clone());
        let _ = run(&compiler, args).success();
    }
}

/// Runs `btf-dump c`, and returns what it wrote.
#[track_caller]
fn write_header(dir: &TestDir, name: &str, args: &[&Path]) -> String {
    let out = dir.path(name);
    let program = ours("btf-dump");
    let first = [Path::new("c"), Path::new("-o"), &out];
    let _ = run(&program, first.iter().chain(args)).success();
    std::fs::read_to_string(out).unwrap()
}

fn assertions(header: &str) -> usize {
    let is_assertion = |line: &&str| line.starts_with("__btf_assert_");
    header.lines().filter(is_assertion).count()
}

#[test]
fn headers_of_kernels_have_their_layout() {
    for kernel in kernels() {
        let dir = TestDir::new();
        let args = [Path::new("--assert"), &kernel];
        let first = write_header(&dir, "vmlinux.h", &args);
        assert!(
            assertions(&first) > KERNEL_ASSERTIONS,
            "{}",
            kernel.display()
        );
        check_compiles(&dir, "vmlinux.h", &STRICT);
        assert!(first == write_header(&dir, "again.h", &args));
    }
}

#[test]
fn the_order_of_modules_does_not_matter() {
    for kernel in kernels() {
        let dir = TestDir::new();
        let mut modules = modules_beside(&kernel);
        let mut header = |name: &str| {
            modules.reverse();
            let inputs = [Path::new("--assert"), &kernel].into_iter();
            let args: Vec<_> = inputs
                .chain(modules.iter().map(|module| &**module))
                .collect();
            write_header(&dir, name, &args)
        };
        let first = header("merged.h");
        assert!(first == header("reversed.h"), "{}", kernel.display());
        // Their base need not be named among them.
        let options = [Path::new("--assert"), Path::new("-B"), &kernel].into_iter();
        let args: Vec<_> = options
            .chain(modules.iter().map(|module| &**module))
            .collect();
        assert!(
            first == write_header(&dir, "base.h", &args),
            "{}",
            kernel.display()
        );
        check_compiles(&dir, "merged.h", &STRICT);
    }
}

#[test]
fn modules_stand_on_their_kernels_header() {
    for kernel in kernels() {
        let dir = TestDir::new();
        write_header(&dir, "vmlinux.h", &[&kernel]);
        // Each compiler reads the whole kernel's header again.
        for module in modules_beside(&kernel).into_iter().take(MODULES) {
            let options = ["--assert", "--on-top-of", "vmlinux.h", "-B"].map(Path::new);
            let args: Vec<_> = options.into_iter().chain([&*kernel, &*module]).collect();
            write_header(&dir, "module.h", &args);
            check_compiles(&dir, "module.h", &STRICT);
        }
    }
}

/// The first lines of all definitions at the top level, without the numbers of homonyms; and typedefs' names.
fn definitions(header: &str) -> BTreeSet<String> {
    let starts = ["struct ", "union ", "enum ", "typedef "];
    let lines = header.lines();
    let lines = lines.filter(|line| starts.iter().any(|start| line.starts_with(start)));
    let lines = lines.filter_map(|line| match line.strip_prefix("typedef ") {
        // Functions and pointers to them have their names inside.
        Some(typedef) => typedef
            .split([';', '['])
            .next()?
            .split(['*', ' '])
            .next_back(),
        None => line.split_once(" {").map(|(name, _)| name),
    });
    lines.map(str::to_owned).collect()
}

#[test]
fn no_definition_of_bpftools_is_missing() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    for kernel in kernels() {
        let dir = TestDir::new();
        let args = [
            "btf",
            "dump",
            "file",
            kernel.to_str().unwrap(),
            "format",
            "c",
        ];
        let theirs = definitions(&run(&bpftool, args).success().stdout);
        let ours = definitions(&write_header(&dir, "vmlinux.h", &[&kernel]));
        let missing: Vec<_> = theirs.difference(&ours).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", kernel.display());
        let additional: Vec<_> = ours.difference(&theirs).collect();
        assert!(
            additional.is_empty(),
            "{}: {additional:?}",
            kernel.display()
        );
    }
}

/// The BTF of the objects of the corpus in these folders, with its name.
fn blobs(is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (String, Vec<u8>)> {
    corpus::objects().into_iter().filter_map(move |object| {
        let folder = corpus::name(object.parent().unwrap());
        if !is_wanted(&folder) {
            return None;
        }
        let bytes = std::fs::read(&object).unwrap();
        let image = Image::parse(&bytes).ok()?;
        let options = dwarf2btf::options::Options::default();
        let encoded = dwarf2btf::encode(&image, None, &options, &Unobserved).ok()?;
        Some((format!("{folder}/{}", corpus::name(&object)), encoded.btf))
    })
}

#[test]
fn the_corpus_compiles() {
    // Of the machine that the compilers here are for.
    for (name, blob) in blobs(|folder| folder.ends_with("-x86_64")) {
        let dir = TestDir::new();
        let btf = Btf::parse(&blob, None).unwrap();
        let options = Options {
            assertions: true,
            decl_tags: true,
            ..Options::default()
        };
        let mut text = Vec::new();
        header(&btf, &options, &mut text).unwrap_or_else(|error| panic!("{name}: {error}"));
        dir.write("main.c", &text);
        // clang for BPF lacks types of user space, such as `long double`.
        let Some(gcc) = peer("gcc") else { return };
        let flags = ["-fsyntax-only", "-std=gnu11", "-Wno-attributes", "-w"];
        let source = dir.path("main.c").display().to_string();
        let outcome = run(&gcc, flags.into_iter().chain([&*source]));
        assert_eq!(outcome.status, Some(0), "{name}: {outcome}");
    }
}

#[test]
fn small_headers() {
    for (name, blob) in blobs(|folder| folder == "clang-x86_64") {
        let file = name.strip_prefix("clang-x86_64/").unwrap();
        let wanted = [
            "arrays.o",
            "bitfields.o",
            "enums.o",
            "pointers.o",
            "records.o",
            "tags.o",
        ];
        if wanted.contains(&file) {
            let btf = Btf::parse(&blob, None).unwrap();
            let mut text = Vec::new();
            let options = Options {
                decl_tags: true,
                ..Options::default()
            };
            header(&btf, &options, &mut text).unwrap();
            insta::assert_snapshot!(format!("c_{file}"), String::from_utf8(text).unwrap());
        }
    }
}

/// A bitfield that was made up: its structure, its name, its first bit and how many there are.
type Bits = (String, String, u32, u32);

/// Makes up types: everything that does not overlap is a layout that some attribute of C leads to.
struct Inventor {
    random: Random,
    builder: Builder,
    /// Types for members, with their size in bytes.
    types: Vec<(TypeId, u32)>,
    /// Integers for bitfields.
    integers: Vec<(TypeId, u32)>,
    bitfields: Vec<Bits>,
}

impl Inventor {
    fn new(seed: u64) -> Self {
        let mut builder = Builder::new();
        let mut integers = Vec::new();
        for (name, size, encoding) in [
            ("char", 1, 0),
            ("signed char", 1, int::SIGNED),
            ("short", 2, int::SIGNED),
            ("unsigned int", 4, 0),
            ("int", 4, int::SIGNED),
            ("long int", 8, int::SIGNED),
            ("long long unsigned int", 8, 0),
        ] {
            integers.push((builder.int(name.as_bytes(), size, encoding).unwrap(), size));
        }
        let mut types = integers.clone();
        types.push((builder.int(b"__int128", 16, int::SIGNED).unwrap(), 16));
        types.push((builder.float(b"double", 8).unwrap(), 8));
        let pointer = builder.ptr(TypeId::VOID).unwrap();
        types.push((pointer, 8));
        for size in [1u32, 2, 4, 8] {
            let values = [(format!("E{size}"), 1), (format!("F{size}"), 100)];
            let values: Vec<_> = values
                .iter()
                .map(|(name, value)| (name.as_bytes(), *value))
                .collect();
            let name = format!("e{size}");
            let id = builder
                .enumeration(name.as_bytes(), size, false, &values)
                .unwrap();
            types.push((id, size));
        }
        Self {
            random: Random::new(seed),
            builder,
            types,
            integers,
            bitfields: Vec::new(),
        }
    }

    fn number(&mut self, end: u32) -> u32 {
        u32::try_from(self.random.below(end as usize)).unwrap()
    }

    /// A type for a member, sometimes an array or a typedef of one.
    fn pick(&mut self) -> (TypeId, u32) {
        let (id, size) = self.types[self.random.below(self.types.len())];
        match self.number(8) {
            0 => {
                let count = self.number(4);
                let array = self.builder.array(id, TypeId::VOID, count).unwrap();
                (array, size * count)
            }
            1 => {
                let name = format!("t{}", self.builder.next_id().0);
                (self.builder.typedef(name.as_bytes(), id).unwrap(), size)
            }
            2 => (self.builder.qualifier(Kind::Const, id).unwrap(), size),
            _ => (id, size),
        }
    }

    /// Adds a structure of members with and without gaps, on any byte, and bitfields on any bit.
    fn structure(&mut self, number: usize) {
        let name = format!("s{number}");
        let mut members = Vec::new();
        let mut at = 0;
        for index in 0..self.number(7) {
            let member = format!("m{index}");
            if self.number(3) == 0 {
                let (ty, size) = self.integers[self.random.below(self.integers.len())];
                let bits = 1 + self.number(size * 8);
                // What C calls a bitfield of all bits is one all the same.
                let bits = bits.min(size * 8);
                at += [0, 0, 0, 1, 7, 30][self.random.below(6)];
                self.bitfields
                    .push((name.clone(), member.clone(), at, bits));
                members.push((member, ty, at, bits));
                at += bits;
            } else {
                let (ty, size) = self.pick();
                let step = [8, 32, 64, 64, 64][self.random.below(5)];
                at = at.next_multiple_of(step) + [0, 0, 0, 8, 64, 640][self.random.below(6)];
                members.push((member, ty, at, 0));
                at += size * 8;
            }
        }
        let step = [1, 4, 8, 8, 64][self.random.below(5)];
        let size = at.div_ceil(8).next_multiple_of(step);
        self.composite(Kind::Struct, &name, size, &members);
    }

    fn union(&mut self, number: usize) {
        let mut members = Vec::new();
        let mut size = 0;
        for index in 0..=self.number(3) {
            let (ty, of_member) = self.pick();
            members.push((format!("m{index}"), ty, 0, 0));
            size = size.max(of_member);
        }
        let step = [1, 4, 8, 16, 64][self.random.below(5)];
        let size = size.next_multiple_of(step);
        self.composite(Kind::Union, &format!("s{number}"), size, &members);
    }

    fn composite(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[(String, TypeId, u32, u32)],
    ) {
        let members: Vec<_> = members
            .iter()
            .map(|(name, ty, bit_offset, bits)| MemberSpec {
                name: name.as_bytes(),
                ty: *ty,
                bit_offset: *bit_offset,
                bitfield_size: u8::try_from(*bits).unwrap(),
            })
            .collect();
        let id = self
            .builder
            .composite(kind, name.as_bytes(), size, &members)
            .unwrap();
        // What is too large would make all that contains it larger still.
        if size < 1000 {
            self.types.push((id, size));
        }
    }
}

#[test]
fn random_types_have_their_layout() {
    for seed in 0..4 {
        let mut inventor = Inventor::new(seed);
        for number in 0..RANDOM_TYPES {
            if inventor.random.below(6) == 0 {
                inventor.union(number);
            } else {
                inventor.structure(number);
            }
        }
        let Inventor {
            builder, bitfields, ..
        } = inventor;
        let btf = builder.finish().unwrap();
        let dir = TestDir::new();
        let mut text = Vec::new();
        let options = Options {
            assertions: true,
            ..Options::default()
        };
        let Summary { assertions, .. } = header(&btf, &options, &mut text).unwrap();
        // Nothing was given up, or there would be fewer.
        assert!(
            assertions > RANDOM_TYPES as u64 * 2,
            "seed {seed}: {assertions}"
        );
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("where C cannot put it"), "seed {seed}");
        let sizes = text.lines().filter(|line| {
            line.starts_with("__btf_assert_size(struct s")
                || line.starts_with("__btf_assert_size(union s")
        });
        assert_eq!(sizes.count(), RANDOM_TYPES, "seed {seed}");
        dir.write("random.h", text.as_bytes());
        // Nobody would pack such types.
        check_compiles(&dir, "random.h", &["-w"]);
        check_bits(&dir, &bitfields);
    }
}

/// Runs a program that sets each bitfield in turn and looks which bits of memory change.
#[track_caller]
fn check_bits(dir: &TestDir, bitfields: &[Bits]) {
    let mut source = "\
#include \"random.h\"
int printf(const char *, ...);
void *memset(void *, int, unsigned long);
#define CHECK(type, member, first, count) do { \\
	type t; \\
	memset(&t, 0, sizeof(t)); \\
	t.member = -1; \\
	for (unsigned long i = 0; i < sizeof(t) * 8; i++) { \\
		int is_set = ((unsigned char *)&t)[i / 8] >> (i % 8) & 1; \\
		if (is_set != (i >= (first) && i < (first) + (count))) { \\
			printf(\"%s.%s: bit %lu\\n\", #type, #member, i); \\
			return 1; \\
		} \\
	} \\
} while (0)
int main(void)
{
"
    .to_owned();
    for (structure, member, first, count) in bitfields {
        writeln!(
            source,
            "\tCHECK(struct {structure}, {member}, {first}u, {count}u);"
        )
        .unwrap();
    }
    source.push_str("\treturn 0;\n}\n");
    let file = dir.write("bits.c", source.as_bytes());
    for compiler in ["gcc", "clang"] {
        let Some(compiler) = peer(compiler) else {
            continue;
        };
        let program = dir.path("bits");
        let flags = ["-std=gnu11", "-w", "-O1", "-o"].map(PathBuf::from);
        let args: Vec<_> = flags
            .into_iter()
            .chain([program.clone(), file.clone()])
            .collect();
        let _ = run(&compiler, args).success();
        let _ = run(&program, [""; 0]).success();
    }
}

#[test]
fn damaged_blobs() {
    let mut random = Random::new(7);
    for (name, blob) in blobs(|folder| folder == "clang-x86_64" || folder == "rustc-x86_64") {
        let options = Options {
            assertions: true,
            decl_tags: true,
            kfuncs: true,
            ..Options::default()
        };
        let header_of = |bytes: &[u8]| {
            let mut text = Vec::new();
            let btf = Btf::parse(bytes, None).ok()?;
            header(&btf, &options, &mut text).ok()?;
            Some(text.len())
        };
        assert!(header_of(&blob).is_some(), "{name}");
        for _ in 0..VARIANTS {
            let damaged = random.damage(&blob);
            if let Some(len) = header_of(&damaged) {
                assert!(len < (2 << 20) + 64 * blob.len(), "{name}: {len} bytes");
            }
        }
    }
}

#[test]
fn texts_that_double_with_every_type_end() {
    let mut builder = Builder::new();
    let mut last = TypeId::VOID;
    for _ in 0..100 {
        let pointer = builder.ptr(last).unwrap();
        last = builder
            .func_proto(pointer, &[(b"a", pointer), (b"b", pointer)])
            .unwrap();
    }
    builder.typedef(b"top", last).unwrap();
    let blob = builder
        .write(ByteOrder::Little, WriteOptions::default())
        .unwrap();
    let dir = TestDir::new();
    let file = dir.write("doubling.btf", &blob);
    let args = [Path::new("c"), &file];
    let outcome = run_within(ADDRESS_SPACE_KIB, &ours("btf-dump"), args);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert_eq!(outcome.stdout, "");
    assert!(outcome.stderr.contains("too large"), "{outcome}");
}
