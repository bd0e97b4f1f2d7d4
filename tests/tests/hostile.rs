//! Goal: no input, however broken, makes the program panic, run for ever, use much memory or leave a file behind.
//! Method: one file per broken rule, each answer in a snapshot; thousands of damaged objects, damaged debugging sections and
//! damaged BTF from a fixed seed through the libraries, a sample of them through the programs. The programs have an
//! address space that leaves no room for what a damaged size claims.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use btf_core::builder::{Builder, WriteOptions};
use btf_core::reader::Btf;
use btf_core::validate::{Profile, validate};
use btf_tests::compare::{Comparison, Scope};
use btf_tests::listing::listing;
use btf_tests::program::{Outcome, TestDir, ours, run, run_within};
use btf_tests::random::Random;
use btf_tests::{bad, corpus};
use dwarf2btf::Unobserved;
use dwarf2btf::finding::FindingKind;
use dwarf2btf::input::Image;
use dwarf2btf::options::Options;
use object::{Object as _, ObjectSection as _};

/// Longer than any answer to a file of at most 64 KiB takes in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// How many damaged variants of each object the library gets.
const VARIANTS: usize = 40;

/// How many damaged objects, and files with damaged BTF, the programs get.
const SAMPLES: usize = 200;

/// How many KiB of address space a program has: its own code, two threads with their stacks and heaps need half of that.
const ADDRESS_SPACE_KIB: u32 = 512 * 1024;

/// Runs the program on a file in a folder of its own and checks what must hold for any input.
#[track_caller]
fn answer(program: &Path, dir: &TestDir, name: &str) -> Outcome {
    answer_within(ADDRESS_SPACE_KIB, program, dir, name)
}

/// As [`answer`], with another address space.
#[track_caller]
fn answer_within(kib: u32, program: &Path, dir: &TestDir, name: &str) -> Outcome {
    let (input, output) = (dir.path(name), dir.path("out.btf"));
    let args = [
        input.as_os_str(),
        "-qj2".as_ref(),
        "-o".as_ref(),
        output.as_os_str(),
    ];
    let outcome = run_within(kib, program, args);
    assert!(
        outcome.elapsed < LIMIT,
        "{name}: took {:?}",
        outcome.elapsed
    );
    assert_eq!(outcome.stdout, "", "{name}");
    match outcome.status {
        Some(0) => {
            let bytes = std::fs::read(&output).unwrap();
            check_output(name, &bytes);
            std::fs::remove_file(output).unwrap();
        }
        Some(2) => {
            let is_one_line = outcome.stderr.lines().count() == 1 && outcome.stderr.ends_with('\n');
            assert!(is_one_line, "{name}: {outcome}");
            let start = format!("dwarf2btf: error: {}", input.display());
            assert!(outcome.stderr.starts_with(&start), "{name}: {outcome}");
        }
        _ => panic!("{name}: {outcome}"),
    }
    assert_eq!(dir.names(), [name], "nothing is left behind");
    outcome
}

/// What is written is BTF, whatever it was made of.
#[track_caller]
fn check_output(name: &str, bytes: &[u8]) {
    let btf = Btf::parse(bytes, None).unwrap_or_else(|error| panic!("{name}: {error}"));
    let findings = validate(&btf, Profile::Structural);
    assert!(findings.is_empty(), "{name}: {findings:?}");
}

#[test]
fn every_broken_rule_has_an_answer() {
    let program = ours("dwarf2btf");
    let mut answers = String::new();
    for file in corpus::files("bad") {
        let dir = TestDir::new();
        let name = corpus::name(&file);
        dir.write(&name, &std::fs::read(&file).unwrap());
        let outcome = answer(&program, &dir, &name);
        let folder = dir.path("").display().to_string();
        let text = outcome
            .stderr
            .replace(&folder, "")
            .replace("dwarf2btf: error: ", "");
        let status = outcome.status.unwrap();
        let text = if text.is_empty() {
            &name
        } else {
            text.trim_end()
        };
        let _ = writeln!(answers, "{status} {text}");
    }
    insta::assert_snapshot!(answers);
}

