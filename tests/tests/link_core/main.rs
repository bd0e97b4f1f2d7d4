//! Goal: `btf-link core-check` gives the answers of libbpf, for kernels that need not run, and tells apart what fails; `min-core` and
//! `prune` change no answer.
//! Method: programs of both compilers that ask each kind of question, and the BTF of three kernels (`corpus/bpf/core`); what
//! libbpf itself says to them; kernels and modules that are built here; damaged files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod libbpf;
mod min_core;
mod prune;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::builder::{MemberSpec, WriteOptions};
use btf_core::core_relo::Kernel;
use btf_core::wire::int;
use btf_core::{Builder, ByteOrder, Kind, elf};
use btf_link::core_check::Checked;
use btf_link::link::{File, Options};
use btf_link::min_core::min_core;
use btf_link::program::Program;
use btf_link::shrink::{Level, shrink};
use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, run};
use btf_tests::random::Random;

fn file(name: &str) -> PathBuf {
    corpus::root().join("bpf/core").join(name)
}

/// A kernel of the corpus in the byte order of a program: those of the corpus are little-endian.
fn kernel_for(program: &Path, kernel: &str, dir: &TestDir) -> PathBuf {
    let program = Program::parse(&std::fs::read(program).unwrap()).unwrap();
    let path = file(kernel);
    if program.order() == ByteOrder::Little {
        return path;
    }
    let loaded = elf::load(&std::fs::read(path).unwrap(), None).unwrap();
    let bytes = Builder::from_btf(&loaded.btf).write(ByteOrder::Big, WriteOptions::default());
    dir.write(&kernel.replace(".o", "-be.btf"), &bytes.unwrap())
}

fn link<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Outcome {
    run(&ours("btf-link"), args)
}

fn check(program: &str, kernels: &[&str], options: &[&str]) -> Outcome {
    let kernels = kernels.iter().map(|name| file(name).into_os_string());
    let mut args = vec!["core-check".into(), file(program).into_os_string()];
    args.extend(options.iter().map(Into::into));
    args.push("--against".into());
    args.extend(kernels);
    let mut outcome = link(args);
    let folder = format!("{}/", file("").display()).replace("//", "/");
    outcome.stdout = outcome.stdout.replace(&folder, "");
    outcome
}

#[test]
fn each_question_is_answered() {
    let kernels = ["kernel-1.o", "kernel-2.o", "kernel-3.o"];
    let outcome = check("program.clang.o", &kernels, &["--answers"]);
    assert_eq!(outcome.status, Some(1));
    insta::assert_snapshot!("answers", outcome.stdout);
}

#[test]
fn json_says_the_same() {
    let outcome = check("program.gcc.o", &["kernel-1.o", "kernel-3.o"], &["--json"]);
    assert_eq!(outcome.status, Some(1));
    let lines: Vec<serde_json::Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["fails"], false);
    assert_eq!(lines[1]["fails"], true);
    let quiet = check(
        "program.gcc.o",
        &["kernel-1.o", "kernel-3.o"],
        &["--json", "-q"],
    );
    assert_eq!(quiet.stdout, outcome.stdout);
    let problem = &lines[1]["problems"][0];
    assert_eq!(problem["verdict"], "reached");
    assert_eq!(problem["function"], "unguarded");
    assert!(problem["line"].as_u64().unwrap() > 0);
}

