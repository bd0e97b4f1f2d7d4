//! Goal: names that overlap, and names that very many types share, take time, memory and output in proportion to the input.
//! Method: the smallest generators of such BTF; limits on memory, and sizes with which the square of anything would not end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::WriteOptions;
use btf_core::wire::int;
use btf_core::{Builder, ByteOrder, Info, Kind};
use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, run_within};

/// What a program may take, in KiB of address space.
const ADDRESS_SPACE_KIB: u32 = 1 << 20;

fn write(dir: &TestDir, name: &str, builder: &Builder) -> PathBuf {
    let bytes = builder.write(ByteOrder::NATIVE, WriteOptions::default());
    dir.write(name, &bytes.unwrap())
}

/// Structures that have all ends of one string as their names.
fn overlapping_structures(count: u32) -> Builder {
    let mut builder = Builder::new();
    builder.add_string(&vec![b'a'; count as usize]).unwrap();
    let info = Info::new(Kind::Struct, 0, false).0;
    for name in 1..=count {
        builder.push_record(&[name, info, 4]).unwrap();
    }
    builder
}

/// An enumeration whose enumerators have all ends of one string as their names.
fn overlapping_enumerators(count: u32) -> Builder {
    let mut builder = Builder::new();
    builder.add_string(&vec![b'a'; count as usize]).unwrap();
    let mut record = vec![1, Info::new(Kind::Enum, count, false).0, 4];
    record.extend((1..=count).flat_map(|name| [name, name]));
    builder.push_record(&record).unwrap();
    builder
}

/// Structures of one name and different sizes, and forward declarations of it among them.
fn homonyms(count: u32) -> Builder {
    let mut builder = Builder::new();
    for size in 0..count {
        builder.composite(Kind::Struct, b"x", size, &[]).unwrap();
        builder.fwd(b"x", false).unwrap();
    }
    builder
}

fn link<const N: usize>(args: [&Path; N]) -> Outcome {
    run_within(ADDRESS_SPACE_KIB, &ours("btf-link"), args)
}

#[track_caller]
fn check_refused(outcome: &Outcome) {
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("as too many do"), "{outcome}");
}

#[test]
fn overlapping_names_are_refused_by_prune_and_merge() {
    let dir = TestDir::new();
    let out = dir.path("out");
    let paths = [
        write(&dir, "types", &overlapping_structures(300_000)),
        write(&dir, "enumerators", &overlapping_enumerators(65_000)),
    ];
    let [prune, merge, keep, all, to] = ["prune", "merge", "--keep", "*", "-o"].map(Path::new);
    for path in &paths {
        check_refused(&link([prune, path, keep, all, to, &out]));
        check_refused(&link([merge, path, path, to, &out]));
    }
    assert!(!out.exists());
}

#[test]
fn overlapping_names_of_a_base_are_refused() {
    let dir = TestDir::new();
    let base = write(&dir, "base", &overlapping_structures(60_000));
    let object = corpus::root().join("dwarf/gcc-x86_64/program.o");
    let out = dir.path("out");
    let [base_flag, output] = ["--base", "-o"].map(Path::new);
    let args = [object.as_path(), base_flag, &base, output, &out];
    let outcome = run_within(ADDRESS_SPACE_KIB, &ours("dwarf2btf"), args);
    check_refused(&outcome);
}

#[test]
fn of_types_of_one_name_the_first_are_blamed() {
    let dir = TestDir::new();
    let path = write(&dir, "types", &homonyms(20_000));
    let [prune, keep, blame, x] = ["prune", "--keep", "--blame", "x"].map(Path::new);
    let outcome = link([prune, &path, keep, x, blame, x]).success();
    assert_eq!(outcome.stdout.matches("without it").count(), 64);
    let more = "39,936 more types called `x` are kept";
    assert!(outcome.stderr.contains(more), "{outcome}");
}

#[test]
fn a_base_with_one_name_for_all_types_is_merged_with_itself() {
    let dir = TestDir::new();
    let path = write(&dir, "types", &homonyms(200_000));
    let out = dir.path("out");
    let [merge, base, to] = ["merge", "--base", "-o"].map(Path::new);
    let _ = link([merge, base, &path, &path, to, &out]).success();
    // Nothing but a header.
    assert_eq!(std::fs::read(&out).unwrap().len(), 24);
}

#[test]
fn what_continues_a_kernel_is_moved_onto_it_unchanged() {
    let dir = TestDir::new();
    let mut kernel = Builder::new();
    let int = kernel.int(b"int", 4, int::SIGNED).unwrap();
    let pointer = kernel.ptr(int).unwrap();
    let kernel_path = write(&dir, "vmlinux", &kernel);
    let mut module = Builder::with_base(Arc::new(kernel.finish().unwrap()));
    module.typedef(b"own", pointer).unwrap();
    let path = write(&dir, "module", &module);
    let out = dir.path("out");
    let [relocate, base, to, output] = ["relocate", "--base", "--to", "-o"].map(Path::new);
    let args = [
        relocate,
        &path,
        base,
        &kernel_path,
        to,
        &kernel_path,
        output,
        &out,
    ];
    let _ = link(args).success();
    assert_eq!(std::fs::read(&out).unwrap(), std::fs::read(&path).unwrap());
}
