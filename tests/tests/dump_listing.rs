//! Goal: `btf-dump FILE` lists what bpftool does, finds it wherever it is, and takes any input.
//! Method: both programs on the corpus, kernels and modules, text line by line and JSON value by value; what only btf-dump
//! shows in snapshots; thousands of damaged blobs, and blobs made to be printed for ever, through library and program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::{Builder, MemberSpec, WriteOptions};
use btf_core::cli::pattern::Pattern;
use btf_core::elf::{NewSection, put_sections};
use btf_core::ext::{Block, BtfExt, CoreRelo, FuncInfo, LineInfo};
use btf_core::reader::Btf;
use btf_core::types::VarSecinfo;
use btf_core::wire::{ByteOrder, int, linkage};
use btf_core::{Kind, StrOffset, TypeId};
use btf_dump::listing::{Options, Parts, Request, write_json, write_text};
use btf_dump::select::{Root, Selection};
use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, kernels, modules_beside, ours, peer, run, run_within};
use btf_tests::random::Random;
use dwarf2btf::Unobserved;
use dwarf2btf::input::Image;
use serde_json::Value;

/// How many damaged variants of each blob the library gets.
const VARIANTS: usize = 100;

/// How many damaged blobs the program gets.
const SAMPLES: usize = 100;

/// How many KiB of address space the program has for a damaged blob.
const ADDRESS_SPACE_KIB: u32 = 512 << 10;

/// The BTF of every object of the corpus.
fn blobs() -> impl Iterator<Item = (String, Vec<u8>)> {
    corpus::objects().into_iter().filter_map(|object| {
        let bytes = std::fs::read(&object).unwrap();
        let image = Image::parse(&bytes).ok()?;
        let options = dwarf2btf::options::Options::default();
        let encoded = dwarf2btf::encode(&image, None, &options, &Unobserved).ok()?;
        let folder = corpus::name(object.parent().unwrap());
        Some((format!("{folder}/{}", corpus::name(&object)), encoded.btf))
    })
}

/// Runs our program; words of `line` may be `DIR/…`, a file of the test.
fn btf_dump(dir: &TestDir, line: &str) -> Outcome {
    let words = line.split_whitespace();
    let words = words.map(|word| match word.strip_prefix("DIR/") {
        Some(name) => dir.path(name).display().to_string(),
        None => word.to_owned(),
    });
    run(&ours("btf-dump"), words.collect::<Vec<_>>())
}

/// The outcome without the folder's name.
fn shown(outcome: &Outcome, dir: &TestDir) -> String {
    let folder = format!("{}/", dir.path("").display());
    let folder = folder.replace("//", "/");
    outcome.to_string().replace(&folder, "DIR/")
}

/// Fails at the first line that differs.
#[track_caller]
fn check_lines(name: &str, ours: &str, theirs: &str) {
    for (number, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}, line {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{name}");
}

/// bpftool extends the sign of unsigned values of 32 bits, in JSON though not in text.
fn without_sign_extension(mut types: Value) -> Value {
    for ty in types["types"].as_array_mut().unwrap() {
        if ty["kind"] != "ENUM" || ty["encoding"] != "UNSIGNED" {
            continue;
        }
        for value in ty["values"].as_array_mut().unwrap() {
            let number = value["val"].as_u64().unwrap();
            value["val"] = (number & 0xffff_ffff).into();
        }
    }
    types
}

/// Compares text and JSON of both programs for a file.
#[track_caller]
fn check_like_bpftool(bpftool: &Path, name: &str, file: &Path, base: Option<&Path>) {
    let base: Vec<_> = base.map_or_else(Vec::new, |base| vec!["-B".into(), base.to_owned()]);
    let dump = ["btf", "dump", "file"].map(PathBuf::from);
    let theirs = |json: &[PathBuf]| {
        let args = [json, &base, &dump, &[file.to_owned()]].concat();
        run(bpftool, args).success().stdout
    };
    // Without `base`: it is found.
    let ours = |json: &[PathBuf]| {
        let args = [json, &[file.to_owned()]].concat();
        run(&ours("btf-dump"), args).success().stdout
    };
    check_lines(name, &ours(&[]), &theirs(&[]));
    let theirs: Value = serde_json::from_str(&theirs(&["-j".into()])).unwrap();
    let ours: Value = serde_json::from_str(&ours(&["--json".into()])).unwrap();
    assert!(ours == without_sign_extension(theirs), "{name}: JSON");
}

#[test]
fn the_corpus_is_listed_as_bpftool_does() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    let dir = TestDir::new();
    for (name, blob) in blobs() {
        let file = dir.write("a.btf", &blob);
        check_like_bpftool(&bpftool, &name, &file, None);
    }
}

