//! `btf-link min-core`: the part of a kernel's BTF that it writes gives the same answers, to us and to libbpf.

use std::path::Path;

use btf_core::validate::{Profile, validate};
use btf_core::{Btf, TypeId};
use btf_tests::program::TestDir;

use super::{file, kernel_for, kernel_with_module, libbpf, link};

fn min_core(kernel: &Path, program: &Path, out: &Path, options: &[&str]) -> Btf {
    let mut args = vec!["min-core".into(), kernel.to_owned(), program.to_owned()];
    args.extend(["-o".into(), out.to_owned()]);
    args.extend(options.iter().map(Into::into));
    let _ = link(args).success();
    Btf::parse(&std::fs::read(out).unwrap(), None).unwrap()
}

fn names(btf: &Btf) -> Vec<&[u8]> {
    let ids = (1..btf.end_id()).map(TypeId);
    let names = ids.map(|id| btf.name(id).unwrap());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn it_gives_the_same_answers() {
    let dir = TestDir::new();
    let libbpf = libbpf::Libbpf::build();
    for program in ["program.clang.o", "program.gcc.o", "program.clang-be.o"] {
        for kernel in ["kernel-1.o", "kernel-2.o", "kernel-3.o"] {
            let out = dir.path("min.btf");
            let program = file(program);
            let kernel = kernel_for(&program, kernel, &dir);
            let min = min_core(&kernel, &program, &out, &[]);
            let findings = validate(&min, Profile::User);
            assert!(findings.is_empty(), "{findings:?}");
            // The program itself compares the answers; what is unlike are ids of types.
            let (whole, small) = (
                libbpf::ours(&program, &kernel),
                libbpf::ours(&program, &out),
            );
            let differing = whole.iter().zip(&small).filter(|(a, b)| a != b).count();
            assert_eq!((whole.len(), differing <= 2), (small.len(), true));
            // libbpf takes only programs of the machine's own byte order.
            if let Some(libbpf) = libbpf
                .as_ref()
                .filter(|_| !program.ends_with("program.clang-be.o"))
            {
                assert_eq!(libbpf.answers(&program, &out), small);
            }
        }
    }
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let dir = TestDir::new();
    let out = dir.path("min.btf");
    let min = min_core(&file("kernel-2.o"), &file("program.clang.o"), &out, &[]);
    let whole = std::fs::read(file("kernel-2.o")).unwrap();
    let whole = btf_core::elf::load(&whole, None).unwrap().btf;
    assert!(min.end_id() < whole.end_id());
    let has = |name: &[u8]| names(&min).contains(&name);
    // No variable; and the tag, which bpftool refuses.
    assert!(has(b"rcu") && has(b"task") && !has(b"anonymous") && !has(b"callback"));
}

#[test]
fn modules_and_functions_are_kept_on_request() {
    let dir = TestDir::new();
    kernel_with_module(&dir);
    let (program, out) = (file("program.clang.o"), dir.path("min.btf"));
    let kernel = dir.path("a");
    let plain = min_core(&kernel, &program, &out, &[]);
    assert_eq!(names(&plain), [&b"int"[..], b"task", b"absent"]);
    let with = min_core(&kernel, &program, &out, &["--functions"]);
    assert!(names(&with).contains(&&b"btf_trace_loads"[..]));
    let base = min_core(&dir.path("a/vmlinux"), &program, &out, &[]);
    assert_eq!(names(&base), [&b"int"[..], b"task"]);
    let module = dir.path("a/modules/m.ko");
    let options = ["-m", module.to_str().unwrap()];
    let both = min_core(&dir.path("a/vmlinux"), &program, &out, &options);
    assert_eq!(names(&both), names(&plain));
}

#[test]
fn what_an_earlier_run_wrote_beside_the_kernel_is_no_other_kernel() {
    let dir = TestDir::new();
    kernel_with_module(&dir);
    let (program, out) = (file("program.clang.o"), dir.path("a/min.btf"));
    let first = min_core(&dir.path("a"), &program, &out, &[]);
    let again = min_core(&dir.path("a"), &program, &out, &[]);
    assert_eq!(names(&again), names(&first));
}