#[test]
fn the_answers_are_those_of_libbpf() {
    let Some(libbpf) = libbpf::Libbpf::build() else {
        return;
    };
    let mut compared = 0;
    for program in ["program.clang.o", "program.gcc.o"] {
        for kernel in ["kernel-1.o", "kernel-2.o", "kernel-3.o"] {
            let (program, kernel) = (file(program), file(kernel));
            let theirs = libbpf.answers(&program, &kernel);
            let ours = libbpf::ours(&program, &kernel);
            assert_eq!(ours, theirs, "{} {}", program.display(), kernel.display());
            compared += ours.len();
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn both_byte_orders_get_the_same_answers() {
    let dir = TestDir::new();
    // Shifts of bitfields are another matter.
    let answers = |program: &str| {
        let program = file(program);
        let kernel = kernel_for(&program, "kernel-3.o", &dir);
        let (program, kernel) = (program.into_os_string(), kernel.into_os_string());
        let [check, answers, against] = ["core-check", "--answers", "--against"].map(Into::into);
        let outcome = link([check, program, answers, against, kernel]);
        let lines = outcome.stdout.lines().filter(|line| line.contains('#'));
        let lines = lines.map(ToOwned::to_owned);
        let lines = lines.filter(|line| !line.contains("lshift_u64"));
        lines.collect::<Vec<_>>()
    };
    let [little, big] = ["program.clang.o", "program.clang-be.o"].map(answers);
    assert!(little.len() > 40);
    assert_eq!(little, big);
}

#[test]
fn no_kernel_takes_programs_of_another_byte_order() {
    let dir = TestDir::new();
    let text = "its byte order is big, the kernel's is little";
    let program = file("program.clang-be.o");
    let kernel = file("kernel-1.o");
    let outcome = check("program.clang-be.o", &["kernel-1.o"], &[]);
    assert_eq!(outcome.status, Some(1), "{outcome}");
    let line = format!("kernel-1.o: fails ({text}: the loader refuses the object)");
    assert!(outcome.stdout.contains(&line), "{outcome}");
    let outcome = check("program.clang-be.o", &["kernel-1.o"], &["--json"]);
    let line: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&line["fails"], &line["why"]), (&true.into(), &text.into()));
    let out = dir.path("out");
    let words = ["min-core", "-o", "prune", "--prove"].map(PathBuf::from);
    let [min, o, prune, prove] = &words;
    let outcome = link([min, &kernel, &program, o, &out]);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains(text), "{outcome}");
    let outcome = link([prune, &program, o, &out, prove, &kernel]);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("nothing is proved"), "{outcome}");
    assert!(!out.exists());
    // Of several those of the program's order count.
    let big = kernel_for(&program, "kernel-1.o", &dir);
    let outcome = link([prune, &program, o, &out, prove, &kernel, &big]).success();
    assert!(
        outcome.stderr.contains("the same in 1 kernel\n"),
        "{outcome}"
    );
}

/// A kernel with `struct task`, and a module with `struct absent`, for which the corpus asks.
fn kernel_with_module(dir: &TestDir) {
    let write = |name: &str, builder: &Builder| {
        let bytes = builder.write(ByteOrder::Little, WriteOptions::default());
        let path = dir.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes.unwrap()).unwrap();
    };
    let mut base = Builder::new();
    let int = base.int(b"int", 4, int::SIGNED).unwrap();
    let member = |name| MemberSpec {
        name,
        ty: int,
        bit_offset: 64,
        bitfield_size: 0,
    };
    let task = [member(b"pid")];
    base.composite(Kind::Struct, b"task", 16, &task).unwrap();
    // The tracepoint that a program of the corpus attaches to.
    let tracepoint = base.func_proto(int, &[(b"x", int)]).unwrap();
    let tracepoint = base.ptr(tracepoint).unwrap();
    base.typedef(b"btf_trace_loads", tracepoint).unwrap();
    write("a/vmlinux", &base);
    let mut module = Builder::with_base(Arc::new(base.finish().unwrap()));
    let absent = [member(b"x")];
    module
        .composite(Kind::Struct, b"absent", 16, &absent)
        .unwrap();
    write("a/modules/m.ko", &module);
    write("b/modules/m.ko", &module);
}

#[test]
fn modules_belong_to_the_kernel_above_them() {
    let dir = TestDir::new();
    kernel_with_module(&dir);
    let program = file("program.clang.o");
    let args = |folder: &str| {
        let folder = dir.path(folder).into_os_string();
        let words = ["core-check", "--answers", "--against"].map(Into::into);
        let program = program.clone().into_os_string();
        let [check, answers, against] = words;
        [check, program, answers, against, folder]
    };
    let outcome = link(args("a"));
    assert_eq!(outcome.status, Some(1));
    assert!(
        outcome
            .stdout
            .contains("type_exists of `struct absent`: 1 -> 1"),
        "{outcome}"
    );
    assert!(
        outcome
            .stdout
            .contains("byte_off of `struct absent.x`: 0 -> 8"),
        "{outcome}"
    );
    // A module without its kernel is left out, and without any kernel nothing is checked.
    let outcome = link(args("b"));
    assert_eq!((outcome.status, &*outcome.stdout), (Some(2), ""));
    for text in [
        "the kernel of this module is not there",
        "nothing that `--against` names is a kernel",
    ] {
        assert!(outcome.stderr.contains(text), "{outcome}");
    }
}