#[test]
fn kernels_and_modules_are_listed_as_bpftool_does() {
    let Some(bpftool) = peer("bpftool") else {
        return;
    };
    for kernel in kernels() {
        let name = kernel.display().to_string();
        check_like_bpftool(&bpftool, &name, &kernel, None);
        for module in modules_beside(&kernel) {
            let name = module.display().to_string();
            check_like_bpftool(&bpftool, &name, &module, Some(&kernel));
        }
    }
}

/// BTF with every kind, every odd value that readers take, and `.BTF.ext` for it.
fn every_kind() -> (Builder, BtfExt) {
    let mut builder = Builder::new();
    let int = builder.int(b"int", 4, int::SIGNED).unwrap();
    let ptr = builder.ptr(TypeId::VOID).unwrap();
    builder.array(int, int, 5).unwrap();
    let member = |name, bit_offset, bitfield_size| MemberSpec {
        name,
        ty: int,
        bit_offset,
        bitfield_size,
    };
    let members = [member(b"a", 0, 3), member(b"", 32, 0)];
    let composite = builder.composite(Kind::Struct, b"s", 8, &members).unwrap();
    builder
        .composite(Kind::Union, b"", 4, &members[1..])
        .unwrap();
    builder.fwd(b"later", true).unwrap();
    builder.typedef(b"number", int).unwrap();
    for kind in [Kind::Volatile, Kind::Const, Kind::Restrict] {
        builder.qualifier(kind, ptr).unwrap();
    }
    let params: [(&[u8], TypeId); 2] = [(b"x", int), (b"", TypeId::VOID)];
    let proto = builder.func_proto(int, &params).unwrap();
    let func = builder.func(b"main", proto, linkage::GLOBAL).unwrap();
    let var = builder.var(b"counter", int, linkage::EXTERN).unwrap();
    let entry = VarSecinfo {
        ty: var,
        offset: 0,
        size: 4,
    };
    builder.datasec(b".bss", 4, &[entry]).unwrap();
    builder.float(b"double", 8).unwrap();
    builder.decl_tag(b"tag", composite, 1, true).unwrap();
    builder.type_tag(b"noderef", int, true).unwrap();
    let name = |builder: &mut Builder, name: &[u8]| builder.add_string(name).unwrap().0;
    let (yes, no) = (name(&mut builder, b"YES"), name(&mut builder, b"NO"));
    let info = |kind: Kind, vlen: u32, flag: u32| (kind as u32) << 24 | vlen | flag << 31;
    for record in [
        &[0, info(Kind::Enum, 1, 0), 4, yes, u32::MAX][..],
        &[0, info(Kind::Enum, 1, 1), 4, no, u32::MAX],
        &[0, info(Kind::Enum64, 1, 0), 8, yes, u32::MAX, u32::MAX],
        &[0, info(Kind::Enum64, 1, 1), 8, no, u32::MAX, u32::MAX],
        // What should be 0 is not.
        &[yes, info(Kind::Int, 2, 1), 4, 0xf305_1020],
        &[yes, info(Kind::Fwd, 0, 0), 7],
        &[yes, info(Kind::Func, 9, 0), proto.0],
        &[yes, info(Kind::Var, 0, 0), int.0, 9],
        &[no, info(Kind::Ptr, 1, 1), 999],
    ] {
        builder.push_record(record).unwrap();
    }
    let ext = every_record(&mut builder, func, composite);
    (builder, ext)
}

/// `.BTF.ext` with every sort of record, and a relocation of a kind that nobody knows.
fn every_record(builder: &mut Builder, func: TypeId, composite: TypeId) -> BtfExt {
    let section = builder.add_string(b"tc").unwrap();
    let access = builder.add_string(b"0:1").unwrap();
    let (file_name, line_text) = (
        builder.add_string(b"/src/prog.c").unwrap(),
        builder.add_string(b"\treturn \"x\";").unwrap(),
    );
    let func_info = FuncInfo {
        insn_off: 0,
        type_id: func,
    };
    let line_info = LineInfo {
        insn_off: 8,
        file_name,
        line_text,
        line_col: 12 << 10 | 3,
    };
    let core_relo = |insn_off, kind| CoreRelo {
        insn_off,
        type_id: composite,
        access,
        kind,
    };
    BtfExt {
        func_info: vec![block(section, vec![func_info])],
        line_info: vec![block(section, vec![line_info])],
        core_relo: vec![block(section, vec![core_relo(8, 0), core_relo(16, 99)])],
    }
}