/// Time that is not in proportion to an input shows where the input is large.
#[test]
fn large_inputs_are_answered_in_time() {
    let program = ours("dwarf2btf");
    let mut answers = String::new();
    for file in bad::large::slow() {
        let dir = TestDir::new();
        dir.write(file.name, &file.bytes);
        let outcome = answer(&program, &dir, file.name);
        let text = outcome.stderr.split_once(file.name);
        let text = text.map_or("", |(_, text)| text.trim_end());
        let _ = writeln!(answers, "{} {}{text}", outcome.status.unwrap(), file.name);
    }
    insta::assert_snapshot!(answers);
}

/// What the README says of memory: at most 128 bytes for each byte of the input beside what the program takes anyway. Its
/// address space leaves room for no more.
#[test]
fn memory_is_in_proportion_to_the_input() {
    let program = ours("dwarf2btf");
    // Without an input it takes less than 256 MiB of address space: the allocator sets 64 MiB aside for each thread.
    let kib = 256 * 1024 + u32::try_from(bad::large::DIES_LEN / 1024).unwrap() * 128;
    for (tag, bytes) in bad::large::dense() {
        let dir = TestDir::new();
        let name = format!("tag-{tag:#x}");
        dir.write(&name, &bytes);
        answer_within(kib, &program, &dir, &name);
    }
}

#[test]
fn a_tag_follows_its_member() {
    let bytes = std::fs::read(corpus::root().join("bad/members-out-of-order")).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let encoded = dwarf2btf::encode(&image, None, &Options::default(), &Unobserved).unwrap();
    let btf = Btf::parse(&encoded.btf, None).unwrap();
    let text = listing(&btf);
    insta::assert_snapshot!(text);
}

#[test]
fn the_folder_holds_what_the_generator_makes() {
    let mut made = bad::all();
    made.sort_by_key(|file| file.name);
    let names: Vec<_> = made.iter().map(|file| file.name.to_owned()).collect();
    let there: Vec<_> = corpus::files("bad")
        .iter()
        .map(|path| corpus::name(path))
        .collect();
    assert_eq!(names, there);
    let readme = std::fs::read_to_string(corpus::root().join("README.md")).unwrap();
    for file in made {
        let path = corpus::root().join("bad").join(file.name);
        assert!(std::fs::read(path).unwrap() == file.bytes, "{}", file.name);
        let row = format!("| `{}` | {} |", file.name, file.rule);
        assert!(readme.contains(&row), "{}", file.name);
    }
}

/// Encodes in this process; says what went wrong if it panicked, took long, or gave bad BTF.
fn encode(bytes: &[u8]) -> Result<(), String> {
    let start = Instant::now();
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        let image = Image::parse(bytes).map_err(|_| ())?;
        let encoded = dwarf2btf::encode(&image, None, &Options::default(), &Unobserved);
        encoded.map_err(|_| ())
    }));
    if start.elapsed() > LIMIT {
        return Err(format!("took {:?}", start.elapsed()));
    }
    match encoded {
        Err(_) => Err("panicked".to_owned()),
        Ok(Err(())) => Ok(()),
        Ok(Ok(encoded)) => {
            let btf = Btf::parse(&encoded.btf, None).map_err(|error| error.to_string())?;
            let findings = validate(&btf, Profile::Structural);
            findings
                .first()
                .map_or(Ok(()), |finding| Err(format!("{finding:?}")))
        }
    }
}

