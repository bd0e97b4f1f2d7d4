//! `btf-link prune PROGRAM`: less BTF, the same program.

use std::path::{Path, PathBuf};

use btf_core::validate::{Profile, check_ext, validate};
use btf_link::program::Program;
use btf_tests::program::{Outcome, TestDir};

use super::{file, kernel_for, libbpf, link};

const LEVELS: [&str; 3] = ["reachable", "forward", "members"];
const PROGRAMS: [&str; 3] = ["program.clang.o", "program.gcc.o", "program.clang-be.o"];

fn prune(dir: &TestDir, program: &Path, out: &Path, level: &str) -> Outcome {
    let [command, output, of, prove] = ["prune", "-o", "--level", "--prove"].map(PathBuf::from);
    let kernels = ["kernel-1.o", "kernel-2.o", "kernel-3.o"];
    let kernels = kernels.map(|kernel| kernel_for(program, kernel, dir));
    let mut args = vec![command, program.to_owned(), output, out.to_owned()];
    args.extend([of, level.into(), prove]);
    args.extend(kernels);
    link(args)
}

fn read(path: &Path) -> Program {
    Program::parse(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_level_takes_more_and_changes_nothing() {
    let dir = TestDir::new();
    for name in PROGRAMS {
        let program = file(name);
        let mut before = u64::MAX;
        for level in LEVELS {
            let out = dir.path("out.o");
            let outcome = prune(&dir, &program, &out, level).success();
            assert!(
                outcome.stderr.contains("give the same in 3 kernels"),
                "{outcome}"
            );
            let pruned = read(&out);
            assert!(pruned.btf.blob_len() <= before, "{name} {level}");
            before = pruned.btf.blob_len();
            let ext = pruned.ext.write(pruned.order()).unwrap();
            let findings = check_ext(&ext, &pruned.btf, Profile::Structural.into());
            assert!(findings.is_empty(), "{name} {level}: {findings:?}");
            let findings = validate(&pruned.btf, Profile::Structural);
            assert!(findings.is_empty(), "{name} {level}: {findings:?}");
            // Once more changes nothing.
            let again = dir.path("again.o");
            let _ = prune(&dir, &out, &again, level).success();
            assert!(std::fs::read(&again).unwrap() == std::fs::read(&out).unwrap());
        }
        let whole = read(&program).btf.blob_len();
        assert!(before < whole, "{name}: {before} of {whole}");
    }
}

#[test]
fn ids_in_instructions_are_those_of_the_types() {
    let dir = TestDir::new();
    for name in PROGRAMS {
        let out = dir.path("out.o");
        let _ = prune(&dir, &file(name), &out, "members").success();
        let pruned = read(&out);
        let mut count = 0;
        for relocation in &pruned.relocations {
            // BPF_CORE_TYPE_ID_LOCAL
            if relocation.relo.kind == 6 {
                let code = &pruned.sections[relocation.section.unwrap()];
                let insn = code.insn(pruned.order(), relocation.relo.insn_off.into());
                let imm = insn.unwrap().imm.cast_unsigned();
                assert_eq!(imm, relocation.relo.type_id.0, "{name}");
                assert_eq!(pruned.btf.name(relocation.relo.type_id).unwrap(), b"task");
                count += 1;
            }
        }
        assert!(count > 0, "{name}");
    }
}

#[test]
fn libbpf_takes_what_is_left() {
    let Some(libbpf) = libbpf::Libbpf::build() else {
        return;
    };
    let dir = TestDir::new();
    for name in &PROGRAMS[..2] {
        for level in LEVELS {
            let out = dir.path("out.o");
            let _ = prune(&dir, &file(name), &out, level).success();
            for kernel in ["kernel-1.o", "kernel-2.o", "kernel-3.o"] {
                let kernel = file(kernel);
                let theirs = libbpf.answers(&out, &kernel);
                assert_eq!(theirs, libbpf::ours(&out, &kernel), "{name} {level}");
                assert!(theirs.len() > 40, "{name} {level}");
            }
        }
    }
}

#[test]
fn of_an_object_without_btf_nothing_is_written() {
    let dir = TestDir::new();
    let program = file("../clang/plain.o");
    let out = dir.path("out.o");
    let [command, output] = ["prune", "-o"].map(PathBuf::from);
    let outcome = link(vec![command, program, output, out.clone()]);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(
        outcome.stderr.contains("plain.o: no section `.BTF`"),
        "{outcome}"
    );
    assert!(!out.exists());
}

#[test]
fn a_kernel_for_the_proof_is_not_replaced_and_an_old_output_is_none() {
    let dir = TestDir::new();
    std::fs::copy(file("kernel-1.o"), dir.path("vmlinux")).unwrap();
    let program = file("program.gcc.o");
    let prune = |out: &str, kernel: &str| {
        let [command, output, prove] = ["prune", "-o", "--prove"].map(PathBuf::from);
        let (out, kernel) = (dir.path(out), dir.path(kernel));
        link([command, program.clone(), output, out, prove, kernel])
    };
    for _ in 0..2 {
        let outcome = prune("small.o", "").success();
        assert!(outcome.stderr.contains("in 1 kernel\n"), "{outcome}");
    }
    let outcome = prune("vmlinux", "vmlinux");
    assert_eq!(outcome.status, Some(2), "{outcome}");
    let kept = std::fs::read(dir.path("vmlinux")).unwrap();
    assert!(kept == std::fs::read(file("kernel-1.o")).unwrap());
}