fn block<R>(section: StrOffset, records: Vec<R>) -> Block<R> {
    Block { section, records }
}

/// An ELF file with these sections.
fn elf_with(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let object = corpus::root().join("dwarf/gcc-x86_64/enums.o");
    let object = std::fs::read(object).unwrap();
    let sections: Vec<_> = sections
        .iter()
        .map(|&(name, bytes)| NewSection { name, bytes })
        .collect();
    let mut out = Vec::new();
    let plan = put_sections(&object, &sections).unwrap();
    plan.write_to(&mut out, |_| {}).unwrap();
    out
}

#[test]
fn everything_can_be_shown() {
    let (builder, ext) = every_kind();
    let dir = TestDir::new();
    let options = WriteOptions {
        layout: true,
        ..WriteOptions::default()
    };
    let btf = builder.write(ByteOrder::Little, options).unwrap();
    let ext = ext.write(ByteOrder::Little).unwrap();
    dir.write("prog.o", &elf_with(&[(".BTF", &btf), (".BTF.ext", &ext)]));
    for (name, line) in [
        ("all", "DIR/prog.o --long --show all"),
        ("all_json", "DIR/prog.o --long --show all --json"),
        ("all_colors", "DIR/prog.o --id 1-5 --color always"),
    ] {
        let outcome = btf_dump(&dir, line).success();
        if line.contains("--json") {
            serde_json::from_str::<Value>(&outcome.stdout).unwrap();
        }
        insta::assert_snapshot!(name, shown(&outcome, &dir));
    }
}

#[test]
fn both_byte_orders_are_listed_alike() {
    let (builder, _) = every_kind();
    let dir = TestDir::new();
    let [little, big] = [ByteOrder::Little, ByteOrder::Big].map(|order| {
        let bytes = builder.write(order, WriteOptions::default()).unwrap();
        dir.write("a.btf", &bytes);
        btf_dump(&dir, "DIR/a.btf --long").success().stdout
    });
    check_lines("big-endian", &big, &little);
    assert!(little.lines().count() > 30);
}

#[test]
fn what_is_found_is_listed_with_its_place() {
    let (builder, _) = every_kind();
    let dir = TestDir::new();
    let base = builder.write(ByteOrder::Little, WriteOptions::default());
    let base = base.unwrap();
    let continued = Arc::new(Btf::parse(&base, None).unwrap());
    let mut module = Builder::with_base(continued);
    module.typedef(b"own", TypeId(4)).unwrap();
    let module = module.write(ByteOrder::Little, WriteOptions::default());
    let module = module.unwrap();
    dir.write("vmlinux", &base);
    dir.write("module", &module);
    dir.write(
        "own.ko",
        &elf_with(&[(".BTF", &module), (".BTF.base", &base)]),
    );
    dir.write("pasted", &[&base[..], &[0; 5], &base].concat());
    for (name, line) in [
        ("found_module", "DIR/module"),
        ("found_own_base", "DIR/own.ko --color never"),
        ("found_root", "DIR/module --root own"),
        ("found_folder", "DIR/ --name s,own --name {own,s}"),
        ("found_pasted", "DIR/pasted --kind typedef"),
        ("found_pasted_json", "DIR/pasted --kind typedef --json"),
        ("found_nothing", "DIR/vmlinux --name numbre"),
        ("bad_kind", "DIR/vmlinux --kind strukt"),
        ("bad_pattern", "DIR/vmlinux --name /(/"),
        ("bad_file", "DIR/missing"),
    ] {
        insta::assert_snapshot!(name, shown(&btf_dump(&dir, line), &dir));
    }
}

