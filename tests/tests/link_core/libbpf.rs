//! What libbpf does with a program, read from its debugging output, and what we do, in the same form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use btf_core::core_relo::Kernel;
use btf_core::elf;
use btf_link::core_check::{Answer, Checked};
use btf_link::program::Program;
use btf_tests::program::{TestDir, peer, run};

/// What becomes of the instruction of each relocation, by program and by the number of the relocation in its section.
pub(crate) type Answers = BTreeMap<(String, usize), Option<u64>>;

/// libbpf, behind a small program.
pub(crate) struct Libbpf {
    _dir: TestDir,
    program: PathBuf,
}

impl Libbpf {
    /// Compiles the program, if there is a libbpf.
    pub(crate) fn build() -> Option<Self> {
        let cc = peer("cc-libbpf")?;
        let dir = TestDir::new();
        let source = dir.write("libbpf.c", include_bytes!("libbpf.c"));
        let program = dir.path("libbpf");
        let args = ["-Wall".into(), source, "-o".into(), program.clone()];
        let _ = run(&cc, args).success();
        Some(Self { _dir: dir, program })
    }

    /// What libbpf puts into each instruction; `None` is a call that must not be reached.
    pub(crate) fn answers(&self, program: &Path, kernel: &Path) -> Answers {
        let outcome = run(&self.program, [program, kernel]).success();
        let mut answers = Answers::new();
        for line in outcome.stdout.lines() {
            if let Some((key, answer)) = answer_in(line) {
                // Both halves of a load of 64 bits are poisoned, each with a line.
                answers.insert(key, answer);
            }
        }
        answers
    }
}

/// Reads `libbpf: prog 'NAME': relo #N: patched insn #N (…) imm OLD -> NEW`, or `… substituting insn …`.
fn answer_in(line: &str) -> Option<((String, usize), Option<u64>)> {
    let (name, rest) = line
        .strip_prefix("libbpf: prog '")?
        .split_once("': relo #")?;
    let (number, what) = rest.split_once(": ")?;
    let key = (name.to_owned(), number.parse().ok()?);
    if what.starts_with("substituting insn") {
        return Some((key, None));
    }
    let (_, new) = what.strip_prefix("patched insn ")?.split_once(" -> ")?;
    // A changed size of a load is told in another line of this form.
    (!what.contains("mem_sz")).then_some((key, Some(new.parse().ok()?)))
}

/// What we put into each instruction.
pub(crate) fn ours(program: &Path, kernel: &Path) -> Answers {
    let read = |path| std::fs::read(path).expect("the corpus is there");
    let checked = Checked::new(Program::parse(&read(program)).expect("a program"));
    let kernel = elf::load(&read(kernel), None).expect("a kernel");
    let report = checked.check(&Kernel::new(Arc::new(kernel.btf)));
    let program = &checked.program;
    let mut numbers = BTreeMap::new();
    let mut answers = Answers::new();
    for (relocation, answer) in program.relocations.iter().zip(&report.answers) {
        let number = numbers.entry(relocation.section).or_insert(0usize);
        let function = relocation
            .section
            .and_then(|section| program.function(section, relocation.relo.insn_off));
        let function = String::from_utf8_lossy(function.unwrap_or_default()).into_owned();
        let value = match answer {
            Answer::Value { new, .. } => Some(*new),
            Answer::Poison => None,
            Answer::Refused => panic!("refused: {function} {number}"),
        };
        answers.insert((function, *number), value);
        *number += 1;
    }
    answers
}