#[test]
fn what_cannot_be_read_is_2() {
    let dir = TestDir::new();
    let noise = dir.write("noise", b"noise");
    let half = std::fs::read(file("kernel-1.o")).unwrap();
    let half = dir.write("half", &half[..half.len() / 2]);
    for path in [&noise, &half, &dir.path("none")] {
        let program = file("program.gcc.o");
        let (kernel, check) = (file("kernel-1.o"), PathBuf::from("core-check"));
        let against = PathBuf::from("--against");
        let as_program = link([&check, path, &against, &kernel]);
        assert_eq!(as_program.status, Some(2), "{as_program}");
        let as_kernel = link([&check, &program, &against, path]);
        assert_eq!(as_kernel.status, Some(2), "{as_kernel}");
    }
    // Nothing is written.
    let out = dir.path("out");
    for path in [&noise, &half, &dir.path("none")] {
        let (kernel, o) = (file("kernel-1.o"), PathBuf::from("-o"));
        let pruned = link([&PathBuf::from("prune"), path, &o, &out]);
        assert_eq!(pruned.status, Some(2), "{pruned}");
        let min = link([&PathBuf::from("min-core"), &kernel, path, &o, &out]);
        assert_eq!(min.status, Some(2), "{min}");
    }
    assert_eq!(dir.names(), ["half", "noise"]);
    // A kernel is no program, as long as it has no instructions to ask for.
    let outcome = check("kernel-1.o", &["kernel-1.o"], &[]);
    assert_eq!(outcome.status, Some(0), "{outcome}");
}

#[test]
fn damaged_files_are_answered() {
    let read = |name| std::fs::read(file(name)).unwrap();
    let dir = TestDir::new();
    let kernel = |bytes: &[u8]| {
        let loaded = elf::load(bytes, None).ok()?;
        Some(Kernel::new(Arc::new(loaded.btf)))
    };
    let mut random = Random::new(7);
    let mut checked = 0;
    for name in ["program.clang.o", "program.gcc.o", "program.clang-be.o"] {
        let bytes = read(name);
        let kernel_bytes = std::fs::read(kernel_for(&file(name), "kernel-3.o", &dir)).unwrap();
        let whole_kernel = kernel(&kernel_bytes).unwrap();
        let whole = [Checked::new(Program::parse(&bytes).unwrap())];
        for _ in 0..500 {
            let damaged = random.damage(&bytes);
            if let Ok(program) = Program::parse(&damaged) {
                let _ = shrink(&program.btf, &program.ext, Level::Members);
                let program = [Checked::new(program)];
                let _ = program[0].check(&whole_kernel);
                let _ = min_core(&whole_kernel, &program, true);
                checked += 1;
            }
            let file = [File::new(name.to_owned(), damaged)];
            let prune = Some(Level::Forward);
            let _ = btf_link::link::link(&file, &Options { gc: None, prune });
            if let Some(kernel) = kernel(&random.damage(&kernel_bytes)) {
                let _ = whole[0].check(&kernel);
                let _ = min_core(&kernel, &whole, true);
                checked += 1;
            }
        }
    }
    assert!(checked > 800, "{checked}");
}

#[test]
fn one_broken_file_does_not_stop_the_others() {
    let dir = TestDir::new();
    kernel_with_module(&dir);
    let kernel = std::fs::read(dir.path("a/vmlinux")).unwrap();
    std::fs::create_dir(dir.path("c")).unwrap();
    let cut = dir.write("c/cut", &kernel[..20]);
    let module = dir.write("a/modules/cut.ko", b"\x9f\xeb\x01");
    let noise = dir.write("noise.o", b"noise");
    let program = file("program.clang.o");
    let words = ["core-check", "--against"].map(PathBuf::from);
    let [check, against] = &words;
    let outcome = link([
        check,
        &noise,
        &program,
        against,
        &dir.path("a"),
        &dir.path("c"),
    ]);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert!(outcome.stdout.contains("a/vmlinux: fails"), "{outcome}");
    for path in [&cut, &module, &noise] {
        let path = path.display().to_string();
        assert_eq!(outcome.stderr.matches(&path).count(), 1, "{outcome}");
    }
    // What the kernel's part needs may be in the module that cannot be read.
    let out = dir.path("out");
    let words = ["min-core", "-o"].map(PathBuf::from);
    let min = link([&words[0], &dir.path("a"), &program, &words[1], &out]);
    assert_eq!(min.status, Some(2), "{min}");
    assert!(min.stderr.contains("cut.ko") && !out.exists(), "{min}");
    let refused = link([check, &program, against, &program]);
    assert_eq!(refused.status, Some(2), "{refused}");
    assert!(
        refused.stderr.contains("a BPF object, not a kernel"),
        "{refused}"
    );
}