#[test]
fn standard_input_is_read() {
    let (builder, _) = every_kind();
    let dir = TestDir::new();
    let bytes = builder.write(ByteOrder::Big, WriteOptions::default());
    dir.write("a.btf", &bytes.unwrap());
    let script = "\"$0\" - --id 1 < \"$1\"; \"$0\" - < /dev/null";
    let program = ours("btf-dump");
    let args = ["-c".into(), script.into(), program, dir.path("a.btf")];
    let outcome = run(Path::new("sh"), args);
    insta::assert_snapshot!(outcome, @r"
    status: 2
    ----- stdout
    [1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
    ----- stderr
    btf-dump: error: standard input: .BTF+0x0: truncated: 24 bytes needed, 0 there
    ");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = TestDir::new();
    let mut builder = Builder::new();
    for _ in 0..100_000 {
        builder.ptr(TypeId::VOID).unwrap();
    }
    let bytes = builder.write(ByteOrder::Little, WriteOptions::default());
    dir.write("a.btf", &bytes.unwrap());
    let script = "{ \"$0\" \"$1\"; echo $? >&2; } | head -n 1";
    let program = ours("btf-dump");
    let outcome = run(
        Path::new("sh"),
        ["-c".into(), script.into(), program, dir.path("a.btf")],
    );
    assert_eq!(outcome.stdout, "[1] PTR '(anon)' type_id=0\n");
    assert_eq!(outcome.stderr, "0\n");
}

#[test]
fn help_and_manual_tell_what_there_is() {
    let dir = TestDir::new();
    for (name, line) in [
        ("short_help", "-h"),
        ("long_help", "--help"),
        ("manual", "--generate man"),
    ] {
        let outcome = btf_dump(&dir, line).success();
        let version = env!("CARGO_PKG_VERSION");
        insta::assert_snapshot!(name, outcome.stdout.replace(version, "VERSION"));
    }
}

/// Does everything with a blob that the listing can do; how much it printed.
fn list(bytes: &[u8]) -> usize {
    let Ok(btf) = Btf::parse(bytes, None) else {
        return 0;
    };
    let options = Options {
        is_long: true,
        has_colors: true,
        is_escaped: true,
    };
    let request = Request {
        btf: &btf,
        ids: None,
        ext: None,
        parts: Parts::ALL,
        options,
    };
    let (mut text, mut json) = (Vec::new(), Vec::new());
    write_text(&request, &mut text).unwrap();
    write_json(&request, None, &mut json).unwrap();
    serde_json::from_slice::<Value>(&json).unwrap();
    let selection = Selection {
        names: vec![Pattern::parse("/[a-m]/").unwrap()],
        roots: vec![
            Root::Id(TypeId(7)),
            Root::Name(Pattern::parse("s*").unwrap()),
        ],
        ..Selection::default()
    };
    let _ = selection.of(&btf);
    text.len() + json.len()
}

#[test]
fn thousands_of_damaged_blobs_are_listed_or_refused() {
    let mut random = Random::new(0xd0);
    for (_, blob) in blobs().step_by(10) {
        for _ in 0..VARIANTS {
            let damaged = random.damage(&blob);
            let printed = list(&damaged);
            // The budget for long names is more than all that these small files can have.
            assert!(printed < 200 * damaged.len() + (1 << 20), "{printed}");
        }
    }
}

#[test]
fn damaged_blobs_get_one_line_from_the_program() {
    let program = ours("btf-dump");
    let mut random = Random::new(0xd1);
    let blobs: Vec<_> = blobs().step_by(10).collect();
    for _ in 0..SAMPLES {
        let dir = TestDir::new();
        let (_, blob) = &blobs[random.below(blobs.len())];
        let file = dir.write("a.btf", &random.damage(blob));
        let args = [file.as_os_str(), "--show=all".as_ref(), "--long".as_ref()];
        let outcome = run_within(ADDRESS_SPACE_KIB, &program, args);
        match outcome.status {
            Some(0) => {}
            Some(2) => {
                let start = format!("btf-dump: error: {}: ", file.display());
                assert!(outcome.stderr.starts_with(&start), "{outcome}");
                assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
            }
            _ => panic!("{outcome}"),
        }
    }
}

#[test]
fn names_that_overlap_are_not_printed_for_ever() {
    const LEN: u32 = 1 << 18;
    let mut builder = Builder::new();
    builder.add_string(&vec![b'n'; LEN as usize]).unwrap();
    let info = (Kind::Fwd as u32) << 24;
    for offset in 0..LEN / 16 {
        builder.push_record(&[1 + offset, info, 0]).unwrap();
    }
    let bytes = builder.write(ByteOrder::Little, WriteOptions::default());
    let bytes = bytes.unwrap();
    // In full these would be 2 GB.
    let printed = list(&bytes);
    assert!(printed < 100 << 20, "{printed}");
}

#[test]
fn a_name_cannot_command_the_terminal() {
    let mut builder = Builder::new();
    builder.fwd(b"a\x1b[2Jb", false).unwrap();
    let btf = builder.finish().unwrap();
    let text = |is_escaped| {
        let options = Options {
            is_escaped,
            ..Options::default()
        };
        let mut out = Vec::new();
        let request = Request {
            btf: &btf,
            ids: None,
            ext: None,
            parts: Parts::TYPES,
            options,
        };
        write_text(&request, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(true), "[1] FWD 'a\\u{1b}[2Jb' fwd_kind=struct\n");
    assert_eq!(text(false), "[1] FWD 'a\x1b[2Jb' fwd_kind=struct\n");
}