/// What refers to another unit is named, in its own unit, not what it refers to.
#[test]
fn findings_name_the_die_that_refers() {
    let bytes = std::fs::read(corpus::root().join("bad/reference-other-unit-no-type")).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let encoded = dwarf2btf::encode(&image, None, &Options::default(), &Unobserved).unwrap();
    let found: Vec<_> = encoded
        .findings
        .iter()
        .map(|finding| (finding.unit, finding.die_offset, finding.kind))
        .collect();
    // The second unit begins at 23, and its DIEs behind 12 bytes of header and 1 of the root.
    let expect = [
        (1, 36, FindingKind::DanglingReference),
        (1, 43, FindingKind::VoidMember),
        (1, 47, FindingKind::DanglingReference),
        (1, 55, FindingKind::DanglingReference),
    ];
    assert_eq!(found, expect);
}

#[test]
fn thousands_of_damaged_objects_are_answered() {
    let mut random = Random::new(0x0b7f);
    let mut wrong = Vec::new();
    for object in corpus::objects() {
        let bytes = std::fs::read(&object).unwrap();
        for variant in 0..VARIANTS {
            if let Err(what) = encode(&random.damage(&bytes)) {
                wrong.push(format!("{}, variant {variant}: {what}", object.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} failed:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Most damage to a whole object hits what holds the bytes together; this one only what says how they are read.
#[test]
fn thousands_of_damaged_debugging_sections_are_answered() {
    let mut random = Random::new(0xdeb6);
    let mut wrong = Vec::new();
    for object in corpus::objects() {
        let bytes = std::fs::read(&object).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        for name in [".debug_abbrev", ".debug_info", ".debug_types", ".symtab"] {
            let Some((start, length)) = place(&file, name) else {
                continue;
            };
            for variant in 0..VARIANTS / 4 {
                let mut damaged = bytes.clone();
                random.spoil(&mut damaged[start..start + length]);
                if let Err(what) = encode(&damaged) {
                    wrong.push(format!(
                        "{}, {name}, variant {variant}: {what}",
                        object.display()
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} failed:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Where the bytes of a section are in its file, and how many.
fn place(file: &object::File<'_>, name: &str) -> Option<(usize, usize)> {
    let (start, length) = file.section_by_name(name)?.file_range()?;
    Some((usize::try_from(start).ok()?, usize::try_from(length).ok()?))
}

/// The BTF of every tenth object, each a different one.
fn blobs() -> Vec<Vec<u8>> {
    let objects = corpus::objects().into_iter().step_by(10);
    let blobs: Vec<_> = objects
        .filter_map(|object| {
            let bytes = std::fs::read(object).unwrap();
            let image = Image::parse(&bytes).ok()?;
            let encoded = dwarf2btf::encode(&image, None, &Options::default(), &Unobserved).ok()?;
            Some(encoded.btf)
        })
        .collect();
    assert!(blobs.len() > 10, "the corpus has BTF");
    blobs
}

/// Reads BTF as everything that is given some does; what the reader takes can be listed, checked and written again.
fn read(bytes: &[u8]) -> Result<(), String> {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let Ok(btf) = Btf::parse(bytes, None) else {
            return;
        };
        let _ = listing(&btf);
        let findings = validate(&btf, Profile::Structural);
        let same = Builder::from_btf(&btf).write(btf.byte_order(), WriteOptions::default());
        if findings.is_empty() {
            // Only BTF without findings is for comparing: the rest may have no end.
            let _ = Comparison::new(&btf, &btf, Scope::All);
            assert!(same.is_ok(), "cannot be written again: {same:?}");
        }
    }));
    match outcome {
        Err(_) => Err("panicked".to_owned()),
        Ok(()) if start.elapsed() > LIMIT => Err(format!("took {:?}", start.elapsed())),
        Ok(()) => Ok(()),
    }
}

#[test]
fn thousands_of_damaged_btf_are_answered() {
    let mut random = Random::new(0xb7f);
    let mut wrong = Vec::new();
    for (index, blob) in blobs().into_iter().enumerate() {
        for variant in 0..VARIANTS * 5 {
            if let Err(what) = read(&random.damage(&blob)) {
                wrong.push(format!("blob {index}, variant {variant}: {what}"));
            }
        }
        for length in (0..blob.len()).step_by(61) {
            if let Err(what) = read(&blob[..length]) {
                wrong.push(format!("blob {index}, {length} bytes: {what}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} failed:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn damaged_btf_is_refused_in_one_line() {
    let program = Path::new(env!("CARGO_BIN_EXE_btf-compare"));
    let mut random = Random::new(0xc0);
    let blobs = blobs();
    for _ in 0..SAMPLES {
        let dir = TestDir::new();
        let blob = &blobs[random.below(blobs.len())];
        let file = dir.write("a.btf", &random.damage(blob));
        let outcome = run_within(ADDRESS_SPACE_KIB, program, [&file, &file]);
        assert!(outcome.elapsed < LIMIT, "{outcome}");
        match outcome.status {
            Some(0 | 1) => {}
            Some(2) => {
                let start = format!("btf-compare: error: {}", file.display());
                assert!(outcome.stderr.starts_with(&start), "{outcome}");
                assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
            }
            _ => panic!("{outcome}"),
        }
    }
}

#[test]
fn every_short_beginning_of_a_file_is_answered() {
    let object = corpus::root().join("dwarf/gcc-x86_64/vectors.o");
    let bytes = std::fs::read(object).unwrap();
    for length in (0..bytes.len()).step_by(7) {
        assert_eq!(encode(&bytes[..length]), Ok(()), "{length} bytes");
    }
}

#[test]
fn damaged_objects_leave_no_output_and_one_line() {
    let program = ours("dwarf2btf");
    let mut random = Random::new(0xc11);
    let objects = corpus::objects();
    for sample in 0..SAMPLES {
        let object = &objects[random.below(objects.len())];
        let dir = TestDir::new();
        let name = format!("{sample}-{}", corpus::name(object));
        dir.write(&name, &random.damage(&std::fs::read(object).unwrap()));
        answer(&program, &dir, &name);
    }
}

/// The kinds of programs' commands that read an ELF file, each with what stands behind the file.
const READERS: [(&str, &[&str], &[&str]); 8] = [
    ("btf-dump", &[], &[]),
    ("btf-dump", &["kfuncs"], &[]),
    ("btf-link", &["merge"], &["-o", "OUT"]),
    ("btf-link", &["link"], &["-o", "OUT"]),
    ("btf-link", &["prune"], &["-o", "OUT"]),
    ("btf-link", &["preflight"], &["--against", "KERNEL"]),
    ("btf-link", &["core-check"], &["--against", "KERNEL"]),
    ("dwarf2btf", &[], &["-o", "OUT"]),
];

#[test]
fn of_a_file_that_is_cut_off_the_place_is_told() {
    let dir = TestDir::new();
    let core = corpus::root().join("bpf/core");
    let bytes = std::fs::read(core.join("program.gcc.o")).unwrap();
    let kernel = core.join("kernel-1.o");
    let table = u64::from_le_bytes(*bytes[40..].first_chunk().unwrap());
    for len in [20, bytes.len() / 2, bytes.len() - 1] {
        let file = dir.write("cut.o", &bytes[..len]);
        let (what, at) = match len {
            20 => ("an ELF header", 0),
            _ => ("section headers and their names", table),
        };
        let expect =
            format!("cut.o: damaged ELF file of {len} bytes: expected {what} at {at:#x}: ");
        for (program, before, behind) in READERS {
            let behind = behind.iter().map(|&word| match word {
                "OUT" => dir.path("out").into_os_string(),
                "KERNEL" => kernel.clone().into_os_string(),
                word => word.into(),
            });
            let words = before.iter().map(Into::into);
            let words = words.chain([file.clone().into_os_string()]).chain(behind);
            let outcome = run(&ours(program), words);
            assert_eq!(outcome.status, Some(2), "{program} {before:?}: {outcome}");
            assert!(
                outcome.stderr.contains(&expect),
                "{program} {before:?}: {outcome}"
            );
        }
    }
    assert_eq!(dir.names(), ["cut.o"]);
}
